/* stablelm_family.c - StableLM 3B and StableLM 2 1.6B: Llama's network with LayerNorms in place of RMSNorms, and a
 * rotation of part of each head. */
#include "engine/models/fields.h"
#include "engine/models/llama.h"
#include "engine/models/llama_rows.h"

static const struct weight_row rows[] = {
	LLAMA_FRONT,
	LLAMA_FFN(LAYERS_ALL),
	{IN_LAYER(norm_att_bias), .kind = WEIGHT_BIAS, .piece = {{"input_layernorm.bias", AXIS_HIDDEN}}},
	{IN_LAYER(norm_ffn_bias), .kind = WEIGHT_BIAS, .piece = {{"post_attention_layernorm.bias", AXIS_HIDDEN}}},
	LLAMA_BACK,
	{ONCE(norm_out_bias), .kind = WEIGHT_BIAS, .piece = {{"model.norm.bias", AXIS_HIDDEN}}},
	{0}};

static void read_config(struct config_reader *r, struct model_config *c)
{
	static const char rule[] = "such models (StableLM 2 12B is one) are not supported";

	llama_read_base(r, c, &(struct llama_defaults){.max_pos = 4096, .kv_heads = 32});
	if (field_bool(r, "use_parallel_residual", false))
		field_refuse(r, ERR_UNSUPPORTED, "use_parallel_residual", "true", rule);
	if (field_bool(r, "qk_layernorm", false))
		field_refuse(r, ERR_UNSUPPORTED, "qk_layernorm", "true", rule);
	c->norm = NORM_LAYER;
	c->norm_eps = (float)field_number(r, r->root, "layer_norm_eps", 0, 1, 1e-5);
	c->parts = field_bool(r, "use_qkv_bias", false) ? PART_QKV_BIAS : 0;
	field_rope(r, c, &(struct rope_keys){"rope_theta", "partial_rotary_factor", 0.25, 0});
}

const struct family stablelm_family = {.architecture = "StableLmForCausalLM",
				       .alias = "StableLMEpochForCausalLM",
				       .model_type = "stablelm",
				       .read_config = read_config,
				       .eos = (const int[]){0, -1},
				       .layer = "model.layers.",
				       .prefix = "model.",
				       .rows = rows,
				       .acting = llama_acting,
				       .pass = llama_pass};
