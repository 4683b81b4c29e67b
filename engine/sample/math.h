/* math.h - exp and log of our own in doubles: plain products and sums, the same bits on every machine, and in
 * CUDA kernels. Relative error below 1e-15 over the ranges named. */
#ifndef ENGINE_SAMPLE_MATH_H
#define ENGINE_SAMPLE_MATH_H

#include <stdint.h>
#include <string.h>

#include "base/mix.h"

#ifdef __CUDACC__
#define SAMPLE_MATH static __device__ __forceinline__
#define SAMPLE_UNROLL _Pragma("unroll")
/* Two roundings: nvcc would make one of them. */
SAMPLE_MATH double sample_mad(double a, double b, double c)
{
	return __dadd_rn(__dmul_rn(a, b), c);
}
/* The nearest to a / b for normal numbers of modest size, where a plain division would be a call. */
SAMPLE_MATH double sample_divide(double a, double b)
{
	double r, e, q;

	asm("rcp.approx.ftz.f64 %0, %1;" : "=d"(r) : "d"(b));
	e = fma(-b, r, 1.0);
	r = fma(r, fma(e, e, e), r);
	r = fma(r, fma(-b, r, 1.0), r);
	q = a * r;
	return fma(r, fma(-b, q, a), q);
}
SAMPLE_MATH int sample_leading_ones(uint32_t h)
{
	return __clz((int)~h);
}
#else
#define SAMPLE_MATH static inline
#define SAMPLE_UNROLL
SAMPLE_MATH double sample_mad(double a, double b, double c)
{
	return a * b + c;
}
SAMPLE_MATH double sample_divide(double a, double b)
{
	return a / b;
}
SAMPLE_MATH int sample_leading_ones(uint32_t h)
{
	return h == UINT32_MAX ? 32 : __builtin_clz(~h);
}
#endif

/* e^t for -700 < t <= 0: t = k ln 2 + r, Taylor's series of r. */
SAMPLE_MATH double sample_exp(double t)
{
	const double c[] = {1.0 / 479001600, 1.0 / 39916800, 1.0 / 3628800, 1.0 / 362880, 1.0 / 40320, 1.0 / 5040,
			    1.0 / 720,       1.0 / 120,      1.0 / 24,      1.0 / 6,      0.5,         1.0};
	const double round = 6755399441055744.0; /* 1.5 * 2^52: what is added to it loses its fraction */
	double k = sample_mad(t, 1.44269504088896340736, round) - round;
	double r = sample_mad(k, -0x1.a39ef35793c76p-33, sample_mad(k, -0x1.62e42feep-1, t)), p = 1.0 / 6227020800;
	int64_t bits;

	SAMPLE_UNROLL
	for (int i = 0; i < 12; i++)
		p = sample_mad(p, r, c[i]);
	p = sample_mad(p, r, 1.0);
	memcpy(&bits, &p, sizeof bits);
	bits += (int64_t)k * ((int64_t)1 << 52);
	memcpy(&p, &bits, sizeof p);
	return p;
}

/* ln x for normal x > 0: x = 2^k m, m near 1, ln m = 2 artanh((m - 1) / (m + 1)). */
SAMPLE_MATH double sample_log(double x)
{
	uint64_t bits;
	double m, s, s2, p = 0;
	int k;

	memcpy(&bits, &x, sizeof bits);
	k = (int)(bits >> 52) - 1023;
	bits = (bits & 0xfffffffffffffu) | 0x3ff0000000000000u;
	memcpy(&m, &bits, sizeof m);
	if (m > 1.41421356237309504880) {
		m *= 0.5;
		k++;
	}
	s = sample_divide(m - 1, m + 1);
	s2 = s * s;
	SAMPLE_UNROLL
	for (int i = 21; i >= 1; i -= 2)
		p = sample_mad(p, s2, 1.0 / i);
	return sample_mad(k, 0x1.a39ef35793c76p-33, sample_mad(k, 0x1.62e42feep-1, 2 * s * p));
}

/* exp(x - max) in fixed point: the mass of a token where that of the likeliest is 2^40. Sums of it do not depend on
 * their order. */
