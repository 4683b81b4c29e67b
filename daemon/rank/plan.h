/* plan.h - what each rank would hold, without a GPU, without MPI and without reading weights (--dry-run).
 */
#ifndef DAEMON_RANK_PLAN_H
#define DAEMON_RANK_PLAN_H

#include <stdio.h>

#include "daemon/options.h"

/* Ranks: --tensor-parallel-size, else what mpirun or srun says of this process, else 1. Prints a table (or
 * JSON) on standard output. The program's exit status: 0, or EXIT_CONFIG where it would not fit. */
int dry_run(const struct options *o);
/* The table alone, for a start that is refused: of `size` ranks. */
void dry_run_ranks(FILE *to, const struct options *o, int size);

#endif
