/* ref.h - what the op tests share: the numbers contract in scalar C, written apart from the kernels; test data with
 * every awkward kind of number; a backend for each instruction set. Naive float64 sums are in each test. */
#ifndef TESTS_OPS_REF_H
#define TESTS_OPS_REF_H

#include "engine/backend/kv.h"
#include "engine/step.h"
#include "engine/backend/weight.h"
#include "tests/check.h"

#include <math.h>

/* ---- one rounding, subnormals as zeros, tiny after rounding ---- */
static inline float ref_in(float f)
{
	return fabs((double)f) < 0x1p-126 ? copysignf(0, f) : f;
}

static inline float ref_out(double d)
{
	/* 2^-126 - 2^-151 lies between the last 24-bit number below and 2^-126, and goes to the even one */
	if (fabs(d) < 0x1p-126)
		return copysignf(fabs(d) < 0x1p-126 - 0x1p-151 ? 0.0f : 0x1p-126f, (float)copysign(1, d));
	return (float)d;
}

/* a*b is exact in double. A double that is not the exact sum is made odd, so that it cannot sit on a tie of
 * f32. */
static inline float ref_fma(float fa, float fb, float fc)
{
	double p = (double)ref_in(fa) * ref_in(fb), c = ref_in(fc), s = p + c, big, small, rest;

	if (!isfinite(s))
		return (float)s;
	big = fabs(p) > fabs(c) ? p : c;
	small = fabs(p) > fabs(c) ? c : p;
	rest = small - (s - big);
	if (rest != 0) {
		double toward = rest > 0 ? INFINITY : -INFINITY;
		uint64_t u;
		memcpy(&u, &s, sizeof u);
		if (!(u & 1))
			s = nextafter(s, toward);
	}
	return ref_out(s);
}
static inline float ref_add(float a, float b)
{
	return ref_out((double)ref_in(a) + ref_in(b)); /* two f32 to one double to f32: no double rounding for sums */
}
static inline float ref_mul(float a, float b)
{
	return ref_out((double)ref_in(a) * ref_in(b));
}
static inline float ref_div(float a, float b)
{
	return ref_out((double)ref_in(a) / ref_in(b));
}
static inline float ref_sqrt(float a)
{
	return ref_out(sqrt((double)ref_in(a)));
}

/* The project's exp, step by step. */
static inline float ref_exp(float x)
{
	static const float c[] = {1 / 5040.0f, 1 / 720.0f, 1 / 120.0f, 1 / 24.0f, 1 / 6.0f, 0.5f, 1, 1};
	float n, r, p = c[0];
	int half;

	x = x < -104 ? -104 : x > 89 ? 89 : x;
	n = ref_fma(x, 0x1.715476p0f, 12582912.0f) - 12582912.0f;
	r = ref_fma(n, 0x1.05c610p-29f, ref_fma(n, -0x1.62e430p-1f, x));
	for (int i = 1; i < 8; i++)
		p = ref_fma(p, r, c[i]);
	half = (int)floorf(n / 2);
	return ref_mul(ref_mul(p, ldexpf(1, half)), ldexpf(1, (int)n - half));
}

/* Lanes l + (l+8), then +4, +2, +1. */
static inline float ref_lanes(const float *lane)
{
	float v[16];

	memcpy(v, lane, sizeof v);
	for (int n = 8; n; n >>= 1)
		for (int i = 0; i < n; i++)
			v[i] = ref_add(v[i], v[i + n]);
	return v[0];
}

/* How many of n > 1 items lie in the left half of a binary counter's tree. */
static inline int ref_left(int n)
{
	int p = 1;

	while (2 * p < n)
		p *= 2;
	return p;
}

/* ---- data ---- */
struct rng {
	uint64_t s;
};
static inline uint32_t rng_next(struct rng *r)
{
	r->s = r->s * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(r->s >> 33) ^ (uint32_t)(r->s >> 51);
}
static inline float rng_unit(struct rng *r) /* [-1, 1) */
{
	return (float)((double)(rng_next(r) & 0xffffff) / 0x800000 - 1);
}

