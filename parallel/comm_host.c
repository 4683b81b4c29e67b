/* comm_host.c - ranks of one node sum in memory that they share.
 *
 * Each rank writes two areas of its own, for even and odd operations, and counts its arrivals. A small sum has one
 * phase: all ranks arrive, then each combines everything for itself. A large sum has two: each rank combines its slice
 * into its own area, all arrive again, and each copies the slices together. Both add in the order of the tree. A rank
 * that has arrived at an operation is done with the one before, so an area may be written again once all have arrived
 * at the operation in between. */
#include <stdlib.h>
#include <string.h>

#include "parallel/board.h"
#include "parallel/comm.h"
#include "parallel/tree.h"
#include "base/wait.h"
#include "parallel/window.h"
#include "parallel/world.h"

enum { TWO_PHASES_FROM = 256 << 10 }; /* bytes of all partials; measured, tests/bench/sums.c */
enum { MAX_INPUTS = TREE_MAX_INPUTS };

struct arrival {
	_Alignas(64) _Atomic uint32_t count; /* futex */
};

struct comm_host {
	struct comm base;
	struct window window;
	struct board *board;     /* borrowed */
	struct arrival *arrived; /* (size) */
	char *areas;             /* (size, 2, area) bytes */
	size_t area;
	uint32_t ops, ticks; /* operations and arrivals up to now */
	uint32_t before; /* the arrival at the last operation; once all ranks have made it, the operation before is done
			  */
	bool begun;      /* this operation's area may be written */
};

static size_t area_bytes(int size, const struct comm_limits *l)
{
	size_t sum = (size_t)l->max_parts * (size_t)l->max_rows * (size_t)l->max_cols;
	size_t gather = (size_t)l->gather_rows * (size_t)comm_share(l, size);
	size_t slice = (size_t)l->max_rows * (size_t)l->max_cols; /* a rank without partials combines a slice, too */

	if (slice > sum)
		sum = slice;
	return round_up((sum > gather ? sum : gather) * sizeof(float), 4096);
}

static size_t head_bytes(int size)
{
	return round_up((size_t)size * sizeof(struct arrival), 4096);
}

size_t comm_host_bytes(int size, const struct comm_limits *limits)
{
	return 2 * area_bytes(size, limits) + head_bytes(size) / (size_t)size;
}

static float *area_of(const struct comm_host *h, int rank)
{
	return (float *)(h->areas + ((size_t)rank * 2 + (h->ops & 1)) * h->area);
}

static void await(struct comm_host *h, int rank, uint32_t tick)
{
	if (rank != h->base.rank)
		wait_reach(&h->arrived[rank].count, tick, 1, board_idle, h->board);
}

static void await_all(struct comm_host *h, uint32_t tick)
{
	for (int r = 0; r < h->base.size; r++)
		await(h, r, tick);
}

static void arrive(struct comm_host *h)
{
	_Atomic uint32_t *count = &h->arrived[h->base.rank].count;

	atomic_store_explicit(count, ++h->ticks, memory_order_release);
	wait_wake(count, 1);
}

/* A rank that is two operations behind may still read our area for this operation. */
static float *begin(struct comm_host *h)
{
	if (!h->begun)
		await_all(h, h->before);
	h->begun = true;
	return area_of(h, h->base.rank);
}

static void end(struct comm_host *h, uint32_t first_arrival)
{
	h->before = first_arrival;
	h->ops++;
	h->begun = false;
	board_op(h->board);
}

static void *host_parts(struct comm *c, const struct split *k, int rows, int cols)
{
	(void)k, (void)rows, (void)cols;
	return begin((struct comm_host *)c);
}

/* All ranks' partials in leaf order; returns how many. */
static int inputs(const struct comm_host *h, const struct split *k, size_t length, struct tree_input *in)
{
	int n = 0;

	for (int r = 0; r < h->base.size; r++) {
		struct span own = split_leaves(k->n_leaves, r, h->base.size);
		struct part parts[SHARD_MAX_PARTS];
		int m = leaf_parts(own.first, own.count, parts);

		for (int i = 0; i < m; i++)
			in[n++] = (struct tree_input){area_of(h, r) + (size_t)i * length, parts[i].count};
	}
	return n;
}

