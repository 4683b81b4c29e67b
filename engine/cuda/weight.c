/* weight.c - matrices as the kernels and cuBLASLt read them: rows of 16-bit numbers, or of integers or e4m3 numbers
 * with scales among them, or of e4m3 numbers with a scale for each row, padded with zeros to multiples of 32 columns.
 */
#include "engine/cuda/cuda.h"
#include "base/fp8.h"
#include "engine/backend/group.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { STEP = 32, SEGMENT = 512 };

/* Cuts one leaf: a segment every 512 columns, combined as a binary counter; what is left over combines from the small
 * end. */
static int leaf_segments(struct k_segment *s, int col, int cols)
{
	int n = max_int(1, div_up(cols, SEGMENT)), depth = 0;

	for (int i = 0; i < n; i++) {
		int merges = i + 1 == n ? depth : __builtin_ctz((unsigned)i + 1);
		s[i] = (struct k_segment){col + i * SEGMENT, min_int(SEGMENT, cols - i * SEGMENT), merges, -1};
		depth += 1 - merges;
	}
	return n;
}

/* A part has a power of two of leaves, as in cpu/weight.c; of a stack each leaf is one. */
static int parts_of(const struct cuda_weight *w, struct part parts[SHARD_MAX_LEAVES])
{
	const struct split *k = &w->base.k;

	if (!w->base.experts)
		return split_parts(k, parts);
	for (int i = 0; i < k->count; i++)
		parts[i] = (struct part){k->first + i, 1};
	return k->count;
}

static void make_segments(struct cuda_weight *w, struct cuda *c)
{
	const struct split *k = &w->base.k;
	struct k_segment *s = xalloc((size_t)(w->base.cols / SEGMENT + k->count + 1), sizeof *s);
	struct part parts[SHARD_MAX_LEAVES];
	int n = 0;

	w->n_parts = parts_of(w, parts);
	for (int i = 0; i < w->n_parts; i++) {
		for (int j = 0; j < parts[i].count; j++) {
			int leaf = parts[i].first + j, col = k->start[leaf] - k->start[k->first];
			REQUIRE(col % 8 == 0);
			n += leaf_segments(s + n, col, k->start[leaf + 1] - k->start[leaf]);
			s[n - 1].merges += __builtin_ctz((unsigned)j + 1);
		}
		s[n - 1].part = i;
	}
	if (n > K_MAX_SEGMENTS)
		die("a product over %d columns has %d segments, the kernel %d at most", w->base.cols, n,
		    K_MAX_SEGMENTS);
	w->n_segments = n;
	w->segments = cuda_take(c, (size_t)n * sizeof *s);
	if (!c->how.dry && n)
		backend_upload(&c->base, w->segments, s, (size_t)n * sizeof *s);
	free(s);
}

static size_t row_pitch(int ld, enum quant quant)
{
	switch (quant) {
	case QUANT_INT8:
		return (size_t)K_INT8_ROW(ld);
	case QUANT_INT4:
		return (size_t)K_INT4_ROW(ld);
	case QUANT_UINT8:
		return (size_t)K_UINT8_ROW(ld);
	case QUANT_UINT4:
		return (size_t)K_UINT4_ROW(ld);
	case QUANT_E4M3:
		return (size_t)K_E4M3_ROW(ld);
	case QUANT_FP8:
		return (size_t)ld;
	default:
		return (size_t)ld * sizeof(uint16_t);
	}
}

struct weight *cuda_weight_create(struct backend *b, int rows, int cols, enum dtype stored, enum quant quant,
				  const struct split *k)
{
	struct cuda *c = cuda_of(b);
	struct cuda_weight *w = xalloc(1, sizeof *w);
	size_t before = b->held;

	w->base = (struct weight){.b = b, .rows = rows, .cols = cols, .stored = stored, .quant = quant, .k = *k};
	w->ld = (int)round_up((size_t)cols, STEP);
	w->pitch = row_pitch(w->ld, quant);
	w->data = cuda_take(c, (size_t)rows * w->pitch);
	w->scale = quant == QUANT_FP8 ? cuda_alloc(b, (size_t)rows * sizeof *w->scale) : NULL;
	if (w->data && !c->how.dry)
		cuda_check(cudaMemsetAsync(w->data, 0, (size_t)rows * w->pitch, c->stream), "clearing a weight");
	if (c->how.fixed)
		make_segments(w, c);
	w->base.bytes = b->held - before;
	if (quant && c->gemm)
		gemm_room(c, w);
	c->weights = xgrow(c->weights, (size_t)c->n_weights + 1, sizeof *c->weights);
	c->weights[c->n_weights++] = w;
	return &w->base;
}

