/* blocks.h - the loop order of a product over a few panels: blocks of tiles; for each segment, panel by panel, chunks
 * that fit L1; every tile in turn at each chunk. So the activations of a block's segment stay in L2 and the weights in
 * L1. Partial sums wait on a stack in memory. */
#ifndef ENGINE_CPU_ISA_BLOCKS_H
#define ENGINE_CPU_ISA_BLOCKS_H

#include "engine/cpu/isa/inside.h"

/* One tile times one chunk of a segment. */
struct step_of {
	const struct linear_job *job;
	const struct segment *seg;
	const char *x, *w;
	const char *heads; /* of the segment's blocks */
	int group;         /* the first one, counted from the start of the first block */
	const char *ahead; /* the weights to prefetch, `lines` cache lines for each unit */
	size_t x_ahead;    /* bytes from a unit of activations to the same unit of the next tile */
	int units;
	bool begin, end; /* of the segment */
	int lines, row, depth;
	int col, cols; /* of the job's outputs: the panel's first one and how many it has */
	float *stack;  /* this tile's; levels are LEVEL floats apart */
};
enum { LEVEL = JOB_PANELS * BLOCK_ROWS * PANEL };

struct sums {
	v16 v[MAX_TILE_ROWS][2];
};

/* Prefetches the next weights into L2, during the first pass over the columns, and the next tile's activations into L1.
 */
INLINE void ahead(const struct step_of *t, int unit, int col, const void *x, int x_bytes)
{
	if (!col)
		for (int i = 0; i < t->lines; i++)
			__builtin_prefetch(t->ahead + 64 * ((size_t)unit * (size_t)t->lines + (size_t)i), 0, 2);
	for (int i = 0; i < x_bytes; i += 64)
		__builtin_prefetch((const char *)x + t->x_ahead + i, 0, 3);
}

/* Starts at +0, or at the sums of the segment's earlier chunks. */
INLINE void begin_chunk(int rows, int cols, struct sums *s, const struct step_of *t, int col)
{
	const float *waiting = t->stack + (size_t)t->depth * LEVEL + col;

	if (t->begin)
		UNROLL for (int r = 0; r < rows; r++) UNROLL for (int c = 0; c < cols; c++) s->v[r][c] = v_zero();
	else
		UNROLL for (int r = 0; r < rows; r++) UNROLL for (int c = 0; c < cols; c++) s->v[r][c] =
			v_load(waiting + r * PANEL + 16 * c);
}

INLINE void store_part(int rows, int cols, const struct sums *s, const struct step_of *t, int col)
{
	const struct linear_job *job = t->job;

	UNROLL for (int r = 0; r < rows; r++)
	{
		float *out = job->out + (size_t)t->seg->part * job->part_stride +
			     (size_t)(t->row + r) * job->out_stride + t->col;
		UNROLL for (int c = 0; c < cols; c++)
		{
			int at = col + 16 * c, n = t->cols - at;
			v16 v = s->v[r][c];
			if (n <= 0)
				continue;
			if (job->bias)
				v = v_add(v, v_load_n(job->bias + t->col + at, n));
			v_store_n(out + at, v, n);
		}
	}
}

/* Returns how many older sums are added at the end of a segment while `depth` of them wait. */
INLINE int merges_of(const struct segment *seg, int depth)
{
	(void)depth;
	return seg->merges;
}

/* Puts the chunk's sums onto the stack; at the end of the segment first does the merges that its place in the tree
 * requires. */
INLINE void end_chunk(int rows, int cols, struct sums *s, const struct step_of *t, int col)
{
	int depth = t->depth;

	for (int m = t->end ? merges_of(t->seg, depth) : 0; m > 0; m--) {
		const float *older = t->stack + (size_t)--depth * LEVEL + col;
		UNROLL for (int r = 0; r < rows; r++) UNROLL for (int c = 0; c < cols; c++) s->v[r][c] =
			v_add(v_load(older + r * PANEL + 16 * c), s->v[r][c]);
	}
	if (t->end && t->seg->part >= 0) {
		store_part(rows, cols, s, t, col);
		return;
	}
	UNROLL for (int r = 0; r < rows; r++) UNROLL for (int c = 0; c < cols; c++)
		v_store(t->stack + (size_t)depth * LEVEL + r * PANEL + col + 16 * c, s->v[r][c]);
}

typedef void tile_fn(const struct step_of *t);

/* One kind of product. `expand` (may be NULL) writes a chunk in the form that `wide` multiplies fastest, for chunks
 * that several tiles use. */
struct kind {
	tile_fn *const *tile, *const *wide; /* by rows */
	void (*expand)(char *out, const struct step_of *t);
	size_t w_unit, head;
	int chunk; /* units; at most CHUNK_BYTES in the form that is multiplied */
	enum x_form form;
};

