/* Blocks of a GGUF file as integers and scales. Two bytes choose their type and how many there are in a row; two where
 * the columns begin and end; one whether rows are in rotary order; then come the blocks of all rows. What is read
 * stands for the numbers that the type's blocks are unpacked to. */
#include "base/iq4.h"
#include "engine/checkpoint/blocks.h"
#include "engine/gguf/translate.h"
#include "tests/fuzz/fuzz.h"

#include <math.h>

enum { HEADER = 5, TYPES = 40, MOST_BLOCKS = 4, GROUP = 32 };

static const struct gguf_type *type_of(int n)
{
	const struct gguf_type *found[TYPES];
	int count = 0;

	for (uint32_t id = 0; id < TYPES; id++)
		if (gguf_type(id) && gguf_type(id)->codes)
			found[count++] = gguf_type(id);
	return found[n % count];
}

/* What row r and column i of the piece stand for. */
static float number_of(const struct block_rows *b, const struct gguf_type *type, size_t r, int64_t col, int64_t cols,
		       int64_t i)
{
	static const int8_t levels[] = {IQ4_LEVELS};
	const size_t block = (size_t)((col + i) / type->elements - col / type->elements) + r * b->blocks,
		     group = (size_t)((col + i) / GROUP - col / GROUP) + r * b->groups;
	const bool nl = !strncmp(type->name, "IQ4", 3);
	int q = b->q[(int64_t)r * cols + i], part = 1, part_min = 1;

	MUST(!nl || q < 16);
	q = nl ? levels[q] : b->per == 2 ? q - 32 : !strcmp(type->name, "Q5_0") ? q - 16 : q;
	if (b->part)
		part = b->part[group * (size_t)b->per + (b->per == 2 && (col + i) % GROUP >= GROUP / 2)];
	if (b->part_min)
		part_min = b->part_min[group];
	return f32_from_f16(b->scale[block]) * (float)part * (float)q +
	       (b->min ? f32_from_f16(b->min[block]) * (float)part_min : 0);
}

static bool is_finite(const struct block_rows *b, size_t rows)
{
	for (size_t i = 0; i < rows * b->blocks; i++)
		if (!isfinite(f32_from_f16(b->scale[i])) || (b->min && !isfinite(f32_from_f16(b->min[i]))))
			return false;
	return true;
}

static void compare(const struct checkpoint *c, const struct ck_tensor *t, int64_t col, int64_t cols)
{
	const size_t rows = (size_t)t->shape[0];
	struct block_rows b = block_rows_make(t, t->shape[0], col, cols);
	float *want = xalloc(rows * (size_t)cols, sizeof *want);
	struct why why = {""};
	int err = block_rows_read(c, t, 0, t->shape[0], col, cols, &b, &why);

	if (err)
		fuzz_refused(err, &why);
	MUST(err || is_finite(&b, rows));
	MUST(!slice_read(&c->file[0], t, 0, t->shape[0], col, cols, want, &why));
	for (size_t r = 0; !err && r < rows; r++)
		for (int64_t i = 0; i < cols; i++)
			MUST(number_of(&b, t->block, r, col, cols, i) == want[(int64_t)r * cols + i]);
	block_rows_free(&b);
	free(want);
}

static void read_piece(const struct gguf_type *type, const uint8_t *how, const uint8_t *data, size_t size)
{
	const int64_t blocks = how[1] % MOST_BLOCKS + 1, width = blocks * type->elements;
	const int64_t first = how[2] * width / 256, end = first + 1 + how[3] * (width - first - 1) / 255;
	const int64_t rows = (int64_t)size / (blocks * type->bytes);
	struct source file = source_memory("f.gguf", data, size);
	struct checkpoint c = {.n_files = 1, .file = &file, .bytes_read = xalloc(1, sizeof *c.bytes_read)};
	struct ck_tensor t = {
		.name = "t", .type = DT_F32, .n_dims = 2, .shape = {rows, width}, .stride = {width, 1}, .block = type};

	t.bytes = (uint64_t)(rows * blocks * type->bytes);
	if (how[4] & 1 && rows % 2 == 0)
		t.order = ROWS_ROTARY, t.heads = 1;
	if (rows)
		compare(&c, &t, first, end - first);
	source_close(&file);
	free(c.bytes_read);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz_quiet();
	if (size >= HEADER)
		read_piece(type_of(data[0]), data, data + HEADER, size - HEADER);
	return 0;
}
