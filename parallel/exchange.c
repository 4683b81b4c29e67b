#include "parallel/exchange.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/wait.h"
#include "parallel/board.h"
#include "parallel/trunk.h"
#include "parallel/world.h"

enum { PIECE = 256 << 10 };                 /* bytes of a frame of columns at most */
enum { CHUNK = 32 << 10 };                  /* floats: the first is on its way soon, and a frame's head costs little */
enum { OWNED_NODES = 3, OWNED_ROUNDS = 2 }; /* chunks have owners from so many nodes, and so many chunks a node, on */

struct came {
	_Alignas(64) _Atomic uint32_t frames; /* from a node; futex */
	_Atomic uint32_t op;                  /* of the last one; the link's thread alone */
};

struct exchange {
	struct world *w;
	size_t slot;                    /* floats of a rank's columns */
	struct came *came;              /* (nodes) shared */
	char *area[TRUNK_NODES];        /* of each node: two halves */
	size_t half[TRUNK_NODES];       /* bytes */
	uint32_t expected[TRUNK_NODES]; /* frames of each node up to now */
};

/* The most partials of a node, over the axes that models have (shard.h). */
static int most_parts(const struct world *w, int node)
{
	const int leaves[] = {1, 2, 4, 8, 16, 32, w->size};
	struct part part[SHARD_MAX_LEAVES];
	int most = 0;

	for (size_t i = 0; i < sizeof leaves / sizeof *leaves; i++)
		most = max_int(most, nodes_parts(&w->nodes, w->size, node, leaves[i], part));
	return most;
}

static size_t slot_floats(const struct world *w, const struct comm_limits *l)
{
	return (size_t)l->gather_rows * (size_t)comm_share(l, w->size);
}

/* Bytes of one half of a node's area in this node's window. */
static size_t half_bytes(const struct world *w, const struct comm_limits *l, int node)
{
	size_t sum = (size_t)most_parts(w, node) * (size_t)l->max_rows * (size_t)l->max_cols,
	       columns = w->nodes.mine ? 0 : (size_t)w->nodes.node[node].ranks * slot_floats(w, l);

	return round_up((sum > columns ? sum : columns) * sizeof(float), 4096);
}

static size_t head_bytes(const struct world *w)
{
	return round_up((size_t)w->nodes.n * sizeof(struct came), 4096);
}

size_t exchange_bytes(const struct world *w, const struct comm_limits *limits)
{
	size_t all = 0;

	if (w->nodes.n < 2)
		return 0;
	for (int i = 0; i < w->nodes.n; i++)
		all += 2 * half_bytes(w, limits, i);
	return head_bytes(w) + all;
}

static void *place(void *arg, int node, const struct trunk_frame *f)
{
	struct exchange *x = arg;
	struct came *c = &x->came[node];
	uint32_t op = atomic_load_explicit(&c->op, memory_order_relaxed);

	if (!trunk_fits(f, x->half[node]) || f->no - op > 1)
		return NULL;
	atomic_store_explicit(&c->op, f->no, memory_order_relaxed);
	return x->area[node] + (f->no & 1) * x->half[node] + f->at;
}

static void count(struct exchange *x, int node)
{
	_Atomic uint32_t *frames = &x->came[node].frames;

	atomic_fetch_add_explicit(frames, 1, memory_order_release);
	wait_wake(frames, 1);
}

static void arrived(void *arg, int node, const struct trunk_frame *f)
{
	(void)f;
	count(arg, node);
}

struct exchange *exchange_open(struct world *w, const struct comm_limits *limits, void *memory)
{
	struct exchange *x = xalloc(1, sizeof *x);
	struct trunk_sink sink = {place, arrived, x};
	char *at = (char *)memory + head_bytes(w);

