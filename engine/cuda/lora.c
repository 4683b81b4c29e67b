/* lora.c - launches low-rank updates: one kernel each for A x and for B t, over all rows of a step. */
#include "engine/cuda/cuda.h"

#include <string.h>

_Static_assert(sizeof(struct lora_slot) == sizeof(struct k_lora_slot), "kernels read the slots as they are");

/* K's leaves, where the order of sums is fixed; else all of this rank's columns as one. */
static void set_leaves(struct k_lora *l, const struct split *k, bool fixed)
{
	struct part parts[SHARD_MAX_PARTS];
	int n = fixed ? split_parts(k, parts) : 0;

	if (!fixed) {
		l->n_leaves = 1;
		l->start[1] = split_columns(k).count;
		return;
	}
	for (int i = 0; i < n; i++)
		for (int j = 0; j < parts[i].count; j++, l->n_leaves++) {
			l->start[l->n_leaves + 1] = k->start[parts[i].first + j + 1] - k->start[k->first];
			l->merges[l->n_leaves] = __builtin_ctz((unsigned)j + 1);
			l->part[l->n_leaves] = j + 1 == parts[i].count ? i : -1;
		}
}

static struct k_lora form_of(const struct cuda *c, const struct lora *l, const int32_t *slot)
{
	struct k_lora k = {.a = l->a,
			   .b = l->b,
			   .slots = (const struct k_lora_slot *)(const void *)l->on_device,
			   .slot = slot,
			   .pieces = l->shape.pieces,
			   .rank = l->shape.rank,
			   .cols = l->cols,
			   .panels = l->panels,
			   .paired = l->shape.paired};

	for (int i = 0; i < k.pieces; i++)
		k.rows[i] = l->shape.rows[i], k.all_rows += l->shape.rows[i];
	set_leaves(&k, &l->shape.k, c->how.fixed);
	return k;
}

void cuda_lora_down(struct backend *b, float *t, const struct tensor *x, const struct lora *l, const int32_t *slot)
{
	struct cuda *c = cuda_of(b);

	if (x->rows && l->shape.k.count)
		cuda_check(k_lora_down(c->stream, c->type, t, form_of(c, l, slot), x->data, x->rows), "adapters");
}

void cuda_lora_up(struct backend *b, struct tensor *y, const float *t, const struct lora *l, const int32_t *slot)
{
	struct cuda *c = cuda_of(b);
	enum k_type type = y->type == DT_F32 ? K_F32 : y->type == DT_F16 ? K_F16 : K_BF16;

	if (y->rows && y->cols)
		cuda_check(k_lora_up(c->stream, type, y->data, form_of(c, l, slot), t, y->rows), "adapters");
}

void cuda_silu_mul(struct backend *b, struct tensor *out, const struct tensor *gate_up, const float *bias)
{
	struct cuda *c = cuda_of(b);

	if (out->rows && out->cols)
		cuda_check(k_silu_mul(c->stream, c->type, out->data, gate_up->data, bias, out->rows, out->cols),
			   "silu");
}
