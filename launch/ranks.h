/* ranks.h - the ranks of a job that run on this machine, as /proc shows them.
 *
 * mpirun ends a job that lost a rank, but sometimes hangs over it (a rank that dies in MPI_Init). The remaining ranks
 * end by themselves; whatever is left of the job 10 s after a rank was lost is killed. */
#ifndef LAUNCH_RANKS_H
#define LAUNCH_RANKS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct ranks {
	int most;         /* seen alive at once */
	uint64_t lost_ns; /* since when there are fewer; 0: there are not */
};

/* Looks at what mpirun started; call it now and then, with `now_ns` of any clock. Zero-initialise `r` for each job.
 * Returns false if mpirun does not end a job that lost ranks. */
bool ranks_look(struct ranks *r, pid_t mpirun, uint64_t now_ns);
/* Sends SIGKILL to mpirun and all its descendants. */
void ranks_kill(pid_t mpirun);
/* Reaps ranks that this process inherited when mpirun died, and kills those alive if `kill_them`. Returns how many
 * live. */
int ranks_sweep(bool kill_them);

#endif
