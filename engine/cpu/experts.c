/* experts.c - a routed FFN: which experts each token takes; their products, with the rows of tokens gathered by expert.
 */
#include "engine/cpu/cpu.h"

#include <stdlib.h>
#include <string.h>

_Static_assert((int)STACK_ROWS == (int)PANEL, "each matrix of a stack begins with a panel");

/* ---- the choice ---- */

struct route_job {
	const struct cpu_kernels *k;
	const struct routing *r;
	const float *logits, *shared;
	float *p; /* (workers, experts) */
};

/* Marks the k largest, of equal ones the lower number, by a weight of 1; the others have 0. */
static void choose(const float *x, int experts, int k, float *chosen)
{
	memset(chosen, 0, (size_t)experts * sizeof *chosen);
	for (int i = 0; i < k; i++) {
		int best = -1;
		for (int e = 0; e < experts; e++)
			if (chosen[e] == 0 && (best < 0 || x[e] > x[best]))
				best = e;
		chosen[best] = 1;
	}
}

/* p = exp(x - max) */
static void exponents(const struct cpu_kernels *k, const float *x, int n, float *p)
{
	float most = x[0];

	for (int e = 1; e < n; e++)
		most = x[e] > most ? x[e] : most;
	for (int e = 0; e < n; e++)
		p[e] = x[e] - most;
	k->exp(p, p, n);
}

static void route_unit(void *arg, int row, int worker)
{
	const struct route_job *j = arg;
	const struct routing *r = j->r;
	const float *x = j->logits + (size_t)row * (size_t)r->experts;
	float *p = j->p + (size_t)worker * 2 * (size_t)r->experts, *chosen = p + r->experts, sum = 0;
	float *weight = r->weight + (size_t)row * (size_t)(r->k + 1), gate = 1;
	int32_t *expert = r->expert + (size_t)row * (size_t)r->k;
	int n = 0;

	choose(x, r->experts, r->k, chosen);
	exponents(j->k, x, r->experts, p);
	for (int e = 0; e < r->experts; e++) {
		if (!r->norm || chosen[e] != 0)
			sum += p[e];
		if (chosen[e] != 0)
			expert[n++] = e;
	}
	for (int i = 0; i < n; i++)
		weight[i] = p[expert[i]] / sum;
	if (j->shared) {
		gate = -j->shared[row];
		j->k->exp(&gate, &gate, 1);
		gate = 1 / (1 + gate);
	}
	weight[r->k] = gate;
}

void cpu_route(struct backend *b, const struct routing *r, const struct tensor *logits, const float *shared)
{
	struct cpu *c = cpu_of(b);
	struct route_job j = {c->k, r, logits->data, shared, NULL};

	j.p = xalloc((size_t)pool_threads(c->pool) * 2 * (size_t)r->experts, sizeof *j.p);
	pool_each(c->pool, logits->rows, route_unit, &j);
	free(j.p);
}

/* ---- products ---- */

/* The tokens of one expert: rows [first, first + rows) of a batch. */
struct group {
	int expert, first, rows;
};

struct batch {
	const struct group *group;
	int n, rows;
};

struct tile_at {
	int group, tile;
};

/* One matrix of each of a batch's experts times its rows. */
struct product {
	struct cpu *cpu;
	const struct cpu_weight *w;
	const struct batch *batch;
	const struct tensor *x; /* (batch->rows, w's columns) */
	float *out;             /* (w->n_parts, batch->rows, w->base.each) */
	struct tile_at *tile;   /* of all groups */
	int n_tiles;
	int panels, per, units; /* of an expert; panels of a unit; units of an expert */
};

static struct tiles tiles_in(const struct product *p, const struct group *g)
{
	return tiles_of(g->rows, cpu_tile_rows(p->w));
}

static char *packed_x(const struct product *p, const struct group *g)
{
	return p->cpu->x + (size_t)g->first * (size_t)p->w->units * x_unit(p->w->form);
}

static void pack_tile(void *arg, int unit, int worker)
{
	const struct product *p = arg;
	const struct cpu_weight *w = p->w;
	const struct group *g = &p->batch->group[p->tile[unit].group];
	struct tiles tiles = tiles_in(p, g);
	size_t stride = (size_t)p->x->cols * dtype_size(p->x->type);
	int row = tile_row(tiles, p->tile[unit].tile), end = tile_row(tiles, p->tile[unit].tile + 1);
	struct pack_job j = {.seg = w->seg,
			     .n_seg = w->n_seg,
			     .x = (const char *)p->x->data + (size_t)(g->first + row) * stride,
			     .x_stride = stride,
			     .type = p->x->type,
			     .all = g->rows,
			     .row = row,
			     .rows = end - row,
			     .offset = cpu_x_offset(w),
			     .halves = cpu_x_halves(w),
			     .order = w->order,
			     .out = packed_x(p, g)};

	(void)worker;
	p->cpu->k->pack_x[w->form](&j);
}

