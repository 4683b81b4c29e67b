/* weight.c - checks arguments once for all backends, which then pack. */
#include "engine/backend/weight.h"

const char *quant_name(enum quant q)
{
	static const char *const names[] = {"none", "int8", "int4", "fp8",    "uint8", "uint4", "e4m3",  "q4_k",
					    "q5_k", "q6_k", "q4_1", "iq4_nl", "q5_0",  "q5_1",  "iq4_xs"};

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

void weight_stack(struct weight *w, int experts, int each)
{
	REQUIRE(experts >= 1 && each >= 0 && w->rows == experts * weight_stack_step(each));
	REQUIRE(w->b->ops->covers & NEED_EXPERTS);
	w->experts = experts;
	w->each = each;
	w->b->ops->weight_stack(w, experts, each);
}

void weight_rows(struct weight *w, int first, int count, const void *src, size_t ld)
{
	int cols = weight_reads_whole_rows(w) ? w->k.start[w->k.n_leaves] : w->cols;

	REQUIRE(first >= 0 && count >= 0 && first <= w->rows - count && ld >= (size_t)cols);
	REQUIRE(w->quant != QUANT_UINT8 && w->quant != QUANT_UINT4 && w->quant != QUANT_E4M3);
	REQUIRE(!quant_is_blocks(w->quant));
	if (count && w->cols)
		w->b->ops->weight_rows(w, first, count, src, ld);
}

bool weight_takes_codes(const struct backend *b, enum quant quant)
{
	return b->ops->weight_codes && (b->ops->codes >> quant & 1);
}

void weight_codes(struct weight *w, int first, int count, const struct weight_codes *codes)
{
	int start = w->k.start[w->k.first];

	REQUIRE(weight_takes_codes(w->b, w->quant) && !quant_is_blocks(w->quant) && first >= 0 && count >= 0 &&
		first <= w->rows - count);
	REQUIRE(codes->ld >= (size_t)w->cols && codes->groups >= (size_t)(div_up(start + w->cols, 32) - start / 32));
	REQUIRE(!codes->zero == (w->quant != QUANT_UINT8 && w->quant != QUANT_UINT4));
	REQUIRE(!codes->wide == (w->quant != QUANT_E4M3) && !codes->scale == !!codes->wide);
	if (count && w->cols)
		w->b->ops->weight_codes(w, first, count, codes);
}

bool quant_has_min(enum quant q)
{
	return q == QUANT_Q4_K || q == QUANT_Q5_K || q == QUANT_Q4_1 || q == QUANT_Q5_1;
}

int quant_block(enum quant q)
{
	return q == QUANT_Q4_K || q == QUANT_Q5_K || q == QUANT_Q6_K || q == QUANT_IQ4_XS ? 256 : 32;
}

int quant_parts(enum quant q)
{
	return q == QUANT_Q6_K ? 2 : quant_block(q) == 256 ? 1 : 0;
}

/* What a backend adds to the integers of a class, so that they are unsigned. */
static int offset_of(enum quant q)
{
	return q == QUANT_Q6_K ? 32 : q == QUANT_Q5_0 ? 16 : q == QUANT_IQ4_NL || q == QUANT_IQ4_XS ? 128 : 0;
}

bool quant_may_share(enum quant a, enum quant b)
{
	int one = offset_of(a), other = offset_of(b);

	return quant_is_blocks(a) && quant_is_blocks(b) && (one == other || !one || !other);
}

void weight_bands(struct weight *w, const struct weight_band *band, int n)
{
	int rows = 0;

	REQUIRE(n >= 1 && n <= WEIGHT_BANDS && band[0].quant == w->quant && !w->experts);
	for (int i = 0; i < n; i++) {
		REQUIRE(band[i].rows >= 0 && rows % 32 == 0);
		for (int j = 0; j <= i; j++)
			REQUIRE(quant_may_share(band[i].quant, band[j].quant));
		w->band[i] = band[i];
		rows += band[i].rows;
	}
	REQUIRE(rows == w->rows);
	w->n_bands = n;
	w->b->ops->weight_bands(w, band, n);
}

/* The class of rows [first, first + count). */
static enum quant class_of_rows(const struct weight *w, int first, int count)
{
	int start = 0;

	for (int i = 0; i < w->n_bands; start += w->band[i++].rows)
		if (first >= start && first + count <= start + w->band[i].rows)
			return w->band[i].quant;
	REQUIRE(!w->n_bands);
	return w->quant;
}

void weight_blocks(struct weight *w, int first, int count, const struct weight_blocks *in)
{
	const enum quant class = class_of_rows(w, first, count);
	int start = w->k.start[w->k.first], size = quant_block(class);

	REQUIRE(quant_is_blocks(class) && weight_takes_codes(w->b, class));
	REQUIRE(first >= 0 && count >= 0 && first <= w->rows - count && in->ld >= (size_t)w->cols);
	REQUIRE(in->blocks >= (size_t)(div_up(start + w->cols, size) - start / size));
	REQUIRE(in->groups >= (size_t)(div_up(start + w->cols, 32) - start / 32));
	REQUIRE(!in->min == !quant_has_min(class) && !in->part == !quant_parts(class));
	REQUIRE(!in->part_min == !(in->min && in->part));
	if (count && w->cols)
		w->b->ops->weight_blocks(w, first, count, in);
}

/* A leaf's groups of 32 begin at its start; a border of the files' groups must not lie inside one. */
bool weight_keeps_groups(const struct split *k, int group)
{
	for (int i = 0; i < k->n_leaves; i++)
		for (int at = k->start[i] / group * group + group; at < k->start[i + 1]; at += group)
			if ((at - k->start[i]) % 32)
				return false;
	return true;
}

void weight_order(struct weight *w, const int32_t *order)
{
	REQUIRE(w->b->ops->weight_order && w->k.n_leaves == 1);
	w->b->ops->weight_order(w, order);
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
