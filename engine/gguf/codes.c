/* codes.c - blocks as integers with their scales, for backends that hold them so. */
#include "engine/gguf/inside.h"

/* Nibbles of 32 numbers: element i low, element i + 16 high. */
static void halves_of(const uint8_t *b, uint8_t *q)
{
	for (int i = 0; i < 16; i++)
		q[i] = b[i] & 15, q[i + 16] = b[i] >> 4;
}

void gguf_codes_q4_1(const uint8_t *b, struct gguf_codes *out)
{
	out->scale = gguf_half(b);
	out->min = gguf_half(b + 2);
	halves_of(b + 4, out->q);
}

void gguf_codes_iq4_nl(const uint8_t *b, struct gguf_codes *out)
{
	out->scale = gguf_half(b);
	halves_of(b + 2, out->q);
}

void gguf_codes_q5_0(const uint8_t *b, struct gguf_codes *out)
{
	out->scale = gguf_half(b);
	gguf_five_bits(b + 2, b + 6, out->q);
}

void gguf_codes_q5_1(const uint8_t *b, struct gguf_codes *out)
{
	out->scale = gguf_half(b);
	out->min = gguf_half(b + 2);
	gguf_five_bits(b + 4, b + 8, out->q);
}

void gguf_codes_iq4_xs(const uint8_t *b, struct gguf_codes *out)
{
	out->scale = gguf_half(b);
	for (int j = 0; j < 8; j++) {
		out->part[j] = (int8_t)gguf_scale_iq4_xs(b, j);
		halves_of(b + 8 + 16 * j, out->q + 32 * j);
	}
}

/* `high`: fifth bits, bit j of byte i for element i of group j; NULL: none. */
static void codes_k4(const uint8_t *b, const uint8_t *high, const uint8_t *nibbles, struct gguf_codes *out)
{
	out->scale = gguf_half(b);
	out->min = gguf_half(b + 2);
	for (int j = 0; j < 8; j++) {
		const uint8_t *q = nibbles + j / 2 * 32;
		int scale, min;

		gguf_scale_min(b + 4, j, &scale, &min);
		out->part[j] = (int8_t)scale;
		out->part_min[j] = (int8_t)-min;
		for (int i = 0; i < 32; i++)
			out->q[j * 32 + i] =
				(uint8_t)((j % 2 ? q[i] >> 4 : q[i] & 15) | (high ? (high[i] >> j & 1) << 4 : 0));
	}
}

void gguf_codes_q4_k(const uint8_t *b, struct gguf_codes *out)
{
	codes_k4(b, NULL, b + 16, out);
}

void gguf_codes_q5_k(const uint8_t *b, struct gguf_codes *out)
{
	codes_k4(b, b + 16, b + 48, out);
}

void gguf_codes_q6_k(const uint8_t *b, struct gguf_codes *out)
{
	out->scale = gguf_half(b + 208);
	for (int i = 0; i < 16; i++)
		out->part[i] = (int8_t)b[192 + i];
	for (int i = 0; i < 256; i++) {
		int at = i % 128, low = b[i / 128 * 64 + at % 64] >> (at / 64 * 4) & 15;
		int high = b[128 + i / 128 * 32 + at % 32] >> (at / 32 * 2) & 3;
		out->q[i] = (uint8_t)(low | high << 4);
	}
}
