/* blocks.c - packs blocks of GGUF files row by row, and reads their rows. */
#include "base/iq4.h"
#include "engine/cpu/cpu.h"

#include <string.h>

static const int8_t levels[16] = {IQ4_LEVELS};

enum { QUADS = GROUP / 4 };

/* Puts the integers of one group and lane into the lines of low bits, then of high ones. */
static void put_integers(char *unit, enum pack pack, int lane, const uint8_t q[GROUP])
{
	char *low = unit + 4 * lane, *high = low + GROUP / 2 * PANEL;

	for (int i = 0; i < GROUP / 2; i++)
		low[i / 4 * 4 * PANEL + i % 4] = (char)((q[i] & 15) | (q[i + GROUP / 2] & 15) << 4);
	for (int j = 0; j < 4 && pack_bits(pack) == 5; j++) {
		int bits = 0;
		for (int i = 0; i < QUADS; i++)
			bits |= (q[4 * i + j] >> 4 & 1) << i;
		high[j] = (char)bits;
	}
	for (int j = 0; j < 8 && pack == PACK_Q6_K; j++) {
		int bits = 0;
		for (int i = 0; i < QUADS / 2; i++)
			bits |= (q[j / 4 * (GROUP / 2) + 4 * i + j % 4] >> 4 & 3) << 2 * i;
		high[j / 4 * 4 * PANEL + j % 4] = (char)bits;
	}
}

static int get_integer(const char *unit, enum pack pack, int lane, int i)
{
	const uint8_t *low = (const uint8_t *)unit + 4 * lane, *high = low + GROUP / 2 * PANEL;
	int quad = i / 4, q = low[quad % 4 * 4 * PANEL + i % 4] >> (i < GROUP / 2 ? 0 : 4) & 15;

	if (pack_bits(pack) == 5)
		q |= (high[i % 4] >> quad & 1) << 4;
	if (pack == PACK_Q6_K)
		q |= (high[quad / 4 * 4 * PANEL + i % 4] >> quad % 4 * 2 & 3) << 4;
	return q;
}

static void put_half(char *line, int lane, uint16_t half)
{
	memcpy(line + 2 * lane, &half, sizeof half);
}

/* Row `row` of the weight, which is row i of what is put. */
struct source {
	const struct weight_blocks *in;
	int i, start; /* start: the first owned column of the whole axis */
};

static void put_group(char *unit, enum pack pack, int lane, const struct source *s, int col)
{
	const struct weight_blocks *in = s->in;
	const size_t at = (size_t)((s->start + col) / GROUP - s->start / GROUP);
	const size_t block = at + (size_t)s->i * in->blocks, group = at + (size_t)s->i * in->groups;
	char *own = unit + pack_codes(pack);

	if (!in->part) {
		put_half(own, lane, in->scale[block]);
		if (in->min)
			put_half(own + 2 * PANEL, lane, in->min[block]);
		return;
	}
	if (pack_has_halves(pack)) {
		own[lane] = (char)in->part[2 * group];
		own[PANEL + lane] = (char)in->part[2 * group + 1];
		return;
	}
	own[lane] = (char)in->part[group];
	if (in->part_min)
		own[PANEL + lane] = (char)in->part_min[group];
}

/* The scales of the blocks of 256 columns that a segment touches. */
static void put_heads(char *head, enum pack pack, int lane, const struct source *s, const struct segment *seg)
{
	int first = (s->start + seg->col) / BLOCK_COLS - s->start / BLOCK_COLS;

	for (int b = 0; b < segment_blocks(seg); b++, head += pack_head(pack)) {
		size_t at = (size_t)s->i * s->in->blocks + (size_t)(first + b);
		put_half(head, lane, s->in->scale[at]);
		if (s->in->min)
			put_half(head + 2 * PANEL, lane, s->in->min[at]);
	}
}

static void put_row(const struct cpu_weight *w, int row, const struct source *from)
{
	const int lane = row % PANEL;
	const struct band *band = cpu_band(w, row / PANEL);
	char *panel = cpu_panel(w, band, row / PANEL), *heads = panel + (size_t)w->units * w_unit(band->pack);
	const uint8_t *q = from->in->q + (size_t)from->i * from->in->ld;

	for (const struct segment *s = w->seg; s < w->seg + w->n_seg; s++) {
		for (int g = 0; g < s->units; g++) {
			char *unit = panel + (size_t)(s->at + g) * w_unit(band->pack);
			int col = s->col + group_at(s, g);
			uint8_t filled[GROUP] = {0};

			memcpy(filled + group_skip(s, g), q + col, (size_t)group_cols(s, g));
			put_integers(unit, band->pack, lane, filled);
			put_group(unit, band->pack, lane, from, col);
		}
		if (pack_head(band->pack))
			put_heads(heads + (size_t)s->block_at * pack_head(band->pack), band->pack, lane, from, s);
	}
}

void cpu_weight_blocks(struct weight *base, int first, int count, const struct weight_blocks *in)
{
	const struct cpu_weight *w = (struct cpu_weight *)base;

	for (int i = 0; i < count; i++)
		put_row(w, first + i, &(struct source){in, i, base->k.start[base->k.first]});
}

static float half_at(const char *line, int lane)
{
	uint16_t half;

	memcpy(&half, line + 2 * lane, sizeof half);
	return f32_from_f16(half);
}

/* One group's columns; products are exact, so only the sum rounds. */
static void get_group(const char *unit, const char *head, enum pack pack, int lane, int first, int n, float *out)
{
	const char *own = unit + pack_codes(pack), *scales = head ? head : own;
	const float scale = half_at(scales, lane), min = pack_has_min(pack) ? half_at(scales + 2 * PANEL, lane) : 0;
	const signed char *part = (const signed char *)own;

	for (int i = first; i < first + n; i++) {
		int q = get_integer(unit, pack, lane, i), times = 1, times_min = 1;
		q = pack_has_levels(pack) ? levels[q] : q - pack_offset(pack);
		if (head)
			times = part[(pack_has_halves(pack) ? i / (GROUP / 2) * PANEL : 0) + lane];
		if (head && pack_has_min(pack))
			times_min = part[PANEL + lane];
		*out++ = plus_zero(scale * (float)times * (float)q + min * (float)times_min);
	}
}

void cpu_block_row(const struct cpu_weight *w, int row, float *out)
{
	const struct band *band = cpu_band(w, row / PANEL);
	const char *panel = cpu_panel(w, band, row / PANEL), *heads = panel + (size_t)w->units * w_unit(band->pack);
	const size_t each = pack_head(band->pack);

	for (const struct segment *s = w->seg; s < w->seg + w->n_seg; s++)
		for (int g = 0; g < s->units; g++) {
			const char *head = heads + (size_t)(s->block_at + (s->later + g) / BLOCK_GROUPS) * each;
			get_group(panel + (size_t)(s->at + g) * w_unit(band->pack), each ? head : NULL, band->pack,
				  row % PANEL, group_skip(s, g), group_cols(s, g), out + s->col + group_at(s, g));
		}
}
