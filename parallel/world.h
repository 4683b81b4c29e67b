/* world.h - the control plane: starts the job of ranks, wakes them and hands them steps.
 *
 * MPI is used at start only: ranks, the shared window, agreement on numbers. Steps travel in a page that all ranks of
 * a node share, with a futex to wake them, since a rank that waits in MPI_Bcast uses a whole core; between nodes they
 * travel over links of TCP (trunk.h). */
#ifndef PARALLEL_WORLD_H
#define PARALLEL_WORLD_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/error.h"
#include "parallel/collect.h"

/* Calls MPI_Init if a launcher started this process; otherwise it is one rank without MPI. Then opens the board. Must
 * be called before any thread starts, with the daemon's signals blocked. */
void world_init(struct world *w, int *argc, char ***argv);
/* Collective, before all that needs more than MPI. Links the nodes, over `interface`: its name, or a network as
 * 10.0.0.0/8; NULL: the fastest network that all are in. No link on one node. ERR_UNKNOWN, ERR_IO: no link;
 * ERR_MISMATCH: another build of the program runs on some node; the same on all ranks. */
int world_join(struct world *w, const char *interface, struct why *why);
/* The process that started this one as a rank, such as mpirun; 0: there is none, and this process may outlive its
 * parent. */
pid_t world_starter(void);
/* Orderly end: all ranks call it. */
void world_finish(struct world *w);
/* Name and version of the MPI library; needs no world. */
void world_library(char *out, size_t size);

/* Collective, at start: makes room for two steps of up to `bytes` bytes. */
void world_steps(struct world *w, size_t bytes);
/* Rank 0: hands a step to all ranks and wakes them. Waits only while a rank still reads the step before the last. */
void world_post(struct world *w, const void *step, size_t bytes);
/* Other ranks: the next step has arrived. */
bool world_posted(const struct world *w);
/* Other ranks: sleeps until the next step arrives, copies it to `step` (room for `max` bytes) and returns its size. */
size_t world_take(struct world *w, void *step, size_t max);

#endif
