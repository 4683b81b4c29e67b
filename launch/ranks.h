/* ranks.h - the ranks of a job as /proc tells of them; only those of this machine.
 *
 * mpirun ends a job that lost a rank, but now and then it hangs over it (a rank that dies in MPI_Init). The
 * ranks that are left end by themselves; what is there of the job 10 s after a rank was lost is killed. */
#ifndef LAUNCH_RANKS_H
#define LAUNCH_RANKS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct ranks {
	int most;         /* seen alive at once */
	uint64_t lost_ns; /* since when there are fewer, 0: there are not */
};

/* A look now and then at what mpirun started, `now_ns` by whatever clock; zero-initialise for each job. False: mpirun
 * does not end a job that lost ranks. */
bool ranks_look(struct ranks *r, pid_t mpirun, uint64_t now_ns);
/* SIGKILL for all processes below mpirun, and for it. */
void ranks_kill(pid_t mpirun);
/* Ranks that this process inherited when mpirun died: waits for those that have ended and kills those that live where
 * `kill_them`. How many live. */
int ranks_sweep(bool kill_them);

#endif
