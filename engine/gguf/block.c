/* block.c - the blocks of ggml's types. Products of scales and integers are exact in f32 for all types but those of
 * 16 signed scales, whose order of two products is ggml's. */
#include "engine/gguf/block.h"
#include "base/iq4.h"
#include "engine/gguf/inside.h"

static float f16_at(const uint8_t *p)
{
	return f32_from_f16(gguf_half(p));
}

/* ---- blocks of 32: a scale, perhaps a minimum, nibbles of elements i and i + 16, perhaps fifth bits ---- */

static void unpack_q4_0(const uint8_t *b, float *out)
{
	float d = f16_at(b);

	for (int i = 0; i < 16; i++) {
		out[i] = (float)((b[2 + i] & 15) - 8) * d;
		out[i + 16] = (float)((b[2 + i] >> 4) - 8) * d;
	}
}

static void unpack_q4_1(const uint8_t *b, float *out)
{
	float d = f16_at(b), m = f16_at(b + 2);

	for (int i = 0; i < 16; i++) {
		out[i] = (float)(b[4 + i] & 15) * d + m;
		out[i + 16] = (float)(b[4 + i] >> 4) * d + m;
	}
}

void gguf_five_bits(const uint8_t *fifths, const uint8_t *nibbles, uint8_t q[32])
{
	for (int i = 0; i < 32; i++)
		q[i] = (uint8_t)((i < 16 ? nibbles[i] & 15 : nibbles[i - 16] >> 4) | (fifths[i / 8] >> (i % 8) & 1)
											     << 4);
}

static void unpack_q5_0(const uint8_t *b, float *out)
{
	float d = f16_at(b);
	uint8_t q[32];

	gguf_five_bits(b + 2, b + 6, q);
	for (int i = 0; i < 32; i++)
		out[i] = (float)(q[i] - 16) * d;
}

static void unpack_q5_1(const uint8_t *b, float *out)
{
	float d = f16_at(b), m = f16_at(b + 2);
	uint8_t q[32];

	gguf_five_bits(b + 4, b + 8, q);
	for (int i = 0; i < 32; i++)
		out[i] = (float)q[i] * d + m;
}

static void unpack_q8_0(const uint8_t *b, float *out)
{
	float d = f16_at(b);

	for (int i = 0; i < 32; i++)
		out[i] = (float)(int8_t)b[2 + i] * d;
}

static const int8_t levels[16] = {IQ4_LEVELS};

static void unpack_iq4_nl(const uint8_t *b, float *out)
{
	float d = f16_at(b);

	for (int i = 0; i < 16; i++) {
		out[i] = d * (float)levels[b[2 + i] & 15];
		out[i + 16] = d * (float)levels[b[2 + i] >> 4];
	}
}

/* ---- blocks of 256: scales of their own for 16 or 32 elements ---- */

/* 16 groups of 16: bytes hold a scale and a minimum of 4 bits each; then 2 bits an element; then two f16. */
static void unpack_q2_k(const uint8_t *b, float *out)
{
	float d = f16_at(b + 80), dmin = f16_at(b + 82);

	for (int i = 0; i < 256; i++) {
		int scale = b[i / 16];
		int q = b[16 + i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2) & 3;
		out[i] = d * (float)(scale & 15) * (float)q - dmin * (float)(scale >> 4);
	}
}

/* Signed scales of 6 bits, whose low four and high two bits lie apart. */
static int scale_q3_k(const uint8_t *s, int j)
{
	int low = j < 8 ? s[j] & 15 : s[j - 8] >> 4, high = s[8 + j % 4] >> (j / 4 * 2) & 3;

	return (low | high << 4) - 32;
}

/* 256 third bits, 2 bits an element, 16 scales, one f16. */
static void unpack_q3_k(const uint8_t *b, float *out)
{
	float d = f16_at(b + 108);

	for (int i = 0; i < 256; i++) {
		int q = b[32 + i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2) & 3;
		int third = b[i % 32] >> (i / 32) & 1;
		out[i] = d * (float)scale_q3_k(b + 96, i / 16) * (float)(q - (third ? 0 : 4));
	}
}

void gguf_scale_min(const uint8_t *s, int j, int *scale, int *min)
{
	if (j < 4) {
		*scale = s[j] & 63;
		*min = s[j + 4] & 63;
	} else {
		*scale = (s[j + 4] & 15) | s[j - 4] >> 6 << 4;
		*min = s[j + 4] >> 4 | s[j] >> 6 << 4;
	}
}

/* 8 groups of 32: nibbles of group 2k are the low ones of 32 bytes, those of 2k + 1 the high ones; fifth bits in `high`
 * (NULL: none), bit j of byte i for element i of group j. */
static void unpack_k4(const uint8_t *b, const uint8_t *high, const uint8_t *nibbles, float *out)
{
	float d = f16_at(b), dmin = f16_at(b + 2);

	for (int j = 0; j < 8; j++) {
		const uint8_t *q = nibbles + j / 2 * 32;
		int scale, min;

		gguf_scale_min(b + 4, j, &scale, &min);
		for (int i = 0; i < 32; i++) {
			int n = (j % 2 ? q[i] >> 4 : q[i] & 15) + (high ? (high[i] >> j & 1) << 4 : 0);
			out[j * 32 + i] = d * (float)scale * (float)n - dmin * (float)min;
		}
	}
}

