/* group.h - integers of up to 32 numbers that share a scale, by the contract in backend.h ("quantised"), for those who
 * make them number by number. */
#ifndef ENGINE_BACKEND_GROUP_H
#define ENGINE_BACKEND_GROUP_H

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/number.h"

enum { QUANT_GROUP = 32 };

/* The first number of the largest size; NaN where one is not finite. */
static inline float group_largest(const float *f, int n)
{
	float most = 0, bad = 0;

	for (int i = 0; i < n; i++) {
		bad += f[i] - f[i];
		most = fabsf(f[i]) > fabsf(most) ? f[i] : most;
	}
	return bad != 0 ? bad : most;
}

/* Makes integers of n numbers, of 8 bits or of 4, with zeros behind them. Returns their scale, an f16. */
static inline uint16_t group_integers(int8_t q[QUANT_GROUP], const float *f, int n, bool four)
{
	const float most = group_largest(f, n), low = four ? -8 : -127, high = four ? 7 : 127;
	const uint16_t half = f16_from_f32(four ? most / -8 : fabsf(most) / 127);
	const float scale = f32_from_f16(half);

	memset(q, 0, QUANT_GROUP);
	for (int i = 0; most == most && scale != 0 && i < n; i++)
		q[i] = (int8_t)fminf(fmaxf(rintf(f[i] * (1 / scale)), low), high);
	return half;
}

/* The largest size of n numbers of a row, as the bits of an f32: what base/fp8.h makes a scale of. */
static inline uint32_t group_largest_bits(const float *f, int64_t n)
{
	uint32_t most = 0;

	for (int64_t i = 0; i < n; i++)
		most = (f32_bits(f[i]) & 0x7fffffff) > most ? f32_bits(f[i]) & 0x7fffffff : most;
	return most;
}

#endif
