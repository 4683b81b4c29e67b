/* flips.h - two results of `xverse eval exact`, question by question. */
#ifndef RPC_CLI_MEASURE_FLIPS_H
#define RPC_CLI_MEASURE_FLIPS_H

#include <stdbool.h>

/* Folders with exact.jsonl. Prints which questions changed, and McNemar's test; the exit code. */
int measure_flips(const char *before, const char *after, bool json);

#endif
