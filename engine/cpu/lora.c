/* lora.c - low-rank updates: how the two products are cut into units of work.
 *
 * Rows of one slot that follow each other go in blocks of up to four, so that they share the reads of its matrices. A
 * row by itself takes four segments, or four panels, at a time instead: either way four chains run side by side, and
 * each is the same. */
#include "engine/backend/lora.h"
#include "engine/cpu/cpu.h"

#include <string.h>

enum { LINES = 4, LANES = LORA_LANES, MAX_COLS = 1 << 19, MAX_SEGMENTS = MAX_COLS / SEGMENT + SHARD_MAX_LEAVES + 1 };

struct lora_job {
	const struct cpu_kernels *k;
	const struct lora *l;
	const struct lora_block *block;
	int per_block;          /* units of a block */
	const struct tensor *x; /* down */
	const struct segment *seg;
	int n_seg;
	float *t;         /* (parts, rows, width) */
	size_t part;      /* floats of a part */
	struct tensor *y; /* up */
	int width;        /* columns of t */
};

/* Blocks of the rows that have a slot; returns how many. */
static int find_blocks(const int32_t *slot, int rows, struct lora_block *out)
{
	int n = 0;

	for (int r = 0; r < rows; r++) {
		struct lora_block *last = n ? &out[n - 1] : NULL;
		if (slot[r] < 0)
			continue;
		if (last && last->slot == slot[r] && last->first + last->rows == r && last->rows < LINES)
			last->rows++;
		else
			out[n++] = (struct lora_block){r, 1, slot[r]};
	}
	return n;
}

/* The sums of a chain's segments that wait for others, as struct segment says. */
struct stack {
	float sum[STACK_DEPTH][LANES];
	int depth;
};

static void take(struct stack *s, const struct segment *g, float *sum, float *out, size_t part)
{
	for (int m = 0; m < g->merges; m++) {
		const float *older = s->sum[--s->depth];
		for (int i = 0; i < LANES; i++)
			sum[i] = older[i] + sum[i];
	}
	if (g->part >= 0)
		memcpy(out + (size_t)g->part * part, sum, LANES * sizeof *sum);
	else
		memcpy(s->sum[s->depth++], sum, LANES * sizeof *sum);
}

/* The columns of a segment of row `row` as f32: where they are, or in `room`. */
static const float *columns(const struct tensor *x, int row, const struct segment *g, float *room)
{
	size_t at = (size_t)row * (size_t)x->cols + (size_t)g->col;

	if (x->type == DT_F32)
		return (const float *)x->data + at;
	for (int i = 0; i < g->cols; i++)
		room[i] = f32_from_bf16(((const uint16_t *)x->data)[at + (size_t)i]);
	return room;
}

static void down_rows(const struct lora_job *j, const struct lora_block *b, const float *a, float *out)
{
	struct stack stack[LINES];
	float room[LINES][SEGMENT], sum[LINES][LANES];
	const float *lines[LINES], *x[LINES];

	for (int r = 0; r < LINES; r++)
		stack[r].depth = 0;
	for (int s = 0; s < j->n_seg; s++) {
		const struct segment *g = &j->seg[s];
		for (int r = 0; r < LINES; r++) {
			x[r] = r < b->rows ? columns(j->x, b->first + r, g, room[r]) : x[0];
			lines[r] = a + (size_t)g->col * LANES;
		}
		j->k->lora(sum[0], lines, x, g->cols);
		for (int r = 0; r < b->rows; r++)
			take(&stack[r], g, sum[r], out + (size_t)(r * j->width), j->part);
	}
}

/* Segments of one length go together; those that are shorter go alone. */
static void down_row(const struct lora_job *j, int row, const float *a, float *out)
{
	struct stack stack = {.depth = 0};
	float room[LINES][SEGMENT], sum[LINES][LANES];
	const float *lines[LINES], *x[LINES];

	for (int s = 0, n; s < j->n_seg; s += n) {
		const struct segment *g = &j->seg[s];
		for (n = 1; n < LINES && s + n < j->n_seg && g[n].cols == g->cols; n++)
			;
		for (int i = 0; i < LINES; i++) {
			const struct segment *one = &g[i < n ? i : 0];
			x[i] = columns(j->x, row, one, room[i]);
			lines[i] = a + (size_t)one->col * LANES;
		}
		j->k->lora(sum[0], lines, x, g->cols);
		for (int i = 0; i < n; i++)
			take(&stack, &g[i], sum[i], out, j->part);
	}
}

/* One panel of ranks of one A, for one block. */
static void down_unit(void *arg, int unit, int worker)
{
	const struct lora_job *j = arg;
	const struct lora *l = j->l;
	const struct lora_block *b = &j->block[unit / j->per_block];
	int panel = unit % j->per_block, panels = l->shape.rank / LANES;
	const float *a = l->a + (size_t)b->slot * lora_a_size(&l->shape) + (size_t)panel * (size_t)l->cols * LANES;
	float *out = j->t + (size_t)b->first * (size_t)j->width + (size_t)panel * LANES;

	(void)worker;
	if (panel % panels * LANES >= l->slot[b->slot].rank[panel / panels])
		return;
	if (b->rows == 1)
		down_row(j, b->first, a, out);
	else
		down_rows(j, b, a, out);
}

