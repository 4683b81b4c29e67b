/* vec_avx2.h - v16 as two 256-bit registers. */
#ifndef ENGINE_CPU_ISA_VEC_AVX2_H
#define ENGINE_CPU_ISA_VEC_AVX2_H

#include <immintrin.h>

#define LINEAR_ROWS 3
#define INT_ROWS 2
enum { LINEAR_COLS = 2, INT_COLS = 1, TILE_ROWS = 3, TILE_COLS = 2 }; /* 12 of 16 registers hold sums */

typedef struct {
	__m256 a, b; /* lanes 0-7, 8-15 */
} v16;

#define V_PAIR(low, high) ((v16){(low), (high)})
#define V_BOTH(op, x, y) ((v16){op((x).a, (y).a), op((x).b, (y).b)})

INLINE v16 v_set1(float f)
{
	return V_PAIR(_mm256_set1_ps(f), _mm256_set1_ps(f));
}
INLINE v16 v_zero(void)
{
	return V_PAIR(_mm256_setzero_ps(), _mm256_setzero_ps());
}
INLINE v16 v_load(const float *p)
{
	return V_PAIR(_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8));
}
INLINE void v_store(float *p, v16 v)
{
	_mm256_storeu_ps(p, v.a);
	_mm256_storeu_ps(p + 8, v.b);
}
INLINE v16 v_add(v16 x, v16 y)
{
	return V_BOTH(_mm256_add_ps, x, y);
}
INLINE v16 v_sub(v16 x, v16 y)
{
	return V_BOTH(_mm256_sub_ps, x, y);
}
INLINE v16 v_mul(v16 x, v16 y)
{
	return V_BOTH(_mm256_mul_ps, x, y);
}
INLINE v16 v_div(v16 x, v16 y)
{
	return V_BOTH(_mm256_div_ps, x, y);
}
INLINE v16 v_sqrt(v16 x)
{
	return V_PAIR(_mm256_sqrt_ps(x.a), _mm256_sqrt_ps(x.b));
}
INLINE v16 v_fma(v16 x, v16 y, v16 z)
{
	return V_PAIR(_mm256_fmadd_ps(x.a, y.a, z.a), _mm256_fmadd_ps(x.b, y.b, z.b));
}
/* acc += x * y, rounded once. As assembly, since compilers choose other forms of the instruction and then move sums
 * between registers. */
INLINE void v_fma_to(v16 *acc, v16 x, v16 y)
{
	__asm__("vfmadd231ps %2, %1, %0" : "+x"(acc->a) : "x"(x.a), "x"(y.a));
	__asm__("vfmadd231ps %2, %1, %0" : "+x"(acc->b) : "x"(x.b), "x"(y.b));
}
INLINE v16 v_max(v16 x, v16 y)
{
	return V_BOTH(_mm256_max_ps, x, y);
}
INLINE v16 v_min(v16 x, v16 y)
{
	return V_BOTH(_mm256_min_ps, x, y);
}
INLINE v16 v_first(v16 x, int n, v16 y)
{
	const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
	__m256i low = _mm256_cmpgt_epi32(_mm256_set1_epi32(n), lane);
	__m256i high = _mm256_cmpgt_epi32(_mm256_set1_epi32(n - 8), lane);

	return V_PAIR(_mm256_blendv_ps(y.a, x.a, _mm256_castsi256_ps(low)),
		      _mm256_blendv_ps(y.b, x.b, _mm256_castsi256_ps(high)));
}

