/* phi_family.c - Phi-1, 1.5 and 2 (arXiv:2306.11644): one LayerNorm for attention and FFN, biases everywhere, gelu by
 * tanh, a rotation of part of each head. */
#include "engine/models/fields.h"
#include "engine/models/neox.h"
#include "engine/models/table.h"

static const struct weight_row rows[] = {
	{ONCE(embed), .kind = WEIGHT_TABLE, .cols = AXIS_HIDDEN, .piece = {{"model.embed_tokens.weight", AXIS_VOCAB}}},
	{IN_LAYER(qkv), .cols = AXIS_HIDDEN,
	 .piece = {{"self_attn.q_proj.weight", AXIS_Q},
		   {"self_attn.k_proj.weight", AXIS_KV},
		   {"self_attn.v_proj.weight", AXIS_KV}},
	 .fused = {"self_attn.qkv_proj.weight"}},
	{IN_LAYER(o), .cols = AXIS_Q, .piece = {{"self_attn.dense.weight", AXIS_HIDDEN}}},
	{IN_LAYER(gate_up), .cols = AXIS_HIDDEN, .piece = {{"mlp.fc1.weight", AXIS_FFN}}},
	{IN_LAYER(down), .cols = AXIS_FFN, .piece = {{"mlp.fc2.weight", AXIS_HIDDEN}}},
	{IN_LAYER(norm_att), .kind = WEIGHT_GAIN, .piece = {{"input_layernorm.weight", AXIS_HIDDEN}}},
	{IN_LAYER(norm_att_bias), .kind = WEIGHT_BIAS, .piece = {{"input_layernorm.bias", AXIS_HIDDEN}}},
	{IN_LAYER(qkv_bias), .kind = WEIGHT_BIAS,
	 .piece = {{"self_attn.q_proj.bias", AXIS_Q},
		   {"self_attn.k_proj.bias", AXIS_KV},
		   {"self_attn.v_proj.bias", AXIS_KV}},
	 .fused = {"self_attn.qkv_proj.bias"}},
	{IN_LAYER(o_bias), .kind = WEIGHT_BIAS, .piece = {{"self_attn.dense.bias", AXIS_HIDDEN}}},
	{IN_LAYER(gate_up_bias), .kind = WEIGHT_BIAS, .piece = {{"mlp.fc1.bias", AXIS_FFN}}},
	{IN_LAYER(down_bias), .kind = WEIGHT_BIAS, .piece = {{"mlp.fc2.bias", AXIS_HIDDEN}}},
	{ONCE(norm_out), .kind = WEIGHT_GAIN, .piece = {{"model.final_layernorm.weight", AXIS_HIDDEN}}},
	{ONCE(norm_out_bias), .kind = WEIGHT_BIAS, .piece = {{"model.final_layernorm.bias", AXIS_HIDDEN}}},
	{ONCE(head), .kind = WEIGHT_HEAD, .cols = AXIS_HIDDEN, .piece = {{"lm_head.weight", AXIS_VOCAB}}},
	{ONCE(head_bias), .kind = WEIGHT_BIAS, .piece = {{"lm_head.bias", AXIS_VOCAB}}},
	{0}};

static const char *const acting[] = {"lm_head.", "model.final_layernorm.", "model.embed_", NULL};

static void read_config(struct config_reader *r, struct model_config *c)
{
	c->hidden = field_int(r, "hidden_size", 2, 1 << 17, -1);
	c->ffn = field_int(r, "intermediate_size", 1, 1 << 19, 8192);
	c->layers = field_int(r, "num_hidden_layers", 1, MODEL_MAX_LAYERS, -1);
	c->heads = field_int(r, "num_attention_heads", 1, 1024, -1);
	c->kv_heads = field_int(r, "num_key_value_heads", 1, 1024, c->heads);
	c->vocab = field_int(r, "vocab_size", 2, 1 << 24, -1);
	c->max_pos = field_int(r, "max_position_embeddings", 1, 1 << 26, 2048);
	c->head_dim = c->hidden / c->heads;
	field_check_heads(r, c, false);
	field_refuse_unsupported(r);
	if (field_bool(r, "qk_layernorm", false))
		field_refuse(r, ERR_UNSUPPORTED, "qk_layernorm", "true",
			     "norms of queries and keys are not supported here");
	c->norm = NORM_LAYER;
	c->norm_eps = (float)field_number(r, r->root, "layer_norm_eps", 0, 1, 1e-5);
	c->act = field_activation(r, "hidden_act", "gelu_new");
	c->parallel = true;
	c->parts = PART_QKV_BIAS | PART_O_BIAS | PART_FFN_BIAS | PART_HEAD_BIAS;
	c->tied = field_bool(r, "tie_word_embeddings", false);
	field_rope(r, c, &(struct rope_keys){"rope_theta", "partial_rotary_factor", 0.5, 0});
	field_dtype(r, c);
	field_tokens(r, c);
}

const struct family phi_family = {.architecture = "PhiForCausalLM",
				  .model_type = "phi",
				  .read_config = read_config,
				  .eos = (const int[]){2, -1},
				  .layer = "model.layers.",
				  .prefix = "model.",
				  .rows = rows,
				  .acting = acting,
				  .pass = neox_pass};
