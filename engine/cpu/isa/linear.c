/* linear.c - up to TILE_ROWS rows of activations times one panel of 64 outputs. Lanes are outputs, so that
 * the chain over K is the same for every tile shape. */
#include "engine/cpu/isa/local.h"

/* One row takes the whole panel at once: that reads memory in order. */
enum { ONE_ROW_COLS = TILE_COLS > 1 ? 4 : 1 };

struct sums {
	v16 v[TILE_ROWS][4];
};

INLINE uint32_t load_pair(const uint16_t *x)
{
	uint32_t both;

	memcpy(&both, x, sizeof both);
	return both;
}

INLINE size_t pair_bytes(enum product kind)
{
	return kind == F32_F32 ? 2 * PANEL * sizeof(float) : 2 * PANEL * sizeof(uint16_t);
}

/* 16 outputs of column 2i + odd of the pair at w. */
INLINE v16 load_w(enum product kind, const char *w, int col, int odd)
{
	const uint16_t *pairs = (const uint16_t *)w + 2 * col;

	if (kind == F32_F32)
		return v_load((const float *)w + odd * PANEL + col);
	if (kind == F32_F16)
		return v_load_f16((const uint16_t *)w + odd * PANEL + col);
	return odd ? pair_odd(pairs) : pair_even(pairs);
}

INLINE float load_x(enum product kind, const char *x, int odd)
{
	uint32_t u;
	float f;

	if (kind != BF16_BF16)
		return ((const float *)x)[odd];
	u = (uint32_t)((const uint16_t *)x)[odd] << 16;
	memcpy(&f, &u, sizeof f);
	return f;
}

/* Every row's sums += the pair at x times the pair at w: the odd column, then the even one. */
INLINE void add_pair(enum product kind, int rows, int cols, struct sums *s, const char *x, size_t x_stride,
		     const char *w, int col, bool half)
{
#ifdef ISA_avx512_bf16
	if (kind == BF16_BF16) {
		pair_w b[4];
		UNROLL for (int c = 0; c < cols; c++) b[c] =
			pair_load((const uint16_t *)w + 2 * (col + 16 * c));
		UNROLL for (int r = 0; r < rows; r++)
		{
			const uint16_t *p = (const uint16_t *)(x + (size_t)r * x_stride);
			pair_x a = pair_set1(half ? *p : load_pair(p));
			UNROLL for (int c = 0; c < cols; c++) s->v[r][c] = pair_dot(s->v[r][c], b[c], a);
		}
		return;
	}
#endif
	UNROLL for (int odd = 1; odd >= 0; odd--)
	{
		v16 b[4];
		UNROLL for (int c = 0; c < cols; c++) b[c] = load_w(kind, w, col + 16 * c, odd);
		UNROLL for (int r = 0; r < rows; r++)
		{
			v16 a = v_set1(odd && half ? 0 : load_x(kind, x + (size_t)r * x_stride, odd));
			UNROLL for (int c = 0; c < cols; c++) s->v[r][c] = v_fma(a, b[c], s->v[r][c]);
		}
	}
}

/* The chain of one segment from +0. */
INLINE void run_segment(enum product kind, int rows, int cols, struct sums *s, const struct segment *seg,
			const char *x, size_t x_stride, const char *w, int col)
{
	const size_t x_pair = kind == BF16_BF16 ? 2 * sizeof(uint16_t) : 2 * sizeof(float);

	x += (size_t)seg->col * (x_pair / 2);
	UNROLL for (int r = 0; r < rows; r++) UNROLL for (int c = 0; c < cols; c++) s->v[r][c] = v_zero();
	for (int i = 0; i < seg->pairs; i++, w += pair_bytes(kind), x += x_pair)
		add_pair(kind, rows, cols, s, x, x_stride, w, col, false);
	if (seg->odd)
		add_pair(kind, rows, cols, s, x, x_stride, w, col, true);
}

INLINE void store_part(int rows, int cols, const struct sums *s, const struct linear_job *job, int row,
		       int col, int part)
{
	UNROLL for (int r = 0; r < rows; r++)
	{
		float *out = job->out + (size_t)part * job->part_stride + (size_t)(row + r) * job->out_stride;
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

/* Rows [row, row + rows), columns [col, col + 16 * cols) of the panel. */
INLINE void run_tile(enum product kind, int rows, int cols, const struct linear_job *job, int row, int col)
{
	struct sums s, stack[STACK_DEPTH];
	const char *x = (const char *)job->x + (size_t)row * job->x_stride, *w = job->panel;
	int depth = 0;

	for (const struct segment *seg = job->seg; seg < job->seg + job->n_seg; seg++) {
		run_segment(kind, rows, cols, &s, seg, x, job->x_stride, w, col);
		w += (size_t)(seg->pairs + seg->odd) * pair_bytes(kind);
		for (int m = 0; m < seg->merges; m++) {
			depth--;
			UNROLL for (int r = 0; r < rows; r++) UNROLL for (int c = 0; c < cols; c++)
				s.v[r][c] = v_add(stack[depth].v[r][c], s.v[r][c]);
		}
		if (seg->part >= 0)
			store_part(rows, cols, &s, job, row, col, seg->part);
		else
			stack[depth++] = s;
	}
}

#define TILE(kind, name, n)                                                                     \
	static __attribute__((noinline)) void name##_##n(const struct linear_job *job, int row) \
	{                                                                                       \
		enum { COLS = n == 1 ? ONE_ROW_COLS : TILE_COLS };                              \
		for (int col = 0; col < job->cols; col += 16 * COLS)                            \
			run_tile(kind, n, COLS, job, row, col);                                 \
	}

#if defined(ISA_avx512) || defined(ISA_avx512_bf16)
#define TILES(kind, name)   \
	TILE(kind, name, 1) \
	TILE(kind, name, 2) TILE(kind, name, 3) TILE(kind, name, 4) TILE(kind, name, 5) TILE(kind, name, 6)
#define TILE_LIST(name) name##_1, name##_2, name##_3, name##_4, name##_5, name##_6
#elif defined(ISA_avx2)
#define TILES(kind, name) TILE(kind, name, 1) TILE(kind, name, 2) TILE(kind, name, 3)
#define TILE_LIST(name) name##_1, name##_2, name##_3
#else
#define TILES(kind, name) TILE(kind, name, 1) TILE(kind, name, 2)
#define TILE_LIST(name) name##_1, name##_2
#endif

/* All rows of the job, in tiles of nearly equal height. */
#define PRODUCT(kind, name)                                                                               \
	TILES(kind, name)                                                                                 \
	void ISA_NAME(name)(const struct linear_job *job)                                                 \
	{                                                                                                 \
		static void (*const tile[TILE_ROWS])(const struct linear_job *, int) = {TILE_LIST(name)}; \
		int tiles = div_up(job->rows, TILE_ROWS);                                                 \
		for (int t = 0, row = 0; t < tiles; t++) {                                                \
			int rows = div_up(job->rows - row, tiles - t);                                    \
			tile[rows - 1](job, row);                                                         \
			row += rows;                                                                      \
		}                                                                                         \
	}

PRODUCT(BF16_BF16, linear_bf16_bf16)
PRODUCT(F32_F32, linear_f32_f32)
PRODUCT(F32_BF16, linear_f32_bf16)
PRODUCT(F32_F16, linear_f32_f16)
