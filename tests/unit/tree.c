/* The fixed order of sums: bit for bit what a recursive walk over the leaves gives, however they are grouped.
 */
#include <math.h>

#include "base/base.h"
#include "parallel/comm.h"
#include "base/fpmode.h"
#include "parallel/tree.h"
#include "tests/check.h"

enum { LENGTH = 2500 }; /* tiles of 1024 and a tail that no vector divides: 452 = 113 * 4, plus below */

static uint32_t seed = 1;

static float noise(void)
{
	seed = seed * 1664525u + 1013904223u;
	return (float)((int32_t)seed >> 8) * 0x1p-20f * (float)(1 << (seed & 15));
}

/* Leaves [first, first + count) of the perfect tree. */
static float walk(float (*leaf)[LENGTH], int first, int count, int at)
{
	if (count == 1)
		return leaf[first][at];
	return walk(leaf, first, count / 2, at) + walk(leaf, first + count / 2, count / 2, at);
}

static float leaves[32][LENGTH], out[LENGTH], packed[SHARD_MAX_LEAVES][LENGTH];

static void fill(void)
{
	for (int j = 0; j < 32; j++)
		for (int i = 0; i < LENGTH; i++)
			leaves[j][i] = noise();
}

/* Inputs as `size` ranks would ship them; returns how many. */
static int as_ranks(int n_leaves, int size, struct tree_input *in)
{
	int n = 0;

	for (int r = 0; r < size; r++) {
		struct span own = split_leaves(n_leaves, r, size);
		struct part parts[SHARD_MAX_PARTS];
		int m = leaf_parts(own.first, own.count, parts);

		for (int i = 0; i < m; i++, n++) {
			for (int at = 0; at < LENGTH; at++)
				packed[n][at] = walk(leaves, parts[i].first, parts[i].count, at);
			in[n] = (struct tree_input){packed[n], parts[i].count};
		}
	}
	return n;
}

TEST(any_number_of_ranks_gives_the_same_bits)
{
	struct tree_input in[TREE_MAX_INPUTS];

	fill();
	for (int n_leaves = 1; n_leaves <= 32; n_leaves *= 2) {
		for (int size = 1; size <= n_leaves; size++) {
			int n = as_ranks(n_leaves, size, in);

			for (size_t length = LENGTH - 5; length <= LENGTH; length++) {
				tree_sum(out, in, n, length);
				for (int at = 0; at < (int)length; at++)
					CHECK(out[at] == walk(leaves, 0, n_leaves, at) + 0.0f);
			}
		}
	}
}

TEST(order_matters_in_this_data)
{
	int differ = 0;

	fill();
	for (int at = 0; at < LENGTH; at++) {
		float chain = 0;

		for (int j = 0; j < 32; j++)
			chain += leaves[j][at];
		differ += chain != walk(leaves, 0, 32, at);
	}
	CHECK(differ > LENGTH / 4); /* or the test above would prove nothing */
}

TEST(other_counts_end_from_the_small_side)
{
	struct tree_input in[7];

	fill();
	for (int j = 0; j < 7; j++)
		in[j] = (struct tree_input){leaves[j], 1};
	tree_sum(out, in, 7, LENGTH);
	for (int at = 0; at < LENGTH; at++) {
		float tail = (leaves[4][at] + leaves[5][at]) + leaves[6][at];

		CHECK(out[at] == walk(leaves, 0, 4, at) + tail);
	}
}

TEST(the_output_may_be_an_input)
{
	struct tree_input in[2] = {{leaves[0], 1}, {leaves[1], 1}};

	fill();
	tree_sum(out, in, 2, LENGTH);
	tree_sum(leaves[0], in, 2, LENGTH);
	CHECK(!memcmp(out, leaves[0], sizeof out));
}

TEST(zero_has_no_sign_and_subnormals_are_zero)
{
	unsigned before = fpmode_flush();

	fpmode_restore(before & ~0x8040u); /* the caller forgot the mode: the sum must not */
	for (int n = 1; n <= 2; n++) {
		float a[5] = {-0.0f, 0x1p-140f, -0x1p-140f, 0x1p-126f, -INFINITY}, b[5] = {0}, sum[5];
		struct tree_input in[2] = {{a, 1}, {b, 1}};

		tree_sum(sum, in, n, 5);
		for (int i = 0; i < 3; i++)
			CHECK(sum[i] == 0 && !signbit(sum[i]));
		CHECK(sum[3] == 0x1p-126f);
		CHECK(sum[4] == -INFINITY);
	}
#if defined(__SSE2__)
	CHECK_EQ(__builtin_ia32_stmxcsr() & 0x8040, 0);
#endif
	fpmode_restore(before);
}

TEST(comm_self_sums_and_gathers)
{
	struct comm_limits limits = {
		.max_rows = 4, .max_cols = 100, .max_parts = 3, .gather_rows = 4, .gather_cols = 130};
	struct comm *c = comm_self_create(&limits);
	struct split one = split_whole(100), seven = {.n_leaves = 7, .count = 7};
	float sum[300], *parts = comm_parts(c, &one, 3, 100), *columns;
	const int cols[1] = {130};
	float all[520];

	for (int i = 0; i < 300; i++)
		parts[i] = (float)i;
	comm_sum(c, sum, DT_F32, &one, 3, 100);
	for (int i = 0; i < 300; i++)
		CHECK(sum[i] == (float)i);
	parts = comm_parts(c, &seven, 2, 50); /* parts of 4, 2 and 1 leaves */
	for (int i = 0; i < 300; i++)
		parts[i] = i < 100 ? 1 : i < 200 ? 0x1p24f : -0x1p24f;
	comm_sum(c, sum, DT_F32, &seven, 2, 50);
	for (int i = 0; i < 100; i++)
		CHECK(sum[i] == 1);
	columns = comm_columns(c, 4, 130);
	for (int i = 0; i < 520; i++)
		columns[i] = (float)i;
	comm_gather(c, all, 4, cols);
	CHECK(!memcmp(all, columns, sizeof all));
	comm_destroy(c);
	comm_destroy(NULL);
}

CHECK_MAIN()
