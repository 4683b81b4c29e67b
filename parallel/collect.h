/* collect.h - who this rank is, and agreement between ranks while the job starts.
 *
 * Each call is collective: every rank makes the same ones in the same order. They use MPI, which spins while it waits,
 * so no step uses them. */
#ifndef PARALLEL_COLLECT_H
#define PARALLEL_COLLECT_H

#include <stddef.h>
#include <stdint.h>

#include "parallel/nodes.h"

struct world_shared;
struct board;
struct trunk;

struct world {
	int rank, size;
	int local_rank, local_size; /* on this node */
	struct nodes nodes;         /* which rank is where; n is 0 or 1 on one node */
	char address[64];           /* on several nodes, that of this node's links */
	struct trunk *trunk; /* the links of a node's leader; NULL elsewhere, on one node and before world_join() */
	struct world_shared *shared;
	struct board *board; /* heartbeats and blame (board.h) */
	uint32_t seen;       /* number of the last step posted or taken */
};

int64_t world_min(const struct world *w, int64_t v);
int64_t world_sum(const struct world *w, int64_t v);
void world_bcast(const struct world *w, void *buf, size_t bytes); /* rank 0's bytes to all */
void world_gather(const struct world *w, const void *mine, size_t bytes, void *all /* rank 0: (size, bytes) */);
void world_barrier(const struct world *w);

/* The same among the ranks of a node. The root is its lowest rank. */
int64_t node_min(const struct world *w, int64_t v);
int64_t node_sum(const struct world *w, int64_t v);
void node_bcast(const struct world *w, void *buf, size_t bytes);
void node_gather(const struct world *w, const void *mine, size_t bytes, void *all /* root: (local_size, bytes) */);
void node_barrier(const struct world *w);

/* Under MPI: fills local_rank, local_size and nodes. */
void world_find_nodes(struct world *w);
void world_forget_nodes(struct world *w);

#endif
