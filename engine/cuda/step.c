/* step.c - a step on its way to the device: its arrays and its attention's work lists lie in pinned memory, and one
 * copy brings them all.
 *
 * A step of few new tokens is padded to the next of a few sizes, and its work lists to a length that follows from the
 * size: the same launches with the same pointers, which a CUDA graph replays. Padding is harmless: token 0 at position
 * 0 that is not stored, rows that nothing reads, items without keys. */
#include "engine/cuda/cuda.h"

#include <stdlib.h>
#include <string.h>

enum { ALIGN = 16 };

enum { ALWAYS = 64 /* larger sizes are for more sequences only: each takes memory */ };
static const int buckets[N_BUCKETS] = {1, 2, 4, 8, 16, 24, 32, 48, ALWAYS, 96, 128};

static int max_items(const struct cuda *c)
{
	return plan_max_items(&c->how.limits, c->how.fixed, c->max_parts);
}

static int max_tiles(const struct cuda *c)
{
	return c->how.limits.max_tokens / ATTN_TILE + c->how.limits.max_seqs + 1;
}

/* Numbers of elements of the arrays in the block, in order. */
struct step_counts {
	int tokens, rows, tiles, blocks;
	struct {
		int items, joins;
	} work[2];
};

static size_t padded(int n, size_t size)
{
	return round_up((size_t)n * size, ALIGN);
}

static size_t bytes_of(const struct step_counts *l)
{
	size_t bytes = 3 * padded(l->tokens, 4) + padded(l->rows, 4) + padded(l->tiles, sizeof(struct attn_tile)) +
		       padded(l->blocks, 4);

	for (int i = 0; i < 2; i++)
		bytes += padded(l->work[i].items, sizeof(struct attn_item)) +
			 padded(l->work[i].joins, sizeof(struct attn_join));
	return bytes;
}

static void plan_create(struct attn_plan *p, int items, int tiles)
{
	p->items = xalloc((size_t)items, sizeof *p->items);
	p->joins = xalloc((size_t)items, sizeof *p->joins);
	p->tiles = xalloc((size_t)tiles, sizeof *p->tiles);
}

static void plan_destroy(struct attn_plan *p)
{
	free(p->items), free(p->joins), free(p->tiles);
}

void cuda_step_create(struct cuda *c)
{
	const struct step_limits *lim = &c->how.limits;
	struct step_counts most = {
		lim->max_tokens, lim->max_tokens, max_tiles(c), lim->max_blocks, {{max_items(c), max_items(c)}}};

	if (c->how.window) {
		most.work[1] = most.work[0];
		plan_create(&c->windowed, max_items(c), max_tiles(c));
	}
	plan_create(&c->plan, max_items(c), max_tiles(c));
	c->room = bytes_of(&most);
	c->sampled = cuda_take(c, (size_t)lim->max_tokens * sizeof *c->sampled);
	for (int i = 0; i < STEPS; i++) {
		struct cuda_step *s = &c->steps[i];
		void *host = NULL;
		s->device = cuda_take(c, c->room);
		if (c->how.dry)
			continue;
		cuda_check(cudaMallocHost(&host, c->room), "pinned memory for steps");
		s->host = host;
		cuda_check(cudaEventCreateWithFlags(&s->copied, cudaEventDisableTiming), "an event");
	}
}

void cuda_step_destroy(struct cuda *c)
{
	cuda_give(c, c->sampled, (size_t)c->how.limits.max_tokens * sizeof *c->sampled);
	plan_destroy(&c->plan), plan_destroy(&c->windowed);
	for (int i = 0; i < STEPS; i++) {
		cuda_give(c, c->steps[i].device, c->room);
		if (c->how.dry)
			continue;
		cudaFreeHost(c->steps[i].host);
		cudaEventDestroy(c->steps[i].copied);
	}
}

/* Returns the index of the size that the step is padded to; -1: it runs unpadded. */
static int bucket_of(const struct cuda *c, const struct step *s)
{
	int n = s->head->n_tokens, i = 0;

	for (int q = 0; q < s->head->n_seqs; q++)
		if (s->q_start[q + 1] - s->q_start[q] > DECODE_TOKENS)
			return -1;
	while (i < N_BUCKETS && buckets[i] < n)
		i++;
	return !c->graphs || !n || !cuda_step_size(c, i) ? -1 : i;
}

/* Parts that a padded step may cut its keys into: eight blocks an SM, and with ranges of fixed length a whole context.
 */
static int spare_parts(const struct cuda *c, int runs, int tokens)
{
	int n = 8 * c->sms / max_int(1, runs);

	if (c->how.fixed)
		n = max_int(n, div_up(c->how.max_context, FIXED_RANGE));
	return min_int(c->max_parts, n + tokens);
}

