/* lora_pass.c - low-rank updates inside a forward pass. */
#include "engine/models/lora_inside.h"
#include "engine/models/pass.h"

enum { ALL_PRODUCTS = (1 << LORA_PRODUCTS) - 1 };

/* Graphs hold the updates of all products, whatever the adapters change. */
static unsigned changes_of(const struct model *m, int slot)
{
	return m->b->ops->plan ? ALL_PRODUCTS : m->lora->changes[slot];
}

void lora_plan(struct model *m, bool named)
{
	if (!m->lora)
		return;
	m->lora->active = named ? ALL_PRODUCTS : 0;
	m->lora->now = m->lora->now_of_tokens;
}

void lora_begin(struct model *m, const struct step *s, const struct step *run)
{
	struct model_lora *lo = m->lora;

	if (!lo)
		return;
	lo->active = 0;
	lo->now = lo->now_of_tokens;
	for (int i = 0; i < s->head->n_seqs; i++) {
		int slot = s->adapter[i] - 1;
		REQUIRE(slot < lo->slots);
		lo->active |= slot < 0 ? 0 : changes_of(m, slot);
		for (int t = s->q_start[i]; t < s->q_start[i + 1]; t++)
			lo->of_token[t] = slot;
	}
	for (int t = s->head->n_tokens; t < run->head->pad_tokens; t++)
		lo->of_token[t] = -1;
	for (int r = 0; r < run->head->pad_rows; r++)
		lo->of_row[r] = r < s->head->n_rows ? lo->of_token[s->row[r]] : -1;
	if (!lo->active)
		return;
	backend_upload(m->b, lo->now_of_tokens, lo->of_token, (size_t)run->head->pad_tokens * sizeof *lo->of_token);
	backend_upload(m->b, lo->now_of_rows, lo->of_row, (size_t)run->head->pad_rows * sizeof *lo->of_row);
}

void lora_rows(struct model *m)
{
	if (m->lora)
		m->lora->now = m->lora->now_of_rows;
}

/* Where a sum of t between ranks goes: the communicator's own place for what is not needed now, if there is one. Of
 * the step's tokens that is what its rows have in the last layer, of its rows what its tokens had. */
static float *sum_of(const struct model *m)
{
	float *own = comm_result(m->comm, m->lora->now == m->lora->now_of_rows ? 1 : 2);

	return own ? own : m->lora->t;
}

void lora_apply(struct model *m, const struct layer *layer, enum lora_product which, const struct tensor *x,
		struct tensor *y)
{
	struct model_lora *lo = m->lora;
	const struct lora *l;
	const struct split *k;
	bool summed;
	int width;
	float *t, *sum;

	if (!lora_is_active(m, which))
		return;
	l = lo->product[(layer - m->layer) * LORA_PRODUCTS + (int)which];
	if (!l)
		return;
	k = &l->shape.k;
	width = l->shape.pieces * l->shape.rank;
	summed = k->n_leaves > 1 && !m->comm->alone;
	t = summed ? comm_parts(m->comm, k, x->rows, width) : lo->t;
	sum = summed ? sum_of(m) : lo->t;
	backend_lora_down(m->b, t, x, l, lo->now);
	if (summed)
		comm_sum(m->comm, sum, DT_F32, k, x->rows, width);
	backend_lora_up(m->b, y, sum, l, lo->now);
}