static void run(struct backend *b, struct lora_job *j, const int32_t *slot, int rows, void unit(void *, int, int))
{
	struct lora_block *block = cpu_of(b)->blocks;
	int n = find_blocks(slot, rows, block);

	j->block = block;
	j->k = cpu_of(b)->k;
	pool_each(cpu_of(b)->pool, n * j->per_block, unit, j);
}

void cpu_lora_down(struct backend *b, float *t, const struct tensor *x, const struct lora *l, const int32_t *slot)
{
	struct segment seg[MAX_SEGMENTS];
	struct lora_job j = {.l = l, .x = x, .seg = seg, .t = t, .width = l->shape.pieces * l->shape.rank};
	int parts;

	REQUIRE(x->rows <= cpu_of(b)->how.max_tokens && l->cols <= MAX_COLS);
	j.n_seg = cpu_segments(&l->shape.k, 1, false, false, seg, &parts);
	j.part = (size_t)x->rows * (size_t)j.width;
	j.per_block = j.width / LANES;
	run(b, &j, slot, x->rows, down_unit);
}

/* Up to LINES panels of one piece. */
struct group {
	int piece, panel, panels /* of it */, row, rows; /* first output in the piece, outputs */
};

static struct group group_of(const struct lora *l, int unit)
{
	struct group g = {0};

	for (int first = 0;; g.piece++) {
		int panels = div_up(l->shape.rows[g.piece], LANES), groups = div_up(panels, LINES);
		if (unit < groups) {
			g.panel = first + unit * LINES;
			g.panels = min_int(LINES, panels - unit * LINES);
			g.row = unit * LINES * LANES;
			g.rows = min_int(LINES * LANES, l->shape.rows[g.piece] - g.row);
			return g;
		}
		unit -= groups;
		first += panels;
	}
}

static void add_lanes(float *y, const float *sum, int n)
{
	for (int i = 0; i < n && i < LANES; i++)
		y[i] += sum[i];
}

/* Rows of a block share a panel; panel after panel. y: the first row's output at the group's begin. */
static void up_rows(const struct lora_job *j, const struct lora_block *b, const struct group *g, const float *from,
		    int rank, const float *t, float *y)
{
	const float *lines[LINES], *x[LINES];
	float sum[LINES][LANES];

	for (int p = 0; p < g->panels; p++) {
		for (int r = 0; r < LINES; r++) {
			lines[r] = from + (size_t)p * (size_t)j->l->shape.rank * LANES;
			x[r] = t + (size_t)(min_int(r, b->rows - 1) * j->width);
		}
		j->k->lora(sum[0], lines, x, rank);
		for (int r = 0; r < b->rows; r++)
			add_lanes(y + (size_t)r * (size_t)j->y->cols + p * LANES, sum[r], g->rows - p * LANES);
	}
}

/* All panels of the group at a time. */
static void up_row(const struct lora_job *j, const struct group *g, const float *from, int rank, const float *t,
		   float *y)
{
	const float *lines[LINES], *x[LINES] = {t, t, t, t};
	float sum[LINES][LANES];

	for (int p = 0; p < LINES; p++)
		lines[p] = from + (size_t)min_int(p, g->panels - 1) * (size_t)j->l->shape.rank * LANES;
	j->k->lora(sum[0], lines, x, rank);
	for (int p = 0; p < g->panels; p++)
		add_lanes(y + p * LANES, sum[p], g->rows - p * LANES);
}

static void up_unit(void *arg, int unit, int worker)
{
	const struct lora_job *j = arg;
	const struct lora *l = j->l;
	const struct lora_block *b = &j->block[unit / j->per_block];
	const struct lora_slot *slot = &l->slot[b->slot];
	const struct group g = group_of(l, unit % j->per_block);
	const float *t = j->t + (size_t)b->first * (size_t)j->width, *from = l->b;
	float *y = (float *)j->y->data + (size_t)b->first * (size_t)j->y->cols + g.row;
	int a = slot->a_of[g.piece];

	(void)worker;
	if (a < 0)
		return;
	for (int i = 0; i < g.piece; i++)
		y += l->shape.rows[i];
	t += a * l->shape.rank;
	from += (size_t)b->slot * lora_b_size(&l->shape) + (size_t)g.panel * (size_t)l->shape.rank * LANES;
	if (b->rows == 1)
		up_row(j, &g, from, slot->rank[a], t, y);
	else
		up_rows(j, b, &g, from, slot->rank[a], t, y);
}

void cpu_lora_up(struct backend *b, struct tensor *y, const float *t, const struct lora *l, const int32_t *slot)
{
	struct lora_job j = {.l = l, .y = y, .t = (float *)(uintptr_t)t, .width = l->shape.pieces * l->shape.rank};

	REQUIRE(y->rows <= cpu_of(b)->how.max_tokens);
	for (int i = 0; i < l->shape.pieces; i++)
		j.per_block += div_up(div_up(l->shape.rows[i], LANES), LINES);
	if (j.per_block)
		run(b, &j, slot, y->rows, up_unit);
}