static void drop_segments(struct cuda_weight *w, struct cuda *c)
{
	cuda_give(c, w->segments, (size_t)w->n_segments * sizeof *w->segments);
	w->segments = NULL;
}

void cuda_weight_stack(struct weight *base, int experts, int each)
{
	struct cuda *c = cuda_of(base->b);

	(void)experts, (void)each; /* in base */
	if (!c->how.fixed)
		return;
	drop_segments((struct cuda_weight *)base, c);
	make_segments((struct cuda_weight *)base, c);
}

void cuda_weight_destroy(struct weight *base)
{
	struct cuda_weight *w = (struct cuda_weight *)base;
	struct cuda *c = cuda_of(base->b);

	for (int i = 0; i < c->n_weights; i++)
		if (c->weights[i] == w)
			c->weights[i--] = c->weights[--c->n_weights];
	cuda_give(c, w->data, (size_t)base->rows * w->pitch);
	cuda_give(c, w->scale, (size_t)base->rows * sizeof *w->scale);
	drop_segments(w, c);
	cuda_give(c, w->order, (size_t)base->cols * sizeof *w->order);
	free(w);
}

static float number(const void *src, size_t i, enum dtype type)
{
	uint16_t h;

	if (type == DT_F32)
		return ((const float *)src)[i];
	h = ((const uint16_t *)src)[i];
	return type == DT_BF16 ? f32_from_bf16(h) : f32_from_f16(h);
}

static void convert_row(uint16_t *out, const void *src, int n, enum dtype from, enum dtype to)
{
	if (from == to) {
		memcpy(out, src, (size_t)n * sizeof *out);
		return;
	}
	for (int i = 0; i < n; i++) {
		float f = number(src, (size_t)i, from);
		out[i] = to == DT_BF16 ? bf16_from_f32(f) : f16_from_f32(f);
	}
}

/* A part is its scales, then its numbers; 16 columns of 8 bits take as many bytes as 32 of 4. */
static void quantise_row(char *out, const struct cuda_weight *w, const void *src)
{
	bool four = w->base.quant == QUANT_INT4;
	int columns = four ? K_PART4 : K_PART, scales = columns / STEP * 2;

	memset(out, 0, w->pitch);
	for (int at = 0; at < w->base.cols; at += STEP) {
		char *part = out + at / columns * (scales + K_PART);
		int n = min_int(STEP, w->base.cols - at);
		float f[STEP];
		int8_t q[QUANT_GROUP];
		for (int i = 0; i < n; i++)
			f[i] = number(src, (size_t)(at + i), w->base.stored);
		((uint16_t *)(void *)part)[at % columns / STEP] = group_integers(q, f, n, four);
		part += scales;
		for (int i = 0; four && i < STEP; i += 2)
			part[(at % columns + i) / 2] = (char)(q[i] + 8 + (q[i + 1] + 8) * 16);
		if (!four)
			memcpy(part + at % columns, q, STEP);
	}
}

/* The largest size of n numbers, as the bits of an f32; 16-bit numbers without sign grow as their bits do. */
static uint32_t largest(const void *src, int n, enum dtype type)
{
	const uint16_t *h = src;
	uint32_t most = 0;
	uint16_t half = 0;

	for (int i = 0; type == DT_F32 && i < n; i++) {
		uint32_t size = f32_bits(((const float *)src)[i]) & 0x7fffffff;
		most = size > most ? size : most;
	}
	for (int i = 0; type != DT_F32 && i < n; i++)
		half = (h[i] & 0x7fff) > half ? h[i] & 0x7fff : half;
	return type == DT_F32 ? most : f32_bits(number(&half, 0, type));
}

/* src: the whole row of the K axis, from whose largest number the scale is made. Returns the scale. */
static float fp8_row(char *out, const struct cuda_weight *w, const void *src)
{
	const struct split *k = &w->base.k;
	int first = split_columns(k).first;
	uint32_t most = largest(src, k->start[k->n_leaves], w->base.stored);
	float factor = fp8_factor(most);

	for (int i = 0; i < w->base.cols; i++)
		out[i] = (char)fp8_of(number(src, (size_t)(first + i), w->base.stored) * factor);
	memset(out + w->base.cols, 0, w->pitch - (size_t)w->base.cols);
	return fp8_scale(most);
}

