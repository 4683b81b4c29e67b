/* tasks.h - how many tasks of this program a cluster's launcher started, by the environment. */
#ifndef BASE_TASKS_H
#define BASE_TASKS_H

/* Knows srun, MPICH's mpiexec, Flux and others; *variable becomes the environment variable's name. 1: there is none, or
 * Open MPI's mpirun started this process within such a task. */
int tasks_started(const char **variable);

#endif
