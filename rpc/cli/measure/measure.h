/* measure.h - measures of `xverse eval` on files of the user's own. Each returns the exit code. */
#ifndef RPC_CLI_MEASURE_MEASURE_H
#define RPC_CLI_MEASURE_MEASURE_H

#include "rpc/cli/cli.h"

int run_ppl(struct args *a);     /* eval ppl FILE: perplexity and bits per byte of a text */
int run_classes(struct args *a); /* eval classes MODEL FILE: the model's quantisations side by side */
int run_exact(struct args *a);   /* eval exact FILE.jsonl: generated answers against the right ones */

#endif