	x->w = w;
	x->slot = slot_floats(w, limits);
	x->came = memory;
	for (int i = 0; i < w->nodes.n; i++) {
		x->half[i] = half_bytes(w, limits, i);
		x->area[i] = at;
		at += 2 * x->half[i];
	}
	if (w->local_rank == 0)
		memset(memory, 0, (size_t)(at - (char *)memory));
	if (w->trunk)
		trunk_sink(w->trunk, TRUNK_PARTS, &sink);
	return x;
}

static void await_frames(struct exchange *x, int node, uint32_t frames)
{
	wait_reach(&x->came[node].frames, frames, 1, board_idle, x->w->board);
}

void exchange_begin(struct exchange *x)
{
	for (int i = 0; i < x->w->nodes.n; i++)
		if (i != x->w->nodes.mine)
			await_frames(x, i, x->expected[i]);
}

/* A frame that comes later would find no area. */
void exchange_close(struct exchange *x)
{
	if (x && x->w->trunk) {
		exchange_begin(x);
		trunk_sink(x->w->trunk, TRUNK_PARTS, NULL);
	}
	free(x);
}

/* Whether each node owns chunks, and none sends nothing, by which the others know that it has arrived. */
static bool worth_owners(const struct exchange_sum *s, int n)
{
	bool all = n >= OWNED_NODES && s->chunks >= OWNED_ROUNDS * n;

	for (int i = 0; i < n; i++)
		all &= s->parts[i] > 0;
	return all;
}

/* Puts a node's partials into leaf order among those of the nodes before it. */
static void add_inputs(struct exchange_sum *s, int node, const struct part *part, int n)
{
	REQUIRE(s->n_inputs + n <= TREE_MAX_INPUTS);
	for (int i = 0; i < n; i++) {
		int at = s->n_inputs++;

		for (; at > 0 && s->input[at - 1].leaves.first > part[i].first; at--)
			s->input[at] = s->input[at - 1];
		s->input[at].leaves = part[i];
		s->input[at].node = node;
		s->input[at].index = i;
	}
}

void exchange_plan(struct exchange *x, struct exchange_sum *s, uint32_t op, int n_leaves, size_t length)
{
	const struct nodes *map = &x->w->nodes;
	struct part part[SHARD_MAX_LEAVES];

	*s = (struct exchange_sum){.op = op, .length = length, .chunks = (int)((length + CHUNK - 1) / CHUNK)};
	s->chunks = max_int(1, s->chunks);
	for (int i = 0; i < map->n; i++) {
		s->parts[i] = nodes_parts(map, x->w->size, i, n_leaves, part);
		REQUIRE((size_t)s->parts[i] * length * sizeof(float) <= x->half[i]);
		add_inputs(s, i, part, s->parts[i]);
	}
	s->parts_here = s->parts[map->mine];
	s->owned = worth_owners(s, map->n);
}

static size_t chunk_at(int c)
{
	return (size_t)c * CHUNK;
}

static size_t chunk_length(const struct exchange_sum *s, int c)
{
	size_t left = s->length - (s->length < chunk_at(c) ? s->length : chunk_at(c));

	return left < CHUNK ? left : CHUNK;
}

/* Partial `index` of a node in a chunk. All of a node's partials of one chunk lie together. */
static float *part_at(const struct exchange *x, const struct exchange_sum *s, int node, int index, int c)
{
	float *half = (float *)(void *)(x->area[node] + (s->op & 1) * x->half[node]);

	return half + chunk_at(c) * (size_t)s->parts[node] + (size_t)index * chunk_length(s, c);
}

static bool inside(const struct part *a, const struct part *b)
{
	return a->first >= b->first && a->first + a->count <= b->first + b->count;
}

static void combine(struct exchange *x, const struct exchange_sum *s, int c, int input,
		    const struct exchange_part *here, int n)
{
	struct tree_input in[TREE_MAX_INPUTS];
	int m = 0;

	for (int i = 0; i < n; i++)
		if (inside(&here[i].leaves, &s->input[input].leaves))
			in[m++] = (struct tree_input){here[i].data + chunk_at(c), here[i].leaves.count};
	tree_sum(part_at(x, s, x->w->nodes.mine, s->input[input].index, c), in, m, chunk_length(s, c));
}

