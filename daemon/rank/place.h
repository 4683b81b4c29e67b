/* place.h - the threads of this rank and the CPUs that they run on.
 *
 * Rank 0 reads the node's topology (hwloc: https://www.open-mpi.org/projects/hwloc/), gathers the mask and the CPU
 * quota of every rank, and plans disjoint shares (base/cores.h). CPUs that a rank pins threads to are locked byte by
 * byte in a file that all daemons of the node share (advisory, open file description locks, gone with the process), so
 * that a second daemon keeps off them. */
#ifndef DAEMON_RANK_PLACE_H
#define DAEMON_RANK_PLACE_H

#include "daemon/options.h"
#include "base/cores.h"
#include "parallel/collect.h"

/* Collective: plans the share of this rank. */
void place_rank(struct core_share *share, const struct world *w, const struct options *o);
/* Takes the planned CPUs for this process and the threads that it starts from here on; where that fails, share->pin
 * becomes false. */
void place_take(struct core_share *share);
/* What a rank of `local_size` equal ones would get: for a plan without a world. */
int place_plan_threads(const struct options *o, int local_size);

#endif
