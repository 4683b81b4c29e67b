/* fit.h - asks xversed whether a job fits into the memory of this machine, from the code that allocates. */
#ifndef LAUNCH_FIT_H
#define LAUNCH_FIT_H

#include "launch/inside.h"

/* How many ranks and nodes a process on another host is to plan for. */
#define FIT_RANKS "XVERSE_LAUNCH_RANKS"
#define FIT_NODES "XVERSE_LAUNCH_NODES"

/* Runs xversed --dry-run. Returns its exit code and the last line that it prints. all: it also looks at what rank 0
 * alone reads. */
int fit_ask(const struct launcher *l, int ranks, int nodes, bool all, char *line, size_t size);

#endif
