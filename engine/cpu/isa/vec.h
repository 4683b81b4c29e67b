/* vec.h - 16 lanes of f32, the only arithmetic that kernels use, so that every instruction set gives the same
 * bits.
 *
 * A kernel is written once over v16; the three files below say what an operation is on AVX-512, on AVX2 and
 * in plain C. All round to nearest even and treat subnormals as zero on both sides (tininess after rounding,
 * as SSE does): the vector units by the thread's MXCSR, which the pool sets; plain C in software, so it needs
 * no machine's help.
 *
 *   v_fma(a, b, c)    a*b + c, rounded once
 *   v_max(a, b)       a > b ? a : b; the second one where either is NaN
 *   v_first(a, n, b)  lanes below n of a, the others of b
 *   v_scale2(a, n)    a * 2^n for integral n in [-200, 200], rounded once
 *   pair_*            two K columns of 16 outputs in one 32-bit lane each: low half even, high half odd,
 * bf16; pair_dot adds the odd product, then the even one
 */
#ifndef ENGINE_CPU_ISA_VEC_H
#define ENGINE_CPU_ISA_VEC_H

#include "base/base.h"

#include <string.h>

#define INLINE static inline __attribute__((always_inline))
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#define UNROLL /* sanitizer checks multiply with unrolling */
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif
#define ISA_NAME2(name, isa) name##_##isa
#define ISA_NAME1(name, isa) ISA_NAME2(name, isa)
#define ISA_NAME(name) ISA_NAME1(name, ISA) /* linear -> linear_avx2 */

#if defined(ISA_avx512) || defined(ISA_avx512_bf16)
#include "engine/cpu/isa/vec_avx512.h"
#elif defined(ISA_avx2)
#include "engine/cpu/isa/vec_avx2.h"
#else
#include "engine/cpu/isa/vec_portable.h"
#endif

INLINE v16 v_load_n(const float *p, int n)
{
	float all[16] = {0};

	if (n >= 16)
		return v_load(p);
	memcpy(all, p, (size_t)n * sizeof *p);
	return v_load(all);
}

INLINE void v_store_n(float *p, v16 v, int n)
{
	float all[16];

	if (n >= 16) {
		v_store(p, v);
		return;
	}
	v_store(all, v);
	memcpy(p, all, (size_t)n * sizeof *p);
}

/* Stores n <= 16 elements of type f32, bf16 or f16 to out[i...]. */
INLINE void v_store_as(void *out, size_t i, v16 v, int n, enum dtype type)
{
	uint16_t all[16];

	if (type == DT_F32) {
		v_store_n((float *)out + i, v, n);
		return;
	}
	if (type == DT_BF16)
		v_store_bf16(all, v);
	else
		v_store_f16(all, v);
	memcpy((uint16_t *)out + i, all, (size_t)(n < 16 ? n : 16) * sizeof *all);
}

INLINE v16 v_load_as(const void *p, enum dtype type)
{
	if (type == DT_F32)
		return v_load(p);
	if (type == DT_I8)
		return v_load_i8(p);
	return type == DT_BF16 ? v_load_bf16(p) : v_load_f16(p);
}

/* e^x to 1 ulp: n = round(x / ln 2), the rest by a Taylor polynomial of degree 7 (its tail is below 2^-27). Results
 * below the normal numbers are +0, above them infinity; -inf gives +0, NaN stays NaN. */
INLINE v16 v_exp(v16 x)
{
	static const float tail[] = {1 / 720.0f, 1 / 120.0f, 1 / 24.0f, 1 / 6.0f, 0.5f, 1, 1};
	const v16 magic = v_set1(0x1.8p23f); /* adding it leaves an integer in the low bits */
	v16 n, r, p = v_set1(1 / 5040.0f);

	x = v_max(v_set1(-104), x);
	x = v_min(v_set1(89), x);
	n = v_sub(v_fma(x, v_set1(0x1.715476p0f), magic), magic);
	r = v_fma(n, v_set1(-0x1.62e430p-1f), x);
	r = v_fma(n, v_set1(0x1.05c610p-29f), r);
	UNROLL for (int i = 0; i < 7; i++) p = v_fma(p, r, v_set1(tail[i]));
	return v_scale2(p, n);
}

#endif
