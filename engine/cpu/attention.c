/* attention.c - how attention is cut into units of work: tiles of tokens times heads, and for few rows with long
 * contexts also pieces of the key axis. The cuts never change a bit of the result. */
#include "engine/cpu/cpu.h"

#include "engine/step.h"

#include <stdlib.h>

/* Tokens of one sequence that a unit works on together: one job for every job_tokens of them. */
struct tile {
	int token, tokens, seq;
	int first, pieces;    /* first piece of the key axis, and how many it is cut into from there on */
	int unit, slot, join; /* its first unit, first slot of partial results and first join; slot is -1 where the keys
				 are not cut */
};

/* Neighbouring q heads that use one K/V head. */
struct run {
	int head, heads, kv;
};

struct attn_scratch {
	struct tile *tiles; /* (max_tokens + 1) the last one marks the end of the units */
	struct run *runs;   /* (max_heads) */
	float *scores;      /* (threads, 6, 256), then what the kernel packs keys and values into */
	float *stack;       /* (threads, ATTN_JOBS, 6, depth, state) */
	float *partial;     /* (slots, ATTN_JOBS, 6, state) */
	size_t work;        /* floats of one thread's scores and packed keys and values */
	int depth, slots;
	size_t state, bytes; /* floats of the longest head's state; bytes of the last three arrays */
};

struct attn_scratch *cpu_attn_create(const struct cpu_options *how, struct pool *pool)
{
	struct attn_scratch *a = xalloc(1, sizeof *a);
	size_t threads = (size_t)how->threads, scores, stack, partial;

	a->work = ATTN_ROWS * RANGE + attn_packed(how->max_head_dim);
	scores = threads * a->work;

	a->depth = 2;
	for (int ranges = div_up(max_int(how->max_context, 1), RANGE); ranges > 1; ranges = div_up(ranges, 2))
		a->depth++;
	a->state = attn_state(how->max_head_dim);
	a->slots = 8 * how->threads;
	a->tiles = xalloc((size_t)how->max_tokens + 1, sizeof *a->tiles);
	a->runs = xalloc((size_t)how->max_heads + 1, sizeof *a->runs);
	stack = threads * ATTN_JOBS * ATTN_ROWS * (size_t)a->depth * a->state;
	partial = (size_t)a->slots * ATTN_JOBS * ATTN_ROWS * a->state;
	a->bytes = (scores + stack + partial) * sizeof(float);
	a->scores = cpu_pages(pool, a->bytes, 1);
	a->stack = a->scores + scores;
	a->partial = a->stack + stack;
	return a;
}

void cpu_attn_destroy(struct attn_scratch *a)
{
	if (!a)
		return;
	cpu_pages_free(a->scores, a->bytes);
	free(a->tiles);
	free(a->runs);
	free(a);
}

struct attn_units {
	struct cpu *cpu;
	struct attn_job job; /* what all units share */
	const struct attn_shape *shape;
	const struct step *s;
	struct kv_layout layout;
	const float *qkv;
	size_t row; /* floats of a row of qkv */
	char *out;
	size_t out_elem;
	int n_tiles, n_runs, group;  /* group: ranges of a piece */
	int job_tokens, tile_tokens; /* tokens of a job, and of a tile (up to ATTN_JOBS jobs) */
};

/* Heads that share K and V make a run of up to 6; longer ones are split evenly. */
static void plan_runs(struct attn_units *u, struct run *runs)
{
	const int32_t *kv = u->shape->kv_of_head;
	int most = 1;

	for (int h = 0, end; h < u->shape->heads; h = end) {
		for (end = h + 1; end < u->shape->heads && kv[end] == kv[h]; end++)
			;
		for (int at = h, cuts = div_up(end - h, ATTN_ROWS), n; at < end; at += n, cuts--) {
			n = div_up(end - at, cuts);
			runs[u->n_runs++] = (struct run){at, n, kv[h]};
			most = max_int(most, n);
		}
	}
	u->job_tokens = ATTN_ROWS / most;
}

/* Large tiles read each key less often, but there must be enough tiles for all workers. */
static void plan_tile_size(struct attn_units *u)
{
	int jobs = div_up(u->s->head->n_tokens, u->job_tokens) * u->n_runs;
	int per = jobs / (4 * pool_threads(u->cpu->pool));

	u->tile_tokens = u->job_tokens * max_int(1, min_int(ATTN_JOBS, per));
}

