/* number.h - element types, conversions between them, and integer helpers. */
#ifndef BASE_NUMBER_H
#define BASE_NUMBER_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum dtype {
	DT_F32,
	DT_F16,
	DT_BF16,
	DT_F64,
	DT_I8,
	DT_U8,
	DT_I16,
	DT_I32,
	DT_I64,
	DT_BOOL,
	DT_F8 /* e4m3 */,
	DT_COUNT
};
size_t dtype_size(enum dtype t);
const char *dtype_name(enum dtype t); /* "f32", "bf16", ... */

/* Conversions that every numerics class agrees on: round to nearest even, NaN stays NaN. */
uint16_t bf16_from_f32(float f);
float f32_from_bf16(uint16_t h);
uint16_t f16_from_f32(float f);
float f32_from_f16(uint16_t h); /* exact, subnormals kept */

static inline uint32_t f32_bits(float f)
{
	uint32_t bits;

	memcpy(&bits, &f, sizeof bits);
	return bits;
}
static inline float f32_of_bits(uint32_t bits)
{
	float f;

	memcpy(&f, &bits, sizeof f);
	return f;
}

static inline int min_int(int a, int b)
{
	return a < b ? a : b;
}
static inline int max_int(int a, int b)
{
	return a > b ? a : b;
}
static inline size_t round_up(size_t n, size_t unit)
{
	return (n + unit - 1) / unit * unit;
}
static inline int div_up(int n, int unit)
{
	return (n + unit - 1) / unit;
}

#endif
