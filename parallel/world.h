/* world.h - the control plane: who we are, waking the other ranks, handing them a step.
 *
 * MPI is used at start only (who is who, mapping the shared window, agreeing on numbers). Steps travel in a
 * page that all ranks of the node share, with a futex for a bell, since a rank waiting in MPI_Bcast burns a
 * core. Ranks on several nodes are refused by name until that is built. */
#ifndef PARALLEL_WORLD_H
#define PARALLEL_WORLD_H

#include <stdbool.h>
#include <sys/types.h>

#include "parallel/collect.h"

/* MPI_Init where a launcher started this process, else one rank without MPI; then the board. Call before any thread is
 * made and with the signals the daemon handles already blocked. Dies on ranks that span nodes. */
void world_init(struct world *w, int *argc, char ***argv);
/* mpirun, or whatever started this process as a rank; 0: nothing did, it may outlive its parent. */
pid_t world_starter(void);
/* Orderly end: all ranks call it. */
void world_finish(struct world *w);
/* Name and version of the MPI library; needs no world. */
void world_library(char *out, size_t size);

/* Collective, start only: room for steps of up to `bytes` bytes (two in flight). */
void world_steps(struct world *w, size_t bytes);
/* Rank 0: hand a step to all and ring. Waits only while a follower still reads the step before the last. */
void world_post(struct world *w, const void *step, size_t bytes);
/* Others: the next step is there to be taken. */
bool world_posted(const struct world *w);
/* Others: sleep until the next step, copy it to `step` (room for `max`), return its bytes. */
size_t world_take(struct world *w, void *step, size_t max);

#endif
