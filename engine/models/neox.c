/* The forward pass of networks whose attention and FFN read the same residual stream: GPT-NeoX (arXiv:2204.06745), with
 * a norm for each, and CodeGen (arXiv:2203.13474) and MOSS, with one for both. */
#include "engine/models/neox.h"
#include "engine/models/llama.h"
#include "engine/models/pass.h"

/* x += delta, which is attention; delta = FFN of norm(x), of x before that. */
static void ffn_beside(struct model *m, const struct layer *l, float *x_data, void *delta, int n)
{
	struct tensor x = f32(x_data, n, m->cfg.hidden), h = act(m, n, m->cfg.hidden), inner;
	struct norm norm =
		l->norm_ffn ? norm_of(m, l->norm_ffn, l->norm_ffn_bias) : norm_of(m, l->norm_att, l->norm_att_bias);

	backend_add_norm(m->b, &h, &x, (struct delta){.data = NULL}, &norm);
	inner = pass_inner(m, l, &h);
	backend_add(m->b, &x, sum_delta(m, delta, l->o_bias));
	pass_down(m, l, &inner, delta);
}

void neox_pass(struct model *m, struct kv *kv, const struct step *s)
{
	pass_layers(m, kv, s, m->cfg.parallel ? ffn_beside : llama_ffn);
}
