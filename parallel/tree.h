/* tree.h - the fixed order in which partial sums are combined (shard.h), the same on any number of ranks. */
#ifndef PARALLEL_TREE_H
#define PARALLEL_TREE_H

#include <stddef.h>

enum { TREE_MAX_INPUTS = 32 };

/* One aligned subtree of leaves, already summed. */
struct tree_input {
	const float *data; /* (length) */
	int leaves;        /* a power of two */
};

/* out (length) = the inputs, given in leaf order, combined as a binary counter combines its digits (equal
 * subtrees at once, at the end the rest from the small end up, older + newer each time), plus +0, with FTZ
 * and DAZ. The +0 matters on one rank: an embedded -0 or subnormal becomes what the sum over several ranks
 * makes of it. `out` may be one of the inputs. */
void tree_sum(float *out, const struct tree_input *in, int n, size_t length);

#endif
