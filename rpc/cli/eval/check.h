/* check.h - what needs no server: lists, counts and prompts of the questions. Each returns the exit code. */
#ifndef RPC_CLI_EVAL_CHECK_H
#define RPC_CLI_EVAL_CHECK_H

#include "rpc/cli/eval/bench.h"

/* What a model that always answers A, B, ... gets, over all questions that have a label. */
int eval_self_test(const struct eval_bench *b);
int eval_dry_run(const struct eval_bench *b, const struct eval_plan *p);
int eval_list_prompts(const struct eval_bench *b, const struct eval_plan *p); /* one line of JSON each */
int eval_show_prompt(const struct eval_bench *b, const struct eval_plan *p, const char *which);
/* The benchmarks, with what is found of each; f: NULL: nothing is looked for. */
int eval_list(const struct eval_files *f, const struct eval_plan *p);
/* Says whose numbers of questions are not the published ones; false: there are such. */
bool eval_check_counts(const struct eval_bench *b);

#endif