static void make_plan(struct cuda *c, const struct step *s, struct step_counts *l, int bucket)
{
	struct plan_limits lim = {.sms = c->sms,
				  .runs = c->n_runs ? c->n_runs : c->how.kv_heads,
				  .max_parts = c->max_parts,
				  .fixed = c->how.fixed,
				  .max_items = max_items(c)};

	if (bucket >= 0)
		lim.max_parts = spare_parts(c, lim.runs, l->tokens);
	for (int i = 0; i < (c->how.window ? 2 : 1); i++) {
		struct attn_plan *p = i ? &c->windowed : &c->plan;
		lim.window = i ? c->how.window : 0;
		plan_attention(p, s, &lim);
		l->work[i].items = p->n_items, l->work[i].joins = p->n_joins, l->tiles = p->n_tiles;
		if (bucket >= 0) {
			l->work[i].items = min_int(max_items(c), l->tokens + lim.max_parts);
			l->work[i].joins = l->tokens;
		}
	}
}

/* Copies n elements, fills the rest up to `all`, and returns their device address. */
static void *put(struct cuda_step *to, size_t *at, const void *src, int n, int all, size_t size, int fill)
{
	void *device = to->device + *at;

	memcpy(to->host + *at, src, (size_t)n * size);
	memset(to->host + *at + (size_t)n * size, fill, (size_t)(all - n) * size);
	*at += padded(all, size);
	return device;
}

static void fill(struct cuda *c, struct cuda_step *to, const struct step *s, const struct step_counts *l)
{
	const struct step_head *h = s->head;
	size_t at = 0;

	to->step = (struct step){.head = &to->head};
	to->step.token = put(to, &at, s->token, h->n_tokens, l->tokens, 4, 0);
	to->step.pos = put(to, &at, s->pos, h->n_tokens, l->tokens, 4, 0);
	to->step.slot = put(to, &at, s->slot, h->n_tokens, l->tokens, 4, 0xff);
	to->step.row = put(to, &at, s->row, h->n_rows, l->rows, 4, 0);
	for (int i = 0; i < (c->how.window ? 2 : 1); i++) {
		const struct attn_plan *p = i ? &c->windowed : &c->plan;
		int items = l->work[i].items;
		to->work[i].items = put(to, &at, p->items, p->n_items, items, sizeof *p->items, 0);
		to->work[i].joins = put(to, &at, p->joins, p->n_joins, l->work[i].joins, sizeof *p->joins, 0);
		to->work[i].n = items;
	}
	to->tiles = put(to, &at, c->plan.tiles, c->plan.n_tiles, l->tiles, sizeof *to->tiles, 0);
	to->step.blocks = put(to, &at, s->blocks, h->n_blocks, h->n_blocks, 4, 0);
	to->n_tiles = l->tiles;
	cuda_check(cudaMemcpyAsync(to->device, to->host, at, cudaMemcpyHostToDevice, c->stream), "copying a step");
	cuda_check(cudaEventRecord(to->copied, c->stream), "an event");
}

/* Graphs lie by size, place of the step, whether it has rows, and adapters. */
static int graph_of(const struct cuda *c, int bucket, bool rows, bool adapters)
{
	return ((bucket * STEPS + c->turn) * 2 + rows) * 2 + adapters;
}

static bool names_adapters(const struct cuda *c, const struct step *s)
{
	for (int q = 0; c->how.loras && q < s->head->n_seqs; q++)
		if (s->adapter[q])
			return true;
	return false;
}

const struct step *cuda_step(struct backend *b, const struct step *s)
{
	struct cuda *c = cuda_of(b);
	struct cuda_step *to = &c->steps[c->turn];
	struct step_counts l = {.tokens = s->head->n_tokens, .rows = s->head->n_rows};
	int bucket = bucket_of(c, s);

	cuda_wait(c, to->copied, "the copy of an earlier step");
	to->head = *s->head;
	to->head.pad_tokens = s->head->n_tokens, to->head.pad_rows = s->head->n_rows,
	to->head.pad_seqs = s->head->n_seqs;
	to->graph = -1;
	to->adapters = names_adapters(c, s);
	if (bucket >= 0) {
		l.tokens = to->head.pad_tokens = buckets[bucket];
		l.rows = to->head.pad_rows = s->head->n_rows ? l.tokens : 0;
		to->graph = graph_of(c, bucket, l.rows > 0, to->adapters);
	}
	make_plan(c, s, &l, bucket);
	fill(c, to, s, &l);
	c->now = to;
	c->marked_ns = 0;
	c->turn = (c->turn + 1) % STEPS;
	return &to->step;
}

/* ---- graphs ---- */
/* Sizes beyond what all sequences bring do not occur. */
int cuda_step_size(const struct cuda *c, int i)
{
	int most = min_int(c->how.limits.max_tokens, DECODE_TOKENS * c->how.limits.max_seqs);

	if (i >= N_BUCKETS || buckets[i] > c->how.limits.max_tokens)
		return 0;
	if (buckets[i] > ALWAYS)
		most = c->how.limits.max_seqs;
	return !i || buckets[i - 1] < most ? buckets[i] : 0;
}

