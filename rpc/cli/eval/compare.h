/* compare.h - two results, question by question. */
#ifndef RPC_CLI_EVAL_COMPARE_H
#define RPC_CLI_EVAL_COMPARE_H

#include "rpc/cli/eval/result.h"

struct eval_pair {
	const struct eval_numbers *a, *b;
	const char *a_samples, *b_samples; /* paths */
	const char *a_model, *b_model;
};

/* Text for people, and an object for --json. Questions that one of them lacks are counted and left out. */
int eval_compare(struct text *out, json_t *list, const struct eval_pair *pair, enum eval_rule rule, struct why *why);
/* McNemar's exact test: the chance of a split of b + c changes as uneven as this, if both were equally likely. */
double eval_mcnemar(int b, int c);

#endif
