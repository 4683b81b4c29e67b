/* weight.c - packs weights: panels of 32 outputs, K in pairs or groups, cut where the sums are cut. */
#include "engine/cpu/cpu.h"

#include <stdlib.h>
#include <string.h>

/* Cuts one leaf of `cols` columns into segments. Each segment merges older sums as a binary counter carries; the last
 * one merges what is left. */
static int leaf_segments(struct segment *seg, int unit, int col, int cols)
{
	int n = max_int(1, div_up(cols, SEGMENT)), depth = 0;

	for (int i = 0; i < n; i++) {
		int count = min_int(SEGMENT, cols - i * SEGMENT);
		int merges = i + 1 == n ? depth : __builtin_ctz((unsigned)i + 1);
		seg[i] = (struct segment){.col = col + i * SEGMENT,
					  .cols = count,
					  .units = div_up(count, unit),
					  .merges = (uint8_t)merges,
					  .part = -1};
		depth += 1 - merges;
	}
	return n;
}

/* A part has a power of two of leaves, so its counter leaves nothing over. */
static int part_segments(struct segment *seg, int unit, const struct split *k, const struct part *part, int no,
			 int first_col)
{
	int n = 0;

	for (int i = 0; i < part->count; i++) {
		int leaf = part->first + i;
		n += leaf_segments(seg + n, unit, k->start[leaf] - first_col, k->start[leaf + 1] - k->start[leaf]);
		seg[n - 1].merges += (uint8_t)__builtin_ctz((unsigned)i + 1);
	}
	seg[n - 1].part = (int8_t)no;
	return n;
}

/* Lets groups end at multiples of 32 of the whole axis, of which this rank's columns begin with `start`.
 */
static void align_groups(struct segment *s, int start)
{
	int first = start + s->col, into = first % GROUP;

	s->into = (uint8_t)into;
	s->lead = (uint8_t)(into ? min_int(GROUP - into, s->cols) : 0);
	s->units = (s->lead > 0) + div_up(s->cols - s->lead, GROUP);
	s->later = (uint8_t)(first % BLOCK_COLS / GROUP);
}

int cpu_segments(const struct split *k, int unit, bool aligned, bool each, struct segment *seg, int *n_parts)
{
	struct part parts[SHARD_MAX_LEAVES];
	int depth = 0, n = 0, units = 0, blocks = 0;

	*n_parts = each ? k->count : split_parts(k, parts);
	for (int i = 0; each && i < k->count; i++)
		parts[i] = (struct part){k->first + i, 1};
	for (int i = 0; i < *n_parts; i++)
		n += part_segments(seg + n, unit, k, &parts[i], i, k->start[k->first]);
	for (int i = 0; i < n; i++) {
		if (aligned)
			align_groups(&seg[i], k->start[k->first]);
		seg[i].at = units;
		seg[i].block_at = blocks;
		blocks += segment_blocks(&seg[i]);
		units += seg[i].units;
		depth += 1 - seg[i].merges - (seg[i].part >= 0);
		REQUIRE(depth >= 0 && depth < STACK_DEPTH && (seg[i].part < 0 || depth == 0));
	}
	return n;
}

static void plan_segments(struct cpu_weight *w)
{
	w->units = w->blocks = 0;
	w->seg = xalloc((size_t)(w->base.cols / SEGMENT + w->base.k.count + 1), sizeof *w->seg);
	w->n_seg = cpu_segments(&w->base.k, pack_is_int(w->pack) ? GROUP : 2,
				pack_has_zero(w->pack) || pack_is_block(w->pack), w->base.experts, w->seg, &w->n_parts);
	if (!w->n_seg)
		return;
	w->units = w->seg[w->n_seg - 1].at + w->seg[w->n_seg - 1].units;
	w->blocks = w->seg[w->n_seg - 1].block_at + segment_blocks(&w->seg[w->n_seg - 1]);
}

/* A stack's products leave a partial for each leaf, which cuts K at the same places. */
void cpu_weight_stack(struct weight *base, int experts, int each)
{
	struct cpu_weight *w = (struct cpu_weight *)base;

	(void)experts, (void)each;
	REQUIRE(base->k.count <= SHARD_MAX_PARTS);
	free(w->seg);
	plan_segments(w);
	cpu_experts_reserve(cpu_of(base->b), w);
}

