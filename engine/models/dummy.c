/* dummy.c - a hash of seed, name and place becomes a number. */
#include "engine/models/dummy.h"

#include <string.h>

#include "base/mix.h"

/* Sum of four uniform numbers, scaled to variance 1. */
static float noise(uint64_t key, uint64_t index)
{
	uint64_t h = mix64(key + index * MIX_GOLDEN);
	int sum = (int)(h & 0xffff) + (int)(h >> 16 & 0xffff) + (int)(h >> 32 & 0xffff) + (int)(h >> 48) - 2 * 65535;
	float f = (float)sum * (1.7320508f / 65536.0f);

	return mix64(h) % 4096 ? f : 8 * f;
}

static void store(void *dst, enum dtype type, size_t i, float f)
{
	uint16_t h = type == DT_BF16 ? bf16_from_f32(f) : f16_from_f32(f);

	if (type == DT_F32)
		memcpy((char *)dst + 4 * i, &f, 4);
	else
		memcpy((char *)dst + 2 * i, &h, 2);
}

void dummy_fill(void *dst, enum dtype type, uint64_t seed, const char *name, int64_t width, int64_t row, int64_t rows,
		int64_t col, int64_t cols, float mean, float std)
{
	uint64_t key = mix64(seed + MIX_GOLDEN);
	size_t i = 0;

	for (; *name; name++)
		key = mix64(key ^ (unsigned char)*name);
	for (int64_t r = row; r < row + rows; r++)
		for (int64_t c = col; c < col + cols; c++)
			store(dst, type, i++, mean + std * noise(key, (uint64_t)(r * width + c)));
}
