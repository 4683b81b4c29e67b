/* weight.c - packing: panels of 64 outputs, K in pairs, cut where the sums are cut. */
#include "engine/cpu/cpu.h"

#include <stdlib.h>
#include <string.h>

enum { BLOCK = 32 /* columns packed at a time: what they fill stays in the first cache */ };

/* Segments of one leaf of `cols` columns: merges as a binary counter makes them, then what is left over. */
static int leaf_segments(struct segment *seg, int col, int cols)
{
	int n = max_int(1, div_up(cols, SEGMENT)), depth = 0;

	for (int i = 0; i < n; i++) {
		int count = min_int(SEGMENT, cols - i * SEGMENT);
		int merges = i + 1 == n ? depth : __builtin_ctz((unsigned)i + 1);
		seg[i] = (struct segment){.col = col + i * SEGMENT,
					  .pairs = count / 2,
					  .odd = count & 1,
					  .merges = (uint8_t)merges,
					  .part = -1};
		depth += 1 - merges;
	}
	return n;
}

/* Leaves of a part are a power of two: their counter leaves nothing over. */
static int part_segments(struct segment *seg, const struct split *k, const struct part *part, int no,
			 int first_col)
{
	int n = 0;

	for (int i = 0; i < part->count; i++) {
		int leaf = part->first + i;
		n += leaf_segments(seg + n, k->start[leaf] - first_col, k->start[leaf + 1] - k->start[leaf]);
		seg[n - 1].merges += (uint8_t)__builtin_ctz((unsigned)i + 1);
	}
	seg[n - 1].part = (int8_t)no;
	return n;
}

static void plan_segments(struct cpu_weight *w)
{
	const struct split *k = &w->base.k;
	struct part parts[SHARD_MAX_PARTS];
	int depth = 0;

	w->n_parts = split_parts(k, parts);
	w->seg = xalloc((size_t)(w->base.cols / SEGMENT + k->count + 1), sizeof *w->seg);
	for (int i = 0; i < w->n_parts; i++)
		w->n_seg += part_segments(w->seg + w->n_seg, k, &parts[i], i, k->start[k->first]);
	for (int i = 0; i < w->n_seg; i++) {
		w->pairs += w->seg[i].pairs + w->seg[i].odd;
		depth += 1 - w->seg[i].merges - (w->seg[i].part >= 0);
		REQUIRE(depth >= 0 && depth < STACK_DEPTH && (w->seg[i].part < 0 || depth == 0));
	}
}

struct weight *cpu_weight_create(struct backend *b, int rows, int cols, enum dtype stored,
				 const struct split *k)
{
	struct cpu_weight *w = xalloc(1, sizeof *w);
	int panels = div_up(rows, PANEL);

	w->base = (struct weight){.b = b, .rows = rows, .cols = cols, .stored = stored, .k = *k};
	if (b->act == DT_BF16 || stored == DT_BF16)
		w->pack = PACK_BF16;
	else
		w->pack = stored == DT_F32 ? PACK_F32 : PACK_F16;
	if (b->act == DT_BF16)
		w->product = BF16_BF16;
	else
		w->product = stored == DT_BF16 ? F32_BF16 : stored == DT_F32 ? F32_F32 : F32_F16;
	plan_segments(w);
	w->panel_bytes = (size_t)w->pairs * 2 * PANEL * (w->pack == PACK_F32 ? 4 : 2);
	w->panels = cpu_pages(cpu_of(b)->pool, w->panel_bytes * (size_t)panels, panels);
	w->base.bytes = w->panels ? cpu_pages_bytes(w->panel_bytes * (size_t)panels) : 0;
	b->held += w->base.bytes;
	return &w->base;
}

void cpu_weight_destroy(struct weight *base)
{
	struct cpu_weight *w = (struct cpu_weight *)base;

	base->b->held -= base->bytes;
	cpu_pages_free(w->panels, base->bytes);
	free(w->seg);
	free(w);
}

