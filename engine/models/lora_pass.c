/* lora_pass.c - low-rank updates inside a forward pass. */
#include "engine/models/lora_inside.h"
#include "engine/models/pass.h"

void lora_begin(struct model *m, const struct step *s)
{
	struct model_lora *lo = m->lora;

	if (!lo)
		return;
	lo->active = 0;
	lo->now = lo->of_token;
	for (int i = 0; i < s->head->n_seqs; i++) {
		int slot = s->adapter[i] - 1;
		REQUIRE(slot < lo->slots);
		lo->active |= slot < 0 ? 0 : lo->changes[slot];
		for (int t = s->q_start[i]; t < s->q_start[i + 1]; t++)
			lo->of_token[t] = slot;
	}
	for (int t = s->head->n_tokens; t < s->head->pad_tokens; t++)
		lo->of_token[t] = -1;
	for (int r = 0; r < s->head->pad_rows; r++)
		lo->of_row[r] = r < s->head->n_rows ? lo->of_token[s->row[r]] : -1;
}

void lora_rows(struct model *m)
{
	if (m->lora)
		m->lora->now = m->lora->of_row;
}

void lora_apply(struct model *m, const struct layer *layer, enum lora_product which, const struct tensor *x,
		struct tensor *y)
{
	struct model_lora *lo = m->lora;
	const struct lora *l;
	const struct split *k;
	bool summed;
	int width;
	float *t;

	if (!lora_is_active(m, which))
		return;
	l = lo->product[(layer - m->layer) * LORA_PRODUCTS + (int)which];
	if (!l)
		return;
	k = &l->shape.k;
	width = l->shape.pieces * l->shape.rank;
	summed = k->n_leaves > 1 && !m->comm->alone;
	t = summed ? comm_parts(m->comm, k, x->rows, width) : lo->t;
	backend_lora_down(m->b, t, x, l, lo->now);
	if (summed)
		comm_sum(m->comm, lo->t, DT_F32, k, x->rows, width);
	backend_lora_up(m->b, y, lo->t, l, lo->now);
}
