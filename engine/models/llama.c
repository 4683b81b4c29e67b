/* The forward pass of networks that add attention to the residual stream before the FFN reads it: Llama
 * (arXiv:2302.13971) and XVERSE, with grouped heads (arXiv:2305.13245), and OPT (arXiv:2205.01068). */
#include "engine/models/llama.h"
#include "engine/models/pass.h"

/* delta = FFN of norm(x + delta). */
void llama_ffn(struct model *m, const struct layer *l, float *x_data, void *delta, int n)
{
	struct tensor x = f32(x_data, n, m->cfg.hidden), h = act(m, n, m->cfg.hidden), inner;
	struct norm norm = norm_of(m, l->norm_ffn, l->norm_ffn_bias);

	backend_add_norm(m->b, &h, &x, sum_delta(m, delta, l->o_bias), &norm);
	inner = pass_inner(m, l, &h);
	pass_down(m, l, &inner, delta);
}

void llama_pass(struct model *m, struct kv *kv, const struct step *s)
{
	pass_layers(m, kv, s, llama_ffn);
}
