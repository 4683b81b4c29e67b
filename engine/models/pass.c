/* pass.c - the ends of a forward pass, and its sums. */
#include "engine/models/pass.h"

/* Where this rank writes its partials for a sum to `out`. */
static float *parts_of(struct model *m, float *out, const struct split *k, int rows)
{
	return m->comm->alone ? out : comm_parts(m->comm, k, rows, m->cfg.hidden);
}

static void add_up(struct model *m, float *out, const struct split *k, int rows)
{
	if (!m->comm->alone)
		comm_sum(m->comm, out, k, rows, m->cfg.hidden);
}

void linear_sum(struct model *m, float *delta, const struct tensor *x, const struct weight *w, const struct split *k)
{
	float *parts = parts_of(m, delta, k, x->rows);

	if (w)
		backend_linear(m->b, parts, x, w, NULL);
	add_up(m, delta, k, x->rows);
}

void pass_embed(struct model *m, const struct step *s)
{
	int n = s->head->pad_tokens;
	struct tensor out = f32(parts_of(m, m->work.x, &m->shard.vocab_sum, n), n, m->cfg.hidden);

	backend_embed(m->b, &out, s->token, m->embed, m->shard.vocab.first);
	add_up(m, m->work.x, &m->shard.vocab_sum, n);
}

void keep_rows(struct model *m, const struct step *s)
{
	int n = s->head->pad_tokens, r = s->head->pad_rows;
	struct tensor x = f32(m->work.x, n, m->cfg.hidden), delta = f32(m->work.delta, n, m->cfg.hidden);
	struct tensor x_rows = f32(m->work.x_rows, r, m->cfg.hidden);
	struct tensor delta_rows = f32(m->work.delta_rows, r, m->cfg.hidden);

	backend_rows(m->b, &x_rows, &x, s->row);
	backend_rows(m->b, &delta_rows, &delta, s->row);
}
