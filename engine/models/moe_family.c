/* moe_family.c - the families with mixtures of experts: Mixtral (arXiv:2401.04088), Qwen 2 and 3, XVERSE. */
#include "engine/models/fields.h"
#include "engine/models/llama.h"
#include "engine/models/llama_rows.h"
#include "engine/models/moe.h"

#include <stdio.h>

/* The router, and the stacks of an expert's matrices, under their names in a family. transformers 5 may hold all
 * experts in one tensor (`both`, `downs`), GGUF has one for each matrix. */
#define EXPERTS(gate, first, second, third) \
	{IN_LAYER(router),        .kind = WEIGHT_ROUTER,           .cols = AXIS_HIDDEN, \
	 .layers = LAYERS_ROUTED, .piece = {{gate, AXIS_EXPERTS}}, .fused = {"mlp.gate.weight"}}, \
		{IN_LAYER(expert_gate_up), \
		 .cols = AXIS_HIDDEN, \
		 .layers = LAYERS_ROUTED, \
		 .stack = STACK_EXPERTS, \
		 .piece = {{first, AXIS_EXPERT_FFN, "mlp.experts.gate_proj.weight"}, \
			   {second, AXIS_EXPERT_FFN, "mlp.experts.up_proj.weight"}}, \
		 .fused = {"mlp.experts.gate_up_proj"}, \
		 .paired = true}, \
	{ \
		IN_LAYER(expert_down), .cols = AXIS_EXPERT_FFN, .layers = LAYERS_ROUTED, .stack = STACK_EXPERTS, \
				       .piece = {{third, AXIS_HIDDEN, "mlp.experts.down_proj.weight"}}, .fused = { \
					       "mlp.experts.down_proj" \
				       } \
	}

/* Experts that all tokens share are one, as wide as all of them. */
#define SHARED(name) \
	{IN_LAYER(shared_gate_up), \
	 .cols = AXIS_HIDDEN, \
	 .layers = LAYERS_ROUTED, \
	 .stack = STACK_SHARED, \
	 .part = PART_SHARED, \
	 .piece = {{"mlp." name ".gate_proj.weight", AXIS_SHARED_FFN}, \
		   {"mlp." name ".up_proj.weight", AXIS_SHARED_FFN}}, \
	 .paired = true}, \
	{ \
		IN_LAYER(shared_down), .cols = AXIS_SHARED_FFN, .layers = LAYERS_ROUTED, .stack = STACK_SHARED, \
				       .part = PART_SHARED, .piece = { \
					       {"mlp." name ".down_proj.weight", AXIS_HIDDEN} \
				       } \
	}

#define MLP_EXPERTS(gate) \
	EXPERTS(gate, "mlp.experts.#.gate_proj.weight", "mlp.experts.#.up_proj.weight", \
		"mlp.experts.#.down_proj.weight")

static const struct weight_row mixtral_rows[] = {
	LLAMA_FRONT,
	EXPERTS("block_sparse_moe.gate.weight", "block_sparse_moe.experts.#.w1.weight",
		"block_sparse_moe.experts.#.w3.weight", "block_sparse_moe.experts.#.w2.weight"),
	LLAMA_BACK,
	{0}};

static const struct weight_row qwen_rows[] = {LLAMA_FRONT,
					      LLAMA_FFN(LAYERS_DENSE),
					      MLP_EXPERTS("mlp.gate.weight"),
					      {IN_LAYER(shared_gate), .kind = WEIGHT_ROUTER, .cols = AXIS_HIDDEN,
					       .layers = LAYERS_ROUTED, .part = PART_SHARED_GATE,
					       .piece = {{"mlp.shared_expert_gate.weight", AXIS_ONE}}},
					      SHARED("shared_expert"),
					      LLAMA_BACK,
					      {0}};

static const struct weight_row xverse_rows[] = {
	LLAMA_FRONT, LLAMA_FFN(LAYERS_DENSE), MLP_EXPERTS("mlp.router.weight"), SHARED("shared_experts"), LLAMA_BACK,
	{0}};

enum { MOST_EXPERTS = 4096, MOST_FFN = 1 << 19 };

/* How many experts there are, and how many of them a token takes. Both names of the former are in use for one class:
 * transformers 5 changed that of Qwen 3. */
static void read_experts(struct config_reader *r, struct model_config *c, int experts, const char *taken, int k)
{
	const char *count = field(r, r->root, "num_local_experts") ? "num_local_experts" : "num_experts";
	char found[64];

	c->experts = field_int(r, count, 1, MOST_EXPERTS, experts);
	c->experts_per_token = field_int(r, taken, 1, MOST_EXPERTS, k);
	snprintf(found, sizeof found, "%d with %d experts", c->experts_per_token, c->experts);
	if (c->experts_per_token > c->experts)
		field_refuse(r, ERR_FORMAT, taken, found, "a token cannot take more experts than there are");
}

/* Which layers are routed: every step-th, unless "mlp_only_layers" lists it as dense. */
static void read_layers(struct config_reader *r, struct model_config *c)
{
	const struct json *dense = field(r, r->root, "mlp_only_layers"), *item;
	int step = field_int(r, "decoder_sparse_step", 1, MODEL_MAX_LAYERS, 1);
	int64_t layer;

	for (int i = 0; i < MODEL_MAX_LAYERS; i++)
		c->routed[i] = i < c->layers && (i + 1) % step == 0;
	if (dense && !json_is(dense, JSON_IS_LIST))
		field_refuse(r, ERR_FORMAT, "mlp_only_layers", json_kind_name(dense), "it must list layers");
	for (size_t i = 0; (item = json_at(dense, i)); i++)
		if (json_int(item, &layer) && layer >= 0 && layer < c->layers)
			c->routed[layer] = false;
}

