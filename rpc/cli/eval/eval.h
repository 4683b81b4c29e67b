/* eval.h - `xverse eval`: benchmarks of multiple choice, and other measures of a model's answers. */
#ifndef RPC_CLI_EVAL_EVAL_H
#define RPC_CLI_EVAL_EVAL_H

#include "rpc/cli/cli.h"
#include "rpc/cli/eval/codes.h"

/* Returns the exit code. Parts that need a server connect with cli_connect(). */
int run_eval(struct args *a);
const char *eval_name_at(int i); /* what may follow `xverse eval`; NULL behind the last one */
const char *eval_help_at(int i); /* of that name */

#endif
