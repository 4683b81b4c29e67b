/* submit.h - `xverse submit`: a file of requests becomes an array job of Slurm, each task of which answers a part by
 * `xverse batch --part`. */
#ifndef RPC_CLI_BATCH_SUBMIT_H
#define RPC_CLI_BATCH_SUBMIT_H

#include "rpc/cli/cli.h"

/* argv: the command line, whose sampling options the tasks get. Returns the exit code. */
int run_submit(struct args *a, int argc, char **argv);

#endif
