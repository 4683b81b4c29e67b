/* quant.c - products of int8 activations with weights of 8 and 4 bits. The sum of a group of 32 columns is an
 * exact integer, so every instruction set agrees; then, group by group in order, f = fma(sum, weight scale *
 * activation scale, f).
 *
 * VNNI multiplies unsigned by signed bytes, so weights are held with an offset (128, 8) and the sums start at
 * minus the offset times the sum of the activations; with zero points the offset is that of the output and the group.
 * AVX2's byte product saturates at 16 bits: 8-bit weights there are made signed and give their sign to the activation,
 * which keeps a pair within 2 * 128 * 127; the sums of eight pairs of 4 bits are at most 8 * 2 * 15 * 127 = 30480. */
#include "engine/cpu/isa/blocks.h"
#include "engine/cpu/isa/dot.h"

#if defined(ISA_avx512) || defined(ISA_avx512_bf16)
/* Zero points of 16 outputs, as 32-bit lanes. They and the sums of activations fit in the low 16 bits, so madd_epi16
 * multiplies them. */
INLINE __m512i zeros_of(enum pack pack, const char *w, int col)
{
	if (pack == PACK_WIDE_ZERO)
		return _mm512_loadu_si512(w + 36 * PANEL + 4 * col);
	return _mm512_cvtepu8_epi32(_mm_loadu_si128((const void *)(w + pack_codes(pack) + 2 * PANEL + col)));
}

/* Sums one group into t, from the start values. */
INLINE void group_sums(enum pack pack, int rows, int cols, __m512i t[][2], const char *x, const char *w, int col)
{
	const bool nibbles = pack_is_nibbles(pack);
	const int quads = nibbles ? 4 : 8;
	const __m512i low = _mm512_set1_epi8(15);

	UNROLL for (int r = 0; r < rows; r++) UNROLL for (int c = 0; c < cols; c++) t[r][c] =
		start_of(x + (size_t)(8 * rows + r) * 4);
	if (pack_has_zero(pack))
		UNROLL for (int c = 0; c < cols; c++)
		{
			__m512i zero = zeros_of(pack, w, col + 16 * c);
			UNROLL for (int r = 0; r < rows; r++) t[r][c] = _mm512_madd_epi16(zero, t[r][c]);
		}
	UNROLL for (int q = 0; q < quads; q++)
	{
		__m512i b[2];
		UNROLL for (int c = 0; c < cols; c++) b[c] = _mm512_loadu_si512(w + q * 4 * PANEL + 4 * col + 64 * c);
		UNROLL for (int r = 0; r < rows; r++)
		{
			__m512i a = _mm512_set1_epi32(word_at(x + (size_t)(q * rows + r) * 4));
			UNROLL for (int c = 0; c < cols; c++)
				dot_to(&t[r][c], nibbles ? _mm512_and_si512(b[c], low) : b[c], a);
		}
		if (!nibbles)
			continue;
		UNROLL for (int c = 0; c < cols; c++) b[c] = _mm512_and_si512(_mm512_srli_epi16(b[c], 4), low);
		UNROLL for (int r = 0; r < rows; r++)
		{
			__m512i a = _mm512_set1_epi32(word_at(x + (size_t)((q + 4) * rows + r) * 4));
			UNROLL for (int c = 0; c < cols; c++) dot_to(&t[r][c], b[c], a);
		}
	}
}

INLINE void add_group(enum pack pack, int rows, int cols, struct sums *s, const char *x, const char *w, int col)
{
	const bool wide = pack == PACK_WIDE || pack == PACK_WIDE_ZERO;
	const char *scale = w + pack_codes(pack) + (wide ? 4 : 2) * col;
	__m512i t[INT_ROWS][2];

	group_sums(pack, rows, cols, t, x, w, col);
	UNROLL for (int c = 0; c < cols; c++)
	{
		__m512 b = wide ? v_load((const float *)scale + 16 * c) : v_load_f16((const uint16_t *)scale + 16 * c);
		UNROLL for (int r = 0; r < rows; r++)
		{
			__m512 a = _mm512_castsi512_ps(_mm512_set1_epi32(word_at(x + (size_t)(9 * rows + r) * 4)));
			s->v[r][c] = v_fma(_mm512_cvtepi32_ps(t[r][c]), v_mul(b, a), s->v[r][c]);
		}
	}
}

