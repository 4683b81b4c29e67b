/* starter.h - the program that starts the ranks: Open MPI's mpirun, whose parameters changed their names with version
 * 5, or Slurm's srun. */
#ifndef LAUNCH_STARTER_H
#define LAUNCH_STARTER_H

#include "base/base.h"

enum starter_kind { STARTER_AUTO, STARTER_MPIRUN, STARTER_SRUN };

struct starter {
	enum starter_kind kind;
	char path[4096];
	int major, minor; /* of Open MPI; 0: unknown */
};

/* The file that the PATH finds. False: there is none. */
bool starter_on_path(const char *name, char *out, size_t size);
/* Chooses: mpirun unless srun is asked for, or within Slurm where there is no mpirun. Asks mpirun for its version.
 * ERR_UNKNOWN: it is not on the PATH; ERR_UNSUPPORTED: it is another MPI's. */
int starter_find(struct starter *s, enum starter_kind wanted, bool slurm, struct why *why);

#endif