/* Counts the ranges of keys that the last token of a tile attends to. */
static int ranges_of(const struct attn_units *u, const struct tile *t)
{
	return div_up(u->s->pos[t->token + t->tokens - 1] + 1, RANGE);
}

/* The first key of a token's window. */
static int window_from(const struct attn_units *u, int token)
{
	return u->shape->window ? max_int(u->s->pos[token] + 1 - u->shape->window, 0) : 0;
}

/* The first range that a token of the tile attends to. */
static int first_range(const struct attn_units *u, const struct tile *t)
{
	return window_from(u, t->token) / RANGE;
}

static int64_t plan_tiles(struct attn_units *u, struct tile *tiles)
{
	const struct step *s = u->s;
	int64_t total = 0;

	for (int q = 0; q < s->head->n_seqs; q++) {
		int blocks = s->block_start[q + 1] - s->block_start[q];
		for (int t = s->q_start[q]; t < s->q_start[q + 1]; t += u->tile_tokens) {
			struct tile *tile = &tiles[u->n_tiles++];
			*tile = (struct tile){
				.token = t, .tokens = min_int(u->tile_tokens, s->q_start[q + 1] - t), .seq = q};
			for (int i = t; i < t + tile->tokens; i++)
				REQUIRE(s->pos[i] >= 0 && s->pos[i] < (int64_t)blocks * u->job.block_size &&
					s->pos[i] < u->cpu->how.max_context && (i == t || s->pos[i] >= s->pos[i - 1]));
			total += (int64_t)(ranges_of(u, tile) - first_range(u, tile)) * u->n_runs;
		}
	}
	return total;
}

/* Cuts the key axis into about four pieces a worker, using at most 8 slots a worker: a tile of several pieces has more
 * than `group` ranges. A window may begin and end inside a group, so its tiles have up to three times as many pieces as
 * groups of ranges: it is cut into half as many. Returns the number of joins. */
static int plan_pieces(struct attn_units *u, struct attn_scratch *a, int64_t total)
{
	int threads = pool_threads(u->cpu->pool), unit = 0, slot = 0, join = 0, cuts = u->shape->window ? 2 : 4;

	for (u->group = 1; threads == 1 ? u->group < (1 << 22) : (int64_t)u->group * cuts * threads < total;
	     u->group *= 2)
		;
	for (int i = 0; i < u->n_tiles; i++) {
		struct tile *t = &a->tiles[i];
		bool cut = ranges_of(u, t) - first_range(u, t) > u->group;
		t->first = cut ? first_range(u, t) / u->group : 0;
		t->pieces = cut ? div_up(ranges_of(u, t), u->group) - t->first : 1;
		t->unit = unit;
		t->slot = t->pieces > 1 ? slot : -1;
		t->join = join;
		unit += t->pieces * u->n_runs;
		if (t->pieces > 1) {
			slot += t->pieces * u->n_runs;
			join += u->n_runs;
		}
	}
	a->tiles[u->n_tiles] = (struct tile){.unit = unit, .join = join};
	REQUIRE(slot <= a->slots);
	return join;
}

/* Makes job `no` of one tile and one run of heads. */
static struct attn_job job_of(const struct attn_units *u, const struct tile *t, const struct run *run, int no,
			      int worker)
{
	const struct attn_scratch *a = u->cpu->attn;
	const size_t dim = (size_t)u->shape->head_dim;
	const int first = no * u->job_tokens, tokens = min_int(u->job_tokens, t->tokens - first);
	struct attn_job j = u->job;

	j.blocks = u->s->blocks + u->s->block_start[t->seq];
	j.k_at = (size_t)run->kv * u->layout.k_head;
	j.v_at = u->layout.v_at + (size_t)run->kv * u->layout.v_head;
	j.scores = a->scores + (size_t)worker * a->work;
	j.stack = a->stack + (size_t)(worker * ATTN_JOBS + no) * ATTN_ROWS * (size_t)a->depth * a->state;
	for (int i = 0; i < tokens * run->heads; i++) {
		size_t token = (size_t)(t->token + first + i / run->heads), head = (size_t)(run->head + i % run->heads);
		j.q[i] = u->qkv + token * u->row + head * dim;
		j.keys[i] = u->s->pos[token] + 1;
		j.from[i] = window_from(u, (int)token);
		j.slope[i] = u->shape->slopes ? u->shape->slopes[head] : 0;
		j.out[i] = u->out + (token * (size_t)u->shape->heads + head) * dim * u->out_elem;
	}
	j.rows = tokens * run->heads;
	return j;
}

