/* internlm_family.c - InternLM, Llama's network with biases, and InternLM 2 (arXiv:2403.17297), whose tensors have
 * names of their own and q, k and v of each K/V head together. */
#include "engine/models/fields.h"
#include "engine/models/llama.h"
#include "engine/models/table.h"

#include <string.h>

static const struct weight_row rows[] = {
	{ONCE(embed), .kind = WEIGHT_TABLE, .cols = AXIS_HIDDEN,
	 .piece = {{"model.tok_embeddings.weight", AXIS_VOCAB}}},
	{IN_LAYER(qkv), .cols = AXIS_HIDDEN, .heads = true, .order = QKV_BY_HEAD,
	 .piece = {{"attention.wq.weight", AXIS_Q}, {"attention.wk.weight", AXIS_KV}, {"attention.wv.weight", AXIS_KV}},
	 .fused = {"attention.wqkv.weight"}},
	{IN_LAYER(o), .cols = AXIS_Q, .piece = {{"attention.wo.weight", AXIS_HIDDEN}}},
	{IN_LAYER(gate_up), .cols = AXIS_HIDDEN, .paired = true,
	 .piece = {{"feed_forward.w1.weight", AXIS_FFN}, {"feed_forward.w3.weight", AXIS_FFN}}},
	{IN_LAYER(down), .cols = AXIS_FFN, .piece = {{"feed_forward.w2.weight", AXIS_HIDDEN}}},
	{IN_LAYER(norm_att), .kind = WEIGHT_GAIN, .piece = {{"attention_norm.weight", AXIS_HIDDEN}}},
	{IN_LAYER(norm_ffn), .kind = WEIGHT_GAIN, .piece = {{"ffn_norm.weight", AXIS_HIDDEN}}},
	{IN_LAYER(qkv_bias), .kind = WEIGHT_BIAS, .part = PART_QKV_BIAS, .heads = true, .order = QKV_BY_HEAD,
	 .piece = {{"attention.wq.bias", AXIS_Q}, {"attention.wk.bias", AXIS_KV}, {"attention.wv.bias", AXIS_KV}},
	 .fused = {"attention.wqkv.bias"}},
	{IN_LAYER(o_bias), .kind = WEIGHT_BIAS, .part = PART_O_BIAS, .piece = {{"attention.wo.bias", AXIS_HIDDEN}}},
	{ONCE(norm_out), .kind = WEIGHT_GAIN, .piece = {{"model.norm.weight", AXIS_HIDDEN}}},
	{ONCE(head), .kind = WEIGHT_HEAD, .cols = AXIS_HIDDEN, .piece = {{"output.weight", AXIS_VOCAB}}},
	{0}};

static const char *const acting[] = {"output.", "model.norm.", "model.tok_embeddings.", NULL};

static void read_base(struct config_reader *r, struct model_config *c)
{
	llama_read_base(r, c, &(struct llama_defaults){.max_pos = 2048});
	if (field_bool(r, "bias", true))
		c->parts |= PART_QKV_BIAS | PART_O_BIAS;
}

/* The first generation says in an object of its own what "rope_scaling" says elsewhere. */
static void read_rotary(struct config_reader *r, struct model_config *c, const struct json *rotary)
{
	const char *type = json_str(field(r, rotary, "type"));

	if (!json_is(rotary, JSON_IS_OBJECT))
		field_refuse(r, ERR_FORMAT, "rotary", json_kind_name(rotary), "it must be an object");
	else if (!type || (strcmp(type, "origin") && strcmp(type, "dynamic")))
		field_refuse(r, ERR_UNSUPPORTED, "rotary", type ? type : "without a \"type\"",
			     "supported: origin, dynamic");
	if (r->err)
		return;
	c->rope_theta = field_number(r, rotary, "base", 1, 1e12, 10000);
	if (strcmp(type, "dynamic"))
		return;
	c->scaling = ROPE_DYNAMIC;
	c->rope_factor = field_number(r, rotary, "scaling_factor", 1, 1e6, 1);
}

static void read_internlm(struct config_reader *r, struct model_config *c)
{
	const struct json *rotary = field(r, r->root, "rotary");

	read_base(r, c);
	if (rotary)
		read_rotary(r, c, rotary);
	else
		field_rope(r, c, &(struct rope_keys){.base = "rope_theta"});
}

static void read_internlm2(struct config_reader *r, struct model_config *c)
{
	read_base(r, c);
	field_rope(r, c, &(struct rope_keys){.base = "rope_theta"});
}

const struct family internlm_family = {.architecture = "InternLMForCausalLM",
				       .model_type = "internlm",
				       .read_config = read_internlm,
				       .eos = (const int[]){2, -1},
				       .layer = "model.layers.",
				       .prefix = "model.",
				       .rows = llama_rows,
				       .acting = llama_acting,
				       .pass = llama_pass};
const struct family internlm2_family = {.architecture = "InternLM2ForCausalLM",
					.model_type = "internlm2",
					.read_config = read_internlm2,
					.eos = (const int[]){2, -1},
					.layer = "model.layers.",
					.prefix = "model.",
					.rows = rows,
					.acting = acting,
					.pass = llama_pass};
