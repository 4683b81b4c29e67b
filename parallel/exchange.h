/* exchange.h - what nodes give each other for the sums and gathers of comm_host. Private to it.
 *
 * Each node's window has an area for each node, its own included, where that node's partials of a sum lie: one for each
 * maximal aligned subtree of the leaves that its ranks own, so that what travels does not grow with the ranks of a
 * node. Its leader combines them chunk by chunk and sends each chunk at once, while it combines the next; ranks add a
 * chunk up when all nodes' have come. Links' threads write what comes straight into the areas and count it there.
 *
 * From three nodes on, large sums move less by halves: each chunk has a node that owns it, to which the others send
 * their partials, and which adds them up and sends the sum. The tree is the same, and so are the bits; small sums take
 * one trip instead of two.
 *
 * An area has two halves, for even and odd operations. A node sends for an operation when all its ranks have arrived at
 * it; they do so when all nodes have sent for the one before, and a node does that when its ranks are done with the
 * one before that. So no rank reads the half any more that is written. */
#ifndef PARALLEL_EXCHANGE_H
#define PARALLEL_EXCHANGE_H

#include "parallel/comm.h"
#include "parallel/tree.h"

struct world;
struct exchange;

/* A partial in memory of this node. */
struct exchange_part {
	struct part leaves;
	const float *data; /* (length) */
};

/* Chunks that leave before the first is added up. */
enum { EXCHANGE_AHEAD = 8 };

/* One sum. Fill with exchange_plan(). */
struct exchange_sum {
	uint32_t op;
	bool owned;    /* chunks have owners */
	size_t length; /* floats of a partial */
	int chunks, n_inputs, parts_here;
	struct {
		struct part leaves;
		int node, index;    /* which of its node's */
	} input[TREE_MAX_INPUTS];   /* in leaf order */
	int parts[TREE_MAX_INPUTS]; /* of each node */
};

size_t exchange_bytes(const struct world *w, const struct comm_limits *limits); /* of this node's window */
/* Collective on a node. `memory`: exchange_bytes() zeroed bytes that its ranks share. */
struct exchange *exchange_open(struct world *w, const struct comm_limits *limits, void *memory);
void exchange_close(struct exchange *x); /* all ranks, after the same operations. NULL is fine */

/* Waits until all nodes have sent for the operation before. */
void exchange_begin(struct exchange *x);
void exchange_plan(struct exchange *x, struct exchange_sum *s, uint32_t op, int n_leaves, size_t length);
/* Leaders, when all their ranks have arrived: combines chunk c of what these brought (n, in leaf order) and sends it.
 */
void exchange_send(struct exchange *x, const struct exchange_sum *s, int c, const struct exchange_part *here, int n);
/* Waits for chunk c of all nodes; out [from, to) of the sum, as far as it lies in the chunk. Chunks are sent and added
 * in order, chunk c EXCHANGE_AHEAD chunks after it was sent; leaders call both for all chunks. */
void exchange_add(struct exchange *x, const struct exchange_sum *s, int c, float *out, size_t from, size_t to);
void exchange_sum_done(struct exchange *x, const struct exchange_sum *s);

/* A gather: leaders send their ranks' columns, of `bytes` bytes, to node 0, */
void exchange_columns(struct exchange *x, uint32_t op, int rank, const float *columns, size_t bytes);
void exchange_gathered(struct exchange *x, int rows,
		       const int *cols_of_rank); /* and all ranks count it. Rank 0 waits for all */
/* Rank 0: where those of a rank of another node lie. */
const float *exchange_columns_of(const struct exchange *x, uint32_t op, int rank);

#endif