enum data { PLAIN, WILD };

/* WILD: one number in four is a zero of either sign, subnormal, near the smallest normal number, tiny or
 * huge; no sum overflows to a NaN, since huge ones are at most 2^50. */
static inline float rng_float(struct rng *r, enum data how)
{
	float f = rng_unit(r);

	if (how == PLAIN)
		return f;
	switch (rng_next(r) % 24) {
	case 0:
		return copysignf(0, f);
	case 1:
		return ldexpf(f, -127 - (int)(rng_next(r) % 20));
	case 2:
		return ldexpf(f, -125 + (int)(rng_next(r) % 3));
	case 3:
		return ldexpf(f, -60 - (int)(rng_next(r) % 10));
	case 4:
		return ldexpf(f, 30 + (int)(rng_next(r) % 20));
	case 5:
		return ldexpf(f, -12 - (int)(rng_next(r) % 12)); /* subnormal in f16 */
	default:
		return f;
	}
}

/* Returns f as an array of `type` holds it at i. */
static inline void put_as(void *p, size_t i, float f, enum dtype type)
{
	if (type == DT_F32)
		((float *)p)[i] = f;
	else
		((uint16_t *)p)[i] = type == DT_BF16 ? bf16_from_f32(f) : f16_from_f32(f);
}
static inline float get_as(const void *p, size_t i, enum dtype type)
{
	uint16_t h;

	if (type == DT_F32)
		return ((const float *)p)[i];
	h = ((const uint16_t *)p)[i];
	return type == DT_BF16 ? f32_from_bf16(h) : f32_from_f16(h);
}
static inline void *random_as(struct rng *r, size_t n, enum dtype type, enum data how)
{
	void *p = xalloc(n + 1, dtype_size(type));

	for (size_t i = 0; i < n; i++) {
		float f = rng_float(r, how);
		put_as(p, i, type == DT_F16 && fabsf(f) > 60000 ? 60000 : f, type);
	}
	return p;
}

/* ---- backends ---- */
static const enum cpu_isa all_isas[] = {CPU_PORTABLE, CPU_AVX2, CPU_AVX512, CPU_AVX512_BF16};
/* A test of `check` for each of them. */
#define EACH_ISA(check) \
	TEST(check##_portable) \
	{ \
		check(CPU_PORTABLE); \
	} \
	TEST(check##_avx2) \
	{ \
		check(CPU_AVX2); \
	} \
	TEST(check##_avx512) \
	{ \
		check(CPU_AVX512); \
	} \
	TEST(check##_avx512_bf16) \
	{ \
		check(CPU_AVX512_BF16); \
	}

static inline struct backend *open_backend(enum cpu_isa isa, int threads, enum dtype compute)
{
	struct cpu_options how = {.threads = threads,
				  .isa = isa,
				  .compute = compute,
				  .max_tokens = 128,
				  .max_context = 4096,
				  .max_cols = 16384,
				  .max_heads = 64,
				  .max_head_dim = 256};
	struct backend *b;
	struct why why;
	int err = backend_cpu_create(&b, &how, &why);

	if (err == ERR_UNSUPPORTED)
		SKIP(why.text);
	if (err)
		CHECK_FAIL("%s", why.text);
	return b;
}

/* Checks bit equality and reports the place of the first difference. NaNs are not compared with each other. */
static inline void check_bits(const char *what, const float *a, const float *b, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (memcmp(a + i, b + i, sizeof *a) && !(a[i] != a[i] && b[i] != b[i]))
			CHECK_FAIL("%s: element %zu of %zu: %a and %a", what, i, n, (double)a[i], (double)b[i]);
}
static inline size_t count_differ(const float *a, const float *b, size_t n)
{
	size_t count = 0;

	for (size_t i = 0; i < n; i++)
		count += memcmp(a + i, b + i, sizeof *a) != 0;
	return count;
}

#endif
