/* llama_family.c - the families of Llama's shape: their tensors and their config.json. */
#include "engine/models/fields.h"
#include "engine/models/llama.h"
#include "engine/models/table.h"

#include <stdio.h>
#include <string.h>

const struct weight_row llama_rows[] = {
	{ONCE(embed), .kind = WEIGHT_TABLE, .cols = AXIS_HIDDEN, .piece = {{"model.embed_tokens.weight", AXIS_VOCAB}}},
	{IN_LAYER(qkv), .cols = AXIS_HIDDEN,
	 .piece = {{"self_attn.q_proj.weight", AXIS_Q},
		   {"self_attn.k_proj.weight", AXIS_KV},
		   {"self_attn.v_proj.weight", AXIS_KV}},
	 .fused = {"self_attn.qkv_proj.weight", "self_attn.W_pack.weight"}},
	{IN_LAYER(o), .cols = AXIS_Q, .piece = {{"self_attn.o_proj.weight", AXIS_HIDDEN}}},
	{IN_LAYER(gate_up), .cols = AXIS_HIDDEN,
	 .piece = {{"mlp.gate_proj.weight", AXIS_FFN}, {"mlp.up_proj.weight", AXIS_FFN}},
	 .fused = {"mlp.gate_up_proj.weight"}, .paired = true},
	{IN_LAYER(down), .cols = AXIS_FFN, .piece = {{"mlp.down_proj.weight", AXIS_HIDDEN}}},
	{IN_LAYER(norm_att), .kind = WEIGHT_GAIN, .piece = {{"input_layernorm.weight", AXIS_HIDDEN}}},
	{IN_LAYER(norm_ffn), .kind = WEIGHT_GAIN, .piece = {{"post_attention_layernorm.weight", AXIS_HIDDEN}}},
	{IN_LAYER(qkv_bias), .kind = WEIGHT_BIAS, .part = PART_QKV_BIAS,
	 .piece = {{"self_attn.q_proj.bias", AXIS_Q},
		   {"self_attn.k_proj.bias", AXIS_KV},
		   {"self_attn.v_proj.bias", AXIS_KV}},
	 .fused = {"self_attn.qkv_proj.bias"}},
	{IN_LAYER(o_bias), .kind = WEIGHT_BIAS, .part = PART_O_BIAS, .piece = {{"self_attn.o_proj.bias", AXIS_HIDDEN}}},
	{IN_LAYER(gate_up_bias), .kind = WEIGHT_BIAS, .part = PART_FFN_BIAS,
	 .piece = {{"mlp.gate_proj.bias", AXIS_FFN}, {"mlp.up_proj.bias", AXIS_FFN}}},
	{IN_LAYER(down_bias), .kind = WEIGHT_BIAS, .part = PART_FFN_BIAS,
	 .piece = {{"mlp.down_proj.bias", AXIS_HIDDEN}}},
	{IN_LAYER(q_norm), .kind = WEIGHT_GAIN, .part = PART_HEAD_NORM,
	 .piece = {{"self_attn.q_norm.weight", AXIS_HEAD}}},
	{IN_LAYER(k_norm), .kind = WEIGHT_GAIN, .part = PART_HEAD_NORM,
	 .piece = {{"self_attn.k_norm.weight", AXIS_HEAD}}},
	{ONCE(norm_out), .kind = WEIGHT_GAIN, .piece = {{"model.norm.weight", AXIS_HIDDEN}}},
	{ONCE(head), .kind = WEIGHT_HEAD, .cols = AXIS_HIDDEN, .piece = {{"lm_head.weight", AXIS_VOCAB}}},
	{0}};

const char *const llama_acting[] = {"lm_head.", "model.norm.", "model.embed_", "model.embedding", NULL};

/* Refuses by name what changes the arithmetic and is not built. */
static void refuse_unsupported(struct config_reader *r)
{
	static const char *const flags[] = {"attention_bias", "mlp_bias"};
	const struct json *v = field(r->root, "hidden_act");
	const char *name = json_str(v);

	if (v && (!name || (strcmp(name, "silu") && strcmp(name, "swish"))))
		field_refuse(r, ERR_UNSUPPORTED, "hidden_act", name ? name : json_kind_name(v), "supported: silu");
	for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
		if (field_bool(r, flags[i], false))
			field_refuse(r, ERR_UNSUPPORTED, flags[i], "true",
				     "linear layers with a bias are not supported");
	field_refuse_unsupported(r);
}

static void read_sizes(struct config_reader *r, struct model_config *c)
{
	char found[96];

	c->hidden = field_int(r, "hidden_size", 2, 1 << 17, -1);
	c->ffn = field_int(r, "intermediate_size", 1, 1 << 19, -1);
	c->layers = field_int(r, "num_hidden_layers", 1, 1024, -1);
	c->heads = field_int(r, "num_attention_heads", 1, 1024, -1);
	c->kv_heads = field_int(r, "num_key_value_heads", 1, 1024, c->heads);
	c->vocab = field_int(r, "vocab_size", 2, 1 << 24, -1);
	c->max_pos = field_int(r, "max_position_embeddings", 1, 1 << 26, 2048);
	if (r->err)
		return;
	c->head_dim = field_int(r, "head_dim", 2, 1024, c->hidden / c->heads);
	snprintf(found, sizeof found, "%d with hidden_size %d and %d heads", c->head_dim, c->hidden, c->heads);
	if (c->head_dim < 2 || c->head_dim % 2 || (!field(r->root, "head_dim") && c->hidden % c->heads))
		field_refuse(r, ERR_FORMAT, "head_dim", found,
			     "it must be an even number, and the heads must divide hidden_size");
	if (c->hidden % 2)
		field_refuse(r, ERR_UNSUPPORTED, "hidden_size", "odd", "it must be an even number");
	snprintf(found, sizeof found, "%d with %d heads", c->kv_heads, c->heads);
	if (c->heads % c->kv_heads)
		field_refuse(r, ERR_FORMAT, "num_key_value_heads", found,
			     "it must be a divisor of num_attention_heads");
}

static void read_config(struct config_reader *r, struct model_config *c)
{
	read_sizes(r, c);
	refuse_unsupported(r);
	c->norm_eps = (float)field_number(r, r->root, "rms_norm_eps", 0, 1, 1e-6);
	c->tied = field_bool(r, "tie_word_embeddings", false);
	field_rope(r, c);
	field_dtype(r, c);
	field_tokens(r, c);
}

const struct family xverse_family = {.architecture = "XverseForCausalLM",
				     .model_type = "xverse",
				     .read_config = read_config,
				     .layer = "model.layers.",
				     .rows = llama_rows,
				     .acting = llama_acting,
				     .pass = llama_pass};

const struct family llama_family = {.architecture = "LlamaForCausalLM",
				    .alias = "LLaMAForCausalLM",
				    .model_type = "llama",
				    .read_config = read_config,
				    .layer = "model.layers.",
				    .rows = llama_rows,
				    .acting = llama_acting,
				    .pass = llama_pass};