INLINE __m256 v8_load_bf16(const uint16_t *p)
{
	__m256i u = _mm256_cvtepu16_epi32(_mm_loadu_si128((const void *)p));

	return _mm256_castsi256_ps(_mm256_slli_epi32(u, 16));
}
INLINE v16 v_load_bf16(const uint16_t *p)
{
	return V_PAIR(v8_load_bf16(p), v8_load_bf16(p + 8));
}
INLINE v16 v_load_f16(const uint16_t *p)
{
	return V_PAIR(_mm256_cvtph_ps(_mm_loadu_si128((const void *)p)),
		      _mm256_cvtph_ps(_mm_loadu_si128((const void *)(p + 8))));
}
INLINE v16 v_load_i8(const int8_t *p)
{
	__m128i all = _mm_loadu_si128((const void *)p);

	return V_PAIR(_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(all)),
		      _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_srli_si128(all, 8))));
}
INLINE __m256i v8_to_bf16(__m256 v)
{
	__m256i u = _mm256_castps_si256(v), high = _mm256_srli_epi32(u, 16);
	__m256i odd = _mm256_and_si256(high, _mm256_set1_epi32(1));
	__m256i rounded = _mm256_add_epi32(u, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
	__m256i quiet = _mm256_or_si256(high, _mm256_set1_epi32(0x40));
	__m256i nan = _mm256_castps_si256(_mm256_cmp_ps(v, v, _CMP_UNORD_Q));

	return _mm256_blendv_epi8(_mm256_srli_epi32(rounded, 16), quiet, nan);
}
INLINE void v_store_bf16(uint16_t *p, v16 v)
{
	__m256i both = _mm256_packus_epi32(v8_to_bf16(v.a), v8_to_bf16(v.b));

	_mm256_storeu_si256((void *)p, _mm256_permute4x64_epi64(both, 0xd8));
}
INLINE void v_store_f16(uint16_t *p, v16 v)
{
	_mm_storeu_si128((void *)p, _mm256_cvtps_ph(v.a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
	_mm_storeu_si128((void *)(p + 8), _mm256_cvtps_ph(v.b, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}

/* lane l + (l+8), then +4, +2, +1 */
INLINE float v_sum(v16 v)
{
	__m256 a = _mm256_add_ps(v.a, v.b);
	__m128 b = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));

	b = _mm_add_ps(b, _mm_movehl_ps(b, b));
	return _mm_cvtss_f32(_mm_add_ss(b, _mm_shuffle_ps(b, b, 1)));
}
INLINE float v_max_lane(v16 v)
{
	__m256 a = _mm256_max_ps(v.a, v.b);
	__m128 b = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));

	b = _mm_max_ps(b, _mm_movehl_ps(b, b));
	return _mm_cvtss_f32(_mm_max_ss(b, _mm_shuffle_ps(b, b, 1)));
}
INLINE __m256 v8_scale2(__m256 x, __m256 n)
{
	__m256i i = _mm256_cvtps_epi32(n), half = _mm256_srai_epi32(i, 1), bias = _mm256_set1_epi32(127);
	__m256i first = _mm256_slli_epi32(_mm256_add_epi32(half, bias), 23);
	__m256i second = _mm256_slli_epi32(_mm256_add_epi32(_mm256_sub_epi32(i, half), bias), 23);

	return _mm256_mul_ps(_mm256_mul_ps(x, _mm256_castsi256_ps(first)), _mm256_castsi256_ps(second));
}
INLINE v16 v_scale2(v16 x, v16 n)
{
	return V_BOTH(v8_scale2, x, n);
}

/* The low byte of each lane's bits. */
INLINE void v_store_bytes(int8_t *p, v16 v)
{
	const __m256i mask = _mm256_set1_epi32(0xff);
	__m256i a = _mm256_and_si256(_mm256_castps_si256(v.a), mask),
		b = _mm256_and_si256(_mm256_castps_si256(v.b), mask);
	__m256i h = _mm256_permute4x64_epi64(_mm256_packus_epi32(a, b), 0xd8);

	_mm_storeu_si128((void *)p, _mm_packus_epi16(_mm256_castsi256_si128(h), _mm256_extracti128_si256(h, 1)));
}

/* even and odd columns of packed pairs, as f32 */
INLINE __m256 v8_even(const uint16_t *p)
{
	return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_loadu_si256((const void *)p), 16));
}
INLINE __m256 v8_odd(const uint16_t *p)
{
	const __m256i mask = _mm256_set1_epi32((int)0xffff0000);

	return _mm256_castsi256_ps(_mm256_and_si256(_mm256_loadu_si256((const void *)p), mask));
}
INLINE v16 pair_even(const uint16_t *p)
{
	return V_PAIR(v8_even(p), v8_even(p + 16));
}
INLINE v16 pair_odd(const uint16_t *p)
{
	return V_PAIR(v8_odd(p), v8_odd(p + 16));
}

#endif
