/* command.h - the parts of `xverse eval` that are benchmarks of multiple choice. Each returns the exit code. */
#ifndef RPC_CLI_EVAL_COMMAND_H
#define RPC_CLI_EVAL_COMMAND_H

#include "rpc/cli/cli.h"

int run_eval_benchmarks(struct args *a); /* all of a->eval.word are names of benchmarks */
int run_eval_list(struct args *a);
/* Options whose values are words of a list, whatever is measured. ERR_INVALID. */
int eval_check_words(const struct eval_args *a, struct why *why);

#endif
