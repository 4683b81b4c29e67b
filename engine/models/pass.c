/* pass.c - what forward passes share: their ends, their sums, attention, and the walk over the layers. */
#include "engine/models/lora_inside.h"
#include "engine/models/nan.h"
#include "engine/models/pass.h"

/* Where this rank writes its partials for a sum to `out`. */
static void *parts_of(struct model *m, void *out, const struct split *k, int rows)
{
	return m->comm->alone ? out : comm_parts(m->comm, k, rows, m->cfg.hidden);
}

static void add_up(struct model *m, void *out, enum dtype type, const struct split *k, int rows)
{
	if (!m->comm->alone)
		comm_sum(m->comm, out, type, k, rows, m->cfg.hidden);
}

void linear_sum(struct model *m, void *delta, const struct tensor *x, const struct weight *w, const struct split *k)
{
	struct tensor parts = sum_tensor(m, parts_of(m, delta, k, x->rows), x->rows);

	if (w && parts.type == DT_F32)
		backend_linear(m->b, parts.data, x, w, NULL);
	else if (w)
		backend_linear_mid(m->b, &parts, x, w, NULL);
	add_up(m, delta, parts.type, k, x->rows);
}

void experts_sum(struct model *m, const struct layer *l, void *delta, const struct tensor *h, const struct routing *r)
{
	struct expert_weights w = {l->expert_gate_up, l->expert_down, l->shared_gate_up, l->shared_down};
	void *parts = parts_of(m, delta, &m->shard.expert, h->rows);

	backend_experts(m->b, parts, h, r, &w);
	add_up(m, delta, m->b->sum, &m->shard.expert, h->rows);
}

struct delta pass_embed(struct model *m, const struct step *s)
{
	int n = s->head->pad_tokens;
	struct tensor out = f32(parts_of(m, m->work.x, &m->shard.vocab_sum, n), n, m->cfg.hidden);
	struct tensor places = f32(m->work.delta, n, m->cfg.hidden);

	backend_embed(m->b, &out, s->token, m->embed, m->shard.vocab.first);
	add_up(m, m->work.x, DT_F32, &m->shard.vocab_sum, n);
	if (!m->positions)
		return (struct delta){.data = NULL};
	backend_embed(m->b, &places, s->pos, m->positions, 0);
	return (struct delta){.data = m->work.delta, .type = DT_F32};
}

void pass_attention(struct model *m, int layer, struct kv *kv, const struct step *s, struct delta before)
{
	const struct layer *l = &m->layer[layer];
	struct attn_shape attn = m->attn;
	int n = s->head->pad_tokens, heads = attn.heads, width = (heads + 2 * attn.kv_heads) * attn.head_dim;
	struct tensor x = f32(m->work.x, n, m->cfg.hidden), h = act(m, n, m->cfg.hidden);
	struct tensor qkv = tensor_of(m->work.qkv, m->b->mid, n, width), out = act(m, n, heads * attn.head_dim), delta;
	struct norm norm = norm_of(m, l->norm_att, l->norm_att_bias);

	if (!m->cfg.windowed[layer])
		attn.window = 0;
	backend_add_norm(m->b, &h, &x, before, &norm);
	backend_linear_mid(m->b, &qkv, &h, l->qkv, l->qkv_bias);
	lora_apply(m, l, LORA_QKV, &h, &qkv);
	if (l->q_norm)
		backend_head_norm(m->b, &qkv, &attn, l->q_norm, l->k_norm, m->cfg.norm_eps);
	backend_rope_store(m->b, &qkv, &attn, m->cos ? &m->rope : NULL, kv->pool[layer], &kv->shape, s);
	backend_attention(m->b, &out, &qkv, &attn, kv->pool[layer], &kv->shape, s);
	linear_sum(m, m->work.delta, &out, l->o, &m->shard.o);
	delta = sum_tensor(m, m->work.delta, n);
	lora_apply(m, l, LORA_O, &out, &delta);
}

/* Where bits do not depend on the batch, gate and up are rounded for all rows as they are for those with adapters. */
static bool in_one(const struct model *m)
{
	return m->cfg.act == ACT_SILU_GATED && !lora_is_active(m, LORA_GATE_UP) && !(m->lora && m->b->fixed);
}

struct tensor pass_inner(struct model *m, const struct layer *l, const struct tensor *h)
{
	int ffn = m->shard.ffn.count, n = h->rows;
	struct tensor gate_up = tensor_of(m->work.gate_up, m->b->mid, n, 2 * ffn), out = act(m, n, ffn);
	const bool late = m->cfg.act == ACT_SILU_GATED && m->b->ops->paired_columns;

	if (!l->gate_up) /* an empty share */
		return out;
	if (in_one(m))
		return backend_linear_silu_mul(m->b, &out, &gate_up, h, l->gate_up, l->gate_up_bias);
	if (m->cfg.act != ACT_SILU_GATED)
		gate_up.cols = ffn;
	backend_linear_mid(m->b, &gate_up, h, l->gate_up, late ? NULL : l->gate_up_bias);
	lora_apply(m, l, LORA_GATE_UP, h, &gate_up);
	if (m->cfg.act == ACT_SILU_GATED)
		backend_silu_mul(m->b, &out, &gate_up, late ? l->gate_up_bias : NULL);
	else
		backend_activate(m->b, &out, &gate_up, m->cfg.act);
	return out;
}

void pass_down(struct model *m, const struct layer *l, const struct tensor *inner, void *delta)
{
	struct tensor y = sum_tensor(m, delta, inner->rows);

	linear_sum(m, delta, inner, l->down, &m->shard.down);
	lora_apply(m, l, LORA_DOWN, inner, &y);
}

/* m->work.x_rows, m->work.delta_rows (pad_rows, hidden) = the step's rows of x and delta. */
static void keep_rows(struct model *m, const struct step *s)
{
	int n = s->head->pad_tokens, r = s->head->pad_rows;
	struct tensor x = f32(m->work.x, n, m->cfg.hidden), delta = sum_tensor(m, m->work.delta, n);
	struct tensor x_rows = f32(m->work.x_rows, r, m->cfg.hidden);
	struct tensor delta_rows = sum_tensor(m, m->work.delta_rows, r);

	backend_rows(m->b, &x_rows, &x, s->row);
	backend_rows(m->b, &delta_rows, &delta, s->row);
}

void pass_layers(struct model *m, struct kv *kv, const struct step *s, pass_ffn *ffn)
{
	struct delta before = pass_embed(m, s);
	int last = m->cfg.layers - 1;

	nan_look(m->nan, m->work.x, DT_F32, false, NAN_EMBED);
	for (int i = 0; i <= last; i++) {
		pass_attention(m, i, kv, s, before);
		nan_look(m->nan, m->work.delta, m->b->sum, false, NAN_ATTENTION + 2 * i);
		if (i == last)
			break;
		ffn(m, &m->layer[i], m->work.x, m->work.delta, s->head->pad_tokens);
		nan_look(m->nan, m->work.delta, m->b->sum, false, NAN_FFN + 2 * i);
		before = sum_delta(m, m->work.delta, m->layer[i].down_bias);
	}
	if (!s->head->n_rows)
		return;
	/* From here on only the rows that need logits matter: all K and V are stored, so this changes no bits. */
	keep_rows(m, s);
	lora_rows(m);
	ffn(m, &m->layer[last], m->work.x_rows, m->work.delta_rows, s->head->pad_rows);
	nan_look(m->nan, m->work.delta_rows, m->b->sum, true, NAN_FFN + 2 * last);
}