/* Makes room for the packed activations of the largest step. */
static void reserve_x(struct cpu *c, size_t row)
{
	size_t tokens = (size_t)c->how.max_tokens;

	if (row <= c->x_row)
		return;
	cpu_pages_free(c->x, c->x_row * tokens);
	c->base.held += cpu_pages_bytes(row * tokens) - cpu_pages_bytes(c->x_row * tokens);
	c->x = cpu_pages(c->pool, row * tokens, c->how.max_tokens);
	c->x_row = row;
}

static enum pack pack_of(const struct backend *b, enum dtype stored, enum quant quant)
{
	REQUIRE(quant != QUANT_FP8);
	static const enum pack of_quant[QUANT_COUNT] = {
		[QUANT_INT8] = PACK_INT8,   [QUANT_INT4] = PACK_INT4, [QUANT_UINT8] = PACK_UINT8,
		[QUANT_UINT4] = PACK_UINT4, [QUANT_Q4_K] = PACK_Q4_K, [QUANT_Q5_K] = PACK_Q5_K,
		[QUANT_Q6_K] = PACK_Q6_K,   [QUANT_Q4_1] = PACK_Q4_1, [QUANT_IQ4_NL] = PACK_IQ4_NL,
		[QUANT_Q5_0] = PACK_Q5_0,   [QUANT_Q5_1] = PACK_Q5_1, [QUANT_IQ4_XS] = PACK_IQ4_XS};

	if (quant != QUANT_NONE)
		return of_quant[quant];
	if (b->act == DT_BF16 || stored == DT_BF16)
		return PACK_BF16;
	return stored == DT_F32 ? PACK_F32 : PACK_F16;
}

static size_t panel_bytes(const struct cpu_weight *w, enum pack pack)
{
	return (size_t)w->units * w_unit(pack) + (size_t)w->blocks * pack_head(pack);
}

static void reserve_panels(struct cpu_weight *w, size_t bytes)
{
	w->packed = bytes;
	w->panels = cpu_pages_reserve(bytes);
	w->base.bytes = w->panels ? cpu_pages_bytes(bytes) : 0;
	w->base.b->held += w->base.bytes;
}

static void release_panels(struct cpu_weight *w)
{
	w->base.b->held -= w->base.bytes;
	cpu_pages_free(w->panels, w->base.bytes);
}

struct weight *cpu_weight_create(struct backend *b, int rows, int cols, enum dtype stored, enum quant quant,
				 const struct split *k)
{
	struct cpu_weight *w = xalloc(1, sizeof *w);

	w->base = (struct weight){.b = b, .rows = rows, .cols = cols, .stored = stored, .quant = quant, .k = *k};
	w->pack = pack_of(b, stored, quant);
	w->form = pack_is_block(w->pack)                   ? X_BLOCK
		  : quant != QUANT_NONE                    ? X_INT
		  : w->pack == PACK_BF16 && cpu_of(b)->dot ? X_DOT
							   : X_F32;
	plan_segments(w);
	reserve_x(cpu_of(b), (size_t)w->units * x_unit(w->form == X_DOT ? X_F32 : w->form));
	w->panel_bytes = panel_bytes(w, w->pack);
	w->n_bands = 1;
	w->band[0] = (struct band){.pack = w->pack, .panel_bytes = w->panel_bytes};
	reserve_panels(w, w->panel_bytes * (size_t)div_up(rows, PANEL));
	return &w->base;
}

void cpu_weight_bands(struct weight *base, const struct weight_band *band, int n)
{
	struct cpu_weight *w = (struct cpu_weight *)base;
	size_t at = 0;

	for (int i = 0, panel = 0; i < n; i++) {
		enum pack pack = pack_of(base->b, base->stored, band[i].quant);
		w->band[i] = (struct band){panel, pack, at, panel_bytes(w, pack)};
		panel += div_up(band[i].rows, PANEL);
		at += w->band[i].panel_bytes * (size_t)div_up(band[i].rows, PANEL);
	}
	w->n_bands = n;
	release_panels(w);
	reserve_panels(w, at);
}

int cpu_tile_rows(const struct cpu_weight *w)
{
	const struct cpu_kernels *k = cpu_of(w->base.b)->k;

	return w->form == X_DOT ? k->dot_rows : k->tile_rows[w->pack];
}

void cpu_weight_touch(struct weight *base)
{
	struct cpu_weight *w = (struct cpu_weight *)base;

	cpu_pages_touch(cpu_of(base->b)->pool, w->panels, base->bytes, div_up(base->rows, PANEL));
}

bool cpu_weight_map(struct weight *base, int fd, int64_t at)
{
	return cpu_pages_map(((struct cpu_weight *)base)->panels, base->bytes, fd, at);
}

