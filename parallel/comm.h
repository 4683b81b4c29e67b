/* comm.h - the data plane: sums and gathers of tensors between ranks.
 *
 *   comm_self  one rank, nothing to send
 *   comm_host  host memory shared by the ranks of a node, and links between nodes (CPU backend)
 *   comm_nccl  device memory, enqueued on the backend's stream (CUDA plug-in)
 *
 * Every rank makes the same calls in the same order. Faults die(). Bits do not depend on the number of ranks:
 * partials are combined by the tree over the split's leaves (shard.h), never in order of arrival. */
#ifndef PARALLEL_COMM_H
#define PARALLEL_COMM_H

#include "base/base.h"
#include "parallel/shard.h"

struct world;
struct comm;

/* The largest operation; sizes the shared window. */
struct comm_limits {
	int max_rows;                 /* of a sum */
	int max_cols;                 /* of a sum: hidden */
	int max_parts;                /* of any rank's split */
	int gather_rows, gather_cols; /* rows at a time and whole vocabulary */
};

struct comm_ops {
	const char *name;
	void *(*parts)(struct comm *c, const struct split *k, int rows, int cols);
	void (*sum)(struct comm *c, void *out, enum dtype type, const struct split *k, int rows, int cols);
	float *(*result)(struct comm *c, int i); /* NULL: no such place */
	float *(*columns)(struct comm *c, int rows, int cols);
	void (*gather)(struct comm *c, float *out, int rows, const int *cols_of_rank);
	void (*bcast)(struct comm *c, int32_t *ids, int n); /* NULL: no step runs ahead */
	void (*check)(struct comm *c);                      /* NULL: nothing can fail between calls */
	void (*destroy)(struct comm *c);
};

struct comm {
	const struct comm_ops *ops;
	int rank, size;
	bool alone;      /* the only rank: its partial is the sum, so callers may write it to the sum's place and skip
			    comm_sum() */
	char about[160]; /* how sums travel between GPUs, for Status; else "" */
	struct comm_limits limits; /* every call is checked against them */
};

/* The most columns that one rank contributes to a gather: its share of the vocabulary in groups of 64 tokens (shard.h).
 */
int comm_share(const struct comm_limits *limits, int size);

struct comm *comm_self_create(const struct comm_limits *limits);
struct comm *comm_host_create(struct world *w, const struct comm_limits *limits); /* collective */
/* Bytes that one rank's communicator takes, for the memory plan. */
size_t comm_host_bytes(const struct world *w, const struct comm_limits *limits);
void comm_destroy(struct comm *c); /* NULL is fine */

/* Where this rank writes its partials for the next sum: (n_parts of its split, rows, cols) of the sum's type.
 * Valid until comm_sum() returns. For a rank without leaves it may be NULL. */
void *comm_parts(struct comm *c, const struct split *k, int rows, int cols);
/* out (rows, cols) on all ranks = sum of all ranks' partials, by the tree and plus +0 (no -0 comes out). `k` is this
 * rank's split of the axis; every rank's leaves follow from k->n_leaves, rank and size. type: of partials and out;
 * DT_F32, or DT_BF16 where NCCL sums, which rounds after each addition or after the last. */
void comm_sum(struct comm *c, void *out, enum dtype type, const struct split *k, int rows, int cols);

/* The communicator's place for results of sums, (max_rows, max_cols) f32, which a sum writes without a copy; i <
 * COMM_RESULTS. NULL: any memory of the backend is as fast. */
enum { COMM_RESULTS = 3 };
float *comm_result(struct comm *c, int i);

/* Where this rank writes its columns for the next gather: (rows, cols) f32, cols = its own count. */
float *comm_columns(struct comm *c, int rows, int cols);
/* out (rows, sum of cols) on rank 0 (NULL elsewhere) = all ranks' columns side by side. If the columns lie on a device,
 * `out` may lie on the device, or on the host, and then the call waits. */
void comm_gather(struct comm *c, float *out, int rows, const int *cols_of_rank /* (size) */);
/* Sends ids (n) of rank 0 to all ranks: the tokens sampled by the previous step, for a step that is enqueued before the
 * host knows them. */
void comm_bcast(struct comm *c, int32_t *ids, int n);
/* Dies if the communicator failed asynchronously. Cheap enough for polling loops. */
void comm_check(struct comm *c);

#endif
