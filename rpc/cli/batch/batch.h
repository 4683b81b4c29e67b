/* batch.h - `xverse batch`: a file of requests becomes a file of answers, each once, whatever is killed meanwhile. */
#ifndef RPC_CLI_BATCH_BATCH_H
#define RPC_CLI_BATCH_BATCH_H

#include "rpc/cli/cli.h"

int run_batch(struct args *a); /* the exit code */

#endif
