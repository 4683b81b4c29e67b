/* gguf.c - products of int8 activations with blocks of GGUF files, whose scales and minima are those of the files.
 *
 * Integers are multiplied as unsigned bytes: those of Q6_K with 32 more, of Q5_0 with 16 more and levels with 128 more,
 * which start values take off. AVX2's byte product saturates at 16 bits: as many pairs are added there as stay below
 * it, and levels and integers of Q5_0 are signed and give their sign to the activation. */
#include "base/iq4.h"
#include "engine/cpu/isa/blocks.h"
#include "engine/cpu/isa/dot.h"

#if INT_ROWS == 6
enum { EACH = 64 }; /* bytes of a vector */
typedef __m512i bytes;
#elif defined(ISA_avx2)
enum { EACH = 32 };
typedef __m256i bytes;
#endif

/* Where the high bits of quad q, of four columns, lie behind a group's nibbles, and how far they are from bit 4. */
INLINE int high_at(enum pack pack, int q)
{
	return 16 * PANEL + (pack == PACK_Q6_K ? q / 4 * 4 * PANEL : 0);
}
#if INT_ROWS == 6 || defined(ISA_avx2)
INLINE int high_shift(enum pack pack, int q)
{
	return pack == PACK_Q6_K ? 4 - q % 4 * 2 : 4 - q;
}
#endif
#ifndef ISA_avx2 /* in which halves alone have one */
INLINE bool has_offset(enum pack pack)
{
	return pack_offset(pack) || pack == PACK_WIDE_HALVES || pack == PACK_WIDE_ONE;
}
#endif
INLINE bool is_wide(enum pack pack)
{
	return pack >= PACK_COUNT;
}

#if INT_ROWS == 6
INLINE bytes levels_of(bytes q)
{
	const __m128i levels = _mm_xor_si128(_mm_setr_epi8(IQ4_LEVELS), _mm_set1_epi8((char)0x80));

	return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(levels), q);
}

/* Quad q of 16 outputs, `at` bytes into its line. */
INLINE bytes quad_of(enum pack pack, const char *w, int q, int at)
{
	const int shift = high_shift(pack, q), bits = pack == PACK_Q6_K ? 0x30 : 0x10;
	const bytes low = _mm512_set1_epi8(15);
	bytes b = _mm512_loadu_si512(w + (is_wide(pack) ? q : q % 4) * 4 * PANEL + at), high;

	if (is_wide(pack))
		return b;
	b = q < 4 ? b : _mm512_srli_epi16(b, 4);
	if (pack_bits(pack) == 4)
		return pack_has_levels(pack) ? levels_of(_mm512_and_si512(b, low)) : _mm512_and_si512(b, low);
	high = _mm512_loadu_si512(w + high_at(pack, q) + at);
	high = shift > 0   ? _mm512_slli_epi16(high, (unsigned)shift)
	       : shift < 0 ? _mm512_srli_epi16(high, (unsigned)-shift)
			   : high;
	high = _mm512_and_si512(high, _mm512_set1_epi8((char)bits));
	return _mm512_ternarylogic_epi32(b, low, high, 0xea); /* b & low | high */
}

INLINE void store_bytes(char *out, bytes b)
{
	_mm512_storeu_si512(out, b);
}

/* Sums of columns 16 * half and on: of a half, or (n = 8 quads) of all. */
INLINE void sums_of(enum pack pack, int rows, int cols, v16 f[][2], const char *x, const char *w, int col, int half)
{
	const int first = 4 * half, n = pack_has_halves(pack) ? 4 : 8;
	__m512i t[INT_ROWS][2];

	UNROLL for (int r = 0; r < rows; r++) UNROLL for (int c = 0; c < cols; c++) t[r][c] =
		has_offset(pack) ? start_of(x + (size_t)((8 + half) * rows + r) * 4) : _mm512_setzero_si512();
	UNROLL for (int q = first; q < first + n; q++)
	{
		__m512i b[2];
		UNROLL for (int c = 0; c < cols; c++) b[c] = quad_of(pack, w, q, 4 * col + 64 * c);
		UNROLL for (int r = 0; r < rows; r++)
		{
			__m512i a = _mm512_set1_epi32(word_at(x + (size_t)(q * rows + r) * 4));
			UNROLL for (int c = 0; c < cols; c++) dot_to(&t[r][c], b[c], a);
		}
	}
	UNROLL for (int r = 0; r < rows; r++) UNROLL for (int c = 0; c < cols; c++) f[r][c] =
		_mm512_cvtepi32_ps(t[r][c]);
}
#elif defined(ISA_avx2)
INLINE bytes levels_of(bytes q)
{
	return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(_mm_setr_epi8(IQ4_LEVELS)), q);
}

