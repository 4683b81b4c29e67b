/* result.h - a benchmark's result as a file, and the numbers of tables read from one. */
#ifndef RPC_CLI_EVAL_RESULT_H
#define RPC_CLI_EVAL_RESULT_H

#include "rpc/cli/eval/run.h"

/* What a table shows of a benchmark, in percent; NaN: not known. */
struct eval_numbers {
	char bench[24];
	double average, error, category[EVAL_CATEGORIES];
	int done, asked, whole; /* whole: questions of the benchmark; fewer asked is a limited run */
	bool limited;           /* --limit, --subjects, files that lack questions, or an end before the last one */
};

/* All of a result; the samples' own numbers are in the samples file. */
json_t *eval_result_json(const struct eval_outcome *o, const struct eval_bench *b, const struct eval_plan *p,
			 const struct eval_how *how, const struct eval_receipt *r);
void eval_result_numbers(struct eval_numbers *n, const struct eval_outcome *o, const struct eval_bench *b,
			 const struct eval_plan *p, enum eval_rule rule);
/* Of a result file; `model` gets its name, malloced. */
int eval_result_read(struct eval_numbers *n, char **model, const char *path, struct why *why);
/* {"subject": {"id": "A", ...}, ...}, as C-Eval's site takes it. */
int eval_submission_write(const struct eval_outcome *o, const char *path, enum eval_rule rule, struct why *why);

#endif
