/* plan.h - computes what each rank would hold (--dry-run) without a GPU, MPI or reading weights.
 */
#ifndef DAEMON_RANK_PLAN_H
#define DAEMON_RANK_PLAN_H

#include <stdio.h>

#include "daemon/options.h"

/* Set in the environment, a dry run plans memory and looks at nothing else: for launchers, of hosts where rank 0 does
 * not run. */
#define PLAN_MEMORY_ONLY "XVERSE_LAUNCH_MEMORY_ONLY"

/* Ranks: --tensor-parallel-size, else what mpirun or srun says of this process, else 1. Prints a table (or
 * JSON, which has the lines of `refused`, or none for NULL) on standard output. The program's exit status: 0, or
 * EXIT_CONFIG where it would not fit. */
int dry_run(const struct options *o, const char *refused);
/* Prints the table alone, of `size` ranks, for a start that was refused. */
void dry_run_ranks(FILE *to, const struct options *o, int size);

#endif