/* Expands a chunk's groups to whole bytes with f32 scales and zero points of 32 bits. */
INLINE void expand(enum pack pack, char *out, const struct step_of *t)
{
	const char *w = t->w;
	const __m512i low = _mm512_set1_epi8(15);
	const int bytes = pack_codes(pack);
	const bool nibbles = pack_is_nibbles(pack), zero = pack_has_zero(pack);

	for (int i = 0; i < t->units; i++, out += (zero ? 40 : 36) * PANEL, w += bytes + (zero ? 3 : 2) * PANEL) {
		UNROLL for (int at = 0; at < bytes; at += 64)
		{
			__m512i b = _mm512_loadu_si512(w + at), high = _mm512_srli_epi16(b, 4);
			if (nibbles)
				_mm512_storeu_si512(out + bytes + at, _mm512_and_si512(high, low));
			_mm512_storeu_si512(out + at, nibbles ? _mm512_and_si512(b, low) : b);
		}
		UNROLL for (int n = 0; n < PANEL; n += 16)
			v_store((float *)(out + 32 * PANEL) + n, v_load_f16((const uint16_t *)(w + bytes) + n));
		if (zero)
			UNROLL for (int n = 0; n < PANEL; n += 16)
				_mm512_storeu_si512(out + 36 * PANEL + 4 * n, zeros_of(pack, w, n));
	}
}
static void expand_int8(char *out, const struct step_of *t)
{
	expand(PACK_INT8, out, t);
}
static void expand_int4(char *out, const struct step_of *t)
{
	expand(PACK_INT4, out, t);
}
static void expand_uint8(char *out, const struct step_of *t)
{
	expand(PACK_UINT8, out, t);
}
static void expand_uint4(char *out, const struct step_of *t)
{
	expand(PACK_UINT4, out, t);
}
#elif defined(ISA_avx2)
/* Zero points of 8 outputs, times minus the sum of the activations. */
INLINE __m256i zero_start(enum pack pack, const char *w, int col, __m256i minus_sum)
{
	const char *zero = w + pack_codes(pack) + 2 * PANEL + col;

	return _mm256_madd_epi16(_mm256_cvtepu8_epi32(_mm_loadl_epi64((const void *)zero)), minus_sum);
}

/* 8 outputs at `col`, activations of row r. */
INLINE __m256i group_int8(const char *x, int rows, int r, const char *w, int col, __m256i start)
{
	const __m256i ones = _mm256_set1_epi16(1), flip = _mm256_set1_epi8((char)0x80);

	UNROLL for (int q = 0; q < 8; q++)
	{
		__m256i a = _mm256_set1_epi32(word_at(x + (size_t)(q * rows + r) * 4));
		__m256i b = _mm256_xor_si256(_mm256_loadu_si256((const void *)(w + q * 4 * PANEL + 4 * col)), flip);
		__m256i p = _mm256_maddubs_epi16(_mm256_abs_epi8(b), _mm256_sign_epi8(a, b));
		start = _mm256_add_epi32(start, _mm256_madd_epi16(p, ones));
	}
	return start;
}

INLINE __m256i group_int4(const char *x, int rows, int r, const char *w, int col, __m256i start)
{
	const __m256i low = _mm256_set1_epi8(15);
	__m256i p = _mm256_setzero_si256();

	UNROLL for (int q = 0; q < 4; q++)
	{
		__m256i a = _mm256_set1_epi32(word_at(x + (size_t)(q * rows + r) * 4));
		__m256i h = _mm256_set1_epi32(word_at(x + (size_t)((q + 4) * rows + r) * 4));
		__m256i b = _mm256_loadu_si256((const void *)(w + q * 4 * PANEL + 4 * col));
		p = _mm256_add_epi16(p, _mm256_maddubs_epi16(_mm256_and_si256(b, low), a));
		b = _mm256_and_si256(_mm256_srli_epi16(b, 4), low);
		p = _mm256_add_epi16(p, _mm256_maddubs_epi16(b, h));
	}
	return _mm256_add_epi32(start, _mm256_madd_epi16(p, _mm256_set1_epi16(1)));
}

