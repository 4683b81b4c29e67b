/* blocks.h - the order in which one panel's product runs: blocks of tiles; for each segment every tile of the
 * block, so that a segment's weights stay in the cache; sums of segments wait on a stack in memory. */
#ifndef ENGINE_CPU_ISA_BLOCKS_H
#define ENGINE_CPU_ISA_BLOCKS_H

#include "engine/cpu/isa/local.h"

/* One tile, one segment. */
struct step_of {
	const struct linear_job *job;
	const struct segment *seg;
	const char *x, *w;
	const char *ahead; /* weights to prefetch, `lines` cache lines a unit */
	size_t x_ahead;    /* from a unit of activations to the same one of the next tile */
	int lines, row, depth;
	float *stack; /* this tile's; a level is LEVEL floats further */
};
enum { LEVEL = BLOCK_TILES * MAX_TILE_ROWS * PANEL };

struct sums {
	v16 v[MAX_TILE_ROWS][4];
};

/* Prefetches weights of the next segment into the second cache, on the first way through the columns, and the
 * next tile's activations into the first, on the last one. */
INLINE void ahead(const struct step_of *t, int unit, int col, const void *x, int x_bytes)
{
	if (!col)
		for (int i = 0; i < t->lines; i++)
			__builtin_prefetch(t->ahead + 64 * ((size_t)unit * (size_t)t->lines + (size_t)i), 0,
					   2);
	for (int i = 0; i < x_bytes; i += 64)
		__builtin_prefetch((const char *)x + t->x_ahead + i, 0, 3);
}

INLINE void store_part(int rows, int cols, const struct sums *s, const struct step_of *t, int col)
{
	const struct linear_job *job = t->job;

	UNROLL for (int r = 0; r < rows; r++)
	{
		float *out = job->out + (size_t)t->seg->part * job->part_stride +
			     (size_t)(t->row + r) * job->out_stride;
		UNROLL for (int c = 0; c < cols; c++)
		{
			int at = col + 16 * c, n = job->cols - at;
			v16 v = s->v[r][c];
			if (n <= 0)
				continue;
			if (job->bias)
				v = v_add(v, v_load_n(job->bias + at, n));
			v_store_n(out + at, v, n);
		}
	}
}

/* How many older sums are added at the end of a segment, with `depth` of them waiting. */
INLINE int merges_of(const struct segment *seg, int depth)
{
	(void)depth;
	return seg->merges;
}

/* The segment's sums onto the stack, after the merges that its place in the tree asks for. */
INLINE void end_segment(int rows, int cols, struct sums *s, const struct step_of *t, int col)
{
	const struct segment *seg = t->seg;
	int depth = t->depth;

	for (int m = merges_of(seg, depth); m > 0; m--) {
		const float *older = t->stack + (size_t)--depth * LEVEL + col;
		UNROLL for (int r = 0; r < rows; r++) UNROLL for (int c = 0; c < cols; c++) s->v[r][c] =
			v_add(v_load(older + r * PANEL + 16 * c), s->v[r][c]);
	}
	if (seg->part >= 0) {
		store_part(rows, cols, s, t, col);
		return;
	}
	UNROLL for (int r = 0; r < rows; r++) UNROLL for (int c = 0; c < cols; c++)
		v_store(t->stack + (size_t)depth * LEVEL + r * PANEL + col + 16 * c, s->v[r][c]);
}

typedef void tile_fn(const struct step_of *t);

/* What is asked of one kind of product. expand (may be NULL) turns a segment to f32 in memory where several
 * tiles use it, which `wide` then multiplies. */
struct kind {
	tile_fn *const *tile, *const *wide;
	void (*expand)(float *out, const char *w, int units);
	size_t w_unit;
	enum x_form form;
};

enum { EXPAND_FROM = 3 };

static __attribute__((noinline)) void run_block(const struct kind *k, const struct linear_job *job, int first,
						int end)
{
	float *stack = (float *)(job->scratch + (size_t)SEGMENT * PANEL * sizeof(float));
	bool expand = k->expand && end - first >= EXPAND_FROM;
	int depth = 0;

	for (const struct segment *seg = job->seg; seg < job->seg + job->n_seg; seg++) {
		struct step_of t = {.job = job, .seg = seg, .depth = depth};
		const char *w = job->panel + (size_t)seg->at * k->w_unit,
			   *next = w + (size_t)seg->units * k->w_unit;
		int per = max_int(1, (int)(k->w_unit / 64) / (end - first)); /* lines a unit */
		if (expand)
			k->expand((float *)job->scratch, w, seg->units);
		t.w = expand ? job->scratch : w;
		for (int i = first; i < end; i++) {
			int row = tile_row(job->tiles, i), rows = tile_row(job->tiles, i + 1) - row;
			size_t done = (size_t)(i - first) * (size_t)per * 64 * (size_t)seg->units;
			t.row = row;
			t.x = job->x + x_place(seg, k->form, job->tiles.rows, row);
			t.x_ahead = (size_t)rows * (size_t)seg->units * x_unit(k->form);
			t.stack = stack + (i - first) * MAX_TILE_ROWS * PANEL;
			t.ahead = next + done;
			t.lines = done < (size_t)seg->units * k->w_unit ? per : 0;
			(expand ? k->wide : k->tile)[rows - 1](&t);
		}
		depth += (seg->part < 0) - merges_of(seg, depth);
	}
}

static void run_blocks(const struct kind *k, const struct linear_job *job)
{
	for (int first = job->first, end; first < job->end; first = end) {
		int left = job->end - first, blocks = div_up(left, BLOCK_TILES);
		end = first + div_up(left, blocks);
		run_block(k, job, first, end);
	}
}

#endif