static size_t memory_left(void)
{
	size_t left = 0, total;

	cuda_check(cudaMemGetInfo(&left, &total), "its free memory");
	return left;
}

static void check_made(const struct cuda *c, cudaError_t e)
{
	if (e == cudaErrorMemoryAllocation)
		die("CUDA: not enough memory for CUDA graphs: %.3f GiB planned, %.3f GiB taken, %.3f GiB free; make the KV cache "
		    "smaller (--gpu-memory-utilization, --kv-cache-memory-bytes), or start with --no-graphs",
		    (double)c->base.graphs / (1 << 30), (double)c->base.graphs_held / (1 << 30),
		    (double)memory_left() / (1 << 30));
	cuda_check(e, "making a graph");
}

static void capture(struct cuda *c, struct cuda_graph *g, void (*fn)(void *arg), void *arg)
{
	cudaGraph_t graph;
	size_t before = memory_left(), after;

	cuda_check(cudaStreamBeginCapture(c->stream, cudaStreamCaptureModeThreadLocal), "capturing a step");
	fn(arg);
	cuda_check(cudaStreamEndCapture(c->stream, &graph), "capturing a step");
	check_made(c, cudaGraphInstantiate(&g->exec, graph, 0));
	check_made(c, cudaGraphUpload(g->exec, c->stream));
	cuda_check(cudaGraphDestroy(graph), "making a graph");
	after = memory_left();
	c->base.graphs_held += before > after ? before - after : 0;
}

/* A warm-up step. Sequences bring as many tokens as are decoded one by one. They attend to themselves only, and nothing
 * is stored. */
static void small_step(struct step *s, int tokens, int rows, bool adapters)
{
	struct step_head *h = s->head;

	*h = (struct step_head){
		.kind = STEP_RUN, .n_tokens = tokens, .pad_tokens = tokens, .n_rows = rows, .pad_rows = rows};
	h->n_seqs = h->pad_seqs = h->n_blocks = div_up(tokens, DECODE_TOKENS);
	step_layout(s);
	for (int i = 0; i < tokens; i++)
		s->token[i] = 0, s->slot[i] = -1, s->pos[i] = i % DECODE_TOKENS;
	for (int i = 0; i < h->n_seqs; i++) {
		s->seq[i] = i, s->blocks[i] = 0, s->adapter[i] = adapters;
		s->q_start[i + 1] = min_int(tokens, (i + 1) * DECODE_TOKENS), s->block_start[i + 1] = i + 1;
		s->kv_len[i] = s->q_start[i + 1] - i * DECODE_TOKENS;
	}
	s->q_start[0] = s->block_start[0] = 0;
	for (int i = 0; i < rows; i++)
		s->row[i] = i;
}

/* Each size runs once eagerly, then once in capture without and once with rows, for each of the places that a step may
 * lie in; where adapters may be, all of that again with one. */
bool cuda_warm(struct backend *b, int i, struct step *s)
{
	enum { PASSES = 1 + 2 * STEPS };
	struct cuda *c = cuda_of(b);
	int most = min_int(c->how.limits.max_tokens, DECODE_TOKENS * c->how.limits.max_seqs),
	    all = c->how.loras ? 2 * PASSES : PASSES, size = i / all, pass = i % PASSES;

	c->warming = c->graphs && cuda_step_size(c, size);
	if (!c->warming)
		return false;
	small_step(s, min_int(most, buckets[size]), pass >= 1 && pass <= STEPS ? 0 : min_int(most, buckets[size]),
		   i % all >= PASSES);
	return true;
}

/* The first pass of a size runs eagerly, so that a capture sets up nothing. */
void cuda_run(struct backend *b, uint64_t key, void (*fn)(void *arg), void *arg)
{
	struct cuda *c = cuda_of(b);
	struct cuda_graph *g = c->now && c->now->graph >= 0 ? &c->graph[c->now->graph] : NULL;
	bool *ran = g ? &c->ran[c->now->graph / (STEPS * 4)][c->now->adapters] : NULL;

	if (!g || !*ran) {
		if (g)
			*ran = true;
		fn(arg);
		return;
	}
	REQUIRE(c->now->graph < MAX_GRAPHS && (!g->exec || g->key == key));
	g->key = key;
	if (!g->exec)
		capture(c, g, fn, arg);
	if (!c->warming)
		cuda_check(cudaGraphLaunch(g->exec, c->stream), "a graph");
	if (b->on_op)
		b->on_op(b->on_op_arg);
}

void cuda_drop_graphs(struct cuda *c)
{
	for (int i = 0; i < MAX_GRAPHS; i++) {
		if (c->graph[i].exec)
			cudaGraphExecDestroy(c->graph[i].exec);
		c->graph[i] = (struct cuda_graph){.exec = NULL};
	}
	c->graphs = false;
}
