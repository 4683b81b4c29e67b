/* plan.h - computes what each rank would hold (--dry-run) without a GPU, MPI or reading weights.
 */
#ifndef DAEMON_RANK_PLAN_H
#define DAEMON_RANK_PLAN_H

#include <stdio.h>

#include "daemon/options.h"

/* Ranks: --tensor-parallel-size, else what mpirun or srun says of this process, else 1. Prints a table (or
 * JSON) on standard output. The program's exit status: 0, or EXIT_CONFIG where it would not fit. */
int dry_run(const struct options *o);
/* Prints the table alone, of `size` ranks, for a start that was refused. */
void dry_run_ranks(FILE *to, const struct options *o, int size);

#endif
