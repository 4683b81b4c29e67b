/* tasks.h - how many tasks a cluster's launcher started of this program, as the environment says. */
#ifndef BASE_TASKS_H
#define BASE_TASKS_H

/* Of srun, MPICH's mpiexec, Flux and their like; *variable is the name of the one that says so. 1: none does, or mpirun
 * of Open MPI started this process within such a task. */
int tasks_started(const char **variable);

#endif