static int jobs_of(const struct attn_units *u, const struct tile *t)
{
	return div_up(t->tokens, u->job_tokens);
}

static float *slot_at(const struct attn_units *u, int slot, int job)
{
	return u->cpu->attn->partial + (size_t)(slot * ATTN_JOBS + job) * ATTN_ROWS * attn_state(u->shape->head_dim);
}

static void attn_unit(void *arg, int unit, int worker)
{
	const struct attn_units *u = arg;
	const struct attn_scratch *a = u->cpu->attn;
	const struct tile *t = a->tiles, *end = t + u->n_tiles;
	struct attn_job j[ATTN_JOBS];
	int run, piece;

	while (end - t > 1) { /* finds the last tile that starts at or before this unit */
		const struct tile *mid = t + (end - t) / 2;
		if (mid->unit <= unit)
			t = mid;
		else
			end = mid;
	}
	run = (unit - t->unit) / t->pieces;
	piece = (unit - t->unit) % t->pieces;
	for (int i = 0; i < jobs_of(u, t); i++) {
		j[i] = job_of(u, t, &a->runs[run], i, worker);
		j[i].first = (t->first + piece) * u->group;
		j[i].end = t->slot < 0 ? ranges_of(u, t) : min_int(j[i].first + u->group, ranges_of(u, t));
		j[i].partial = t->slot < 0 ? NULL : slot_at(u, t->slot + unit - t->unit, i);
	}
	u->cpu->k->attention(j, jobs_of(u, t), a->scores + (size_t)worker * a->work + ATTN_ROWS * RANGE);
}

static void join_unit(void *arg, int unit, int worker)
{
	const struct attn_units *u = arg;
	const struct tile *t = u->cpu->attn->tiles;
	struct attn_job j;
	int run;

	while (t->slot < 0 || unit >= t->join + u->n_runs)
		t++;
	run = unit - t->join;
	for (int i = 0; i < jobs_of(u, t); i++) {
		j = job_of(u, t, &u->cpu->attn->runs[run], i, worker);
		j.partial = slot_at(u, t->slot + run * t->pieces, i);
		j.first = t->first * u->group;
		u->cpu->k->attention_join(&j, ATTN_JOBS * ATTN_ROWS * attn_state(u->shape->head_dim), u->group);
	}
}

void cpu_attention(struct backend *b, struct tensor *out, const struct tensor *qkv, const struct attn_shape *shape,
		   const void *pool, const struct kv_shape *kv, const struct step *s)
{
	struct cpu *cpu = cpu_of(b);
	struct attn_units u = {.cpu = cpu, .shape = shape, .s = s, .layout = cpu_kv_layout(kv), .qkv = qkv->data};
	int joins;

	REQUIRE(shape->heads <= cpu->how.max_heads && shape->head_dim <= cpu->how.max_head_dim);
	REQUIRE(s->head->n_tokens <= cpu->how.max_tokens);
	u.row = (size_t)qkv->cols;
	u.out = out->data;
	u.out_elem = dtype_size(out->type);
	u.job = (struct attn_job){.pool = pool,
				  .block_bytes = u.layout.bytes,
				  .block_size = kv->block_size,
				  .head_dim = kv->head_dim,
				  .type = kv->type,
				  .scale = shape->scale,
				  .soft_cap = shape->soft_cap,
				  .alibi = shape->slopes,
				  .depth = cpu->attn->depth,
				  .out_type = out->type};
	if (!shape->heads)
		return;
	plan_runs(&u, cpu->attn->runs);
	plan_tile_size(&u);
	joins = plan_pieces(&u, cpu->attn, plan_tiles(&u, cpu->attn->tiles));
	pool_each(cpu->pool, cpu->attn->tiles[u.n_tiles].unit, attn_unit, &u);
	if (joins)
		pool_each(cpu->pool, joins, join_unit, &u);
}
