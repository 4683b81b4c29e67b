/* config_hash.c - a hash of what a config says, field by field under its name. Fields at their default do not count, so
 * that a model keeps its hash when later versions know more fields. */
#include "engine/models/config.h"

#include <stdio.h>
#include <string.h>

static void mix_text(uint64_t *h, const char *s)
{
	for (; *s; s++)
		*h = (*h ^ (unsigned char)*s) * 0x100000001b3u;
	*h ^= *h >> 29;
}

static void mix_number(uint64_t *h, const char *name, double x, double otherwise)
{
	char text[80];

	if (x == otherwise)
		return;
	snprintf(text, sizeof text, "%s=%.17g;", name, x);
	mix_text(h, text);
}

static void mix_layer(uint64_t *h, const char *name, int layer, bool yes)
{
	char item[24];

	if (!yes)
		return;
	snprintf(item, sizeof item, "%s%d", name, layer);
	mix_number(h, item, yes, false);
}

static void mix_list(uint64_t *h, const char *name, const float x[MODEL_MAX_PAIRS])
{
	char item[24];

	for (int i = 0; i < MODEL_MAX_PAIRS; i++) {
		if (x[i] == 0)
			continue;
		snprintf(item, sizeof item, "%s%d", name, i);
		mix_number(h, item, (double)x[i], 0);
	}
}

static void mix_shape(uint64_t *h, const struct model_config *c)
{
	mix_number(h, "hidden", c->hidden, 0);
	mix_number(h, "ffn", c->ffn, 0);
	mix_number(h, "layers", c->layers, 0);
	mix_number(h, "heads", c->heads, 0);
	mix_number(h, "kv_heads", c->kv_heads, 0);
	mix_number(h, "head_dim", c->head_dim, 0);
	mix_number(h, "vocab", c->vocab, 0);
	mix_number(h, "max_pos", c->max_pos, 0);
	mix_number(h, "parts", c->parts, 0);
	mix_number(h, "norm", c->norm, NORM_RMS);
	mix_number(h, "norm_eps", (double)c->norm_eps, 0);
	mix_number(h, "act", c->act, 0);
	mix_number(h, "parallel", c->parallel, false);
	mix_number(h, "unit_head", c->unit_head, false);
	mix_number(h, "experts", c->experts, 0);
	mix_number(h, "experts_per_token", c->experts_per_token, 0);
	mix_number(h, "expert_ffn", c->expert_ffn, 0);
	mix_number(h, "shared_ffn", c->shared_ffn, 0);
	mix_number(h, "norm_top", c->norm_top, false);
	mix_number(h, "tied", c->tied, false);
	mix_number(h, "torch_dtype", c->torch_dtype, DT_COUNT);
}

static void mix_positions(uint64_t *h, const struct model_config *c)
{
	mix_number(h, "positions", c->positions, POSITIONS_ROTARY);
	mix_number(h, "n_rot", c->n_rot, 0);
	mix_number(h, "rotates_neighbours", c->rotates_neighbours, false);
	mix_number(h, "rope_theta", c->rope_theta, 0);
	mix_number(h, "scaling", c->scaling, ROPE_NONE);
	mix_number(h, "rope_factor", c->rope_factor, 0);
	mix_number(h, "rope_low", c->rope_low, 0);
	mix_number(h, "rope_high", c->rope_high, 0);
	mix_number(h, "rope_original", c->rope_original, 0);
	mix_number(h, "rope_attention", c->rope_attention, 0);
	mix_number(h, "rope_truncate", c->rope_truncate, false);
	mix_list(h, "rope_short", c->rope_short);
	mix_list(h, "rope_long", c->rope_long);
	mix_number(h, "window", c->window, 0);
	for (int i = 0; i < c->layers && i < MODEL_MAX_LAYERS; i++) {
		mix_layer(h, "windowed", i, c->windowed[i]);
		mix_layer(h, "routed", i, c->routed[i]);
	}
}

uint64_t model_config_hash(const struct model_config *c)
{
	uint64_t h = 0xcbf29ce484222325u;

	mix_text(&h, c->architecture);
	mix_shape(&h, c);
	mix_positions(&h, c);
	mix_number(&h, "bos", c->bos, -1);
	mix_number(&h, "pad", c->pad, -1);
	mix_number(&h, "n_eos", c->eos_assumed ? 0 : c->n_eos, 0);
	for (int i = 0; !c->eos_assumed && i < c->n_eos && i < MODEL_MAX_EOS; i++)
		mix_number(&h, "eos", c->eos[i], -1);
	return h;
}
