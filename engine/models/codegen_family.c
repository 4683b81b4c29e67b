/* codegen_family.c - CodeGen (arXiv:2203.13474) and MOSS: one LayerNorm for attention and FFN, gelu by tanh, a rotation
 * of neighbouring dimensions in part of each head, q, v and k in four blocks of one tensor, a bias of the head. */
#include "engine/models/fields.h"
#include "engine/models/neox.h"
#include "engine/models/table.h"

#include <stdio.h>

static const struct weight_row rows[] = {
	{ONCE(embed), .kind = WEIGHT_TABLE, .cols = AXIS_HIDDEN, .piece = {{"transformer.wte.weight", AXIS_VOCAB}}},
	{IN_LAYER(qkv), .cols = AXIS_HIDDEN, .heads = true, .order = QKV_BY_BLOCK4,
	 .piece = {{"attn.query.weight", AXIS_Q}, {"attn.key.weight", AXIS_KV}, {"attn.value.weight", AXIS_KV}},
	 .fused = {"attn.qkv_proj.weight"}},
	{IN_LAYER(o), .cols = AXIS_Q, .piece = {{"attn.out_proj.weight", AXIS_HIDDEN}}},
	{IN_LAYER(gate_up), .cols = AXIS_HIDDEN, .piece = {{"mlp.fc_in.weight", AXIS_FFN}}},
	{IN_LAYER(down), .cols = AXIS_FFN, .piece = {{"mlp.fc_out.weight", AXIS_HIDDEN}}},
	{IN_LAYER(norm_att), .kind = WEIGHT_GAIN, .piece = {{"ln_1.weight", AXIS_HIDDEN}}},
	{IN_LAYER(norm_att_bias), .kind = WEIGHT_BIAS, .piece = {{"ln_1.bias", AXIS_HIDDEN}}},
	{IN_LAYER(gate_up_bias), .kind = WEIGHT_BIAS, .piece = {{"mlp.fc_in.bias", AXIS_FFN}}},
	{IN_LAYER(down_bias), .kind = WEIGHT_BIAS, .piece = {{"mlp.fc_out.bias", AXIS_HIDDEN}}},
	{ONCE(norm_out), .kind = WEIGHT_GAIN, .piece = {{"transformer.ln_f.weight", AXIS_HIDDEN}}},
	{ONCE(norm_out_bias), .kind = WEIGHT_BIAS, .piece = {{"transformer.ln_f.bias", AXIS_HIDDEN}}},
	{ONCE(head), .kind = WEIGHT_HEAD, .cols = AXIS_HIDDEN, .piece = {{"lm_head.weight", AXIS_VOCAB}}},
	{ONCE(head_bias), .kind = WEIGHT_BIAS, .part = PART_HEAD_BIAS, .piece = {{"lm_head.bias", AXIS_VOCAB}}},
	{0}};

static const char *const acting[] = {"lm_head.", "transformer.ln_f.", "transformer.wte.", "transformer.wpe.", NULL};

static void read_config(struct config_reader *r, struct model_config *c)
{
	char found[64];

	c->hidden = field_int(r, "n_embd", 2, 1 << 17, -1);
	c->layers = field_int(r, "n_layer", 1, MODEL_MAX_LAYERS, -1);
	c->heads = c->kv_heads = field_int(r, "n_head", 1, 1024, -1);
	c->ffn = field_int(r, "n_inner", 1, 1 << 19, 4 * c->hidden);
	c->vocab = field_int(r, "vocab_size", 2, 1 << 24, -1);
	c->max_pos = field_int(r, "n_positions", 1, 1 << 26, 2048);
	c->head_dim = c->hidden / c->heads;
	field_check_heads(r, c, false);
	field_refuse_unsupported(r);
	c->n_rot = field_int(r, "rotary_dim", 2, 1024, 64);
	snprintf(found, sizeof found, "%d with heads of %d", c->n_rot, c->head_dim);
	if (c->n_rot % 2 || c->n_rot > c->head_dim)
		field_refuse(r, ERR_FORMAT, "rotary_dim", found, "it must be an even number up to the head size");
	snprintf(found, sizeof found, "%d", c->heads);
	if (c->heads % 4)
		field_refuse(r, ERR_FORMAT, "n_head", found, "it must be a multiple of 4: the heads lie in 4 blocks");
	c->rope_theta = 10000; /* no key of this class */
	c->rotates_neighbours = c->parallel = true;
	c->norm = NORM_LAYER;
	c->norm_eps = (float)field_number(r, r->root, "layer_norm_epsilon", 0, 1, 1e-5);
	c->act = field_activation(r, "activation_function", "gelu_new");
	c->parts = PART_FFN_BIAS | PART_HEAD_BIAS;
	c->tied = field_bool(r, "tie_word_embeddings", false);
	field_dtype(r, c);
	field_tokens(r, c);
}

#define CODEGEN_SHAPE \
	.read_config = read_config, .layer = "transformer.h.", .prefix = "transformer.", .rows = rows, \
	.acting = acting, .pass = neox_pass

const struct family codegen_family = {
	.architecture = "CodeGenForCausalLM", .model_type = "codegen", .eos = (const int[]){50256, -1}, CODEGEN_SHAPE};
const struct family moss_family = {
	.architecture = "MossForCausalLM", .model_type = "moss", .eos = (const int[]){106068, -1}, CODEGEN_SHAPE};