/* Bytes of a row that are copied to the device, without the scale beside it. */
static size_t row_bytes(const struct cuda_weight *w)
{
	return w->base.quant ? w->pitch : (size_t)w->base.cols * sizeof(uint16_t);
}

/* The rows that are put: numbers, or integers of a file. */
struct source {
	const char *rows; /* ld_bytes apart */
	size_t ld_bytes;
	const struct weight_codes *codes; /* NULL: numbers */
};

/* Writes row r of `rows`, which is row `at` of the source, to its place in a stage: rows, then the scales beside them.
 */
static void fill_row(char *stage, struct cuda_weight *w, int r, int rows, const struct source *from, int at)
{
	size_t row = row_bytes(w);
	char *out = stage + (size_t)r * row;
	const void *src = from->rows + (size_t)at * from->ld_bytes;

	if (from->codes)
		cuda_put_codes(out, w, from->codes, at);
	else if (w->base.quant == QUANT_FP8)
		((float *)(void *)(stage + (size_t)rows * row))[r] = fp8_row(out, w, src);
	else if (w->base.quant)
		quantise_row(out, w, src);
	else
		convert_row((uint16_t *)(void *)out, src, w->base.cols, w->base.stored, cuda_of(w->base.b)->base.act);
}

static void send(struct cuda *c, void *to, size_t pitch, const void *from, size_t bytes, int count)
{
	cuda_check(cudaMemcpy2DAsync(to, pitch, from, bytes, bytes, (size_t)count, cudaMemcpyHostToDevice, c->stream),
		   "copying weights");
}

/* Where rows lie from `row` on: of a pair, gate's and up's alternate; so they do in each matrix of a stack. */
struct places {
	int first, apart, most; /* most: rows that follow each other so */
};
static struct places places_of(const struct weight *w, int row)
{
	int step = w->experts ? weight_stack_step(w->each) : w->rows, each = w->experts ? w->each : w->rows,
	    half = each / 2, start = row / step * step;

	if (!w->paired)
		return (struct places){row, 1, w->rows - row};
	row -= start;
	return row < half ? (struct places){start + 2 * row, 2, half - row}
			  : (struct places){start + 2 * (row - half) + 1, 2, each - row};
}

/* Converts rows into one stage of pinned memory and starts its copy. Other threads fill other stages meanwhile. */
static void send_rows(struct cuda *c, struct cuda_weight *w, struct places to, int count, const struct source *from,
		      int done)
{
	size_t row = row_bytes(w), at = (size_t)to.first, apart = (size_t)to.apart;
	struct cuda_stage *s = cuda_stage(c);

	for (int r = 0; r < count; r++)
		fill_row(s->memory, w, r, count, from, done + r);
	send(c, w->data + at * w->pitch, apart * w->pitch, s->memory, row, count);
	if (w->scale)
		send(c, w->scale + at, apart * sizeof *w->scale, s->memory + (size_t)count * row, sizeof *w->scale,
		     count);
	cuda_stage_sent(c, s);
}

static void put(struct cuda_weight *w, int first, int count, const struct source *from)
{
	struct cuda *c = cuda_of(w->base.b);
	size_t row = row_bytes(w);
	int per;

	if (!row || !count)
		return;
	per = (int)(STAGE_BYTES / (row + sizeof *w->scale));
	REQUIRE(per > 0);
	for (int done = 0, n; done < count; done += n) {
		struct places to = places_of(&w->base, first + done);
		n = min_int(min_int(per, count - done), to.most);
		send_rows(c, w, to, n, from, done);
	}
}

void cuda_weight_rows(struct weight *base, int first, int count, const void *src, size_t ld)
{
	put((struct cuda_weight *)base, first, count,
	    &(struct source){.rows = src, .ld_bytes = ld * dtype_size(base->stored)});
}

void cuda_weight_codes(struct weight *base, int first, int count, const struct weight_codes *codes)
{
	put((struct cuda_weight *)base, first, count, &(struct source){.rows = "", .codes = codes});
}
