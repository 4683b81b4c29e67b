/* comm_host.c - ranks sum in memory that those of a node share, and nodes exchange what theirs have summed.
 *
 * Each rank writes two areas of its own, for even and odd operations, and counts its arrivals. A small sum has one
 * phase: all ranks arrive, then each combines everything for itself. A large sum has two: each rank combines its slice
 * into its own area, all arrive again, and each copies the slices together. Both add in the order of the tree. A rank
 * that has arrived at an operation is done with the one before, so an area may be written again once all have arrived
 * at the operation in between. On several nodes all of this is about the ranks of one, and exchange.h about the rest.
 */
#include <stdlib.h>
#include <string.h>

#include "parallel/board.h"
#include "parallel/comm.h"
#include "parallel/exchange.h"
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
	struct board *board;       /* borrowed */
	struct exchange *exchange; /* NULL on one node */
	int here, own;             /* ranks of this node; this one among them */
	int *rank_of;              /* (here) */
	struct arrival *arrived;   /* (here) */
	char *areas;               /* (here, 2, area) bytes */
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

size_t comm_host_bytes(const struct world *w, const struct comm_limits *limits)
{
	return 2 * area_bytes(w->size, limits) +
	       (head_bytes(w->local_size) + exchange_bytes(w, limits)) / (size_t)w->local_size;
}

/* i: among the ranks of this node, here and below. */
static float *area_of(const struct comm_host *h, int i)
{
	return (float *)(h->areas + ((size_t)i * 2 + (h->ops & 1)) * h->area);
}

static void await(struct comm_host *h, int i, uint32_t tick)
{
	if (i != h->own)
		wait_reach(&h->arrived[i].count, tick, 1, board_idle, h->board);
}

static void await_all(struct comm_host *h, uint32_t tick)
{
	for (int i = 0; i < h->here; i++)
		await(h, i, tick);
}

static void arrive(struct comm_host *h)
{
	_Atomic uint32_t *count = &h->arrived[h->own].count;

	atomic_store_explicit(count, ++h->ticks, memory_order_release);
	wait_wake(count, 1);
}