/* The sums of 8 outputs. 8-bit weights are multiplied as signed numbers, which are 128 less. */
INLINE __m256 group_sums(enum pack pack, const char *x, int rows, int r, const char *w, int col)
{
	__m256i start = _mm256_set1_epi32(word_at(x + (size_t)(8 * rows + r) * 4));

	if (pack == PACK_INT8)
		return _mm256_cvtepi32_ps(group_int8(x, rows, r, w, col, _mm256_setzero_si256()));
	if (pack == PACK_UINT8) {
		__m256i more = _mm256_slli_epi32(start, 7);
		start = _mm256_sub_epi32(zero_start(pack, w, col, start), more);
		return _mm256_cvtepi32_ps(group_int8(x, rows, r, w, col, start));
	}
	if (pack == PACK_UINT4)
		start = zero_start(pack, w, col, start);
	return _mm256_cvtepi32_ps(group_int4(x, rows, r, w, col, start));
}

INLINE void add_group(enum pack pack, int rows, int cols, struct sums *s, const char *x, const char *w, int col)
{
	const char *scale = w + pack_codes(pack) + 2 * col;

	for (int c = 0; c < cols; c++)
		UNROLL for (int r = 0; r < rows; r++)
		{
			v16 b = v_load_f16((const uint16_t *)scale + 16 * c), t;
			int at = col + 16 * c;
			float a;
			memcpy(&a, x + (size_t)(9 * rows + r) * 4, sizeof a);
			t.a = group_sums(pack, x, rows, r, w, at);
			t.b = group_sums(pack, x, rows, r, w, at + 8);
			s->v[r][c] = v_fma(t, v_mul(b, v_set1(a)), s->v[r][c]);
		}
}
#else
/* Output `col` of a group. The start value takes off the offset. */
static int32_t group_sum(enum pack pack, const char *x, int rows, int r, const char *w, int col)
{
	int32_t sum = word_at(x + (size_t)(8 * rows + r) * 4);
	const bool nibbles = pack_is_nibbles(pack);

	if (pack_has_zero(pack))
		sum *= (uint8_t)w[pack_codes(pack) + 2 * PANEL + col];
	for (int q = 0; q < 8; q++)
		for (int j = 0; j < 4; j++) {
			int a = ((const int8_t *)x)[(q * rows + r) * 4 + j],
			    b = ((const uint8_t *)w)[(nibbles ? q % 4 : q) * 4 * PANEL + 4 * col + j];
			if (nibbles)
				b = q < 4 ? b & 15 : b >> 4;
			sum += a * b;
		}
	return sum;
}

INLINE void add_group(enum pack pack, int rows, int cols, struct sums *s, const char *x, const char *w, int col)
{
	const char *scale = w + pack_codes(pack) + 2 * col;

	(void)cols;
	for (int r = 0; r < rows; r++) {
		v16 t;
		float a;
		memcpy(&a, x + (size_t)(9 * rows + r) * 4, sizeof a);
		for (int i = 0; i < 16; i++)
			t.f[i] = (float)group_sum(pack, x, rows, r, w, col + i);
		s->v[r][0] = v_fma(t, v_mul(v_load_f16((const uint16_t *)scale), v_set1(a)), s->v[r][0]);
	}
}
#endif

INLINE void int_tile(enum pack pack, int rows, int cols, const struct step_of *t)
{
	const size_t unit = pack == PACK_WIDE ? 36 * PANEL : pack == PACK_WIDE_ZERO ? 40 * PANEL : w_unit(pack);

	for (int col = 0; col < t->cols; col += 16 * cols) {
		struct sums s;
		const char *x = t->x, *w = t->w;
		begin_chunk(rows, cols, &s, t, col);
		for (int i = 0; i < t->units; i++, w += unit, x += (size_t)rows * (GROUP + 8)) {
			ahead(t, i, col, x, rows * (GROUP + 8));
			add_group(pack, rows, cols, &s, x, w, col);
		}
		end_chunk(rows, cols, &s, t, col);
	}
}

