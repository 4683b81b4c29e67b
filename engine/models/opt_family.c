/* opt_family.c - OPT (arXiv:2205.01068): LayerNorm, biases, relu, learned positions, a tied head. */
#include "engine/models/fields.h"
#include "engine/models/llama.h"
#include "engine/models/table.h"

static const struct weight_row rows[] = {
	{ONCE(embed), .kind = WEIGHT_TABLE, .cols = AXIS_HIDDEN,
	 .piece = {{"model.decoder.embed_tokens.weight", AXIS_VOCAB}}},
	{ONCE(positions), .kind = WEIGHT_POSITIONS, .cols = AXIS_HIDDEN, .skip = 2,
	 .piece = {{"model.decoder.embed_positions.weight", AXIS_POSITIONS}}},
	{IN_LAYER(qkv), .cols = AXIS_HIDDEN,
	 .piece = {{"self_attn.q_proj.weight", AXIS_Q},
		   {"self_attn.k_proj.weight", AXIS_KV},
		   {"self_attn.v_proj.weight", AXIS_KV}}},
	{IN_LAYER(o), .cols = AXIS_Q, .piece = {{"self_attn.out_proj.weight", AXIS_HIDDEN}}},
	{IN_LAYER(gate_up), .cols = AXIS_HIDDEN, .piece = {{"fc1.weight", AXIS_FFN}}},
	{IN_LAYER(down), .cols = AXIS_FFN, .piece = {{"fc2.weight", AXIS_HIDDEN}}},
	{IN_LAYER(norm_att), .kind = WEIGHT_GAIN, .piece = {{"self_attn_layer_norm.weight", AXIS_HIDDEN}}},
	{IN_LAYER(norm_att_bias), .kind = WEIGHT_BIAS, .piece = {{"self_attn_layer_norm.bias", AXIS_HIDDEN}}},
	{IN_LAYER(norm_ffn), .kind = WEIGHT_GAIN, .piece = {{"final_layer_norm.weight", AXIS_HIDDEN}}},
	{IN_LAYER(norm_ffn_bias), .kind = WEIGHT_BIAS, .piece = {{"final_layer_norm.bias", AXIS_HIDDEN}}},
	{IN_LAYER(qkv_bias), .kind = WEIGHT_BIAS, .part = PART_QKV_BIAS,
	 .piece = {{"self_attn.q_proj.bias", AXIS_Q},
		   {"self_attn.k_proj.bias", AXIS_KV},
		   {"self_attn.v_proj.bias", AXIS_KV}}},
	{IN_LAYER(o_bias), .kind = WEIGHT_BIAS, .part = PART_O_BIAS,
	 .piece = {{"self_attn.out_proj.bias", AXIS_HIDDEN}}},
	{IN_LAYER(gate_up_bias), .kind = WEIGHT_BIAS, .part = PART_FFN_BIAS, .piece = {{"fc1.bias", AXIS_FFN}}},
	{IN_LAYER(down_bias), .kind = WEIGHT_BIAS, .part = PART_FFN_BIAS, .piece = {{"fc2.bias", AXIS_HIDDEN}}},
	{ONCE(norm_out), .kind = WEIGHT_GAIN, .piece = {{"model.decoder.final_layer_norm.weight", AXIS_HIDDEN}}},
	{ONCE(norm_out_bias), .kind = WEIGHT_BIAS, .piece = {{"model.decoder.final_layer_norm.bias", AXIS_HIDDEN}}},
	{ONCE(head), .kind = WEIGHT_HEAD, .cols = AXIS_HIDDEN, .piece = {{"lm_head.weight", AXIS_VOCAB}}},
	{0}};

static const char *const acting[] = {"lm_head.", "model.decoder.final_layer_norm.", "model.decoder.embed_",
				     "model.decoder.project_", NULL};

/* OPT-350M norms behind its blocks and projects its embedding; some conversions lack the last norm. */
static void refuse_others(struct config_reader *r, const struct model_config *c)
{
	static const char rule[] = "such models (OPT-350M is one) are not supported";

	if (!field_bool(r, "do_layer_norm_before", true))
		field_refuse(r, ERR_UNSUPPORTED, "do_layer_norm_before", "false", rule);
	if (field_int(r, "word_embed_proj_dim", 1, 1 << 17, c->hidden) != c->hidden)
		field_refuse(r, ERR_UNSUPPORTED, "word_embed_proj_dim", "not hidden_size", rule);
	if (field_bool(r, "_remove_final_layer_norm", false))
		field_refuse(r, ERR_UNSUPPORTED, "_remove_final_layer_norm", "true",
			     "models without a last norm are not supported");
	if (!field_bool(r, "layer_norm_elementwise_affine", true))
		field_refuse(r, ERR_UNSUPPORTED, "layer_norm_elementwise_affine", "false",
			     "norms without weights are not supported");
}

static void read_config(struct config_reader *r, struct model_config *c)
{
	c->hidden = field_int(r, "hidden_size", 2, 1 << 17, 768);
	c->ffn = field_int(r, "ffn_dim", 1, 1 << 19, 3072);
	c->layers = field_int(r, "num_hidden_layers", 1, MODEL_MAX_LAYERS, 12);
	c->heads = c->kv_heads = field_int(r, "num_attention_heads", 1, 1024, 12);
	c->vocab = field_int(r, "vocab_size", 2, 1 << 24, 50272);
	c->max_pos = field_int(r, "max_position_embeddings", 1, 1 << 26, 2048);
	c->head_dim = c->hidden / c->heads;
	field_check_heads(r, c, false);
	refuse_others(r, c);
	field_refuse_unsupported(r);
	c->positions = POSITIONS_LEARNED;
	c->norm = NORM_LAYER;
	c->norm_eps = 1e-5f; /* no key of this class */
	c->act = field_activation(r, "activation_function", "relu");
	c->parts = field_bool(r, "enable_bias", true) ? PART_QKV_BIAS | PART_O_BIAS | PART_FFN_BIAS : 0;
	c->tied = field_bool(r, "tie_word_embeddings", true);
	field_dtype(r, c);
	field_tokens(r, c);
}

const struct family opt_family = {.architecture = "OPTForCausalLM",
				  .model_type = "opt",
				  .read_config = read_config,
				  .eos = (const int[]){2, -1},
				  .layer = "model.decoder.layers.",
				  .prefix = "model.",
				  .rows = rows,
				  .acting = acting,
				  .pass = llama_pass};
