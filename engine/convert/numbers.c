/* numbers.c - numbers in the form of a class. */
#include <math.h>
#include <string.h>

#include "base/fp8.h"
#include "engine/backend/group.h"
#include "engine/convert/inside.h"

void numbers_read(float *f, const void *src, enum dtype type, int64_t n)
{
	const uint16_t *h = src;
	const double *d = src;

	if (type == DT_F32)
		memcpy(f, src, (size_t)n * sizeof *f);
	for (int64_t i = 0; type == DT_BF16 && i < n; i++)
		f[i] = f32_from_bf16(h[i]);
	for (int64_t i = 0; type == DT_F16 && i < n; i++)
		f[i] = f32_from_f16(h[i]);
	for (int64_t i = 0; type == DT_F64 && i < n; i++)
		f[i] = (float)d[i];
}

/* f16 ends at 65,504; what is infinite already stays so. */
static int make_f16(uint16_t *out, const float *f, int64_t n)
{
	for (int64_t i = 0; i < n; i++) {
		out[i] = f16_from_f32(f[i]);
		if ((out[i] & 0x7fff) == 0x7c00 && isfinite(f[i]))
			return ERR_LIMIT;
	}
	return 0;
}

static int make_plain(enum dtype type, char *out, const float *f, int64_t n)
{
	if (type == DT_F16)
		return make_f16((uint16_t *)(void *)out, f, n);
	if (type == DT_F32)
		memcpy(out, f, (size_t)n * sizeof *f);
	for (int64_t i = 0; type == DT_BF16 && i < n; i++)
		((uint16_t *)(void *)out)[i] = bf16_from_f32(f[i]);
	return 0;
}

/* A row, n a multiple of 32: words of 32 bits, in which the first number plus 8 or 128 lies lowest. */
static int make_integers(bool four, uint8_t *out, uint16_t *scale, const float *f, int64_t n)
{
	int8_t q[QUANT_GROUP];

	for (int64_t at = 0; at < n; at += QUANT_GROUP, f += QUANT_GROUP) {
		scale[at / QUANT_GROUP] = group_integers(q, f, QUANT_GROUP, four);
		if ((scale[at / QUANT_GROUP] & 0x7c00) == 0x7c00)
			return ERR_LIMIT;
		for (int i = 0; four && i < QUANT_GROUP; i += 2)
			*out++ = (uint8_t)(q[i] + 8 + (q[i + 1] + 8) * 16);
		for (int i = 0; !four && i < QUANT_GROUP; i++)
			*out++ = (uint8_t)(q[i] + 128);
	}
	return 0;
}

static int make_e4m3(uint8_t *out, float *scale, const float *f, int64_t n)
{
	uint32_t most = group_largest_bits(f, n);
	float factor = fp8_factor(most);

	if (most >= 0x7f800000u)
		return ERR_LIMIT;
	for (int64_t i = 0; i < n; i++)
		out[i] = (uint8_t)fp8_of(f[i] * factor);
	*scale = fp8_scale(most);
	return 0;
}

int numbers_make(enum convert_class to, enum dtype type, const float *f, int64_t rows, int64_t cols,
		 const struct out_rows *out, int64_t *row)
{
	int err = 0;

	for (int64_t i = 0; i < rows && !err; i++, f += cols) {
		*row = i;
		if (!out->scales)
			err = make_plain(type, out->codes + (size_t)(i * cols) * dtype_size(type), f, cols);
		else if (to == CONVERT_FP8)
			err = make_e4m3((uint8_t *)out->codes + i * cols, (float *)(void *)out->scales + i, f, cols);
		else
			err = make_integers(to == CONVERT_INT4,
					    (uint8_t *)out->codes + i * cols / (to == CONVERT_INT4 ? 2 : 1),
					    (uint16_t *)(void *)out->scales + i * (cols / QUANT_GROUP), f, cols);
	}
	return err;
}