static void multiply(void *arg, int unit, int worker)
{
	const struct product *p = arg;
	const struct cpu_weight *w = p->w;
	const struct cpu_kernels *k = p->cpu->k;
	const struct group *g = &p->batch->group[unit / p->units];
	int panel = unit % p->units * p->per, col = panel * PANEL, each = w->base.each;
	struct tiles tiles = tiles_in(p, g);
	struct linear_job j = {.seg = w->seg,
			       .n_seg = w->n_seg,
			       .panel = w->panels +
					((size_t)g->expert * (size_t)p->panels + (size_t)panel) * w->panel_bytes,
			       .panel_bytes = w->panel_bytes,
			       .heads = (size_t)w->units * w_unit(w->pack),
			       .x = packed_x(p, g),
			       .tiles = tiles,
			       .end = tiles.count,
			       .out = p->out + (size_t)g->first * (size_t)each + (size_t)col,
			       .out_stride = (size_t)each,
			       .part_stride = (size_t)p->batch->rows * (size_t)each,
			       .cols = min_int(PANEL * p->per, each - col),
			       .scratch = p->cpu->scratch + (size_t)worker * linear_scratch()};

	(w->form == X_DOT ? k->linear_dot : k->linear[w->pack])(&j);
}

static void list_tiles(struct product *p)
{
	p->tile = xalloc((size_t)(p->batch->rows + p->batch->n), sizeof *p->tile);
	for (int i = 0; i < p->batch->n; i++)
		for (int j = 0; j < tiles_in(p, &p->batch->group[i]).count; j++)
			p->tile[p->n_tiles++] = (struct tile_at){i, j};
}

enum { PAIRS_FROM = 8 /* tiles of an expert: from there on two panels share the activations */ };

static void run_product(struct cpu *c, float *out, const struct tensor *x, const struct weight *w,
			const struct batch *batch)
{
	struct product p = {.cpu = c, .w = (const struct cpu_weight *)w, .batch = batch, .x = x, .out = out};

	p.panels = div_up(w->each, PANEL);
	p.per = tiles_in(&p, &batch->group[0]).count >= PAIRS_FROM ? JOB_PANELS : 1;
	p.units = div_up(p.panels, p.per);
	list_tiles(&p);
	if (x->rows * x->cols > 4 * CHUNK)
		pool_each(c->pool, p.n_tiles, pack_tile, &p);
	else
		for (int i = 0; i < p.n_tiles; i++)
			pack_tile(&p, i, 0);
	pool_each(c->pool, batch->n * p.units, multiply, &p);
	free(p.tile);
}

/* ---- the whole FFN ---- */

struct job {
	struct cpu *cpu;
	const struct routing *r;
	const struct tensor *x;
	int leaves, hidden;
	int *place; /* (n, k) which row of all, in the order of experts, is a token's i-th expert */
	int *token; /* (n * k) whose row it is */
	int *start; /* (experts + 1) */
	bool begun; /* the sums hold something */
	bool shared;
	int first, end; /* of the current batch in all rows */
	void *out;      /* (parts, n, hidden) f32 */
	struct part parts[SHARD_MAX_PARTS];
};

static void order_rows(struct job *j)
{
	const struct routing *r = j->r;
	int all = j->x->rows * r->k;

	j->place = xalloc((size_t)all + 1, sizeof *j->place);
	j->token = xalloc((size_t)all + 1, sizeof *j->token);
	j->start = xalloc((size_t)r->experts + 2, sizeof *j->start);
	for (int i = 0; i < all; i++)
		j->start[r->expert[i] + 2]++;
	for (int e = 2; e <= r->experts; e++)
		j->start[e] += j->start[e - 1];
	/* start[e + 1] runs from the first row of expert e to its end. */
	for (int i = 0; i < all; i++) {
		j->place[i] = j->start[r->expert[i] + 1]++;
		j->token[j->place[i]] = i / r->k;
	}
}

static void gather_unit(void *arg, int row, int worker)
{
	const struct job *j = arg;
	size_t bytes = (size_t)j->x->cols * dtype_size(j->x->type);

	(void)worker;
	memcpy(j->cpu->experts.in + (size_t)row * bytes,
	       (const char *)j->x->data + (size_t)j->token[j->first + row] * bytes, bytes);
}

