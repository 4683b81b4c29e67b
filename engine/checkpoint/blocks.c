#include "engine/checkpoint/blocks.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/checkpoint/inside.h"
#include "engine/gguf/translate.h"

enum { GROUP = 32 };

struct block_rows block_rows_make(const struct ck_tensor *t, int64_t rows, int64_t col, int64_t cols)
{
	const struct gguf_type *type = t->block;
	const int64_t last = col + cols - 1;
	struct block_rows b = {.blocks = (size_t)(last / type->elements - col / type->elements + 1),
			       .groups = (size_t)(last / GROUP - col / GROUP + 1),
			       .per = type->parts * GROUP / type->elements};
	const size_t n = (size_t)rows;

	b.q = xalloc(n * (size_t)cols, 1);
	b.scale = xalloc(n * b.blocks, sizeof *b.scale);
	b.min = type->minima ? xalloc(n * b.blocks, sizeof *b.min) : NULL;
	b.part = type->parts ? xalloc(n * b.groups, (size_t)b.per) : NULL;
	b.part_min = type->parts && type->minima ? xalloc(n * b.groups, 1) : NULL;
	return b;
}

void block_rows_free(struct block_rows *b)
{
	free(b->q);
	free(b->scale);
	free(b->min);
	free(b->part);
	free(b->part_min);
}

/* Columns [col, col + cols) of the row, of which this is block `no`; `at` is its place among those of the row. */
static void take_block(const struct block_rows *out, const struct gguf_type *type, const struct gguf_codes *k, size_t r,
		       size_t at, int64_t no, int64_t col, int64_t cols)
{
	const int64_t start = no * type->elements, from = start > col ? start : col;
	const int64_t end = start + type->elements < col + cols ? start + type->elements : col + cols;

	memcpy(out->q + ((int64_t)r * cols + from - col), k->q + (from - start), (size_t)(end - from));
	out->scale[r * out->blocks + at] = k->scale;
	if (out->min)
		out->min[r * out->blocks + at] = k->min;
	for (int64_t g = from / GROUP; out->part && g <= (end - 1) / GROUP; g++) {
		size_t to = r * out->groups + (size_t)(g - col / GROUP), in = (size_t)(g - start / GROUP);
		memcpy(out->part + to * (size_t)out->per, k->part + in * (size_t)out->per, (size_t)out->per);
		if (out->part_min)
			out->part_min[to] = k->part_min[in];
	}
}

static int read_row(const struct checkpoint *c, const struct ck_tensor *t, int64_t row, size_t r, int64_t col,
		    int64_t cols, uint8_t *stage, const struct block_rows *out, struct why *why)
{
	const struct gguf_type *type = t->block;
	const int64_t first = col / type->elements, at = gguf_row(t->order, t->heads, t->shape[0], row);
	const uint64_t line = (uint64_t)(t->stride[0] / type->elements) * (uint64_t)type->bytes;
	struct gguf_codes k;
	int err = source_read(&c->file[t->file],
			      t->offset + (uint64_t)at * line + (uint64_t)first * (uint64_t)type->bytes, stage,
			      out->blocks * (size_t)type->bytes, why);

	for (size_t i = 0; i < out->blocks && !err; i++) {
		type->codes(stage + i * (size_t)type->bytes, &k);
		if (!isfinite(f32_from_f16(k.scale)) || (type->minima && !isfinite(f32_from_f16(k.min))))
			err = fail(why, ERR_FORMAT,
				   "%s: tensor %.200s: row %" PRId64 ", block %" PRId64
				   ", has a scale that is no number: the file is damaged",
				   c->file[t->file].name, t->name, row, first + (int64_t)i);
		else
			take_block(out, type, &k, r, i, first + (int64_t)i, col, cols);
	}
	return err;
}

int block_rows_read(const struct checkpoint *c, const struct ck_tensor *t, int64_t row, int64_t rows, int64_t col,
		    int64_t cols, const struct block_rows *out, struct why *why)
{
	const size_t bytes = out->blocks * (size_t)t->block->bytes;
	uint8_t *stage = xalloc(bytes, 1);
	int err = 0;

	REQUIRE(t->block->codes && t->n_dims == 2 && row >= 0 && rows >= 0 && row + rows <= t->shape[0]);
	REQUIRE(col >= 0 && cols > 0 && col + cols <= t->shape[1]);
	for (int64_t i = 0; i < rows && !err; i++)
		err = read_row(c, t, row + i, (size_t)i, col, cols, stage, out, why);
	if (!err)
		atomic_fetch_add(c->bytes_read, bytes * (uint64_t)rows);
	free(stage);
	return err;
}