/* Quad q of 8 outputs, `at` bytes into its line. */
INLINE bytes quad_of(enum pack pack, const char *w, int q, int at)
{
	const int shift = high_shift(pack, q), bits = pack == PACK_Q6_K ? 0x30 : 0x10;
	const bytes low = _mm256_set1_epi8(15);
	bytes b = _mm256_loadu_si256((const void *)(w + (is_wide(pack) ? q : q % 4) * 4 * PANEL + at)), high;

	if (is_wide(pack))
		return b;
	b = _mm256_and_si256(q < 4 ? b : _mm256_srli_epi16(b, 4), low);
	if (pack_bits(pack) == 4)
		return pack_has_levels(pack) ? levels_of(b) : b;
	high = _mm256_loadu_si256((const void *)(w + high_at(pack, q) + at));
	high = shift > 0 ? _mm256_slli_epi16(high, shift) : shift < 0 ? _mm256_srli_epi16(high, -shift) : high;
	b = _mm256_or_si256(b, _mm256_and_si256(high, _mm256_set1_epi8((char)bits)));
	return pack == PACK_Q5_0 ? _mm256_sub_epi8(b, _mm256_set1_epi8(16)) : b;
}

INLINE void store_bytes(char *out, bytes b)
{
	_mm256_storeu_si256((void *)out, b);
}

INLINE bool is_signed(enum pack pack)
{
	return pack_has_levels(pack) || pack == PACK_Q5_0 || pack == PACK_WIDE_ONE;
}

/* Quads whose products of bytes add up in 16 bits: integers below 16, 32 and 64, up to 16 with a sign, levels. */
INLINE int quads_in_16(enum pack pack)
{
	return pack == PACK_Q4_K || pack == PACK_Q4_1 || pack == PACK_Q5_0       ? 8
	       : pack == PACK_Q5_K || pack == PACK_Q5_1 || pack == PACK_WIDE_MIN ? 4
	       : pack == PACK_Q6_K || pack == PACK_WIDE_HALVES                   ? 2
										 : 1;
}

INLINE __m256 sum_of(enum pack pack, const char *x, int rows, int r, const char *w, int col, int half)
{
	const int first = 4 * half, n = pack_has_halves(pack) ? 4 : 8, most = quads_in_16(pack);
	const __m256i ones = _mm256_set1_epi16(1);
	__m256i sum = pack_has_halves(pack) ? _mm256_set1_epi32(word_at(x + (size_t)((8 + half) * rows + r) * 4))
					    : _mm256_setzero_si256();

	UNROLL for (int from = first; from < first + n; from += most)
	{
		__m256i p = _mm256_setzero_si256();
		UNROLL for (int q = from; q < from + most; q++)
		{
			__m256i a = _mm256_set1_epi32(word_at(x + (size_t)(q * rows + r) * 4));
			__m256i b = quad_of(pack, w, q, 4 * col);
			p = _mm256_add_epi16(
				p, is_signed(pack) ? _mm256_maddubs_epi16(_mm256_abs_epi8(b), _mm256_sign_epi8(a, b))
						   : _mm256_maddubs_epi16(b, a));
		}
		sum = _mm256_add_epi32(sum, _mm256_madd_epi16(p, ones));
	}
	return _mm256_cvtepi32_ps(sum);
}

INLINE void sums_of(enum pack pack, int rows, int cols, v16 f[][2], const char *x, const char *w, int col, int half)
{
	UNROLL for (int r = 0; r < rows; r++) for (int c = 0; c < cols; c++)
	{
		f[r][c].a = sum_of(pack, x, rows, r, w, col + 16 * c, half);
		f[r][c].b = sum_of(pack, x, rows, r, w, col + 16 * c + 8, half);
	}
}
#else
/* Column 4q + j of one output. */
INLINE int code_of(enum pack pack, const char *w, int q, int j, int col)
{
	static const int8_t levels[] = {IQ4_LEVELS};
	const int low = (uint8_t)w[q % 4 * 4 * PANEL + 4 * col + j] >> (q < 4 ? 0 : 4) & 15;
	int high;

	if (pack_bits(pack) == 4)
		return pack_has_levels(pack) ? levels[low] + 128 : low;
	high = (uint8_t)w[high_at(pack, q) + 4 * col + j];
	return low | (pack == PACK_Q6_K ? high >> q % 4 * 2 & 3 : high >> q & 1) << 4;
}

