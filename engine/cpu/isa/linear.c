/* linear.c - products with f32, bf16 and f16 weights: a tile of rows times a panel. Lanes are outputs, so the chain
 * over K is the same for every tile shape. */
#include "engine/cpu/isa/blocks.h"

/* Loads 16 outputs' weights of column 2i + odd from the pair at w. */
INLINE v16 load_w(enum pack pack, const char *w, int col, int odd)
{
	const uint16_t *pairs = (const uint16_t *)w + 2 * col;

	if (pack == PACK_F32)
		return v_load((const float *)w + odd * PANEL + col);
	if (pack == PACK_F16)
		return v_load_f16((const uint16_t *)w + odd * PANEL + col);
	return odd ? pair_odd(pairs) : pair_even(pairs);
}

/* Adds the pair at x times the pair at w to every row's sums: the odd column, then the even one. */
INLINE void add_pair(enum pack pack, int rows, int cols, struct sums *s, const float *x, const char *w, int col)
{
	UNROLL for (int odd = 1; odd >= 0; odd--)
	{
		v16 b[LINEAR_COLS];
		UNROLL for (int c = 0; c < cols; c++) b[c] = load_w(pack, w, col + 16 * c, odd);
		UNROLL for (int r = 0; r < rows; r++)
		{
			v16 a = v_set1(x[odd * rows + r]);
			UNROLL for (int c = 0; c < cols; c++) v_fma_to(&s->v[r][c], a, b[c]);
		}
	}
}

/* Runs the chains of one chunk. */
INLINE void run_tile(enum pack pack, int rows, int cols, const struct step_of *t)
{
	const size_t unit = pack == PACK_F32 ? 8 * PANEL : 4 * PANEL;

	for (int col = 0; col < t->cols; col += 16 * cols) {
		struct sums s;
		const float *x = (const float *)t->x;
		const char *w = t->w;
		begin_chunk(rows, cols, &s, t, col);
		for (int i = 0; i < t->units; i++, w += unit, x += 2 * rows) {
			ahead(t, i, col, x, 8 * rows);
			add_pair(pack, rows, cols, &s, x, w, col);
		}
		end_chunk(rows, cols, &s, t, col);
	}
}

#define TILE(pack, name, n) \
	static __attribute__((noinline)) void name##_##n(const struct step_of *t) \
	{ \
		run_tile(pack, n, LINEAR_COLS, t); \
	}

#if LINEAR_ROWS == 12
#define TILES(op, pack, name) \
	op(pack, name, 1) op(pack, name, 2) op(pack, name, 3) op(pack, name, 4) op(pack, name, 5) op(pack, name, 6) \
		op(pack, name, 7) op(pack, name, 8) op(pack, name, 9) op(pack, name, 10) op(pack, name, 11) \
			op(pack, name, 12)
#define TILE_LIST(name) \
	name##_1, name##_2, name##_3, name##_4, name##_5, name##_6, name##_7, name##_8, name##_9, name##_10, \
		name##_11, name##_12
#elif LINEAR_ROWS == 3
#define TILES(op, pack, name) op(pack, name, 1) op(pack, name, 2) op(pack, name, 3)
#define TILE_LIST(name) name##_1, name##_2, name##_3
#else
#define TILES(op, pack, name) op(pack, name, 1) op(pack, name, 2)
#define TILE_LIST(name) name##_1, name##_2
#endif

enum { PAIRS = 64 /* of a chunk: a quarter of a segment */ };
_Static_assert(PAIRS * 8 * PANEL <= CHUNK_BYTES, "a chunk as f32");

TILES(TILE, PACK_F32, f32)
TILES(TILE, PACK_BF16, bf16)
TILES(TILE, PACK_F16, f16)
static tile_fn *const f32_tiles[LINEAR_ROWS + 1] = {NULL, TILE_LIST(f32)};
static tile_fn *const bf16_tiles[LINEAR_ROWS + 1] = {NULL, TILE_LIST(bf16)};
static tile_fn *const f16_tiles[LINEAR_ROWS + 1] = {NULL, TILE_LIST(f16)};

