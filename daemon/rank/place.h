/* place.h - the threads of this rank and the CPUs that they run on.
 *
 * Rank 0 reads the node's topology (hwloc: https://www.open-mpi.org/projects/hwloc/), gathers the mask and the CPU
 * quota of every rank, and plans disjoint shares (base/cores.h). For each CPU that a rank pins a thread to it locks a
 * byte of a file that all daemons of the node share (advisory open file description locks, which end with the process),
 * so that a second daemon avoids these CPUs. */
#ifndef DAEMON_RANK_PLACE_H
#define DAEMON_RANK_PLACE_H

#include "daemon/options.h"
#include "base/cores.h"
#include "parallel/collect.h"

/* Collective: plans the share of this rank. */
void place_rank(struct core_share *share, const struct world *w, const struct options *o);
/* Binds this process and the threads that it starts from now on to the planned CPUs. If that fails, share->pin becomes
 * false. */
void place_take(struct core_share *share);
/* Threads of each of `local_size` equal ranks, for a plan without other processes. */
int place_plan_threads(const struct options *o, int local_size);

#endif
