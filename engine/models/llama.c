/* The forward pass of Llama-shaped networks: Llama (arXiv:2302.13971) and XVERSE, with grouped heads
 * (arXiv:2305.13245). */
#include "engine/models/llama.h"
#include "engine/models/nan.h"
#include "engine/models/pass.h"

/* delta = attention of norm(x + delta), projected. */
static void attention_block(struct model *m, const struct layer *l, struct kv *kv, int layer, const struct step *s)
{
	int n = s->head->pad_tokens, heads = m->attn.heads, width = (heads + 2 * m->attn.kv_heads) * m->cfg.head_dim;
	struct tensor x = f32(m->work.x, n, m->cfg.hidden), h = act(m, n, m->cfg.hidden);
	struct tensor qkv = tensor_of(m->work.qkv, m->b->mid, n, width), out = act(m, n, heads * m->cfg.head_dim);

	backend_add_norm(m->b, &h, &x, layer ? m->work.delta : NULL, l->norm_att, NULL, NORM_RMS, m->cfg.norm_eps);
	backend_linear_mid(m->b, &qkv, &h, l->qkv);
	backend_rope_store(m->b, &qkv, &m->attn, &m->rope, kv->pool[layer], &kv->shape, s);
	backend_attention(m->b, &out, &qkv, &m->attn, kv->pool[layer], &kv->shape, s);
	linear_sum(m, m->work.delta, &out, l->o, &m->shard.o);
}

/* delta = FFN of norm(x + delta). */
static void ffn_block(struct model *m, const struct layer *l, float *x_data, float *delta, int n)
{
	int ffn = m->shard.ffn.count;
	struct tensor x = f32(x_data, n, m->cfg.hidden), h = act(m, n, m->cfg.hidden);
	struct tensor gate_up = tensor_of(m->work.gate_up, m->b->mid, n, 2 * ffn), out = act(m, n, ffn);

	backend_add_norm(m->b, &h, &x, delta, l->norm_ffn, NULL, NORM_RMS, m->cfg.norm_eps);
	if (l->gate_up)
		out = backend_linear_silu_mul(m->b, &out, &gate_up, &h, l->gate_up);
	linear_sum(m, delta, &out, l->down, &m->shard.down);
}

void llama_pass(struct model *m, struct kv *kv, const struct step *s)
{
	int last = m->cfg.layers - 1;

	pass_embed(m, s);
	nan_look(m->nan, m->work.x, false, NAN_EMBED);
	for (int i = 0; i < last; i++) {
		attention_block(m, &m->layer[i], kv, i, s);
		nan_look(m->nan, m->work.delta, false, NAN_ATTENTION + 2 * i);
		ffn_block(m, &m->layer[i], m->work.x, m->work.delta, s->head->pad_tokens);
		nan_look(m->nan, m->work.delta, false, NAN_FFN + 2 * i);
	}
	attention_block(m, &m->layer[last], kv, last, s);
	nan_look(m->nan, m->work.delta, false, NAN_ATTENTION + 2 * last);
	if (!s->head->n_rows)
		return;
	/* From here on only the rows that need logits matter: all K and V are stored, so this changes no bits. */
	keep_rows(m, s);
	ffn_block(m, &m->layer[last], m->work.x_rows, m->work.delta_rows, s->head->pad_rows);
	nan_look(m->nan, m->work.delta_rows, true, NAN_FFN + 2 * last);
}
