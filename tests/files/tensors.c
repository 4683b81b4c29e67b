/* tensors PATH [COLS]: what the checkpoint reader finds, for comparison with another reader: for each tensor a line
 * "NAME TYPE SHAPE BYTES" and its bytes, read in pieces of at most COLS columns. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/checkpoint/checkpoint.h"

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
		err = checkpoint_read(c, t, 0, height, col, cols, piece, why);
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
	err = checkpoint_open(&c, argv[1], &why);
	for (int i = 0; !err && i < checkpoint_count(c); i++)
		err = show(c, checkpoint_tensor(c, i), most, &why);
	if (err)
		return fprintf(stderr, "%s\n", why.text), EXIT_INPUT;
	checkpoint_close(c);
	return 0;
}