enum { EXPAND_FROM = 3 };

/* Where a block stands: a segment of a panel, and the weights that come next. */
struct place {
	const struct segment *seg;
	int first, end, depth, panel;
	const char *w, *heads, *next;
};

static __attribute__((noinline)) void run_segment(const struct kind *k, const struct linear_job *job,
						  const struct place *p)
{
	const struct segment *seg = p->seg;
	const bool expand = k->expand && p->end - p->first >= EXPAND_FROM;
	float *stack = (float *)(job->scratch + CHUNK_BYTES) + (size_t)p->panel * BLOCK_ROWS * PANEL;
	struct step_of t = {.job = job, .seg = seg, .depth = p->depth, .col = p->panel * PANEL};
	int per = div_up(div_up((int)k->w_unit, 64), p->end - p->first); /* lines a unit */
	int chunk = p->end - p->first > 1 ? k->chunk : max_int(seg->units, 1);

	t.cols = min_int(PANEL, job->cols - t.col);
	for (int at = 0; at == 0 || at < seg->units; at += chunk) {
		const char *w = p->w + (size_t)at * k->w_unit, *next = p->next + (size_t)at * k->w_unit;
		t.units = min_int(chunk, seg->units - at);
		t.begin = at == 0, t.end = at + t.units == seg->units;
		t.w = w;
		t.heads = p->heads, t.group = seg->later + at;
		if (expand) {
			k->expand(job->scratch, &t);
			t.w = job->scratch;
		}
		for (int i = p->first; i < p->end; i++) {
			int row = tile_row(job->tiles, i), rows = tile_row(job->tiles, i + 1) - row;
			size_t unit = (size_t)rows * x_unit(k->form),
			       done = (size_t)(i - p->first) * (size_t)per * 64 * (size_t)t.units;
			t.row = row;
			t.x = job->x + x_place(seg, k->form, job->tiles.rows, row) + (size_t)at * unit;
			t.x_ahead = unit * (size_t)seg->units;
			t.stack = stack + (row - tile_row(job->tiles, p->first)) * PANEL;
			t.ahead = next + done;
			t.lines = done < (size_t)t.units * k->w_unit ? per : 0;
			(expand ? k->wide : k->tile)[rows](&t);
		}
	}
}

static void run_block(const struct kind *k, const struct linear_job *job, int first, int end)
{
	struct place p = {.seg = job->seg, .first = first, .end = end};
	int panels = div_up(job->cols, PANEL);

	for (; p.seg < job->seg + job->n_seg; p.seg++) {
		const char *w = job->panel + (size_t)p.seg->at * k->w_unit;
		for (p.panel = 0; p.panel < panels; p.panel++) {
			bool last = p.panel + 1 == panels;
			p.w = w + (size_t)p.panel * job->panel_bytes;
			p.heads = job->panel + (size_t)p.panel * job->panel_bytes + job->heads +
				  (size_t)p.seg->block_at * k->head;
			p.next = last ? w + (size_t)p.seg->units * k->w_unit : p.w + job->panel_bytes;
			run_segment(k, job, &p);
		}
		p.depth += (p.seg->part < 0) - merges_of(p.seg, p.depth);
	}
}

static void run_blocks(const struct kind *k, const struct linear_job *job)
{
	const int height = div_up(job->tiles.rows, job->tiles.count), most = BLOCK_ROWS / height;

	for (int first = job->first, end; first < job->end; first = end) {
		int left = job->end - first, blocks = div_up(left, most);
		end = first + div_up(left, blocks);
		run_block(k, job, first, end);
	}
}

/* Kernels of integers for 1 to INT_ROWS rows of x, made of tile(pack, rows, cols, step). */
#define INT_TILE(tile, pack, name, n) \
	static __attribute__((noinline)) void name##_##n(const struct step_of *t) \
	{ \
		tile(pack, n, INT_COLS, t); \
	}
#if INT_ROWS == 6
#define INT_TILES(tile, pack, name) \
	INT_TILE(tile, pack, name, 1) \
	INT_TILE(tile, pack, name, 2) \
	INT_TILE(tile, pack, name, 3) \
	INT_TILE(tile, pack, name, 4) INT_TILE(tile, pack, name, 5) INT_TILE(tile, pack, name, 6)
#define INT_TILE_LIST(name) name##_1, name##_2, name##_3, name##_4, name##_5, name##_6
#else
#define INT_TILES(tile, pack, name) INT_TILE(tile, pack, name, 1) INT_TILE(tile, pack, name, 2)
#define INT_TILE_LIST(name) name##_1, name##_2
#endif

#endif