static void read_mixtral(struct config_reader *r, struct model_config *c)
{
	read_experts(r, c, 8, "num_experts_per_tok", 2);
	llama_read_base(r, c, &(struct llama_defaults){.max_pos = 4096 * 32, .kv_heads = 8, .norm_eps = 1e-5});
	c->expert_ffn = c->ffn;
	c->norm_top = true;
	for (int i = 0; i < c->layers; i++)
		c->routed[i] = true;
	field_rope(r, c, &(struct rope_keys){.base = "rope_theta", .fallback_base = 1e6});
	field_windows(c, field(r, r->root, "sliding_window") ? field_int(r, "sliding_window", 1, 1 << 26, -1) : 0, 0);
}

/* What Qwen's two generations have in common. */
static void read_qwen(struct config_reader *r, struct model_config *c, const struct llama_defaults *d, int expert_ffn)
{
	llama_read_base(r, c, d);
	c->expert_ffn = field_int(r, "moe_intermediate_size", 1, MOST_FFN, expert_ffn);
	c->norm_top = field_bool(r, "norm_topk_prob", false);
	read_layers(r, c);
	field_rope(r, c, &(struct rope_keys){.base = "rope_theta"});
}

/* Every other layer below "max_window_layers", by transformers 5. */
static void read_qwen2_windows(struct config_reader *r, struct model_config *c)
{
	int window = qwen_window(r), end = field_int(r, "max_window_layers", 0, 1 << 20, 28);

	if (field_layer_types(r, c, window) || !window)
		return;
	field_note(
		r,
		"\"use_sliding_window\": every other layer below \"max_window_layers\" has a window, as in transformers 5; "
		"in version 4 all have");
	field_windows(c, end ? window : 0, 0);
	for (int i = 0; i < c->layers; i++)
		c->windowed[i] = i < end && i % 2 == 0;
}

static void read_qwen2(struct config_reader *r, struct model_config *c)
{
	read_experts(r, c, 60, "num_experts_per_tok", 4);
	read_qwen(r, c, &(struct llama_defaults){.max_pos = 32768, .kv_heads = 16}, 1408);
	read_qwen2_windows(r, c);
	c->shared_ffn = field_int(r, "shared_expert_intermediate_size", 1, MOST_FFN, 5632);
	c->parts |= PART_SHARED | PART_SHARED_GATE | (field_bool(r, "qkv_bias", true) ? PART_QKV_BIAS : 0);
}

static void read_qwen3(struct config_reader *r, struct model_config *c)
{
	read_experts(r, c, 128, "num_experts_per_tok", 8);
	read_qwen(r, c, &(struct llama_defaults){.max_pos = 32768, .kv_heads = 4}, 768);
	field_windows(c, qwen_window(r), 0);
	c->parts |= PART_HEAD_NORM | (field_bool(r, "attention_bias", false) ? PART_QKV_BIAS | PART_O_BIAS : 0);
}

/* XVERSE's mixtures of experts have the class of its dense models, or one of their own. */
static void read_xverse_experts(struct config_reader *r, struct model_config *c)
{
	const char *taken = field(r, r->root, "moe_top_k") ? "moe_top_k" : "num_experts_per_tok";
	int shared;

	if (field_int(r, "num_experts", 0, MOST_EXPERTS, 0) < 2)
		return;
	read_experts(r, c, -1, taken, -1);
	shared = field_int(r, "num_shared_experts", 0, 64, 0);
	c->expert_ffn = field_int(r, "intermediate_size", 1, MOST_FFN / 64, -1);
	c->shared_ffn = shared * c->expert_ffn;
	c->parts |= shared ? PART_SHARED : 0;
	c->norm_top = field_bool(r, "norm_topk_prob", false);
	for (int i = 0; i < MODEL_MAX_LAYERS; i++)
		c->routed[i] = true;
}

/* The class's own ids of bos and eos (1 and 2) are those of other vocabularies than XVERSE's, whose configs all name
 * theirs: so none is assumed. */
static void read_xverse(struct config_reader *r, struct model_config *c)
{
	read_xverse_experts(r, c);
	llama_read_config(r, c, 8192);
}

#define MOE_SHAPE .layer = "model.layers.", .prefix = "model.", .acting = llama_acting, .pass = moe_pass

const struct family xverse_family = {.architecture = "XverseForCausalLM",
				     .alias = "XverseMoeForCausalLM",
				     .model_type = "xverse",
				     .read_config = read_xverse,
				     .rows = xverse_rows,
				     MOE_SHAPE};
const struct family mixtral_family = {.architecture = "MixtralForCausalLM",
				      .model_type = "mixtral",
				      .read_config = read_mixtral,
				      .eos = (const int[]){2, -1},
				      .rows = mixtral_rows,
				      MOE_SHAPE};
const struct family qwen2_moe_family = {.architecture = "Qwen2MoeForCausalLM",
					.model_type = "qwen2_moe",
					.read_config = read_qwen2,
					.rows = qwen_rows,
					MOE_SHAPE};
const struct family qwen3_moe_family = {.architecture = "Qwen3MoeForCausalLM",
					.model_type = "qwen3_moe",
					.read_config = read_qwen3,
					.rows = qwen_rows,
					MOE_SHAPE};
