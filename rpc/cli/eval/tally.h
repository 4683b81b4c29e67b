/* tally.h - samples become numbers, in the order of the questions, so that equal samples give equal files. */
#ifndef RPC_CLI_EVAL_TALLY_H
#define RPC_CLI_EVAL_TALLY_H

#include "rpc/cli/eval/sample.h"
#include "rpc/cli/eval/score.h"

enum { EVAL_SHOTS = 101 };

struct eval_task_tally {
	int n, labelled, correct[EVAL_RULES], letters[EVAL_LETTERS];
	int shots[EVAL_SHOTS], truncated, sums; /* sums: questions whose letters are several tokens */
	double entropy;                         /* sum over questions, of the choice among the letters, in nats */
};
struct eval_tally {
	struct eval_task_tally *task; /* one for each of the benchmark */
	int n, equal, letters[EVAL_LETTERS];
	double equal_share, letter_share; /* letter_share: of the letter that is chosen most */
	int letter;
	bool alarm;
};

void eval_tally_open(struct eval_tally *t, const struct eval_bench *b);
/* rule: whose letters the alarm looks at. */
void eval_tally_add(struct eval_tally *t, int task, const struct eval_sample *s, enum eval_rule rule);
/* Half of the questions with equal logits, or one letter for 95 % of them: the model, or the way to it, is broken. */
void eval_tally_end(struct eval_tally *t);
void eval_tally_close(struct eval_tally *t);
void eval_tally_score(struct eval_score *out, const struct eval_tally *t, const struct eval_bench *b,
		      enum eval_rule rule);

#endif