static int owner_of(const struct exchange *x, int c)
{
	return c % x->w->nodes.n;
}

/* Chunks up to `last` that a node owns. */
static uint32_t owned_by(const struct exchange *x, int node, int last)
{
	return last < node ? 0 : (uint32_t)((last - node) / x->w->nodes.n + 1);
}

/* How many frames a node has sent here in this sum, when its partials of chunk c, which this node owns, are the last.
 */
static uint32_t frames_to_parts(const struct exchange *x, int node, int c)
{
	return owned_by(x, x->w->nodes.mine, c) + owned_by(x, node, c - 1 - EXCHANGE_AHEAD);
}

/* The same when the last is the sum of chunk c, which that node owns. */
static uint32_t frames_to_sum(const struct exchange *x, const struct exchange_sum *s, int node, int c)
{
	int mine = x->w->nodes.mine, sent = min_int(c + EXCHANGE_AHEAD, s->chunks - 1);

	return owned_by(x, node, c) + (node == mine ? 0 : owned_by(x, mine, sent));
}

static struct trunk_frame frame_of(const struct exchange *x, const struct exchange_sum *s, int c, int parts)
{
	int mine = x->w->nodes.mine;
	const char *half = x->area[mine] + (s->op & 1) * x->half[mine];

	return (struct trunk_frame){.kind = TRUNK_PARTS,
				    .no = s->op,
				    .bytes = (uint32_t)((size_t)parts * chunk_length(s, c) * sizeof(float)),
				    .at = (uint64_t)((const char *)part_at(x, s, mine, 0, c) - half)};
}

void exchange_send(struct exchange *x, const struct exchange_sum *s, int c, const struct exchange_part *here, int n)
{
	int mine = x->w->nodes.mine;
	const float *first = part_at(x, s, mine, 0, c);
	struct trunk_frame f = frame_of(x, s, c, s->parts_here);

	for (int i = 0; i < s->n_inputs; i++)
		if (s->input[i].node == mine && chunk_length(s, c))
			combine(x, s, c, i, here, n);
	if (s->owned && owner_of(x, c) != mine)
		trunk_send(x->w->trunk, owner_of(x, c), &f, first);
	if (s->owned)
		return;
	count(x, mine);
	trunk_send_all(x->w->trunk, &f, first);
}

/* Adds up [skip, skip + n) of a chunk of which all nodes' partials have come. */
static void add_parts(const struct exchange *x, const struct exchange_sum *s, int c, float *out, size_t skip, size_t n)
{
	struct tree_input in[TREE_MAX_INPUTS];

	for (int i = 0; i < s->n_inputs; i++)
		in[i] = (struct tree_input){part_at(x, s, s->input[i].node, s->input[i].index, c) + skip,
					    s->input[i].leaves.count};
	tree_sum(out, in, s->n_inputs, n);
}

/* The owner's leader: the sum takes the place of this node's first partial, here and on the other nodes. */
static void send_sum(struct exchange *x, const struct exchange_sum *s, int c)
{
	int mine = x->w->nodes.mine;
	struct trunk_frame f = frame_of(x, s, c, 1);
	float *to = part_at(x, s, mine, 0, c);

	for (int i = 0; i < x->w->nodes.n; i++)
		if (i != mine)
			await_frames(x, i, x->expected[i] + frames_to_parts(x, i, c));
	add_parts(x, s, c, to, 0, chunk_length(s, c));
	count(x, mine);
	trunk_send_all(x->w->trunk, &f, to);
}