static inline uint16_t round_bf16(float f)
{
	uint32_t u;

	memcpy(&u, &f, sizeof u);
	if ((u & 0x7fffffff) > 0x7f800000)
		return (uint16_t)(u >> 16 | 0x40);
	return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

/* n columns of one row into 16 pairs of bf16 lanes; an odd last column is paired with a zero. */
static void put_bf16(uint32_t *dst, const void *src, size_t at, int n, enum dtype stored)
{
	uint16_t t[BLOCK + 1];

	if (stored == DT_BF16)
		memcpy(t, (const uint16_t *)src + at, (size_t)n * sizeof *t);
	else if (stored == DT_F32)
		for (int i = 0; i < n; i++)
			t[i] = round_bf16(((const float *)src)[at + (size_t)i]);
	else
		for (int i = 0; i < n; i++)
			t[i] = round_bf16(f32_from_f16(((const uint16_t *)src)[at + (size_t)i]));
	t[n] = 0;
	for (int i = 0; i < n; i += 2)
		dst[i / 2 * PANEL] = t[i] | (uint32_t)t[i + 1] << 16;
}

/* Column i of n goes to row i of the (pairs, 2, 64) panel; the second half of an odd last pair stays zero. */
static void put_plain(char *dst, const void *src, size_t at, int n, enum dtype stored)
{
	if (stored == DT_F32)
		for (int i = 0; i < n; i++)
			((float *)dst)[i * PANEL] = ((const float *)src)[at + (size_t)i];
	else
		for (int i = 0; i < n; i++)
			((uint16_t *)dst)[i * PANEL] = ((const uint16_t *)src)[at + (size_t)i];
}

/* Rows of one panel; `src` is the first of them. */
static void pack_panel(const struct cpu_weight *w, char *panel, int lane, int count, const char *src,
		       size_t ld_bytes)
{
	const size_t elem = w->pack == PACK_F32 ? 4 : 2, pair = 2 * PANEL * elem;

	for (const struct segment *s = w->seg; s < w->seg + w->n_seg; s++) {
		int cols = 2 * s->pairs + s->odd;
		for (int c = 0; c < cols; c += BLOCK) {
			char *at = panel + (size_t)(c / 2) * pair;
			int n = min_int(BLOCK, cols - c);
			for (int r = 0; r < count; r++) {
				const char *row = src + (size_t)r * ld_bytes;
				if (w->pack == PACK_BF16)
					put_bf16((uint32_t *)at + lane + r, row, (size_t)(s->col + c), n,
						 w->base.stored);
				else
					put_plain(at + (size_t)(lane + r) * elem, row, (size_t)(s->col + c),
						  n, w->base.stored);
			}
		}
		panel += (size_t)(s->pairs + s->odd) * pair;
	}
}

void cpu_weight_rows(struct weight *base, int first, int count, const void *src, size_t ld)
{
	struct cpu_weight *w = (struct cpu_weight *)base;
	const size_t ld_bytes = ld * dtype_size(base->stored);

	for (int done = 0, n; done < count; done += n) {
		int row = first + done, lane = row % PANEL;
		n = min_int(PANEL - lane, count - done);
		pack_panel(w, w->panels + (size_t)(row / PANEL) * w->panel_bytes, lane, n,
			   (const char *)src + (size_t)done * ld_bytes, ld_bytes);
	}
}

static float plus_zero(float f)
{
	uint32_t u;

	memcpy(&u, &f, sizeof u);
	return u & 0x7f800000 ? f : 0;
}

void cpu_weight_row(const struct cpu_weight *w, int row, float *out)
{
	const char *panel = w->panels + (size_t)(row / PANEL) * w->panel_bytes;
	const int lane = row % PANEL;
	size_t pair = 0;

	for (const struct segment *s = w->seg; s < w->seg + w->n_seg; s++) {
		for (int c = 0; c < 2 * s->pairs + s->odd; c++) {
			size_t p = pair + (size_t)c / 2, plain = (2 * p + (c & 1)) * PANEL + (size_t)lane;
			float f;
			if (w->pack == PACK_BF16)
				f = f32_from_bf16(
					((const uint16_t *)panel)[(p * PANEL + (size_t)lane) * 2 + (c & 1)]);
			else if (w->pack == PACK_F16)
				f = f32_from_f16(((const uint16_t *)panel)[plain]);
			else
				f = ((const float *)panel)[plain];
			out[s->col + c] = plus_zero(f);
		}
		pair += (size_t)(s->pairs + s->odd);
	}
}
