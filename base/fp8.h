/* fp8.h - e4m3 numbers (OCP 8-bit Floating Point Specification, 2023): a sign, four bits of exponent with bias 7, three
 * of mantissa; no infinity; 448 is the largest. They carry scales that are powers of two, so that a number times its
 * scale is exact in bf16, and scaling a sum gives the same bits wherever it is done. For the host and for kernels. */
#ifndef BASE_FP8_H
#define BASE_FP8_H

#include <stdint.h>
#include <string.h>

#ifdef __CUDACC__
#define FP8_FUNCTION static __device__ __forceinline__
#else
#define FP8_FUNCTION static inline
#endif

FP8_FUNCTION uint32_t fp8_bits_of(float f)
{
	uint32_t u;

	memcpy(&u, &f, sizeof u);
	return u;
}
FP8_FUNCTION float fp8_float_of(uint32_t bits)
{
	float f;

	memcpy(&f, &bits, sizeof f);
	return f;
}

/* The number of a code; 0x7f and 0xff are NaN. */
FP8_FUNCTION float fp8_value(uint32_t code)
{
	uint32_t sign = (code & 0x80) << 24, size = code & 0x7f;

	if (size == 0x7f)
		return fp8_float_of(sign | 0x7fc00000u);
	if (size < 8) /* subnormal, in steps of 2^-9 */
		return fp8_float_of(sign | fp8_bits_of((float)size * 0.001953125f));
	return fp8_float_of(sign | (size + 0x3c0) << 20);
}

/* Rounds to nearest, ties to even; beyond 448 to 448, NaN too. */
FP8_FUNCTION uint32_t fp8_of(float f)
{
	uint32_t u = fp8_bits_of(f), sign = u >> 24 & 0x80, size = u & 0x7fffffffu;

	size = size < 0x43e00000u ? size : 0x43e00000u; /* 448 */
	if (size < 0x3c800000u)                         /* 2^-6: in steps of 2^-9, which are also those of 2^14 */
		return sign | (fp8_bits_of(fp8_float_of(size) + 16384.0f) & 0xf);
	return sign | (((size + 0x7ffff + (size >> 20 & 1)) >> 20) - 0x3c0);
}

enum { FP8_LEAST = -100, FP8_MOST = 120 /* exponents of scales */ };

/* The exponent e of the scale 2^e of numbers whose largest size is `most`, given as an f32's bits without sign: the
 * least with most <= 448 * 2^e; 0 for zeros. most is finite. */
FP8_FUNCTION int fp8_exponent(uint32_t most)
{
	int e = (int)(most >> 23) - 127 - 8 + ((most & 0x7fffff) > 0x600000);

	if (!most)
		return 0;
	return e < FP8_LEAST ? FP8_LEAST : e > FP8_MOST ? FP8_MOST : e;
}

/* The scale, and what numbers are multiplied with before they are rounded. Where one of them is infinite or NaN the
 * scale is NaN, and so is whatever is computed with them. */
FP8_FUNCTION float fp8_scale(uint32_t most)
{
	return fp8_float_of(most >= 0x7f800000u ? 0x7fc00000u : (uint32_t)(127 + fp8_exponent(most)) << 23);
}
FP8_FUNCTION float fp8_factor(uint32_t most)
{
	return fp8_float_of(most >= 0x7f800000u ? 0 : (uint32_t)(127 - fp8_exponent(most)) << 23);
}

#endif
