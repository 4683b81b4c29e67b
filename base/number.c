#include "base/number.h"

#include <string.h>

static const struct {
	size_t size;
	const char *name;
} dtypes[DT_COUNT] = {
	[DT_F32] = {4, "f32"}, [DT_F16] = {2, "f16"},   [DT_BF16] = {2, "bf16"}, [DT_F64] = {8, "f64"},
	[DT_I8] = {1, "i8"},   [DT_U8] = {1, "u8"},     [DT_I16] = {2, "i16"},   [DT_I32] = {4, "i32"},
	[DT_I64] = {8, "i64"}, [DT_BOOL] = {1, "bool"}, [DT_F8] = {1, "fp8"},
};

size_t dtype_size(enum dtype t)
{
	return t < DT_COUNT ? dtypes[t].size : 0;
}

const char *dtype_name(enum dtype t)
{
	return t < DT_COUNT ? dtypes[t].name : "none";
}

uint16_t bf16_from_f32(float f)
{
	uint32_t u = f32_bits(f);

	if ((u & 0x7fffffff) > 0x7f800000) /* NaN: keep it one */
		return (uint16_t)(u >> 16 | 0x40);
	return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

float f32_from_bf16(uint16_t h)
{
	return f32_of_bits((uint32_t)h << 16);
}

float f32_from_f16(uint16_t h)
{
	uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = h >> 10 & 31, fraction = h & 0x3ff;

	if (exponent == 31)
		return f32_of_bits(sign | 0x7f800000 | fraction << 13);
	if (exponent == 0) { /* zero or subnormal: normalise, all in integers so that DAZ cannot flush it */
		if (!fraction)
			return f32_of_bits(sign);
		exponent = 113;
		while (!(fraction & 0x400)) {
			fraction <<= 1;
			exponent--;
		}
		return f32_of_bits(sign | exponent << 23 | (fraction & 0x3ff) << 13);
	}
	return f32_of_bits(sign | (exponent + 112) << 23 | fraction << 13);
}

uint16_t f16_from_f32(float f)
{
	uint32_t u = f32_bits(f), sign = u >> 16 & 0x8000, magnitude = u & 0x7fffffff, shift, rest, half, value;

	if (magnitude > 0x7f800000)
		return (uint16_t)(sign | 0x7e00 | (magnitude >> 13 & 0x3ff));
	if (magnitude >= 0x477ff000) /* rounds to infinity */
		return (uint16_t)(sign | 0x7c00);
	if (magnitude < 0x33000000) /* below half the smallest subnormal */
		return (uint16_t)sign;
	if (magnitude < 0x38800000) { /* subnormal */
		shift = 126 - (magnitude >> 23);
		value = 0x800000 | (magnitude & 0x7fffff);
		half = 1u << (shift - 1);
		rest = value & ((1u << shift) - 1);
		value >>= shift;
		return (uint16_t)(sign | (value + (rest > half || (rest == half && (value & 1)))));
	}
	value = magnitude - 0x38000000;
	return (uint16_t)(sign | ((value + 0xfff + (value >> 13 & 1)) >> 13));
}
