/* vec_avx512.h - v16 as one 512-bit register; the pair product uses vdpbf16ps where the machine has it. */
#ifndef ENGINE_CPU_ISA_VEC_AVX512_H
#define ENGINE_CPU_ISA_VEC_AVX512_H

#include <immintrin.h>

#define LINEAR_ROWS 12
#define INT_ROWS 6
enum { LINEAR_COLS = 2, INT_COLS = 2, TILE_ROWS = 6, TILE_COLS = 4 }; /* 24 of 32 registers hold sums */

typedef __m512 v16;

INLINE v16 v_zero(void)
{
	return _mm512_setzero_ps();
}
INLINE v16 v_set1(float f)
{
	return _mm512_set1_ps(f);
}
INLINE v16 v_load(const float *p)
{
	return _mm512_loadu_ps(p);
}
INLINE void v_store(float *p, v16 v)
{
	_mm512_storeu_ps(p, v);
}
INLINE v16 v_add(v16 a, v16 b)
{
	return _mm512_add_ps(a, b);
}
INLINE v16 v_sub(v16 a, v16 b)
{
	return _mm512_sub_ps(a, b);
}
INLINE v16 v_mul(v16 a, v16 b)
{
	return _mm512_mul_ps(a, b);
}
INLINE v16 v_div(v16 a, v16 b)
{
	return _mm512_div_ps(a, b);
}
INLINE v16 v_sqrt(v16 a)
{
	return _mm512_sqrt_ps(a);
}
INLINE v16 v_fma(v16 a, v16 b, v16 c)
{
	return _mm512_fmadd_ps(a, b, c);
}
/* acc += x * y, rounded once. As assembly, since compilers choose other forms of the instruction and then move sums
 * between registers. */
INLINE void v_fma_to(v16 *acc, v16 x, v16 y)
{
	__asm__("vfmadd231ps %2, %1, %0" : "+v"(*acc) : "v"(x), "v"(y));
}
INLINE v16 v_max(v16 a, v16 b)
{
	return _mm512_max_ps(a, b);
}
INLINE v16 v_min(v16 a, v16 b)
{
	return _mm512_min_ps(a, b);
}
INLINE v16 v_first(v16 a, int n, v16 b)
{
	return _mm512_mask_mov_ps(b, n >= 16 ? (__mmask16)0xffff : (__mmask16)((1u << n) - 1), a);
}
INLINE v16 v_of_bits(__m512i u)
{
	return _mm512_castsi512_ps(u);
}

INLINE v16 v_load_bf16(const uint16_t *p)
{
	return v_of_bits(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const void *)p)), 16));
}
INLINE v16 v_load_f16(const uint16_t *p)
{
	return _mm512_cvtph_ps(_mm256_loadu_si256((const void *)p));
}
INLINE v16 v_load_i8(const int8_t *p)
{
	return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const void *)p)));
}
INLINE void v_store_bf16(uint16_t *p, v16 v)
{
	__m512i u = _mm512_castps_si512(v), high = _mm512_srli_epi32(u, 16);
	__m512i odd = _mm512_and_si512(high, _mm512_set1_epi32(1));
	__m512i rounded = _mm512_add_epi32(u, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
	__mmask16 nan = _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q);

	rounded = _mm512_srli_epi32(rounded, 16);
	rounded = _mm512_mask_or_epi32(rounded, nan, high, _mm512_set1_epi32(0x40));
	_mm256_storeu_si256((void *)p, _mm512_cvtepi32_epi16(rounded));
}
INLINE void v_store_f16(uint16_t *p, v16 v)
{
	_mm256_storeu_si256((void *)p, _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}

/* lane l + (l+8), then +4, +2, +1 */
INLINE float v_sum(v16 v)
{
	__m256 a = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
	__m128 b = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));

	b = _mm_add_ps(b, _mm_movehl_ps(b, b));
	return _mm_cvtss_f32(_mm_add_ss(b, _mm_shuffle_ps(b, b, 1)));
}
INLINE float v_max_lane(v16 v)
{
	__m256 a = _mm256_max_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
	__m128 b = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));

	b = _mm_max_ps(b, _mm_movehl_ps(b, b));
	return _mm_cvtss_f32(_mm_max_ss(b, _mm_shuffle_ps(b, b, 1)));
}
INLINE v16 v_scale2(v16 a, v16 n)
{
	__m512i i = _mm512_cvtps_epi32(n), half = _mm512_srai_epi32(i, 1), bias = _mm512_set1_epi32(127);
	__m512i first = _mm512_slli_epi32(_mm512_add_epi32(half, bias), 23);
	__m512i second = _mm512_slli_epi32(_mm512_add_epi32(_mm512_sub_epi32(i, half), bias), 23);

	return v_mul(v_mul(a, v_of_bits(first)), v_of_bits(second));
}

/* The low byte of each lane's bits. */
INLINE void v_store_bytes(int8_t *p, v16 v)
{
	_mm_storeu_si128((void *)p, _mm512_cvtepi32_epi8(_mm512_castps_si512(v)));
}

/* even and odd columns of packed pairs, as f32 */
INLINE v16 pair_even(const uint16_t *p)
{
	return v_of_bits(_mm512_slli_epi32(_mm512_loadu_si512(p), 16));
}
INLINE v16 pair_odd(const uint16_t *p)
{
	return v_of_bits(_mm512_and_si512(_mm512_loadu_si512(p), _mm512_set1_epi32((int)0xffff0000)));
}

#ifdef ISA_avx512_bf16
enum { PAIR_DOT = 1 }; /* pair_dot is one instruction */
typedef __m512i pair_w, pair_x;

INLINE pair_w pair_load(const uint16_t *p)
{
	return _mm512_loadu_si512(p);
}
INLINE pair_x pair_set1(uint32_t both)
{
	return _mm512_set1_epi32((int)both);
}
INLINE v16 pair_dot(v16 acc, pair_w w, pair_x x)
{
	return _mm512_dpbf16_ps(acc, (__m512bh)w, (__m512bh)x);
}
#endif

#endif
