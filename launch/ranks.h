/* ranks.h - the ranks of a job as /proc tells of them; only those of this machine.
 *
 * mpirun ends a job that lost a rank, but now and then it hangs over it (a rank that dies in MPI_Init). The
 * ranks that are left end by themselves; what is there of the job 10 s after a rank was lost is killed. */
#ifndef LAUNCH_RANKS_H
#define LAUNCH_RANKS_H

#include <stdint.h>
#include <sys/types.h>

struct ranks {
	int most;         /* seen alive at once */
	uint64_t lost_ns; /* since when there are fewer, 0: there are not */
};

/* A look now and then at what mpirun started; zero-initialise for each job. */
void ranks_look(struct ranks *r, pid_t mpirun);

#endif
