/* same.h - options that act on numbers and memory must be the same on all ranks. */
#ifndef DAEMON_RANK_SAME_H
#define DAEMON_RANK_SAME_H

#include "daemon/options.h"
#include "parallel/collect.h"

/* Collective. Machines may have variables and files of options of their own. ERR_MISMATCH on all ranks; *why names the
 * option, two hosts and both values. */
int same_options(const struct world *w, const struct options *o, struct why *why);

#endif