enum { SAMPLE_MASS_BITS = 40 };
SAMPLE_MATH uint64_t sample_mass(float x, float max)
{
	double t = (double)x - (double)max;

	return t > -28.5 ? (uint64_t)sample_mad(sample_exp(t), (double)((uint64_t)1 << SAMPLE_MASS_BITS), 0.5) : 0;
}

/* ln of a sum of masses, in units of the likeliest's. */
SAMPLE_MATH double sample_log_total(uint64_t total)
{
	return total ? sample_log((double)total) - SAMPLE_MASS_BITS * 0.69314718055994530942 : 0;
}

/* The moments of logits, as distances from a reference in steps of 2^-20: integers, so that sums do not depend on their
 * order. A distance beyond 2048 counts as 2048. `sum` is in two's complement; the sum of squares is high * 2^32 + low.
 */
struct sample_moments {
	uint64_t n, sum, low, high;
};
enum { SAMPLE_STEP_BITS = 20, SAMPLE_FARTHEST = 2048 };
SAMPLE_MATH void sample_add_moments(struct sample_moments *m, float x, float reference)
{
	double far = SAMPLE_FARTHEST, t = (double)x - (double)reference;
	int64_t step;
	uint64_t square;

	t = t > -far ? t < far ? t : far : -far; /* NaN of a broken row as well */
	step = (int64_t)sample_mad(t + far, (double)(1 << SAMPLE_STEP_BITS), 0.5) -
	       ((int64_t)SAMPLE_FARTHEST << SAMPLE_STEP_BITS);
	square = (uint64_t)(step * step);
	m->n++;
	m->sum += (uint64_t)step;
	m->low += (uint32_t)square;
	m->high += square >> 32;
}

/* The standard deviation; 0 of fewer than two. The variance is below 2^62 steps squared; its root is half its
 * logarithm. */
SAMPLE_MATH double sample_deviation(struct sample_moments m)
{
	double n = (double)m.n, mean, variance;

	if (m.n < 2)
		return 0;
	mean = sample_divide((double)(int64_t)m.sum, n);
	variance = sample_mad(-mean, mean, sample_divide(sample_mad((double)m.high, 0x1p32, (double)m.low), n));
	return variance > 0 ? sample_exp(0.5 * sample_log(variance * 0x1p-63)) * 0x1.6a09e667f3bcdp11 : 0;
}

/* The least float that is no more than `distance` below the likeliest, both divided by the temperature. */
SAMPLE_MATH float sample_sigma_floor(float likeliest, double distance, double per_temperature)
{
	double floor = sample_mad(-distance, per_temperature, (double)likeliest);
	float f = (float)floor;
	uint32_t bits;

	if (!((double)f < floor))
		return f;
	memcpy(&bits, &f, sizeof bits);
	bits = f > 0 ? bits + 1 : f < 0 ? bits - 1 : 1;
	memcpy(&f, &bits, sizeof f);
	return f;
}

/* 32 random bits of (seed, position, token id). */
SAMPLE_MATH uint64_t sample_stream(uint64_t seed, int32_t pos)
{
	return mix64(mix64(seed + MIX_GOLDEN) + MIX_GOLDEN * ((uint64_t)(uint32_t)pos + 1));
}

SAMPLE_MATH uint32_t sample_bits(uint64_t stream, int32_t id)
{
	return (uint32_t)(mix64(stream + MIX_GOLDEN * ((uint64_t)(uint32_t)id + 1)) >> 32);
}

/* Gumbel noise of 32 random bits: -ln(-ln u), u = (h + 0.5) 2^-32. Between -3.11 and 22.88. */
SAMPLE_MATH double sample_gumbel(uint32_t h)
{
	return -sample_log(-sample_log(((double)h + 0.5) * 0x1p-32));
}

/* No less than sample_gumbel(h): -ln u >= 1 - u, and 1 - u is at least 2^-(leading ones of h + 1). */
SAMPLE_MATH double sample_gumbel_bound(uint32_t h)
{
	return 0.69314718055994531 * (sample_leading_ones(h) + 1) + 1e-9;
}

#endif
