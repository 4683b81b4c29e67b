#include "parallel/tree.h"

#include "base/base.h"
#include "base/fpmode.h"

enum { TILE = 1024, DEPTH = 7 }; /* floats; a counter of up to 32 leaves has 6 digits, and one being added */

/* Plain f32 adds, four at a time; pointers need only float's alignment. */
typedef float quad __attribute__((vector_size(16), aligned(4)));

static void add(float *out, const float *a, const float *b, size_t n)
{
	size_t i = 0;

	for (; i + 4 <= n; i += 4)
		*(quad *)(out + i) = *(const quad *)(a + i) + *(const quad *)(b + i);
	for (; i < n; i++)
		out[i] = a[i] + b[i];
}

static void add_zero(float *out, const float *a, size_t n)
{
	const quad zero = {0, 0, 0, 0};
	size_t i = 0;

	for (; i + 4 <= n; i += 4)
		*(quad *)(out + i) = *(const quad *)(a + i) + zero;
	for (; i < n; i++)
		out[i] = a[i] + 0.0f;
}

/* The top two entries become one. Inputs stay where they are; only sums need a tile. */
static void merge(struct tree_input *stack, int *depth, float (*tile)[TILE], size_t n)
{
	int top = --*depth;

	add(tile[top - 1], stack[top - 1].data, stack[top].data, n);
	stack[top - 1].data = tile[top - 1];
	stack[top - 1].leaves += stack[top].leaves;
}

static void sum_tile(float *out, const struct tree_input *in, int n_in, size_t at, size_t n)
{
	float tile[DEPTH][TILE];
	struct tree_input stack[DEPTH];
	int depth = 0;

	for (int i = 0; i < n_in; i++) {
		REQUIRE(depth < DEPTH);
		stack[depth++] = (struct tree_input){in[i].data + at, in[i].leaves};
		while (depth > 1 && stack[depth - 2].leaves == stack[depth - 1].leaves)
			merge(stack, &depth, tile, n);
	}
	while (depth > 1)
		merge(stack, &depth, tile, n);
	add_zero(out + at, stack[0].data, n);
}

/* Not inlined: no addition may move out of the stretch with FTZ and DAZ. */
__attribute__((noinline)) static void sum_tiles(float *out, const struct tree_input *in, int n, size_t length)
{
	for (size_t at = 0; at < length; at += TILE)
		sum_tile(out, in, n, at, length - at < TILE ? length - at : TILE);
}

void tree_sum(float *out, const struct tree_input *in, int n, size_t length)
{
	unsigned old;

	REQUIRE(n >= 1 && n <= TREE_MAX_INPUTS);
	old = fpmode_flush();
	sum_tiles(out, in, n, length);
	fpmode_restore(old);
}
