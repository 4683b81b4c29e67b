/* codes.c - packs the integers of quantised files as they are, row by row. */
#include "engine/cpu/cpu.h"

#include <string.h>

/* Puts the integers of one group and lane, filled up to 32, into their lines. */
static void put_group(char *unit, bool nibbles, int lane, const uint8_t q[GROUP])
{
	char *line = unit + 4 * lane;

	for (int i = 0; i < (nibbles ? 4 : 8); i++, line += 4 * PANEL) {
		uint32_t four, high;
		memcpy(&four, q + 4 * i, sizeof four);
		if (nibbles) {
			memcpy(&high, q + GROUP / 2 + 4 * i, sizeof high);
			four |= high << 4;
		}
		memcpy(line, &four, sizeof four);
	}
}

static void put_row(const struct cpu_weight *w, int row, const uint8_t *q, const uint16_t *scale, const uint8_t *zero)
{
	const int start = w->base.k.start[w->base.k.first], codes = pack_codes(w->pack), lane = row % PANEL;
	char *panel = w->panels + (size_t)(row / PANEL) * w->panel_bytes;

	for (const struct segment *s = w->seg; s < w->seg + w->n_seg; s++)
		for (int g = 0; g < s->units; g++) {
			char *unit = panel + (size_t)(s->at + g) * w_unit(w->pack);
			int col = s->col + group_at(s, g), group = (start + col) / GROUP - start / GROUP;
			uint8_t filled[GROUP] = {0};

			memcpy(filled + group_skip(s, g), q + col, (size_t)group_cols(s, g));
			put_group(unit, pack_is_nibbles(w->pack), lane, filled);
			memcpy(unit + codes + 2 * lane, &scale[group], sizeof *scale);
			if (zero)
				unit[codes + 2 * PANEL + lane] = (char)zero[group];
		}
}

void cpu_weight_codes(struct weight *base, int first, int count, const struct weight_codes *in)
{
	const struct cpu_weight *w = (struct cpu_weight *)base;

	for (int i = 0; i < count; i++)
		put_row(w, first + i, in->q + (size_t)i * in->ld, in->scale + (size_t)i * in->groups,
			in->zero ? in->zero + (size_t)i * in->groups : NULL);
}

void cpu_weight_order(struct weight *base, const int32_t *order)
{
	struct cpu_weight *w = (struct cpu_weight *)base;

	w->order = xalloc((size_t)base->cols + 1, sizeof *w->order);
	memcpy(w->order, order, (size_t)base->cols * sizeof *order);
}
