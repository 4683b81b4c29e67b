/* slice.c - reads part of a tensor whose elements have any layout in its file.
 *
 * The part is cut into boxes: up to CK_MAX_DIMS axes, each with a count, a stride in the file and a step in the result.
 * Axes are walked from the largest stride down, so the file is read forwards. Runs that are contiguous on both sides go
 * straight to the result; scattered small pieces are read in bounded chunks and gathered from there. */
#include "engine/checkpoint/inside.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
	STAGE = 256 << 10, /* bytes of a chunk */
	SMALL_GAP = 4096,  /* bytes: reading over such a gap is cheaper than another call */
	DIRECT_RUN = 8192, /* bytes: such a run is worth a call of its own */
	MAX_AXES = CK_MAX_DIMS,
};

struct axis {
	int64_t count, stride, step; /* stride and step in elements */
};

struct box {
	const struct source *s;
	uint64_t base; /* offset of the tensor's element 0 in the file */
	size_t item;
	int n;
	struct axis axis[MAX_AXES]; /* (n) largest stride first */
	int order[MAX_AXES];        /* (n) indexes of axis, largest step first */
	uint8_t *stage;             /* (STAGE) allocated when first needed */
	struct why *why;
};

/* Returns the elements from the first to the last of axes [k, n), for `count` steps of axis k. */
static int64_t span_of(const struct box *b, int k, int64_t count)
{
	int64_t span = 1;

	for (int i = k; i < b->n; i++)
		span += ((i == k ? count : b->axis[i].count) - 1) * b->axis[i].stride;
	return span;
}

static bool is_direct(const struct box *b, int k)
{
	return k == b->n || (k == b->n - 1 && b->axis[k].stride == 1 && b->axis[k].step == 1);
}

/* Says whether axes [k, n) are better read as a whole, gaps included. */
static bool is_dense(const struct box *b, int k)
{
	const struct axis *last = &b->axis[b->n - 1];

	if (is_direct(b, b->n - 1) && last->count * (int64_t)b->item >= DIRECT_RUN)
		return false;
	for (int i = k; i < b->n; i++)
		if ((b->axis[i].stride - span_of(b, i + 1, i + 1 < b->n ? b->axis[i + 1].count : 1)) *
			    (int64_t)b->item >
		    SMALL_GAP)
			return false;
	return true;
}

#define COPY_RUN(bytes) \
	case bytes: \
		for (int64_t i = 0; i < n; i++) \
			memcpy(dst + i * step * bytes, src + i * stride * bytes, bytes); \
		break

static void copy_run(uint8_t *dst, int64_t step, const uint8_t *src, int64_t stride, int64_t n, size_t item)
{
	if (step == 1 && stride == 1) {
		memcpy(dst, src, (size_t)n * item);
		return;
	}
	switch (item) {
		COPY_RUN(1);
		COPY_RUN(2);
		COPY_RUN(4);
		COPY_RUN(8);
	default:
		die("%s:%d: no element of %zu bytes", __FILE__, __LINE__, item);
	}
}

/* Copies axes [k, n) from the stage, `count` steps of axis k. o: position in the order. */
static void gather(const struct box *b, int k, int64_t count, int o, uint8_t *dst, const uint8_t *src)
{
	const struct axis *a;
	int64_t n;

	while (o < b->n - 1 && b->order[o] < k)
		o++;
	a = &b->axis[b->order[o]];
	n = b->order[o] < k ? 1 : b->order[o] == k ? count : a->count;
	if (o == b->n - 1) {
		copy_run(dst, a->step, src, a->stride, n, b->item);
		return;
	}
	for (int64_t i = 0; i < n; i++)
		gather(b, k, count, o + 1, dst + i * a->step * (int64_t)b->item,
		       src + i * a->stride * (int64_t)b->item);
}

static int read_staged(struct box *b, int k, int64_t count, uint64_t at, uint8_t *dst)
{
	int err;

	if (!b->stage)
		b->stage = xalloc(STAGE, 1);
	err = source_read(b->s, b->base + at * b->item, b->stage, (size_t)span_of(b, k, count) * b->item, b->why);
	if (!err)
		gather(b, k, count, 0, dst, b->stage);
	return err;
}

/* Returns how many steps of axis k fit a chunk; 0: they are read one by one. */
static int64_t steps_staged(const struct box *b, int k)
{
	const struct axis *a = &b->axis[k];
	int64_t room = STAGE / (int64_t)b->item - span_of(b, k, 1);

	if (!is_dense(b, k) || room < 0)
		return k == b->n - 1 ? 1 : 0;
	return a->stride ? 1 + room / a->stride : a->count;
}

static int read_axes(struct box *b, int k, uint64_t at, uint8_t *dst)
{
	const struct axis *a = &b->axis[k];
	int64_t many, n;
	int err = 0;

	if (is_direct(b, k))
		return source_read(b->s, b->base + at * b->item, dst, k == b->n ? b->item : (size_t)a->count * b->item,
				   b->why);
	many = steps_staged(b, k);
	for (int64_t i = 0; i < a->count && !err; i += n) {
		uint64_t from = at + (uint64_t)(i * a->stride);
		uint8_t *to = dst + i * a->step * (int64_t)b->item;
		n = !many ? 1 : many < a->count - i ? many : a->count - i;
		err = many ? read_staged(b, k, n, from, to) : read_axes(b, k + 1, from, to);
	}
	return err;
}