/* A rank that is two operations behind may still read our area for this operation. */
static float *begin(struct comm_host *h)
{
	if (!h->begun)
		await_all(h, h->before);
	if (!h->begun && h->exchange)
		exchange_begin(h->exchange);
	h->begun = true;
	return area_of(h, h->own);
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

/* The partials of this node's ranks in leaf order; returns how many. */
static int inputs(const struct comm_host *h, const struct split *k, size_t length, struct exchange_part *in)
{
	int n = 0;

	for (int i = 0; i < h->here; i++) {
		struct span own = split_leaves(k->n_leaves, h->rank_of[i], h->base.size);
		struct part parts[SHARD_MAX_PARTS];
		int m = leaf_parts(own.first, own.count, parts);

		for (int p = 0; p < m; p++)
			in[n++] = (struct exchange_part){parts[p], area_of(h, i) + (size_t)p * length};
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
static void share_slices(struct comm_host *h, float *out, size_t length)
{
	arrive(h);
	for (int n = 0; n < h->here; n++) {
		int i = (h->own + n) % h->here; /* spreads the reads over the ranks */
		size_t at = slice(length, i, h->here), len = slice(length, i + 1, h->here) - at;

		await(h, i, h->ticks);
		if (len)
			memcpy(out + at, area_of(h, i) + at, len * sizeof *out);
	}
}

/* Adds up [from, to) of the sum on one node. */
static void add_here(float *out, const struct exchange_part *part, int n, size_t from, size_t to)
{
	struct tree_input in[MAX_INPUTS];

	for (int i = 0; i < n; i++)
		in[i] = (struct tree_input){part[i].data + from, part[i].leaves.count};
	if (from < to)
		tree_sum(out + from, in, n, to - from);
}

/* The same over several nodes. Their leaders send some chunks before they add up the first one. A rank may replace its
 * partials by a slice of the sum, chunk by chunk, as its leader has combined them. */
static void add_over_nodes(struct comm_host *h, float *out, const struct exchange_part *part, int n,
			   const struct exchange_sum *s, size_t from, size_t to)
{
	for (int c = 0; c < s->chunks + EXCHANGE_AHEAD; c++) {
		if (h->own == 0 && c < s->chunks)
			exchange_send(h->exchange, s, c, part, n);
		if (c >= EXCHANGE_AHEAD)
			exchange_add(h->exchange, s, c - EXCHANGE_AHEAD, out, from, to);
	}
	exchange_sum_done(h->exchange, s);
}

static void host_sum(struct comm *c, void *out, enum dtype type, const struct split *k, int rows, int cols)
{
	struct comm_host *h = (struct comm_host *)c;
	struct exchange_part in[MAX_INPUTS];
	struct exchange_sum s;
	size_t length = (size_t)rows * (size_t)cols, from = 0, to = length;
	int n = inputs(h, k, length, in);
	uint32_t tick = h->ticks + 1;
	bool slices = h->here > 2 && (size_t)n * length * sizeof(float) >= TWO_PHASES_FROM;
	float *to_place = out;

	REQUIRE(type == DT_F32);
	begin(h);
	arrive(h);
	board_op(h->board); /* one count on arrival, one when done, so that a rank that others wait for has the lower
			       count */
	if (slices) {
		from = slice(length, h->own, h->here);
		to = slice(length, h->own + 1, h->here);
		to_place = area_of(h, h->own);
	}
	if (!h->exchange || h->own == 0)
		await_all(h, tick);
	if (h->exchange) {
		exchange_plan(h->exchange, &s, h->ops, k->n_leaves, length);
		add_over_nodes(h, to_place, in, n, &s, from, to);
	} else
		add_here(to_place, in, n, from, to);
	if (slices)
		share_slices(h, out, length);
	end(h, tick);
}

static float *host_columns(struct comm *c, int rows, int cols)
{
	(void)rows, (void)cols;
	return begin((struct comm_host *)c);
}

static const float *columns_of(const struct comm_host *h, int rank)
{
	for (int i = 0; i < h->here; i++)
		if (h->rank_of[i] == rank)
			return area_of(h, i);
	return exchange_columns_of(h->exchange, h->ops, rank);
}

static void assemble(struct comm_host *h, float *out, int rows, const int *cols_of_rank)
{
	size_t width = 0, at = 0;

	for (int r = 0; r < h->base.size; r++)
		width += (size_t)cols_of_rank[r];
	for (int r = 0; r < h->base.size; r++) {
		size_t cols = (size_t)cols_of_rank[r];
		const float *from = columns_of(h, r);

		for (size_t i = 0; i < (size_t)rows && cols; i++)
			memcpy(out + i * width + at, from + i * cols, cols * sizeof *out);
		at += cols;
	}
}

/* A node's leader sends what its ranks have. */
static void gather_over_nodes(struct comm_host *h, int rows, const int *cols_of_rank, uint32_t tick)
{
	if (h->own == 0)
		await_all(h, tick);
	for (int i = 0; h->own == 0 && i < h->here; i++)
		exchange_columns(h->exchange, h->ops, h->rank_of[i], area_of(h, i),
				 (size_t)rows * (size_t)cols_of_rank[h->rank_of[i]] * sizeof(float));
	exchange_gathered(h->exchange, rows, cols_of_rank);
}

/* Ranks above 0 do not wait here but in begin() of the operation after the next, unless they lead a node. */
static void host_gather(struct comm *c, float *out, int rows, const int *cols_of_rank)
{
	struct comm_host *h = (struct comm_host *)c;
	uint32_t tick = h->ticks + 1;

	begin(h);
	arrive(h);
	board_op(h->board);
	if (h->exchange)
		gather_over_nodes(h, rows, cols_of_rank, tick);
	if (c->rank == 0) {
		await_all(h, tick);
		assemble(h, out, rows, cols_of_rank);
	}
	end(h, tick);
}

static void host_destroy(struct comm *c)
{
	struct comm_host *h = (struct comm_host *)c;

	exchange_close(h->exchange);
	window_close(&h->window);
	free(h->rank_of);
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

/* The ranks of this node, in order. */
static void find_ranks(struct comm_host *h, const struct world *w)
{
	h->rank_of = xalloc((size_t)w->local_size, sizeof *h->rank_of);
	for (int r = 0; r < w->size; r++) {
		if (w->nodes.n > 1 && w->nodes.of_rank[r] != w->nodes.mine)
			continue;
		if (r == w->rank)
			h->own = h->here;
		h->rank_of[h->here++] = r;
	}
	REQUIRE(h->here == w->local_size);
}

struct comm *comm_host_create(struct world *w, const struct comm_limits *limits)
{
	struct comm_host *h = xalloc(1, sizeof *h);
	size_t head = head_bytes(w->local_size), others = exchange_bytes(w, limits), areas;

	REQUIRE(w->size <= SHARD_MAX_LEAVES);
	h->base = (struct comm){.ops = &host_ops, .rank = w->rank, .size = w->size, .limits = *limits};
	h->board = w->board;
	h->area = area_bytes(w->size, limits);
	find_ranks(h, w);
	areas = (size_t)h->here * 2 * h->area;
	window_open(&h->window, w, "xversed sums", head + areas + others);
	h->arrived = h->window.base;
	h->areas = (char *)h->window.base + head;
	memset(area_of(h, h->own), 0, 2 * h->area); /* first touch puts the memory near its writer */
	if (others)
		h->exchange = exchange_open(w, limits, h->areas + areas);
	world_barrier(w);
	window_map(&h->window);
	return &h->base;
}