/* Parts and sums of chunks before may still be on their way, but not what this chunk needs. */
static void await_chunk(struct exchange *x, const struct exchange_sum *s, int c)
{
	int owner = owner_of(x, c);

	if (s->owned)
		await_frames(x, owner, x->expected[owner] + frames_to_sum(x, s, owner, c));
	for (int i = 0; i < x->w->nodes.n && !s->owned; i++)
		await_frames(x, i, x->expected[i] + (uint32_t)c + 1);
}

void exchange_add(struct exchange *x, const struct exchange_sum *s, int c, float *out, size_t from, size_t to)
{
	size_t at = chunk_at(c), end = at + chunk_length(s, c);

	if (s->owned && x->w->trunk && owner_of(x, c) == x->w->nodes.mine)
		send_sum(x, s, c);
	from = from > at ? from : at;
	to = to < end ? to : end;
	if (from >= to)
		return;
	await_chunk(x, s, c);
	if (s->owned)
		memcpy(out + from, part_at(x, s, owner_of(x, c), 0, c) + (from - at), (to - from) * sizeof *out);
	else
		add_parts(x, s, c, out + from, from - at, to - from);
}

void exchange_sum_done(struct exchange *x, const struct exchange_sum *s)
{
	for (int i = 0; i < x->w->nodes.n; i++)
		x->expected[i] += s->owned ? frames_to_sum(x, s, i, s->chunks - 1) : (uint32_t)s->chunks;
}

/* ---- gathers ---- */
static int index_on_node(const struct nodes *map, int rank)
{
	int index = 0;

	for (int r = 0; r < rank; r++)
		index += map->of_rank[r] == map->of_rank[rank];
	return index;
}

/* Frames that bytes of columns take. */
static uint32_t pieces(size_t bytes)
{
	return bytes ? (uint32_t)((bytes + PIECE - 1) / PIECE) : 1;
}

static void send_columns(struct exchange *x, struct trunk_frame f, const float *columns, size_t bytes)
{
	for (uint32_t i = 0; i < pieces(bytes); i++) {
		size_t left = bytes - (size_t)i * PIECE;

		f.bytes = (uint32_t)(left < PIECE ? left : PIECE);
		trunk_send(x->w->trunk, 0, &f, (const char *)columns + (size_t)i * PIECE);
		f.at += f.bytes;
	}
}

void exchange_columns(struct exchange *x, uint32_t op, int rank, const float *columns, size_t bytes)
{
	struct trunk_frame f = {.kind = TRUNK_PARTS, .no = op}, empty = f;
	bool last = index_on_node(&x->w->nodes, rank) == x->w->local_size - 1;

	REQUIRE(bytes <= x->slot * sizeof(float));
	f.at = (size_t)index_on_node(&x->w->nodes, rank) * x->slot * sizeof(float);
	if (x->w->nodes.mine)
		send_columns(x, f, columns, bytes);
	for (int i = 1; i < x->w->nodes.n && last; i++) /* the others learn that this node has arrived */
		if (i != x->w->nodes.mine)
			trunk_send(x->w->trunk, i, &empty, NULL);
}

void exchange_gathered(struct exchange *x, int rows, const int *cols_of_rank)
{
	const struct nodes *map = &x->w->nodes;

	for (int i = 0; i < map->n && map->mine; i++)
		x->expected[i] += i != map->mine;
	for (int r = 0; r < x->w->size && !map->mine; r++)
		if (map->of_rank[r])
			x->expected[map->of_rank[r]] += pieces((size_t)rows * (size_t)cols_of_rank[r] * sizeof(float));
	for (int i = 1; i < map->n && x->w->rank == 0; i++)
		await_frames(x, i, x->expected[i]);
}

const float *exchange_columns_of(const struct exchange *x, uint32_t op, int rank)
{
	int node = x->w->nodes.of_rank[rank];
	const char *half = x->area[node] + (op & 1) * x->half[node];

	return (const float *)(const void *)half + (size_t)index_on_node(&x->w->nodes, rank) * x->slot;
}
