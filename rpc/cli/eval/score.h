/* score.h - accuracies of tasks become those of categories and of the benchmark, as each benchmark averages them. */
#ifndef RPC_CLI_EVAL_SCORE_H
#define RPC_CLI_EVAL_SCORE_H

#include "rpc/cli/eval/bench.h"

extern const char *const eval_category_names[EVAL_CATEGORIES];

struct eval_count { /* of one task */
	int n, correct;
};
struct eval_score { /* in percent; NaN where nothing was asked */
	int n, correct;
	double average, micro, macro; /* average is one of the others */
	double category[EVAL_CATEGORIES];
	double hard;           /* over the subjects that are */
	double stderr_average; /* of the average: the sampling error of its questions */
};

/* count: one for each task of b. Extra tasks count where they are all that there is. */
void eval_score(struct eval_score *out, const struct eval_bench *b, const struct eval_count *count);

#endif
