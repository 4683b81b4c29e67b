/* tensors PATH [COLS [packed]]: what the checkpoint reader finds, for comparison with another reader: for each tensor a
 * line "NAME TYPE SHAPE BYTES" and its bytes, read in pieces of at most COLS columns. packed: blocks that the CPU
 * backend takes as they are go through a weight of their class, piece by piece, from which their numbers are read back.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "engine/backend/weight.h"
#include "engine/checkpoint/blocks.h"

static bool packed;

static enum quant class_of(const struct ck_tensor *t)
{
	for (enum quant q = QUANT_BLOCKS; packed && t->block && q < QUANT_COUNT; q++)
		if (!strcasecmp(quant_name(q), t->block->name))
			return q;
	return QUANT_NONE;
}

/* The numbers of a weight that owns columns [col, col + cols) of the tensor. */
static int read_packed(const struct checkpoint *c, const struct ck_tensor *t, int64_t col, int64_t cols, float *out,
		       struct why *why)
{
	const int rows = (int)t->shape[0], n = (int)cols, at = (int)col, width = (int)t->shape[1];
	const struct split k = {.n_leaves = 4, .first = 1, .count = 1, .start = {0, at, at + n, width, width}};
	const struct cpu_options how = {.threads = 1, .compute = DT_F32, .max_tokens = rows, .max_context = 1};
	struct block_rows b = block_rows_make(t, rows, col, cols);
	const struct weight_blocks in = {b.q, (size_t)cols, b.scale, b.min, b.blocks, b.part, b.part_min, b.groups};
	struct tensor to = tensor_of(out, DT_F32, rows, n);
	int32_t *ids = xalloc((size_t)rows, sizeof *ids);
	struct backend *cpu;
	struct weight *w;
	int err = backend_cpu_create(&cpu, &how, why);

	if (!err)
		err = block_rows_read(c, t, 0, rows, col, cols, &b, why);
	if (err)
		return err;
	w = weight_create_quant(cpu, rows, n, DT_F32, class_of(t), &k);
	weight_touch(w);
	weight_blocks(w, 0, rows, &in);
	for (int i = 0; i < rows; i++)
		ids[i] = i;
	backend_embed(cpu, &to, ids, w, 0);
	weight_destroy(w);
	backend_destroy(cpu);
	block_rows_free(&b);
	free(ids);
	return 0;
}

static void keep(uint8_t *all, const uint8_t *piece, int64_t height, int64_t width, int64_t col, int64_t cols,
		 size_t item)
{
	for (int64_t r = 0; r < height; r++)
		memcpy(all + (size_t)(r * width + col) * item, piece + (size_t)(r * cols) * item, (size_t)cols * item);
}

static int show(const struct checkpoint *c, const struct ck_tensor *t, int64_t most, struct why *why)
{
	int64_t height = t->n_dims ? t->shape[0] : 1, width, cols;
	size_t item = t->type < DT_COUNT ? dtype_size(t->type) : 1;
	uint64_t bytes = t->quant   ? (uint64_t)(t->shape[0] * t->shape[1]) * item
			 : t->block ? t->bytes / (uint64_t)t->block->bytes * (uint64_t)t->block->elements * item
				    : t->bytes;
	uint8_t *all = xalloc(bytes + 1, 1), *piece = xalloc(bytes + 1, 1);
	char shape[256];
	int err = 0;

	printf("%s\t%s\t%s\t%llu\n", t->name, t->type_name, ck_shape_text(t, shape, sizeof shape),
	       t->type < DT_COUNT ? (unsigned long long)bytes : 0);
	width = bytes && t->type < DT_COUNT ? (int64_t)(bytes / item) / height : 0;
	for (int64_t col = 0; !err && col < width; col += cols) {
		cols = width - col < most ? width - col : most;
		err = class_of(t) ? read_packed(c, t, col, cols, (float *)(void *)piece, why)
				  : checkpoint_read(c, t, 0, height, col, cols, piece, why);
		if (!err)
			keep(all, piece, height, width, col, cols, item);
	}
	if (!err && width)
		fwrite(all, 1, bytes, stdout);
	free(all);
	free(piece);
	return err;
}

int main(int argc, char **argv)
{
	int64_t most = argc > 2 ? atoll(argv[2]) : INT64_MAX;
	struct checkpoint *c;
	struct why why = {""};
	int err;

	if (argc < 2)
		return EXIT_USAGE;
	packed = argc > 3 && !strcmp(argv[3], "packed");
	err = checkpoint_open(&c, argv[1], &why);
	for (int i = 0; !err && i < checkpoint_count(c); i++)
		err = show(c, checkpoint_tensor(c, i), most, &why);
	if (err)
		return fprintf(stderr, "%s\n", why.text), EXIT_INPUT;
	checkpoint_close(c);
	return 0;
}
