/* vec_portable.h - v16 in plain C for any machine: spells out what the others' instructions mean. It is 10 to 50 times
 * slower. */
#ifndef ENGINE_CPU_ISA_VEC_PORTABLE_H
#define ENGINE_CPU_ISA_VEC_PORTABLE_H

#include <float.h>

#if FLT_EVAL_METHOD != 0
#error "f32 arithmetic must round to f32: build with SSE2 (x86) or on another machine"
#endif

#define LINEAR_ROWS 2
#define INT_ROWS 2
enum { LINEAR_COLS = 1, INT_COLS = 1, TILE_ROWS = 2, TILE_COLS = 1 };

typedef struct {
	float f[16];
} v16;

/* A subnormal input counts as a zero of its sign. */
INLINE float daz(float f)
{
	uint32_t u = f32_bits(f);

	return u & 0x7f800000 ? f : f32_of_bits(u & 0x80000000);
}

/* Rounds to f32. A result that is still below the normal numbers after rounding to 24 bits becomes a zero of its sign.
 */
INLINE float narrow(double d)
{
	double a = __builtin_fabs(d);

	if (a >= 0x1p-126 || a != a)
		return (float)d;
	return (float)__builtin_copysign(a >= 0x1p-126 - 0x1p-151 ? 0x1p-126 : 0, d);
}

/* Fused multiply-add with one rounding: the product is exact in double, and the sum is rounded to odd there, which
 * makes the second rounding harmless. */
INLINE float fma1(float x, float y, float z)
{
	double p = (double)daz(x) * (double)daz(y), c = daz(z), s = p + c, b = s - p, e = (p - (s - b)) + (c - b);
	uint64_t u;

	if (e > 0 || e < 0) { /* inexact (false where something is infinite or NaN) */
		memcpy(&u, &s, sizeof u);
		if (!(u & 1))
			u += (e > 0) == (s > 0) ? 1 : (uint64_t)-1;
		memcpy(&s, &u, sizeof s);
	}
	return narrow(s);
}
INLINE float add1(float x, float y)
{
	return narrow((double)(daz(x) + daz(y))); /* a sum that small is exact */
}
INLINE float mul1(float x, float y)
{
	return narrow((double)daz(x) * (double)daz(y));
}

#define V_EACH(expr) \
	do { \
		v16 out; \
		for (int i = 0; i < 16; i++) \
			out.f[i] = (expr); \
		return out; \
	} while (0)

INLINE v16 v_set1(float x)
{
	V_EACH(x);
}
INLINE v16 v_zero(void)
{
	V_EACH(0);
}
INLINE v16 v_load(const float *p)
{
	V_EACH(p[i]);
}
INLINE void v_store(float *p, v16 v)
{
	memcpy(p, v.f, sizeof v.f);
}
INLINE v16 v_add(v16 x, v16 y)
{
	V_EACH(add1(x.f[i], y.f[i]));
}
INLINE v16 v_sub(v16 x, v16 y)
{
	V_EACH(add1(x.f[i], -y.f[i]));
}
INLINE v16 v_mul(v16 x, v16 y)
{
	V_EACH(mul1(x.f[i], y.f[i]));
}
/* Quotient and root in double, then in f32: 53 bits are enough to make the first rounding harmless. */
INLINE v16 v_div(v16 x, v16 y)
{
	V_EACH(narrow((double)daz(x.f[i]) / (double)daz(y.f[i])));
}
INLINE v16 v_sqrt(v16 x)
{
	V_EACH(narrow(__builtin_sqrt((double)daz(x.f[i]))));
}
INLINE v16 v_fma(v16 x, v16 y, v16 z)
{
	V_EACH(fma1(x.f[i], y.f[i], z.f[i]));
}
INLINE void v_fma_to(v16 *acc, v16 x, v16 y)
{
	*acc = v_fma(x, y, *acc);
}
INLINE v16 v_max(v16 x, v16 y)
{
	V_EACH(x.f[i] > y.f[i] ? x.f[i] : y.f[i]);
}
INLINE v16 v_min(v16 x, v16 y)
{
	V_EACH(x.f[i] < y.f[i] ? x.f[i] : y.f[i]);
}
INLINE v16 v_first(v16 x, int n, v16 y)
{
	V_EACH(i < n ? x.f[i] : y.f[i]);
}

INLINE v16 v_load_bf16(const uint16_t *p)
{
	V_EACH(f32_of_bits((uint32_t)p[i] << 16));
}
INLINE v16 v_load_f16(const uint16_t *p)
{
	V_EACH(f32_from_f16(p[i]));
}
INLINE v16 v_load_i8(const int8_t *p)
{
	V_EACH((float)p[i]);
}
INLINE void v_store_bf16(uint16_t *p, v16 v)
{
	for (int i = 0; i < 16; i++)
		p[i] = bf16_from_f32(v.f[i]);
}
INLINE void v_store_f16(uint16_t *p, v16 v)
{
	for (int i = 0; i < 16; i++)
		p[i] = f16_from_f32(v.f[i]);
}

/* lane l + (l+8), then +4, +2, +1 */
INLINE float v_sum(v16 v)
{
	for (int half = 8; half; half /= 2)
		for (int i = 0; i < half; i++)
			v.f[i] = add1(v.f[i], v.f[i + half]);
	return v.f[0];
}
INLINE float v_max_lane(v16 v)
{
	for (int half = 8; half; half /= 2)
		for (int i = 0; i < half; i++)
			v.f[i] = v.f[i] > v.f[i + half] ? v.f[i] : v.f[i + half];
	return v.f[0];
}
INLINE float scale2(float x, float n)
{
	int i = n > -300 && n < 300 ? (int)n : 0, half = i >> 1;

	x = mul1(x, f32_of_bits((uint32_t)(half + 127) << 23));
	return mul1(x, f32_of_bits((uint32_t)(i - half + 127) << 23));
}
INLINE v16 v_scale2(v16 x, v16 n)
{
	V_EACH(scale2(x.f[i], n.f[i]));
}

/* The low byte of each lane's bits. */
INLINE void v_store_bytes(int8_t *p, v16 v)
{
	for (int i = 0; i < 16; i++)
		p[i] = (int8_t)(f32_bits(v.f[i]) & 0xff);
}

/* even and odd columns of packed pairs, as f32 */
INLINE v16 pair_even(const uint16_t *p)
{
	V_EACH(f32_of_bits((uint32_t)p[2 * i] << 16));
}
INLINE v16 pair_odd(const uint16_t *p)
{
	V_EACH(f32_of_bits((uint32_t)p[2 * i + 1] << 16));
}

#endif
