/* weight.c - matrices as the kernels and cuBLASLt read them: rows of 16-bit numbers, or of integers with scales, padded
 * with zeros to multiples of 32 columns. */
#include "engine/cuda/cuda.h"

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

/* A part has a power of two of leaves, as in cpu/weight.c. */
static void make_segments(struct cuda_weight *w, struct cuda *c)
{
	const struct split *k = &w->base.k;
	struct k_segment *s = xalloc((size_t)(w->base.cols / SEGMENT + k->count + 1), sizeof *s);
	struct part parts[SHARD_MAX_PARTS];
	int n = 0;

	w->n_parts = split_parts(k, parts);
	for (int i = 0; i < w->n_parts; i++) {
		for (int j = 0; j < parts[i].count; j++) {
			int leaf = parts[i].first + j, col = k->start[leaf] - k->start[k->first];
			REQUIRE(col % STEP == 0);
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

struct weight *cuda_weight_create(struct backend *b, int rows, int cols, enum dtype stored, enum quant quant,
				  const struct split *k)
{
	struct cuda *c = cuda_of(b);
	struct cuda_weight *w = xalloc(1, sizeof *w);
	size_t before = b->held;

	REQUIRE(quant == QUANT_NONE || quant == QUANT_INT8);
	w->base = (struct weight){.b = b, .rows = rows, .cols = cols, .stored = stored, .quant = quant, .k = *k};
	w->ld = (int)round_up((size_t)cols, STEP);
	w->pitch = quant ? (size_t)K_INT8_ROW(w->ld) : (size_t)w->ld * sizeof(uint16_t);
	w->data = cuda_take(c, (size_t)rows * w->pitch);
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

void cuda_weight_destroy(struct weight *base)
{
	struct cuda_weight *w = (struct cuda_weight *)base;
	struct cuda *c = cuda_of(base->b);

	for (int i = 0; i < c->n_weights; i++)
		if (c->weights[i] == w)
			c->weights[i--] = c->weights[--c->n_weights];
	cuda_give(c, w->data, (size_t)base->rows * w->pitch);
	cuda_give(c, w->segments, (size_t)w->n_segments * sizeof *w->segments);
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

/* Converts 32 numbers or fewer to integers and their scale, by the contract in engine/backend/backend.h. */
static uint16_t quantise(int8_t *q, const float *f, int n)
{
	float most = 0, scale;
	uint16_t half;

	for (int i = 0; i < n; i++)
		most = fmaxf(most, fabsf(f[i]));
	half = f16_from_f32(most / 127);
	scale = f32_from_f16(half);
	for (int i = 0; scale != 0 && i < n; i++)
		q[i] = (int8_t)fminf(fmaxf(rintf(f[i] * (1 / scale)), -127), 127);
	return half;
}

static void quantise_row(char *out, const struct cuda_weight *w, const void *src)
{
	memset(out, 0, w->pitch);
	for (int at = 0; at < w->base.cols; at += STEP) {
		char *part = out + at / K_PART * (K_PART + K_PART_SCALES);
		int n = min_int(STEP, w->base.cols - at);
		float f[STEP];
		uint16_t scale;
		for (int i = 0; i < n; i++)
			f[i] = number(src, (size_t)(at + i), w->base.stored);
		scale = quantise((int8_t *)part + K_PART_SCALES + at % K_PART, f, n);
		memcpy(part + at % K_PART / STEP * (int)sizeof scale, &scale, sizeof scale);
	}
}

/* Bytes of a row that are copied to the device. */
static size_t row_bytes(const struct cuda_weight *w)
{
	return w->base.quant ? w->pitch : (size_t)w->base.cols * sizeof(uint16_t);
}

/* Converts rows into one stage of pinned memory and starts its copy. Other threads fill other stages meanwhile. */
static void send_rows(struct cuda *c, struct cuda_weight *w, int first, int count, const char *src, size_t ld_bytes)
{
	size_t row = row_bytes(w), pitch = w->pitch;
	int half = w->base.rows / 2;
	char *to = w->data + (size_t)first * pitch;
	struct cuda_stage *s;

	if (w->base.paired) { /* all rows are of one half */
		to = w->data + (size_t)(first < half ? 2 * first : 2 * (first - half) + 1) * w->pitch;
		pitch = 2 * w->pitch;
	}
	s = cuda_stage(c);
	for (int r = 0; r < count; r++) {
		char *out = s->memory + (size_t)r * row;
		if (w->base.quant)
			quantise_row(out, w, src + (size_t)r * ld_bytes);
		else
			convert_row((uint16_t *)out, src + (size_t)r * ld_bytes, w->base.cols, w->base.stored,
				    c->base.act);
	}
	cuda_check(cudaMemcpy2DAsync(to, pitch, s->memory, row, row, (size_t)count, cudaMemcpyHostToDevice, c->stream),
		   "copying weights");
	cuda_stage_sent(c, s);
}

void cuda_weight_rows(struct weight *base, int first, int count, const void *src, size_t ld)
{
	struct cuda *c = cuda_of(base->b);
	struct cuda_weight *w = (struct cuda_weight *)base;
	size_t row = row_bytes(w), ld_bytes = ld * dtype_size(base->stored);
	int per, half = base->rows / 2;

	if (!row || !count)
		return;
	per = (int)(STAGE_BYTES / row);
	REQUIRE(per > 0);
	for (int done = 0, n; done < count; done += n) {
		n = min_int(per, count - done);
		if (base->paired && first + done < half)
			n = min_int(n, half - first - done);
		send_rows(c, w, first + done, n, (const char *)src + (size_t)done * ld_bytes, ld_bytes);
	}
}