/* Drops axes of one step and joins adjacent axes that are one longer axis on both sides. */
static void box_add(struct box *b, int64_t count, int64_t stride, int64_t step)
{
	struct axis *before = b->n ? &b->axis[b->n - 1] : NULL;

	if (count == 1)
		return;
	if (before && before->stride == count * stride && before->step == count * step)
		*before = (struct axis){before->count * count, stride, step};
	else
		b->axis[b->n++] = (struct axis){count, stride, step};
}

static void box_sort(struct box *b)
{
	for (int i = 1; i < b->n; i++) /* insertion sort: stable, and n is small */
		for (int j = i; j > 0 && b->axis[j].stride > b->axis[j - 1].stride; j--) {
			struct axis swap = b->axis[j];
			b->axis[j] = b->axis[j - 1];
			b->axis[j - 1] = swap;
		}
	for (int i = 0; i < b->n; i++) {
		int j = i;
		for (; j > 0 && b->axis[b->order[j - 1]].step < b->axis[i].step; j--)
			b->order[j] = b->order[j - 1];
		b->order[j] = i;
	}
}

/* One slice of a tensor: axis 0 is rows; the columns are the flattened axes [1, n_dims). */
struct slice {
	const struct source *s;
	const struct ck_tensor *t;
	int64_t inner[CK_MAX_DIMS + 1]; /* elements in one step of an axis */
	int64_t rows, cols;
	uint8_t *dst;
	struct why *why;
};

static int read_box(const struct slice *x, int k, int64_t count, uint64_t at, int64_t done)
{
	const struct ck_tensor *t = x->t;
	struct box b = {.s = x->s, .base = t->offset, .item = dtype_size(t->type), .why = x->why};
	int err;

	if (t->n_dims)
		box_add(&b, x->rows, t->stride[0], x->cols);
	if (k < t->n_dims)
		box_add(&b, count, t->stride[k], x->inner[k]);
	for (int i = k + 1; i < t->n_dims; i++)
		box_add(&b, t->shape[i], t->stride[i], x->inner[i]);
	box_sort(&b);
	err = read_axes(&b, 0, at, x->dst + done * (int64_t)b.item);
	free(b.stage);
	return err;
}

/* Reads columns [first, end), counted within axes [k, n_dims). `at`: where these begin; `done`: columns before them. */
static int read_range(const struct slice *x, int k, uint64_t at, int64_t first, int64_t end, int64_t done)
{
	int64_t inner = x->inner[k], here = first / inner, cut = end < (here + 1) * inner ? end : (here + 1) * inner;
	int64_t stride = k < x->t->n_dims ? x->t->stride[k] : 0;
	int err = 0;

	if (first % inner || end < (here + 1) * inner) { /* the first step is incomplete */
		err = read_range(x, k + 1, at + (uint64_t)(here * stride), first - here * inner, cut - here * inner,
				 done);
		done += cut - first;
		first = cut;
	}
	here = end / inner - first / inner;
	if (!err && here > 0) {
		err = read_box(x, k, here, at + (uint64_t)(first / inner * stride), done);
		done += here * inner;
		first += here * inner;
	}
	if (!err && first < end)
		err = read_range(x, k + 1, at + (uint64_t)(first / inner * stride), 0, end - first, done);
	return err;
}

int slice_read(const struct source *s, const struct ck_tensor *t, int64_t row, int64_t rows, int64_t col, int64_t cols,
	       void *dst, struct why *why)
{
	struct slice x = {.s = s, .t = t, .rows = rows, .cols = cols, .dst = dst, .why = why};
	int64_t width = 1, height = t->n_dims ? t->shape[0] : 1;

	for (int i = t->n_dims - 1; i > 0; i--) {
		x.inner[i] = width;
		if (t->bytes)
			width *= t->shape[i];
	}
	x.inner[t->n_dims] = 1; /* the only column of a vector or scalar */
	if (t->n_dims <= 1)
		x.inner[1] = 1;
	if (t->type >= DT_COUNT)
		return fail(why, ERR_UNSUPPORTED, "%s: tensor %s: elements of type %s are not supported", s->name,
			    t->name, t->type_name);
	if (!t->bytes)
		return 0;
	if (row < 0 || rows < 0 || row > height || rows > height - row || col < 0 || cols < 0 || col > width ||
	    cols > width - col)
		return fail(why, ERR_INVALID,
			    "%s: tensor %s of %" PRId64 " x %" PRId64 ": no rows [%" PRId64 ", +%" PRId64
			    ") and columns [%" PRId64 ", +%" PRId64 ")",
			    s->name, t->name, height, width, row, rows, col, cols);
	if (!rows || !cols)
		return 0;
	if (t->block || t->order != ROWS_SAME)
		return rows_read(s, t, row, rows, col, cols, dst, why);
	return read_range(&x, 1, t->n_dims ? (uint64_t)(row * t->stride[0]) : 0, col, col + cols, 0);
}
