/* pack.c - packs rows of a matrix into a panel: blocks of 32 rows and 32 columns are transposed in registers, and
 * quantising then runs along 32 outputs at once. It is plain arithmetic, which rounds and keeps subnormals as the
 * caller's thread does. */
#include "engine/cpu/isa/inside.h"

enum { BLOCK = GROUP, HALF = 16 };

typedef uint32_t lanes __attribute__((vector_size(4 * HALF), aligned(1), may_alias));

/* One step of a 16 x 16 transposition: a and b, d rows apart, swap what lies d lanes off the diagonal. */
#define LOW(d, l) ((l) & (d) ? HALF + (l) - (d) : (l))
#define HIGH(d, l) ((l) & (d) ? HALF + (l) : (l) + (d))
#define ALL(f, d) \
	f(d, 0), f(d, 1), f(d, 2), f(d, 3), f(d, 4), f(d, 5), f(d, 6), f(d, 7), f(d, 8), f(d, 9), f(d, 10), f(d, 11), \
		f(d, 12), f(d, 13), f(d, 14), f(d, 15)
#define SWAP(r, d) \
	UNROLL for (int i = 0; i < HALF; i++) if (!(i & (d))) \
	{ \
		lanes a = r[i], b = r[i + (d)]; \
		r[i] = __builtin_shufflevector(a, b, ALL(LOW, d)); \
		r[i + (d)] = __builtin_shufflevector(a, b, ALL(HIGH, d)); \
	}

/* out[i][j] = row j's dword i, for 16 rows `ld` bytes apart. */
static void turn(uint32_t (*out)[PANEL], const char *src, size_t ld)
{
	lanes r[HALF];

	UNROLL for (int i = 0; i < HALF; i++) r[i] = *(const lanes *)(src + (size_t)i * ld);
	SWAP(r, 1)
	SWAP(r, 2)
	SWAP(r, 4)
	SWAP(r, 8)
	UNROLL for (int i = 0; i < HALF; i++) * (lanes *)out[i] = r[i];
}

/* The same for 32 rows and n = 16 or 32 dwords. */
static void turn_all(uint32_t (*out)[PANEL], const char *src, size_t ld, int n)
{
	for (int i = 0; i < n; i += HALF)
		for (int j = 0; j < PANEL; j += HALF)
			turn((uint32_t(*)[PANEL])(out[i] + j), src + (size_t)j * ld + (size_t)i * 4, ld);
}

/* Converts a block to f32, (columns, rows). */
static void to_floats(float (*out)[PANEL], const char *src, size_t ld, enum dtype stored)
{
	float wide[PANEL][BLOCK];

	if (stored == DT_F32) {
		turn_all((uint32_t(*)[PANEL])out, src, ld, BLOCK);
		return;
	}
	for (int r = 0; r < PANEL; r++)
		for (int c = 0; c < BLOCK; c += HALF)
			v_store(wide[r] + c, v_load_as(src + (size_t)r * ld + 2 * (size_t)c, stored));
	turn_all((uint32_t(*)[PANEL])out, (const char *)wide, sizeof *wide, BLOCK);
}

INLINE uint32_t round_bf16(float f)
{
	uint32_t u;

	memcpy(&u, &f, sizeof u);
	return (u & 0x7fffffff) > 0x7f800000 ? u >> 16 | 0x40 : (u + 0x7fff + (u >> 16 & 1)) >> 16;
}

static void pack_bf16(char *out, const char *src, size_t ld, enum dtype stored)
{
	uint32_t(*pair)[PANEL] = (uint32_t(*)[PANEL])out;
	float f[BLOCK][PANEL];

	if (stored == DT_BF16) {
		turn_all(pair, src, ld, BLOCK / 2);
		return;
	}
	to_floats(f, src, ld, stored);
	for (int i = 0; i < BLOCK / 2; i++)
		for (int r = 0; r < PANEL; r++)
			pair[i][r] = round_bf16(f[2 * i][r]) | round_bf16(f[2 * i + 1][r]) << 16;
}

static void pack_f16(char *out, const char *src, size_t ld)
{
	uint16_t(*column)[PANEL] = (uint16_t(*)[PANEL])out;
	uint32_t pair[BLOCK / 2][PANEL];

	turn_all(pair, src, ld, BLOCK / 2);
	for (int i = 0; i < BLOCK / 2; i++)
		for (int r = 0; r < PANEL; r++)
			column[2 * i][r] = (uint16_t)pair[i][r], column[2 * i + 1][r] = (uint16_t)(pair[i][r] >> 16);
}

/* Finds each row's first number of the largest size; NaN where a number is not finite. */
static void largest(float *most, const float (*f)[PANEL])
{
	float size[PANEL] = {0}, bad[PANEL] = {0};

	memset(most, 0, PANEL * sizeof *most);
	for (int c = 0; c < BLOCK; c++)
		for (int r = 0; r < PANEL; r++) {
			float x = f[c][r], a = x < 0 ? -x : x;
			bad[r] += x - x;
			most[r] = a > size[r] ? x : most[r];
			size[r] = a > size[r] ? a : size[r];
		}
	for (int r = 0; r < PANEL; r++)
		most[r] = bad[r] != 0 ? bad[r] : most[r];
}