static void unpack_q4_k(const uint8_t *b, float *out)
{
	unpack_k4(b, NULL, b + 16, out);
}

static void unpack_q5_k(const uint8_t *b, float *out)
{
	unpack_k4(b, b + 16, b + 48, out);
}

/* 4 low bits, 2 high bits, 16 signed scales, one f16 at the end. */
static void unpack_q6_k(const uint8_t *b, float *out)
{
	const int8_t *scale = (const int8_t *)b + 192;
	float d = f16_at(b + 208);

	for (int i = 0; i < 256; i++) {
		int at = i % 128, low = b[i / 128 * 64 + at % 64] >> (at / 64 * 4) & 15;
		int high = b[128 + i / 128 * 32 + at % 32] >> (at / 32 * 2) & 3;
		out[i] = d * (float)scale[i / 16] * (float)((low | high << 4) - 32);
	}
}

int gguf_scale_iq4_xs(const uint8_t *b, int j)
{
	int high = b[2] | b[3] << 8;

	return ((b[4 + j / 2] >> (j % 2 * 4) & 15) | (high >> (2 * j) & 3) << 4) - 32;
}

/* One f16, 8 scales of 6 bits (two high bits in 16 bits, then nibbles), levels of 4 bits. */
static void unpack_iq4_xs(const uint8_t *b, float *out)
{
	float d = f16_at(b);

	for (int j = 0; j < 8; j++) {
		float of_group = d * (float)gguf_scale_iq4_xs(b, j);

		for (int i = 0; i < 16; i++) {
			uint8_t q = b[8 + j * 16 + i];
			out[j * 32 + i] = of_group * (float)levels[q & 15];
			out[j * 32 + i + 16] = of_group * (float)levels[q >> 4];
		}
	}
}

#define PLAIN(id, name, size, type) [id] = {name, 1, size, type, NULL, NULL, 0, false}
#define BLOCK(id, name, elements, bytes, unpack) [id] = {name, elements, bytes, DT_COUNT, unpack, NULL, 0, false}
#define CODED(id, name, elements, bytes, end, parts, minima) \
	[id] = {name, elements, bytes, DT_COUNT, unpack_##end, gguf_codes_##end, parts, minima}

/* Types without unpack() are known by name and size only: ggml's own caches and the types of under three bits. */
static const struct gguf_type types[] = {
	PLAIN(0, "F32", 4, DT_F32),
	PLAIN(1, "F16", 2, DT_F16),
	BLOCK(2, "Q4_0", 32, 18, unpack_q4_0),
	CODED(3, "Q4_1", 32, 20, q4_1, 0, true),
	CODED(6, "Q5_0", 32, 22, q5_0, 0, false),
	CODED(7, "Q5_1", 32, 24, q5_1, 0, true),
	BLOCK(8, "Q8_0", 32, 34, unpack_q8_0),
	BLOCK(9, "Q8_1", 32, 36, NULL),
	BLOCK(10, "Q2_K", 256, 84, unpack_q2_k),
	BLOCK(11, "Q3_K", 256, 110, unpack_q3_k),
	CODED(12, "Q4_K", 256, 144, q4_k, 8, true),
	CODED(13, "Q5_K", 256, 176, q5_k, 8, true),
	CODED(14, "Q6_K", 256, 210, q6_k, 16, false),
	BLOCK(15, "Q8_K", 256, 292, NULL),
	BLOCK(16, "IQ2_XXS", 256, 66, NULL),
	BLOCK(17, "IQ2_XS", 256, 74, NULL),
	BLOCK(18, "IQ3_XXS", 256, 98, NULL),
	BLOCK(19, "IQ1_S", 256, 50, NULL),
	CODED(20, "IQ4_NL", 32, 18, iq4_nl, 0, false),
	BLOCK(21, "IQ3_S", 256, 110, NULL),
	BLOCK(22, "IQ2_S", 256, 82, NULL),
	CODED(23, "IQ4_XS", 256, 136, iq4_xs, 8, false),
	PLAIN(24, "I8", 1, DT_I8),
	PLAIN(25, "I16", 2, DT_I16),
	PLAIN(26, "I32", 4, DT_I32),
	PLAIN(27, "I64", 8, DT_I64),
	PLAIN(28, "F64", 8, DT_F64),
	BLOCK(29, "IQ1_M", 256, 56, NULL),
	PLAIN(30, "BF16", 2, DT_BF16),
	BLOCK(34, "TQ1_0", 256, 54, NULL),
	BLOCK(35, "TQ2_0", 256, 66, NULL),
	BLOCK(39, "MXFP4", 32, 17, NULL),
};

const struct gguf_type *gguf_type(uint32_t id)
{
	return id < sizeof types / sizeof *types && types[id].name ? &types[id] : NULL;
}
