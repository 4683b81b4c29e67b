/* rows.c - reads part of a tensor whose rows are blocks, or lie in another order than they are asked for. */
#include "engine/checkpoint/inside.h"

#include <stdlib.h>
#include <string.h>

#include "engine/gguf/translate.h"

/* Columns [col, col + cols) of one row: those of the blocks that hold them. */
static void unpack(const struct gguf_type *type, const uint8_t *block, int64_t col, int64_t cols, float *out)
{
	float all[GGUF_BLOCK_MOST];
	int64_t skip = col % type->elements;

	for (int64_t n; cols; cols -= n, out += n, block += type->bytes, skip = 0) {
		n = cols < type->elements - skip ? cols : type->elements - skip;
		type->unpack(block, all);
		memcpy(out, all + skip, (size_t)n * sizeof *out);
	}
}

int rows_read(const struct source *s, const struct ck_tensor *t, int64_t row, int64_t rows, int64_t col, int64_t cols,
	      void *dst, struct why *why)
{
	const struct gguf_type *b = t->block;
	int64_t width = t->n_dims > 1 ? t->bytes ? t->stride[0] : 0 : 1, elements = b ? b->elements : 1;
	size_t item = b ? (size_t)b->bytes : dtype_size(t->type), line = (size_t)(width / elements) * item;
	size_t n = (size_t)((col + cols + elements - 1) / elements - col / elements) * item;
	uint8_t *stage = xalloc(n, 1), *out = dst;
	int err = 0;

	for (int64_t i = 0; i < rows && !err; i++, out += (size_t)cols * dtype_size(t->type)) {
		int64_t at = gguf_row(t->order, t->heads, t->shape[0], row + i);
		err = source_read(s, t->offset + (uint64_t)at * line + (uint64_t)(col / elements) * item,
				  b ? stage : out, n, why);
		if (b && !err)
			unpack(b, stage, col, cols, (float *)(void *)out);
	}
	free(stage);
	return err;
}
