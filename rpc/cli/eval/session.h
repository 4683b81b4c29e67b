/* session.h - benchmarks asked one after another, with all that is printed and written. Returns the exit code. */
#ifndef RPC_CLI_EVAL_SESSION_H
#define RPC_CLI_EVAL_SESSION_H

#include "rpc/cli/cli.h"
#include "rpc/cli/eval/bench.h"

int eval_session(struct args *a, const struct eval_plan *p, const struct eval_bench *b, int n);

#endif