INLINE void sums_of(enum pack pack, int rows, int cols, v16 f[][2], const char *x, const char *w, int col, int half)
{
	const int first = 4 * half, n = pack_has_halves(pack) ? 4 : 8;

	(void)cols;
	for (int r = 0; r < rows; r++)
		for (int i = 0; i < 16; i++) {
			int32_t sum = has_offset(pack) ? word_at(x + (size_t)((8 + half) * rows + r) * 4) : 0;
			for (int q = first; q < first + n; q++)
				for (int j = 0; j < 4; j++)
					sum += code_of(pack, w, q, j, col + i) *
					       ((const int8_t *)x)[(q * rows + r) * 4 + j];
			f[r][0].f[i] = (float)sum;
		}
}
#endif

/* The scales of 16 outputs for one half, or for all of a group. */
INLINE v16 scales_of(enum pack pack, const char *w, const char *head, int col, int half)
{
	const char *own = w + pack_codes(pack);

	if (is_wide(pack))
		return v_load((const float *)own + half * PANEL + col);
	if (!pack_head(pack))
		return v_load_f16((const uint16_t *)own + col);
	return v_mul(v_load_f16((const uint16_t *)head + col), v_load_i8((const int8_t *)own + half * PANEL + col));
}

/* Signed minima: those of K types are held negated. */
INLINE v16 minima_of(enum pack pack, const char *w, const char *head, int col)
{
	const char *own = w + pack_codes(pack);

	if (is_wide(pack))
		return v_load((const float *)own + PANEL + col);
	if (!pack_head(pack))
		return v_load_f16((const uint16_t *)own + PANEL + col);
	return v_mul(v_load_f16((const uint16_t *)head + PANEL + col), v_load_i8((const int8_t *)own + PANEL + col));
}

INLINE float float_at(const char *x, int line, int rows, int r)
{
	float f;

	memcpy(&f, x + (size_t)(line * rows + r) * 4, sizeof f);
	return f;
}

INLINE void add_half(enum pack pack, int rows, int cols, struct sums *s, const char *x, const char *w, const char *head,
		     int col, int half)
{
	v16 t[INT_ROWS][2];

	sums_of(pack, rows, cols, t, x, w, col, half);
	UNROLL for (int c = 0; c < cols; c++)
	{
		v16 b = scales_of(pack, w, head, col + 16 * c, half);
		UNROLL for (int r = 0; r < rows; r++) s->v[r][c] =
			v_fma(t[r][c], v_mul(b, v_set1(float_at(x, 10, rows, r))), s->v[r][c]);
	}
}

INLINE void add_group(enum pack pack, int rows, int cols, struct sums *s, const char *x, const char *w,
		      const char *head, int col)
{
	add_half(pack, rows, cols, s, x, w, head, col, 0);
	if (pack_has_halves(pack))
		add_half(pack, rows, cols, s, x, w, head, col, 1);
	if (!pack_has_min(pack))
		return;
	UNROLL for (int c = 0; c < cols; c++)
	{
		v16 b = minima_of(pack, w, head, col + 16 * c);
		UNROLL for (int r = 0; r < rows; r++) s->v[r][c] =
			v_fma(b, v_set1(float_at(x, 11, rows, r)), s->v[r][c]);
	}
}

INLINE size_t unit_of(enum pack pack)
{
	return pack == PACK_WIDE_ONE ? 36 * PANEL : is_wide(pack) ? 40 * PANEL : w_unit(pack);
}

INLINE void block_tile(enum pack pack, int rows, int cols, const struct step_of *t)
{
	for (int col = 0; col < t->cols; col += 16 * cols) {
		struct sums s;
		const char *x = t->x, *w = t->w;
		begin_chunk(rows, cols, &s, t, col);
		for (int i = 0; i < t->units; i++, w += unit_of(pack), x += (size_t)rows * (GROUP + 16)) {
			const char *head =
				is_wide(pack) ? NULL
					      : t->heads + (size_t)((t->group + i) / BLOCK_GROUPS) * pack_head(pack);
			ahead(t, i, col, x, rows * (GROUP + 16));
			add_group(pack, rows, cols, &s, x, w, head, col);
		}
		end_chunk(rows, cols, &s, t, col);
	}
}