/* Adds the batch's outputs, times their weights, to the sums of one leaf of one token. */
static void add_unit(void *arg, int unit, int worker)
{
	const struct job *j = arg;
	const struct cpu_kernels *kernels = j->cpu->k;
	int n = j->x->rows, leaf = unit / n, t = unit % n, k = j->r->k;
	size_t hidden = (size_t)j->hidden, rows = (size_t)(j->end - j->first);
	const float *y = j->cpu->experts.out + (size_t)leaf * rows * hidden,
		    *weight = j->r->weight + (size_t)t * (size_t)(k + 1);
	float *acc = j->cpu->experts.acc + (size_t)unit * hidden;

	(void)worker;
	if (!j->begun)
		memset(acc, 0, hidden * sizeof *acc);
	if (j->shared) {
		kernels->scale_add(acc, y + (size_t)t * hidden, weight[k], j->hidden);
		return;
	}
	for (int i = 0; i < k; i++) {
		int row = j->place[t * k + i];
		if (row >= j->first && row < j->end)
			kernels->scale_add(acc, y + (size_t)(row - j->first) * hidden, weight[i], j->hidden);
	}
}

/* Gate, up and down of a batch; x may be the memory of its inner numbers. */
static void run_batch(struct job *j, const struct batch *batch, const void *x, const struct weight *gate_up,
		      const struct weight *down)
{
	struct backend *b = &j->cpu->base;
	struct experts_scratch *s = &j->cpu->experts;
	struct tensor in = tensor_of((void *)(uintptr_t)x, b->act, batch->rows, j->hidden);
	struct tensor both = tensor_of(s->out, DT_F32, batch->rows, gate_up->each);
	struct tensor inner = tensor_of(s->in, b->act, batch->rows, down->cols);

	run_product(j->cpu, s->out, &in, gate_up, batch);
	cpu_silu_mul(b, &inner, &both, NULL);
	run_product(j->cpu, s->out, &inner, down, batch);
	pool_each(j->cpu->pool, j->leaves * j->x->rows, add_unit, j);
	j->begun = true;
}

/* Experts [e, *end) whose rows together fit the scratch memory. */
static struct batch next_batch(const struct job *j, struct group *group, int e, int *end)
{
	struct batch out = {.group = group};
	int first = j->start[e];

	for (; e < j->r->experts && j->start[e + 1] - first <= j->cpu->how.max_tokens; e++)
		if (j->start[e + 1] > j->start[e])
			group[out.n++] = (struct group){e, j->start[e] - first, j->start[e + 1] - j->start[e]};
	*end = e;
	out.rows = j->start[e] - first;
	return out;
}

static void run_routed(struct job *j, const struct expert_weights *w)
{
	struct group *group = xalloc((size_t)j->r->experts, sizeof *group);

	for (int e = 0, end; e < j->r->experts; e = end) {
		struct batch batch = next_batch(j, group, e, &end);

		j->first = j->start[e], j->end = j->start[end];
		if (!batch.n)
			continue;
		pool_each(j->cpu->pool, batch.rows, gather_unit, j);
		run_batch(j, &batch, j->cpu->experts.in, w->gate_up, w->down);
	}
	free(group);
}

static void run_shared(struct job *j, const struct expert_weights *w)
{
	struct group all = {0, 0, j->x->rows};
	struct batch batch = {&all, 1, j->x->rows};

	j->shared = true;
	j->first = 0, j->end = j->x->rows;
	run_batch(j, &batch, j->x->data, w->shared_gate_up, w->shared_down);
}

/* The leaves of a part, which are a power of two, by the perfect tree. */
static void tree_unit(void *arg, int unit, int worker)
{
	const struct job *j = arg;
	int n = j->x->rows, t = unit % n;
	const struct part *part = &j->parts[unit / n];
	size_t hidden = (size_t)j->hidden, leaf = (size_t)n * hidden;
	float *acc = j->cpu->experts.acc + (size_t)part->first * leaf + (size_t)t * hidden;

	(void)worker;
	if (!j->begun) /* all leaves of this rank are empty */
		for (int i = 0; i < part->count; i++)
			memset(acc + (size_t)i * leaf, 0, hidden * sizeof *acc);
	for (int step = 1; step < part->count; step *= 2)
		for (int i = 0; i < part->count; i += 2 * step)
			j->cpu->k->add(acc + (size_t)i * leaf, acc + (size_t)(i + step) * leaf, NULL, j->hidden);
	memcpy((float *)j->out + (size_t)unit * hidden, acc, hidden * sizeof *acc);
}

void cpu_experts(struct backend *b, void *out, const struct tensor *x, const struct routing *r,
		 const struct expert_weights *w)
{
	const struct split *k = &w->down->k;
	struct job j = {.cpu = cpu_of(b), .r = r, .x = x, .leaves = k->count, .hidden = x->cols, .out = out};
	int n = split_parts(k, j.parts);

	REQUIRE(x->rows <= j.cpu->how.max_tokens);
	if (!n || !x->rows)
		return;
	order_rows(&j);
	if (w->gate_up)
		run_routed(&j, w);
	if (w->shared_gate_up)
		run_shared(&j, w);
	for (int i = 0; i < n; i++)
		j.parts[i].first -= k->first;
	pool_each(j.cpu->pool, n * x->rows, tree_unit, &j);
	free(j.place);
	free(j.token);
	free(j.start);
}
