/* shard.h - which part of a model a rank owns. Pure arithmetic: no I/O, no MPI, no device.
 *
 * The same bits on any number of ranks need sums whose order does not depend on that number. So the K axis
 * of every row-parallel product (o and down) is cut into S fixed leaves from the config alone, S a power of
 * two; partial sums of leaves are combined by the perfect binary tree over the S leaves, and a rank owns
 * whole contiguous leaves. It sends one f32 partial per maximal aligned subtree of its leaves (a "part").
 *
 *   o:    S = largest power of two <= min(32, heads); leaf j starts at head floor(heads*j/S)
 *   down: S = 32; leaf j starts at column 32*floor(G*j/32), G = ceil(ffn/32); a leaf may be empty
 *   experts of a routed FFN, and those that all tokens share: as down, with S = 8 of each expert's inner axis
 *   rank r of n owns the leaves [ceil(S*r/n), ceil(S*(r+1)/n)) of each axis; a share may be empty for down.
 *   vocabulary: groups of 64 tokens; rank r owns the groups [floor(G*r/n), floor(G*(r+1)/n)).
 */
#ifndef PARALLEL_SHARD_H
#define PARALLEL_SHARD_H

#include <stdint.h>

enum { SHARD_MAX_LEAVES = 32, SHARD_MAX_PARTS = 10 }; /* of 32 leaves a range has at most 8 aligned subtrees */

struct span {
	int first, count;
};

/* Fixed leaves of a K axis and those that this rank owns. Column-parallel axes have one leaf, owned by all. */
struct split {
	int n_leaves, first, count;
	int32_t start[SHARD_MAX_LEAVES +
		      1]; /* (n_leaves + 1) in elements of the whole axis; start[n_leaves] = length */
};

/* One aligned subtree: leaves [first, first + count), count a power of two that divides first. */
struct part {
	int first, count;
};

/* Parts of the owned leaves, in leaf order; returns how many (0 for an empty share). */
int split_parts(const struct split *s, struct part *parts /* (SHARD_MAX_PARTS) */);
/* Parts of an arbitrary leaf range, as another rank would own it. */
int leaf_parts(int first, int count, struct part *parts);
/* The owned columns of the axis. */
struct span split_columns(const struct split *s);
/* Leaves are combined as a binary counter combines its digits: perfect subtrees first, then, where n_leaves is
 * no power of two, the rest from the small end up. For the S leaves of o and down that is the perfect tree. */
/* The leaves that rank r of n owns. */
struct span split_leaves(int n_leaves, int rank, int size);
/* One leaf: the axis is not cut between ranks. */
struct split split_whole(int length);

/* What a rank owns of a model. Fill with shard_make(). */
struct shard {
	int rank, size;
	struct span heads;    /* q heads, global numbers; follow the leaves of o */
	struct span kv_heads; /* every K/V head that one of its q heads uses; two ranks may hold the same one */
	struct span ffn;      /* columns of the FFN's inner axis; follow the leaves of down */
	struct span vocab;    /* tokens of embedding and head */
	struct split hidden;  /* split_whole(hidden) */
	struct split o, down;
	struct split expert, shared; /* of one expert; of those that all tokens share. Both own the same leaves */
	struct split vocab_sum;      /* one leaf a rank: the embedding's sum, where all but one rank add +0 */
};

struct shard_shape {
	int hidden, heads, kv_heads, head_dim, ffn, vocab;
	int expert_ffn, shared_ffn; /* 0: there are none */
};

/* The most ranks that this shape can be split over: S of the o axis. */
int shard_max_ranks(const struct shard_shape *shape);
/* rank in [0, size), size in [1, shard_max_ranks()]. */
struct shard shard_make(const struct shard_shape *shape, int rank, int size);

#endif