void *cpu_weight_packed(struct weight *base, size_t *bytes)
{
	const struct cpu_weight *w = (const struct cpu_weight *)base;

	*bytes = w->packed;
	return w->panels;
}

void cpu_weight_destroy(struct weight *base)
{
	struct cpu_weight *w = (struct cpu_weight *)base;

	release_panels(w);
	free(w->seg);
	free(w->order);
	free(w);
}

void cpu_weight_rows(struct weight *base, int first, int count, const void *src, size_t ld)
{
	const struct cpu_weight *w = (struct cpu_weight *)base;
	struct weight_job j = {.seg = w->seg,
			       .n_seg = w->n_seg,
			       .pack = w->pack,
			       .stored = base->stored,
			       .src = src,
			       .ld = ld * dtype_size(base->stored)};

	for (int row = first; row < first + count; row += j.rows, j.src += (size_t)j.rows * j.ld) {
		j.panel = w->panels + (size_t)(row / PANEL) * w->panel_bytes;
		j.lane = row % PANEL;
		j.rows = min_int(PANEL - j.lane, first + count - row);
		cpu_of(base->b)->k->pack_w(&j);
	}
}

enum { ROW_AHEAD = 64 /* units: a row needs a few bytes of each, so hardware prefetching stops at every page */ };

/* Reads one row's columns of a segment, from its first unit on. */
static void bf16_row(const char *unit, int lane, int cols, float *out)
{
	const uint32_t *pair = (const uint32_t *)unit + lane;

	for (int c = 0; c < cols; c += 2, pair += PANEL) {
		uint32_t two[2] = {*pair << 16, *pair & 0xffff0000};
		float f[2];
		__builtin_prefetch(pair + ROW_AHEAD * PANEL);
		memcpy(f, two, sizeof f);
		out[c] = plus_zero(f[0]);
		if (c + 1 < cols)
			out[c + 1] = plus_zero(f[1]);
	}
}

static void f32_row(const char *unit, int lane, int cols, float *out)
{
	const float *at = (const float *)unit + lane;

	for (int c = 0; c < cols; c++)
		out[c] = plus_zero(at[c * PANEL]);
}

static void f16_row(const char *unit, int lane, int cols, float *out)
{
	const uint16_t *at = (const uint16_t *)unit + lane;

	for (int c = 0; c < cols; c++)
		out[c] = plus_zero(f32_from_f16(at[c * PANEL]));
}

/* Byte i of a lane in a group. */
static int byte_of(const char *group, int lane, int i)
{
	return (uint8_t)group[i / 4 * 4 * PANEL + 4 * lane + i % 4];
}

/* Integer i of a lane in a group. */
static int code_of(enum pack pack, const char *group, int lane, int i)
{
	int byte = byte_of(group, lane, pack_is_nibbles(pack) ? i % (GROUP / 2) : i);

	return !pack_is_nibbles(pack) ? byte : i < GROUP / 2 ? byte & 15 : byte >> 4;
}

static void int_row(const struct cpu_weight *w, const struct segment *s, const char *unit, int lane, float *out)
{
	const int codes = pack_codes(w->pack);

	for (int g = 0; g < s->units; g++, unit += w_unit(w->pack)) {
		float scale = f32_from_f16(((const uint16_t *)(unit + codes))[lane]);
		int zero = pack_has_zero(w->pack)     ? (uint8_t)unit[codes + 2 * PANEL + lane]
			   : pack_is_nibbles(w->pack) ? 8
						      : 128;
		for (int i = 0; i < group_cols(s, g); i++) {
			int q = code_of(w->pack, unit, lane, group_skip(s, g) + i);
			out[group_at(s, g) + i] = plus_zero(scale * (float)(q - zero));
		}
	}
}

void cpu_weight_row(const struct cpu_weight *w, int row, float *out)
{
	static void (*const row_of[PACK_COUNT])(const char *unit, int lane, int cols, float *out) = {
		[PACK_F32] = f32_row, [PACK_BF16] = bf16_row, [PACK_F16] = f16_row};
	const char *panel = w->panels + (size_t)(row / PANEL) * w->panel_bytes;

	if (pack_is_block(w->pack)) {
		cpu_block_row(w, row, out);
		return;
	}
	for (const struct segment *s = w->seg; s < w->seg + w->n_seg; s++) {
		const char *unit = panel + (size_t)s->at * w_unit(w->pack);
		if (pack_is_int(w->pack))
			int_row(w, s, unit, row % PANEL, out + s->col);
		else
			row_of[w->pack](unit, row % PANEL, s->cols, out + s->col);
	}
}
