/* Parts of tensors that lie in their file by any strides. */
#include "engine/checkpoint/inside.h"
#include "tests/check.h"

/* What slice_read() must give, element by element. */
static void slow_slice(const uint8_t *base, const struct ck_tensor *t, int64_t row, int64_t rows, int64_t col,
		       int64_t cols, uint8_t *dst)
{
	size_t item = dtype_size(t->type);

	for (int64_t r = row; r < row + rows; r++)
		for (int64_t c = col; c < col + cols; c++) {
			int64_t rest = c, at = t->n_dims ? r * t->stride[0] : 0;
			for (int d = t->n_dims - 1; d > 0; d--) {
				at += rest % t->shape[d] * t->stride[d];
				rest /= t->shape[d];
			}
			memcpy(dst, base + t->offset + (size_t)at * item, item);
			dst += item;
		}
}

static uint32_t random_next(uint32_t *seed, uint32_t n)
{
	*seed = *seed * 1664525u + 1013904223u;
	return (uint32_t)((uint64_t)(*seed >> 8) * n >> 24);
}

/* A view with axes in any order, with gaps or (stride 0) repeated. */
static int64_t random_view(struct ck_tensor *t, uint32_t *seed)
{
	static const enum dtype types[] = {DT_BF16, DT_F32, DT_F64, DT_U8};
	int64_t step = 1 + random_next(seed, 2);
	int order[4] = {0, 1, 2, 3};

	*t = (struct ck_tensor){.name = "w", .type = types[random_next(seed, 4)], .type_name = "?"};
	t->n_dims = (int)random_next(seed, 5);
	t->bytes = dtype_size(t->type);
	for (int i = t->n_dims - 1; i > 0; i--) {
		int j = (int)random_next(seed, (uint32_t)i + 1), swap = order[i];
		order[i] = order[j];
		order[j] = swap;
	}
	for (int i = 0; i < t->n_dims; i++) {
		int d = order[i];
		t->shape[d] = 1 + random_next(seed, i < 2 ? 90 : 6);
		t->stride[d] = random_next(seed, 8) ? step : 0;
		if (t->stride[d])
			step *= t->shape[d] + random_next(seed, 3);
		t->bytes *= (uint64_t)t->shape[d];
	}
	t->offset = random_next(seed, 9);
	return (int64_t)t->offset + step * (int64_t)dtype_size(t->type);
}

TEST(slices_of_any_view)
{
	size_t size = 48 << 20;
	uint8_t *file = malloc(size), *found = malloc(16 << 20), *wanted = malloc(16 << 20);
	uint32_t seed = 7;
	int done = 0;

	for (size_t i = 0; i < size; i++)
		file[i] = (uint8_t)(i * 2654435761u >> 13);
	struct source s = source_memory("made", file, size);
	for (int n = 0; n < (check_full ? 4000 : 400); n++) {
		struct ck_tensor t;
		struct why why = {""};
		if (random_view(&t, &seed) > (int64_t)size || t.bytes > 4 << 20)
			continue;
		int64_t height = t.n_dims ? t.shape[0] : 1, width = (int64_t)(t.bytes / dtype_size(t.type)) / height;
		int64_t row = random_next(&seed, (uint32_t)height),
			rows = 1 + random_next(&seed, (uint32_t)(height - row));
		int64_t col = random_next(&seed, (uint32_t)width),
			cols = 1 + random_next(&seed, (uint32_t)(width - col));
		if (slice_read(&s, &t, row, rows, col, cols, found, &why))
			CHECK_FAIL("view %d: %s", n, why.text);
		slow_slice(file, &t, row, rows, col, cols, wanted);
		if (memcmp(found, wanted, (size_t)(rows * cols) * dtype_size(t.type)))
			CHECK_FAIL("view %d differs", n);
		done++;
	}
	CHECK(done > 100);
	free(s.name);
	free(file);
	free(found);
	free(wanted);
}

CHECK_MAIN()
