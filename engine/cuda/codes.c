/* codes.c - the integers and e4m3 numbers of quantised files as the kernels read them, and columns in another order
 * than x's. */
#include "engine/cuda/cuda.h"
#include "engine/backend/group.h"

#include <string.h>

_Static_assert((int)K_E4M3_GROUP == (int)E4M3_GROUP, "columns of an e4m3 weight's scale");

/* Files' integers are from 0 on: int8's are less by 128, int4's are held plus 8 anyway. */
static void put_group(char *numbers, const uint8_t *q, int n, enum quant quant)
{
	const bool four = quant == QUANT_INT4 || quant == QUANT_UINT4;
	const uint8_t flip = quant == QUANT_INT8 ? 0x80 : 0;

	for (int i = 0; i < n; i++)
		if (four)
			numbers[i / 2] = (char)(i % 2 ? (numbers[i / 2] & 15) | q[i] << 4 : q[i]);
		else
			numbers[i] = (char)(q[i] ^ flip);
}

/* A part's scales are those of the groups of 128 columns of the whole K axis that it touches. */
static void put_e4m3(char *out, const struct cuda_weight *w, const struct weight_codes *codes, int row)
{
	const int start = w->base.k.start[w->base.k.first], end = start + w->base.cols;
	const float *scale = codes->wide + (size_t)row * codes->groups;

	for (int at = 0; at < w->base.cols; at += K_PART) {
		char *part = out + at / K_PART * (K_PART + K_PART_SCALES);
		int first = (start + at) / K_E4M3_GROUP * K_E4M3_GROUP, n = min_int(K_PART, w->base.cols - at);

		for (int i = 0, col = first; col < min_int(start + at + n, end); i++, col += K_E4M3_GROUP)
			memcpy(part + 4 * i, &scale[max_int(col, start) / QUANT_GROUP - start / QUANT_GROUP], 4);
		memcpy(part + K_PART_SCALES, codes->q + (size_t)row * codes->ld + at, (size_t)n);
	}
}

void cuda_put_codes(char *out, const struct cuda_weight *w, const struct weight_codes *codes, int row)
{
	const enum quant quant = w->base.quant;
	const bool four = quant == QUANT_INT4 || quant == QUANT_UINT4, zeros = codes->zero;
	const int columns = four ? K_PART4 : K_PART, per = zeros ? 4 : 2, scales = columns / QUANT_GROUP * per,
		  start = w->base.k.start[w->base.k.first];
	const uint8_t *q = codes->q + (size_t)row * codes->ld;

	memset(out, 0, w->pitch);
	if (quant == QUANT_E4M3) {
		put_e4m3(out, w, codes, row);
		return;
	}
	for (int at = 0; at < w->base.cols; at += QUANT_GROUP) {
		char *part = out + at / columns * (scales + K_PART), *pair = part + at % columns / QUANT_GROUP * per;
		size_t group = (size_t)row * codes->groups + (size_t)((start + at) / QUANT_GROUP - start / QUANT_GROUP);

		memcpy(pair, &codes->scale[group], 2);
		if (zeros)
			memcpy(pair + 2, &(uint16_t){bf16_from_f32((float)codes->zero[group])}, 2);
		put_group(part + scales + at % columns / (four ? 2 : 1), q + at,
			  min_int(QUANT_GROUP, w->base.cols - at), quant);
	}
}

void cuda_weight_order(struct weight *base, const int32_t *order)
{
	struct cuda_weight *w = (struct cuda_weight *)base;
	struct cuda *c = cuda_of(base->b);
	size_t bytes = (size_t)base->cols * sizeof *order,
	       need = (size_t)c->how.limits.max_tokens * (size_t)base->cols * sizeof(uint16_t);

	w->order = cuda_take(c, bytes);
	base->bytes += bytes;
	if (!c->how.dry && bytes)
		backend_upload(&c->base, w->order, order, bytes);
	if (need <= c->ordered_bytes)
		return;
	cuda_give(c, c->ordered, c->ordered_bytes);
	c->ordered_bytes = need;
	c->ordered = cuda_take(c, need);
}

struct tensor cuda_ordered(struct cuda *c, const struct tensor *x, const struct cuda_weight *w)
{
	if (!w->order || !x->rows || !x->cols)
		return *x;
	cuda_check(k_columns(c->stream, c->ordered, x->data, w->order, x->rows, x->cols), "columns");
	return tensor_of(c->ordered, x->type, x->rows, x->cols);
}