INT_TILES(int_tile, PACK_INT8, int8)
INT_TILES(int_tile, PACK_INT4, int4)
INT_TILES(int_tile, PACK_UINT8, uint8)
INT_TILES(int_tile, PACK_UINT4, uint4)
static tile_fn *const int8_tiles[INT_ROWS + 1] = {NULL, INT_TILE_LIST(int8)};
static tile_fn *const int4_tiles[INT_ROWS + 1] = {NULL, INT_TILE_LIST(int4)};
static tile_fn *const uint8_tiles[INT_ROWS + 1] = {NULL, INT_TILE_LIST(uint8)};
static tile_fn *const uint4_tiles[INT_ROWS + 1] = {NULL, INT_TILE_LIST(uint4)};
enum { GROUPS = SEGMENT / GROUP /* of a chunk */, FEWER = 12 /* of one with zero points */ };
_Static_assert(FEWER * 40 * PANEL <= CHUNK_BYTES, "a chunk of bytes with f32 scales and zero points");
_Static_assert(GROUPS * 36 * PANEL <= CHUNK_BYTES, "a chunk of bytes with f32 scales");

#if defined(ISA_avx512) || defined(ISA_avx512_bf16)
INT_TILES(int_tile, PACK_WIDE, wide)
INT_TILES(int_tile, PACK_WIDE_ZERO, wide_zero)
static tile_fn *const wide_tiles[INT_ROWS + 1] = {NULL, INT_TILE_LIST(wide)};
static tile_fn *const wide_zero_tiles[INT_ROWS + 1] = {NULL, INT_TILE_LIST(wide_zero)};
static const struct kind int8_kind = {int8_tiles, wide_tiles, expand_int8, 34 * PANEL, 0, GROUPS, X_INT};
static const struct kind int4_kind = {int4_tiles, wide_tiles, expand_int4, 18 * PANEL, 0, GROUPS, X_INT};
static const struct kind uint8_kind = {uint8_tiles, wide_zero_tiles, expand_uint8, 35 * PANEL, 0, FEWER, X_INT};
static const struct kind uint4_kind = {uint4_tiles, wide_zero_tiles, expand_uint4, 19 * PANEL, 0, FEWER, X_INT};
#else
static const struct kind int8_kind = {int8_tiles, NULL, NULL, 34 * PANEL, 0, GROUPS, X_INT};
static const struct kind int4_kind = {int4_tiles, NULL, NULL, 18 * PANEL, 0, GROUPS, X_INT};
static const struct kind uint8_kind = {uint8_tiles, NULL, NULL, 35 * PANEL, 0, FEWER, X_INT};
static const struct kind uint4_kind = {uint4_tiles, NULL, NULL, 19 * PANEL, 0, FEWER, X_INT};
#endif

void ISA_NAME(linear_int8)(const struct linear_job *job)
{
	run_blocks(&int8_kind, job);
}
void ISA_NAME(linear_int4)(const struct linear_job *job)
{
	run_blocks(&int4_kind, job);
}
void ISA_NAME(linear_uint8)(const struct linear_job *job)
{
	run_blocks(&uint8_kind, job);
}
void ISA_NAME(linear_uint4)(const struct linear_job *job)
{
	run_blocks(&uint4_kind, job);
}

/* Returns the largest |x| of n; NaN where one is not finite. */
INLINE float size_of(const float *x, int n)
{
	v16 most = v_zero(), bad = v_zero();

	for (int i = 0; i < n; i += 16) {
		v16 v = v_load_n(x + i, n - i);
		most = v_max(most, v_max(v, v_sub(v_zero(), v)));
		bad = v_add(bad, v_sub(v, v));
	}
	return v_max_lane(most) + v_sum(bad);
}

/* Converts n numbers to integers in [-127, 127] times the returned scale; the largest becomes 127. Without a number of
 * at least 2^-100 all are 0; with one that is not finite the scale is NaN. q has room for whole vectors. */
INLINE float to_int8(int8_t *q, int *sum, const float *x, int n)
{
	const v16 magic = v_set1(0x1.8p23f); /* adding it leaves the integer in the low bits */
	float most = size_of(x, n), scale[16];
	v16 factor, all = v_zero();

	*sum = 0;
	if (!(most >= 0x1p-100f)) {
		memset(q, 0, round_up((size_t)n, 16));
		return most != most ? most : 0;
	}
	factor = v_div(v_set1(127), v_set1(most));
	for (int i = 0; i < n; i += 16) {
		v16 v = v_add(v_mul(v_load_n(x + i, n - i), factor), magic);
		v_store_bytes(q + i, v);
		all = v_add(all, v_sub(v, magic));
	}
	*sum = (int)v_sum(all);
	v_store(scale, v_div(v_set1(most), v_set1(127)));
	return scale[0];
}

