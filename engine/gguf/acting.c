/* acting.c - keys of the metadata that change what a network computes, and that nothing here computes. With another
 * value than the plain one the answers would be those of another model, so such a file is refused. */
#include "engine/gguf/inside.h"

#include <stdio.h>

/* 0 means absent, too. */
static const struct {
	const char *key;
	double plain;
} acting[] = {
	{"rope.scaling.attn_factor", 1}, /* first: of longrope it is read */
	{"rope.scaling.yarn_attn_factor", 1},
	{"rope.scaling.yarn_ext_factor", 1},
	{"rope.scaling.yarn_beta_fast", 32},
	{"rope.scaling.yarn_beta_slow", 1},
	{"rope.scaling.yarn_log_multiplier", 0},
	{"attention.scale", 0},
	{"attention.clamp_kqv", 0},
	{"attn_logit_softcapping", 0},
	{"final_logit_softcapping", 0},
	{"logit_scale", 1},
	{"residual_scale", 1},
	{"embedding_scale", 1},
	{"expert_weights_scale", 1},
	{"expert_gating_func", 1}, /* softmax */
	{"expert_group_count", 1},
	{"expert_group_used_count", 1},
};

static int refuse(const char *key, double found, double plain, struct why *why)
{
	return fail(why, ERR_UNSUPPORTED, "%.100s is %g, which changes the model's numbers; only %g is supported", key,
		    found, plain);
}

/* Heads of a Llama are rotated whole, and their values are as long as their keys. */
static int check_heads(const struct gguf *g, const char *arch, int64_t head_dim, struct why *why)
{
	static const char *const lengths[] = {"rope.dimension_count", "attention.value_length"};
	char key[128];

	for (int i = 0; i < 2; i++) {
		int64_t n;
		snprintf(key, sizeof key, "%s.%s", arch, lengths[i]);
		n = gguf_int(g, key, head_dim);
		if (n && n != head_dim)
			return refuse(key, (double)n, (double)head_dim, why);
	}
	return 0;
}

int gguf_check_acting(const struct gguf *g, const char *arch, int64_t head_dim, bool longrope, struct why *why)
{
	char key[128];
	const struct gguf_value *causal;

	for (size_t i = longrope; i < sizeof acting / sizeof *acting; i++) {
		double found;
		snprintf(key, sizeof key, "%s.%s", arch, acting[i].key);
		found = gguf_real(g, key, acting[i].plain);
		if (found != 0 && found != acting[i].plain)
			return refuse(key, found, acting[i].plain, why);
	}
	snprintf(key, sizeof key, "%s.attention.causal", arch);
	causal = gguf_find(g, key);
	if (causal && causal->kind == GGUF_BOOL && !causal->integer)
		return refuse(key, 0, 1, why);
	return head_dim > 0 ? check_heads(g, arch, head_dim, why) : 0;
}
