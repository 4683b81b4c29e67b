/* moe.c - the forward pass with a mixture of experts (arXiv:1701.06538, arXiv:2401.04088): a router chooses a few FFNs
 * for each token, and their outputs are added by its weights. */
#include "engine/models/moe.h"
#include "engine/models/llama.h"
#include "engine/models/pass.h"

static struct routing routing_of(const struct model *m)
{
	return (struct routing){.experts = m->cfg.experts,
				.k = m->cfg.experts_per_token,
				.norm = m->cfg.norm_top,
				.expert = m->work.expert,
				.weight = m->work.expert_weight};
}

/* delta = the experts' outputs for norm(x + delta). */
static void routed_ffn(struct model *m, const struct layer *l, float *x_data, void *delta, int n)
{
	struct tensor x = f32(x_data, n, m->cfg.hidden), h = act(m, n, m->cfg.hidden);
	struct tensor logits = f32(m->work.router, n, m->cfg.experts);
	struct norm norm = norm_of(m, l->norm_ffn, l->norm_ffn_bias);
	struct routing routing = routing_of(m);

	backend_add_norm(m->b, &h, &x, sum_delta(m, delta, l->o_bias), &norm);
	backend_linear(m->b, logits.data, &h, l->router, NULL);
	if (l->shared_gate)
		backend_linear(m->b, m->work.shared, &h, l->shared_gate, NULL);
	backend_route(m->b, &routing, &logits, l->shared_gate ? m->work.shared : NULL);
	experts_sum(m, l, delta, &h, &routing);
}

static void moe_ffn(struct model *m, const struct layer *l, float *x, void *delta, int n)
{
	if (l->router)
		routed_ffn(m, l, x, delta, n);
	else
		llama_ffn(m, l, x, delta, n);
}

void moe_pass(struct model *m, struct kv *kv, const struct step *s)
{
	pass_layers(m, kv, s, moe_ffn);
}