enum { GROUPS = SEGMENT / GROUP /* of a chunk */, FEWER = 12 /* of one with two numbers beside its integers */ };
_Static_assert(FEWER * 40 * PANEL <= CHUNK_BYTES, "a chunk of bytes with two numbers");
_Static_assert(GROUPS * 36 * PANEL <= CHUNK_BYTES, "a chunk of bytes with scales");

#if INT_ROWS == 6 || defined(ISA_avx2)
/* Expands a chunk's groups to whole bytes with f32 scales and minima. */
INLINE void expand(enum pack pack, char *out, const struct step_of *t)
{
	const bool two = pack_has_halves(pack) || pack_has_min(pack);
	const char *w = t->w;

	for (int i = 0; i < t->units; i++, w += w_unit(pack), out += (two ? 40 : 36) * PANEL) {
		const char *head = t->heads + (size_t)((t->group + i) / BLOCK_GROUPS) * pack_head(pack);
		float *scale = (float *)(out + GROUP * PANEL);
		UNROLL for (int q = 0; q < 8; q++) UNROLL for (int at = 0; at < 4 * PANEL; at += EACH)
			store_bytes(out + q * 4 * PANEL + at, quad_of(pack, w, q, at));
		UNROLL for (int col = 0; col < PANEL; col += 16)
		{
			v_store(scale + col, scales_of(pack, w, head, col, 0));
			if (two)
				v_store(scale + PANEL + col, pack_has_min(pack) ? minima_of(pack, w, head, col)
										: scales_of(pack, w, head, col, 1));
		}
	}
}
INT_TILES(block_tile, PACK_WIDE_ONE, wide_one)
INT_TILES(block_tile, PACK_WIDE_MIN, wide_min)
INT_TILES(block_tile, PACK_WIDE_HALVES, wide_halves)
static tile_fn *const wide_one_tiles[INT_ROWS + 1] = {NULL, INT_TILE_LIST(wide_one)};
static tile_fn *const wide_min_tiles[INT_ROWS + 1] = {NULL, INT_TILE_LIST(wide_min)};
static tile_fn *const wide_halves_tiles[INT_ROWS + 1] = {NULL, INT_TILE_LIST(wide_halves)};
#define EXPAND(pack, name, wide) \
	static void name##_expand(char *out, const struct step_of *t) \
	{ \
		expand(pack, out, t); \
	}
#define WIDE(name, wide) wide##_tiles, name##_expand
#else
#define EXPAND(pack, name, wide)
#define WIDE(name, wide) NULL, NULL
#endif

/* unit, head: bytes (w_unit(), pack_head()); wide: the form that a chunk is expanded to. */
#define PRODUCT(pack, name, wide, unit, head, groups) \
	INT_TILES(block_tile, pack, name) \
	static tile_fn *const name##_tiles[INT_ROWS + 1] = {NULL, INT_TILE_LIST(name)}; \
	EXPAND(pack, name, wide) \
	void ISA_NAME(linear_##name)(const struct linear_job *job) \
	{ \
		static const struct kind k = {name##_tiles, WIDE(name, wide), (unit)*PANEL, \
					      (head)*PANEL, groups,           X_BLOCK}; \
		run_blocks(&k, job); \
	}
PRODUCT(PACK_Q4_K, q4_k, wide_min, 18, 4, FEWER)
PRODUCT(PACK_Q5_K, q5_k, wide_min, 22, 4, FEWER)
PRODUCT(PACK_Q6_K, q6_k, wide_halves, 26, 2, FEWER)
PRODUCT(PACK_Q4_1, q4_1, wide_min, 20, 0, FEWER)
PRODUCT(PACK_IQ4_NL, iq4_nl, wide_one, 18, 0, GROUPS)
PRODUCT(PACK_Q5_0, q5_0, wide_one, 22, 0, GROUPS)
PRODUCT(PACK_Q5_1, q5_1, wide_min, 24, 0, FEWER)
PRODUCT(PACK_IQ4_XS, iq4_xs, wide_one, 17, 2, GROUPS)
