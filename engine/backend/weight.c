/* weight.c - checks arguments once for all backends, which then pack. */
#include "engine/backend/weight.h"

const char *quant_name(enum quant q)
{
	static const char *const names[] = {"none", "int8", "int4", "fp8"};

	return names[q];
}

bool weight_reads_whole_rows(const struct weight *w)
{
	return w->quant == QUANT_FP8;
}

struct weight *weight_create(struct backend *b, int rows, int cols, enum dtype stored, const struct split *k)
{
	return weight_create_quant(b, rows, cols, stored, QUANT_NONE, k);
}

struct weight *weight_create_quant(struct backend *b, int rows, int cols, enum dtype stored, enum quant quant,
				   const struct split *k)
{
	REQUIRE(rows >= 0 && (stored == DT_F32 || stored == DT_F16 || stored == DT_BF16));
	REQUIRE(k->n_leaves >= 1 && k->n_leaves <= SHARD_MAX_LEAVES && k->first >= 0 && k->count >= 0);
	REQUIRE(k->first + k->count <= k->n_leaves && cols == split_columns(k).count);
	for (int i = 0; i < k->n_leaves; i++)
		REQUIRE(k->start[i] >= 0 && k->start[i] <= k->start[i + 1]);
	return b->ops->weight_create(b, rows, cols, stored, quant, k);
}

void weight_pair(struct weight *w)
{
	REQUIRE(w->rows % 2 == 0);
	w->paired = true;
}

void weight_rows(struct weight *w, int first, int count, const void *src, size_t ld)
{
	int cols = weight_reads_whole_rows(w) ? w->k.start[w->k.n_leaves] : w->cols;

	REQUIRE(first >= 0 && count >= 0 && first <= w->rows - count && ld >= (size_t)cols);
	if (count && w->cols)
		w->b->ops->weight_rows(w, first, count, src, ld);
}

void weight_touch(struct weight *w)
{
	if (w->b->ops->weight_touch)
		w->b->ops->weight_touch(w);
}

bool weight_map(struct weight *w, int fd, int64_t at)
{
	REQUIRE(at >= 0);
	return w->b->ops->weight_map(w, fd, at);
}

void *weight_packed(struct weight *w, size_t *bytes)
{
	return w->b->ops->weight_packed(w, bytes);
}

void weight_destroy(struct weight *w)
{
	if (w)
		w->b->ops->weight_destroy(w);
}