/* Computes integers in [low, high]: f * (1 / scale) to nearest even. They are zero where the scale is zero or a number
 * of the group is not finite. */
static void to_integers(int32_t (*q)[PANEL], uint16_t *scale, const float (*f)[PANEL], int low, int high)
{
	const float magic = 0x1.8p23f, least = (float)low, top = (float)high;
	float most[PANEL], factor[PANEL];
	int32_t keep[PANEL];

	largest(most, f);
	for (int r = 0; r < PANEL; r++) {
		scale[r] = f16_from_f32(low == -8 ? most[r] / -8 : (most[r] < 0 ? -most[r] : most[r]) / 127);
		keep[r] = most[r] == most[r] && scale[r] & 0x7fff;
		factor[r] = keep[r] ? 1 / f32_from_f16(scale[r]) : 0;
	}
	for (int c = 0; c < BLOCK; c++)
		for (int r = 0; r < PANEL; r++) {
			float v = f[c][r] * factor[r];
			v = v < least ? least : v > top ? top : v;
			v = keep[r] ? v : 0;
			q[c][r] = (int32_t)((v + magic) - magic);
		}
}

static void pack_int8(char *out, const float (*f)[PANEL])
{
	uint32_t(*quad)[PANEL] = (uint32_t(*)[PANEL])out;
	int32_t q[BLOCK][PANEL];

	to_integers(q, (uint16_t *)(out + GROUP * PANEL), f, -127, 127);
	for (int i = 0; i < 8; i++)
		for (int r = 0; r < PANEL; r++) {
			uint32_t u = 0;
			UNROLL for (int j = 0; j < 4; j++) u |= (uint32_t)(q[4 * i + j][r] + 128) << 8 * j;
			quad[i][r] = u;
		}
}

static void pack_int4(char *out, const float (*f)[PANEL])
{
	uint32_t(*quad)[PANEL] = (uint32_t(*)[PANEL])out;
	int32_t q[BLOCK][PANEL];

	to_integers(q, (uint16_t *)(out + GROUP / 2 * PANEL), f, -8, 7);
	for (int i = 0; i < 4; i++)
		for (int r = 0; r < PANEL; r++) {
			uint32_t u = 0;
			UNROLL for (int j = 0; j < 4; j++) u |=
				(uint32_t)((q[4 * i + j][r] + 8) | (q[16 + 4 * i + j][r] + 8) << 4) << 8 * j;
			quad[i][r] = u;
		}
}

/* Packs a whole block into its units. */
static void pack_block(const struct weight_job *j, char *out, const char *src, size_t ld)
{
	float f[BLOCK][PANEL];

	if (j->pack == PACK_BF16)
		pack_bf16(out, src, ld, j->stored);
	else if (j->pack == PACK_F16)
		pack_f16(out, src, ld);
	else if (j->pack == PACK_F32)
		turn_all((uint32_t(*)[PANEL])out, src, ld, BLOCK);
	else {
		to_floats(f, src, ld, j->stored);
		(j->pack == PACK_INT8 ? pack_int8 : pack_int4)(out, f);
	}
}

/* Copies lanes [lane, lane + rows) of n units. Each unit is lines of 32 lanes, and a quantised one ends with a line of
 * scales. */
static void copy_lanes(const struct weight_job *j, char *out, const char *from, int n)
{
	const size_t lane = j->pack == PACK_F16 ? 2 : 4, first = (size_t)j->lane * lane, count = (size_t)j->rows * lane;
	const size_t unit = w_unit(j->pack), lines = (pack_is_int(j->pack) ? unit - 2 * PANEL : unit) / (lane * PANEL);

	for (int i = 0; i < n; i++, out += unit, from += unit) {
		for (size_t l = 0; l < lines; l++)
			memcpy(out + l * lane * PANEL + first, from + l * lane * PANEL, count);
		if (pack_is_int(j->pack))
			memcpy(out + unit - 2 * PANEL + 2 * j->lane, from + unit - 2 * PANEL, (size_t)j->rows * 2);
	}
}

/* Pads an incomplete block with zeros and stores only its own lanes and units. */
static void pack_edge(const struct weight_job *j, char *out, const char *src, int cols)
{
	const size_t size = dtype_size(j->stored);
	char in[PANEL][BLOCK * 4] = {{0}}, units[BLOCK * 4 * PANEL];

	for (int r = 0; r < j->rows; r++)
		memcpy(in[r], src + (size_t)r * j->ld, (size_t)cols * size);
	pack_block(j, units, in[0], sizeof in[0]);
	copy_lanes(j, out, units, pack_is_int(j->pack) ? 1 : div_up(cols, 2));
}

void ISA_NAME(pack_w)(const struct weight_job *j)
{
	const int per = pack_is_int(j->pack) ? GROUP : 2;

	for (const struct segment *s = j->seg; s < j->seg + j->n_seg; s++)
		for (int c = 0; c < s->cols; c += BLOCK) {
			char *out = j->panel + (size_t)(s->at + c / per) * w_unit(j->pack);
			const char *src = j->src + (size_t)(s->col + c) * dtype_size(j->stored);
			if (j->rows == PANEL && s->cols - c >= BLOCK)
				pack_block(j, out, src, j->ld);
			else
				pack_edge(j, out, src, min_int(BLOCK, s->cols - c));
		}
}
