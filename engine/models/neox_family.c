/* neox_family.c - GPT-NeoX and Pythia (arXiv:2204.06745, arXiv:2304.01373): two LayerNorms, biases, gelu, a rotation of
 * part of each head, q, k and v head by head in one tensor. */
#include "engine/models/fields.h"
#include "engine/models/neox.h"
#include "engine/models/table.h"

static const struct weight_row rows[] = {
	{ONCE(embed), .kind = WEIGHT_TABLE, .cols = AXIS_HIDDEN, .piece = {{"gpt_neox.embed_in.weight", AXIS_VOCAB}}},
	{IN_LAYER(qkv), .cols = AXIS_HIDDEN, .heads = true, .order = QKV_BY_HEAD,
	 .piece = {{"attention.query.weight", AXIS_Q},
		   {"attention.key.weight", AXIS_KV},
		   {"attention.value.weight", AXIS_KV}},
	 .fused = {"attention.query_key_value.weight"}},
	{IN_LAYER(o), .cols = AXIS_Q, .piece = {{"attention.dense.weight", AXIS_HIDDEN}}},
	{IN_LAYER(gate_up), .cols = AXIS_HIDDEN, .piece = {{"mlp.dense_h_to_4h.weight", AXIS_FFN}}},
	{IN_LAYER(down), .cols = AXIS_FFN, .piece = {{"mlp.dense_4h_to_h.weight", AXIS_HIDDEN}}},
	{IN_LAYER(norm_att), .kind = WEIGHT_GAIN, .piece = {{"input_layernorm.weight", AXIS_HIDDEN}}},
	{IN_LAYER(norm_att_bias), .kind = WEIGHT_BIAS, .piece = {{"input_layernorm.bias", AXIS_HIDDEN}}},
	{IN_LAYER(norm_ffn), .kind = WEIGHT_GAIN, .piece = {{"post_attention_layernorm.weight", AXIS_HIDDEN}}},
	{IN_LAYER(norm_ffn_bias), .kind = WEIGHT_BIAS, .piece = {{"post_attention_layernorm.bias", AXIS_HIDDEN}}},
	{IN_LAYER(qkv_bias), .kind = WEIGHT_BIAS, .part = PART_QKV_BIAS, .heads = true, .order = QKV_BY_HEAD,
	 .piece = {{"attention.query.bias", AXIS_Q},
		   {"attention.key.bias", AXIS_KV},
		   {"attention.value.bias", AXIS_KV}},
	 .fused = {"attention.query_key_value.bias"}},
	{IN_LAYER(o_bias), .kind = WEIGHT_BIAS, .part = PART_O_BIAS, .piece = {{"attention.dense.bias", AXIS_HIDDEN}}},
	{IN_LAYER(gate_up_bias), .kind = WEIGHT_BIAS, .piece = {{"mlp.dense_h_to_4h.bias", AXIS_FFN}}},
	{IN_LAYER(down_bias), .kind = WEIGHT_BIAS, .piece = {{"mlp.dense_4h_to_h.bias", AXIS_HIDDEN}}},
	{ONCE(norm_out), .kind = WEIGHT_GAIN, .piece = {{"gpt_neox.final_layer_norm.weight", AXIS_HIDDEN}}},
	{ONCE(norm_out_bias), .kind = WEIGHT_BIAS, .piece = {{"gpt_neox.final_layer_norm.bias", AXIS_HIDDEN}}},
	{ONCE(head), .kind = WEIGHT_HEAD, .cols = AXIS_HIDDEN, .piece = {{"embed_out.weight", AXIS_VOCAB}}},
	{0}};

static const char *const acting[] = {"embed_out.", "gpt_neox.final_layer_norm.", "gpt_neox.embed_", NULL};

static void read_config(struct config_reader *r, struct model_config *c)
{
	c->hidden = field_int(r, "hidden_size", 2, 1 << 17, -1);
	c->ffn = field_int(r, "intermediate_size", 1, 1 << 19, -1);
	c->layers = field_int(r, "num_hidden_layers", 1, MODEL_MAX_LAYERS, -1);
	c->heads = c->kv_heads = field_int(r, "num_attention_heads", 1, 1024, -1);
	c->vocab = field_int(r, "vocab_size", 2, 1 << 24, -1);
	c->max_pos = field_int(r, "max_position_embeddings", 1, 1 << 26, 2048);
	c->head_dim = c->hidden / c->heads;
	field_check_heads(r, c, false);
	field_refuse_unsupported(r);
	c->norm = NORM_LAYER;
	c->norm_eps = (float)field_number(r, r->root, "layer_norm_eps", 0, 1, 1e-5);
	c->act = field_activation(r, "hidden_act", "gelu");
	c->parallel = field_bool(r, "use_parallel_residual", true);
	c->parts = PART_FFN_BIAS | (field_bool(r, "attention_bias", true) ? PART_QKV_BIAS | PART_O_BIAS : 0);
	c->tied = field_bool(r, "tie_word_embeddings", false);
	field_rope(r, c, &(struct rope_keys){"rotary_emb_base", "rotary_pct", 0.25, 0});
	field_dtype(r, c);
	field_tokens(r, c);
}

const struct family neox_family = {.architecture = "GPTNeoXForCausalLM",
				   .model_type = "gpt_neox",
				   .read_config = read_config,
				   .eos = (const int[]){2, -1},
				   .layer = "gpt_neox.layers.",
				   .prefix = "gpt_neox.",
				   .rows = rows,
				   .acting = acting,
				   .pass = neox_pass};