void ISA_NAME(quantise)(int8_t *q, float *scale, const float *x, int n)
{
	int sum;

	*scale = to_int8(q, &sum, x, n);
}

/* The same of columns that lie apart. */
INLINE void gather_group(float *f, const struct pack_job *j, int row, int col, int n)
{
	const char *x = j->x + (size_t)row * j->x_stride;

	for (int i = 0; i < n; i++) {
		int at = j->order[col + i];
		f[i] = j->type == DT_F32 ? ((const float *)x)[at] : f32_from_bf16(((const uint16_t *)x)[at]);
	}
}

/* Columns of group g of a segment, where they lie in it; the others are zeros. */
INLINE void load_group(float f[GROUP], const struct pack_job *j, int row, const struct segment *s, int g)
{
	const int col = s->col + group_at(s, g), n = group_cols(s, g), skip = group_skip(s, g);
	const char *x = j->x + (size_t)row * j->x_stride + (size_t)col * (j->type == DT_F32 ? 4 : 2);
	uint16_t half[GROUP] = {0};

	if (j->order || j->type == DT_F32)
		memset(f, 0, GROUP * sizeof *f);
	if (j->order) {
		gather_group(f + skip, j, row, col, n);
		return;
	}
	if (j->type == DT_F32) {
		memcpy(f + skip, x, (size_t)n * sizeof *f);
		return;
	}
	memcpy(half + skip, x, (size_t)n * sizeof *half);
	v_store(f, v_load_bf16(half));
	v_store(f + 16, v_load_bf16(half + 16));
}

/* Writes the integers of row r of a tile's group. */
INLINE void put_bytes(char *out, const struct pack_job *j, int r, const int8_t q[GROUP])
{
	for (int i = 0; i < GROUP / 4; i++)
		memcpy(out + (i * j->rows + r) * 4, q + 4 * i, 4);
}
INLINE void put_word(char *out, const struct pack_job *j, int line, int r, const void *word)
{
	memcpy(out + (line * j->rows + r) * 4, word, 4);
}

void ISA_NAME(pack_int)(const struct pack_job *j)
{
	for (const struct segment *s = j->seg; s < j->seg + j->n_seg; s++)
		for (int g = 0; g < s->units; g++)
			for (int r = 0; r < j->rows; r++) {
				char *out = j->out + x_place(s, X_INT, j->all, j->row) +
					    (size_t)(g * j->rows) * x_unit(X_INT);
				float f[GROUP], scale;
				int8_t q[GROUP];
				int sum;
				load_group(f, j, r, s, g);
				scale = to_int8(q, &sum, f, GROUP);
				sum *= -j->offset;
				put_bytes(out, j, r, q);
				put_word(out, j, 8, r, &sum);
				put_word(out, j, 9, r, &scale);
			}
}

void ISA_NAME(pack_block)(const struct pack_job *j)
{
	for (const struct segment *s = j->seg; s < j->seg + j->n_seg; s++)
		for (int g = 0; g < s->units; g++)
			for (int r = 0; r < j->rows; r++) {
				char *out = j->out + x_place(s, X_BLOCK, j->all, j->row) +
					    (size_t)(g * j->rows) * x_unit(X_BLOCK);
				float f[GROUP], scale, total, all[16];
				int8_t q[GROUP];
				int sum, high = 0;
				load_group(f, j, r, s, g);
				scale = to_int8(q, &sum, f, GROUP);
				v_store(all, v_mul(v_set1(scale), v_set1((float)sum)));
				total = all[0];
				for (int i = GROUP / 2; j->halves && i < GROUP; i++)
					high += q[i];
				sum = -j->offset * (sum - high);
				high *= -j->offset;
				put_bytes(out, j, r, q);
				put_word(out, j, 8, r, &sum);
				put_word(out, j, 9, r, &high);
				put_word(out, j, 10, r, &scale);
				put_word(out, j, 11, r, &total);
			}
}