/* Where rank r's slice of `length` floats begins: on a cache line. */
static size_t slice(size_t length, int rank, int size)
{
	return rank == size ? length : length * (size_t)rank / (size_t)size / 16 * 16;
}

/* Each slice lies at its own place in its rank's area, where it may replace that rank's first partial, since no other
 * rank reads that part. */
static void sum_slices(struct comm_host *h, float *out, struct tree_input *in, int n, size_t length)
{
	int rank = h->base.rank, size = h->base.size;
	size_t at = slice(length, rank, size), len = slice(length, rank + 1, size) - at;

	for (int i = 0; i < n; i++)
		in[i].data += at;
	if (len)
		tree_sum(area_of(h, rank) + at, in, n, len);
	arrive(h);
	for (int i = 0; i < size; i++) {
		int r = (rank + i) % size; /* spreads the reads over the ranks */

		at = slice(length, r, size);
		len = slice(length, r + 1, size) - at;
		await(h, r, h->ticks);
		if (len)
			memcpy(out + at, area_of(h, r) + at, len * sizeof *out);
	}
}

static void host_sum(struct comm *c, void *out, enum dtype type, const struct split *k, int rows, int cols)
{
	struct comm_host *h = (struct comm_host *)c;
	struct tree_input in[MAX_INPUTS];
	size_t length = (size_t)rows * (size_t)cols;
	int n = inputs(h, k, length, in);
	uint32_t tick = h->ticks + 1;

	REQUIRE(type == DT_F32);
	begin(h);
	arrive(h);
	board_op(h->board); /* one count on arrival, one when done, so that a rank that others wait for has the lower
			       count */
	await_all(h, tick);
	if (c->size > 2 && (size_t)n * length * sizeof(float) >= TWO_PHASES_FROM)
		sum_slices(h, out, in, n, length);
	else if (length)
		tree_sum(out, in, n, length);
	end(h, tick);
}

static float *host_columns(struct comm *c, int rows, int cols)
{
	(void)rows, (void)cols;
	return begin((struct comm_host *)c);
}

static void assemble(struct comm_host *h, float *out, int rows, const int *cols_of_rank)
{
	size_t width = 0, at = 0;

	for (int r = 0; r < h->base.size; r++)
		width += (size_t)cols_of_rank[r];
	for (int r = 0; r < h->base.size; r++) {
		size_t cols = (size_t)cols_of_rank[r];
		const float *from = area_of(h, r);

		for (size_t i = 0; i < (size_t)rows && cols; i++)
			memcpy(out + i * width + at, from + i * cols, cols * sizeof *out);
		at += cols;
	}
}

/* Ranks above 0 do not wait here but in begin() of the operation after the next. */
static void host_gather(struct comm *c, float *out, int rows, const int *cols_of_rank)
{
	struct comm_host *h = (struct comm_host *)c;
	uint32_t tick = h->ticks + 1;

	begin(h);
	arrive(h);
	board_op(h->board);
	if (c->rank == 0) {
		await_all(h, tick);
		assemble(h, out, rows, cols_of_rank);
	}
	end(h, tick);
}

static void host_destroy(struct comm *c)
{
	struct comm_host *h = (struct comm_host *)c;

	window_close(&h->window);
	free(h);
}

static const struct comm_ops host_ops = {
	.name = "host",
	.parts = host_parts,
	.sum = host_sum,
	.columns = host_columns,
	.gather = host_gather,
	.destroy = host_destroy,
};

struct comm *comm_host_create(struct world *w, const struct comm_limits *limits)
{
	struct comm_host *h = xalloc(1, sizeof *h);
	size_t head = head_bytes(w->size);

	REQUIRE(w->size <= SHARD_MAX_LEAVES);
	h->base = (struct comm){.ops = &host_ops, .rank = w->rank, .size = w->size, .limits = *limits};
	h->board = w->board;
	h->area = area_bytes(w->size, limits);
	window_open(&h->window, w, "xversed sums", head + (size_t)w->size * 2 * h->area);
	h->arrived = h->window.base;
	h->areas = (char *)h->window.base + head;
	memset(area_of(h, w->rank), 0, 2 * h->area); /* first touch puts the memory near its writer */
	world_barrier(w);
	window_map(&h->window);
	return &h->base;
}