INLINE void expand(enum pack pack, char *to, const struct step_of *t)
{
	const char *w = t->w;
	float *out = (float *)to;

	for (int i = 0; i < t->units; i++, w += 4 * PANEL, out += 2 * PANEL)
		UNROLL for (int col = 0; col < PANEL; col += 16)
		{
			v_store(out + col, load_w(pack, w, col, 0));
			v_store(out + PANEL + col, load_w(pack, w, col, 1));
		}
}
static void expand_bf16(char *out, const struct step_of *t)
{
	expand(PACK_BF16, out, t);
}
static void expand_f16(char *out, const struct step_of *t)
{
	expand(PACK_F16, out, t);
}

void ISA_NAME(linear_f32)(const struct linear_job *job)
{
	static const struct kind k = {f32_tiles, f32_tiles, NULL, 8 * PANEL, 0, PAIRS, X_F32};

	run_blocks(&k, job);
}
void ISA_NAME(linear_bf16)(const struct linear_job *job)
{
	static const struct kind k = {bf16_tiles, f32_tiles, expand_bf16, 4 * PANEL, 0, PAIRS, X_F32};

	run_blocks(&k, job);
}
void ISA_NAME(linear_f16)(const struct linear_job *job)
{
	static const struct kind k = {f16_tiles, f32_tiles, expand_f16, 4 * PANEL, 0, PAIRS, X_F32};

	run_blocks(&k, job);
}

#ifdef ISA_avx512_bf16
INLINE void dot_tile(int rows, int cols, const struct step_of *t)
{
	for (int col = 0; col < t->cols; col += 16 * cols) {
		struct sums s;
		const uint32_t *x = (const uint32_t *)t->x;
		const uint16_t *w = (const uint16_t *)t->w + 2 * col;
		begin_chunk(rows, cols, &s, t, col);
		for (int i = 0; i < t->units; i++, w += 2 * PANEL, x += rows) {
			pair_w b[LINEAR_COLS];
			ahead(t, i, col, x, 4 * rows);
			UNROLL for (int c = 0; c < cols; c++) b[c] = pair_load(w + 32 * c);
			UNROLL for (int r = 0; r < rows; r++)
			{
				pair_x a = pair_set1(x[r]);
				UNROLL for (int c = 0; c < cols; c++) s.v[r][c] = pair_dot(s.v[r][c], b[c], a);
			}
		}
		end_chunk(rows, cols, &s, t, col);
	}
}
#define DOT(cols, name, n) \
	static __attribute__((noinline)) void name##_##n(const struct step_of *t) \
	{ \
		dot_tile(n, cols, t); \
	}
TILES(DOT, LINEAR_COLS, dot)
static tile_fn *const dot_tiles[LINEAR_ROWS + 1] = {NULL, TILE_LIST(dot)};

void ISA_NAME(linear_dot)(const struct linear_job *job)
{
	static const struct kind k = {dot_tiles, NULL, NULL, 4 * PANEL, 0, 2 * PAIRS, X_DOT};

	run_blocks(&k, job);
}
#endif

/* Column c of row r, as f32. */
INLINE float x_at(const struct pack_job *j, int r, int c)
{
	const char *row = j->x + (size_t)r * j->x_stride;

	return j->type == DT_F32 ? ((const float *)row)[c] : f32_from_bf16(((const uint16_t *)row)[c]);
}

void ISA_NAME(pack_f32)(const struct pack_job *j)
{
	for (const struct segment *s = j->seg; s < j->seg + j->n_seg; s++)
		for (int r = 0; r < j->rows; r++) {
			float *out = (float *)(j->out + x_place(s, X_F32, j->all, j->row));
			for (int c = 0; c < s->cols; c++)
				out[c * j->rows + r] = x_at(j, r, s->col + c);
			if (s->cols % 2)
				out[s->cols * j->rows + r] = 0;
		}
}

void ISA_NAME(pack_dot)(const struct pack_job *j)
{
	for (const struct segment *s = j->seg; s < j->seg + j->n_seg; s++)
		for (int r = 0; r < j->rows; r++) {
			uint32_t *out = (uint32_t *)(j->out + x_place(s, X_DOT, j->all, j->row));
			const uint16_t *x = (const uint16_t *)(j->x + (size_t)r * j->x_stride) + s->col;
			for (int i = 0; i < s->cols / 2; i++)
				out[i * j->rows + r] = x[2 * i] | (uint32_t)x[2 * i + 1] << 16;
			if (s->cols % 2)
				out[s->cols / 2 * j->rows + r] = x[s->cols - 1];
		}
}
