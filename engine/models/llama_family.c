/* llama_family.c - the families of Llama's shape: their tensors and their config.json. */
#include "engine/models/fields.h"
#include "engine/models/llama.h"
#include "engine/models/llama_rows.h"

#include <stdio.h>
#include <string.h>

const struct weight_row llama_rows[] = {LLAMA_FRONT, LLAMA_FFN(LAYERS_ALL), LLAMA_BACK, {0}};

const char *const llama_acting[] = {"lm_head.", "model.norm.", "model.embed_", "model.embedding", NULL};

/* Every FFN here has a gate with silu. */
static void read_activation(struct config_reader *r)
{
	const struct json *v = field(r, r->root, "hidden_act");
	const char *name = json_str(v);

	if (v && (!name || (strcmp(name, "silu") && strcmp(name, "swish"))))
		field_refuse(r, ERR_UNSUPPORTED, "hidden_act", name ? name : json_kind_name(v), "supported: silu");
}

static void read_sizes(struct config_reader *r, struct model_config *c, const struct llama_defaults *d)
{
	bool own = field(r, r->root, "head_dim") || d->head_dim;
	/* null is no absence there: then all heads have keys of their own. */
	bool null = json_is(json_get(r->root, "num_key_value_heads"), JSON_IS_NULL);

	c->hidden = field_int(r, "hidden_size", 2, 1 << 17, -1);
	c->ffn = field_int(r, "intermediate_size", 1, 1 << 19, -1);
	c->layers = field_int(r, "num_hidden_layers", 1, MODEL_MAX_LAYERS, -1);
	c->heads = field_int(r, "num_attention_heads", 1, 1024, -1);
	c->kv_heads = field_int(r, "num_key_value_heads", 1, 1024, d->kv_heads && !null ? d->kv_heads : c->heads);
	c->vocab = field_int(r, "vocab_size", 2, 1 << 24, -1);
	c->max_pos = field_int(r, "max_position_embeddings", 1, 1 << 26, d->max_pos);
	if (r->err)
		return;
	c->head_dim = field_int(r, "head_dim", 2, 1024, d->head_dim ? d->head_dim : c->hidden / c->heads);
	field_check_heads(r, c, own);
}

void llama_read_base(struct config_reader *r, struct model_config *c, const struct llama_defaults *d)
{
	read_sizes(r, c, d);
	read_activation(r);
	field_refuse_unsupported(r);
	c->norm_eps = (float)field_number(r, r->root, "rms_norm_eps", 0, 1, d->norm_eps > 0 ? d->norm_eps : 1e-6);
	c->tied = field_bool(r, "tie_word_embeddings", false);
	field_dtype(r, c);
	field_tokens(r, c);
}

static void read_rope(struct config_reader *r, struct model_config *c)
{
	field_rope(r, c, &(struct rope_keys){.base = "rope_theta"});
}

void llama_read_config(struct config_reader *r, struct model_config *c, int max_pos)
{
	llama_read_base(r, c, &(struct llama_defaults){.max_pos = max_pos});
	if (field_bool(r, "attention_bias", false))
		c->parts |= PART_QKV_BIAS | PART_O_BIAS;
	if (field_bool(r, "mlp_bias", false))
		c->parts |= PART_FFN_BIAS;
	read_rope(r, c);
}

static void read_llama(struct config_reader *r, struct model_config *c)
{
	llama_read_config(r, c, 2048);
}

/* "sliding_window": absent means 4096 in these classes, null none. */
static int window_of(struct config_reader *r)
{
	bool null = json_is(json_get(r->root, "sliding_window"), JSON_IS_NULL);

	return null ? 0 : field_int(r, "sliding_window", 1, 1 << 26, 4096);
}

static void read_mistral(struct config_reader *r, struct model_config *c)
{
	llama_read_base(r, c, &(struct llama_defaults){.max_pos = 4096 * 32, .kv_heads = 8});
	read_rope(r, c);
	field_windows(c, window_of(r), 0);
}

int qwen_window(struct config_reader *r)
{
	return field_bool(r, "use_sliding_window", false) ? window_of(r) : 0;
}

static void read_qwen_windows(struct config_reader *r, struct model_config *c)
{
	int window = qwen_window(r);

	if (!field_layer_types(r, c, window))
		field_windows(c, window, field_int(r, "max_window_layers", 0, 1 << 20, 28));
}

static void read_phi3(struct config_reader *r, struct model_config *c)
{
	llama_read_base(r, c, &(struct llama_defaults){.max_pos = 4096, .norm_eps = 1e-5});
	field_rope(r, c, &(struct rope_keys){"rope_theta", "partial_rotary_factor", 1, 0});
	field_windows(c, field(r, r->root, "sliding_window") ? field_int(r, "sliding_window", 1, 1 << 26, -1) : 0, 0);
}

static void read_qwen2(struct config_reader *r, struct model_config *c)
{
	llama_read_base(r, c, &(struct llama_defaults){.max_pos = 32768, .kv_heads = 32});
	c->parts |= PART_QKV_BIAS;
	read_rope(r, c);
	read_qwen_windows(r, c);
}

static void read_qwen3(struct config_reader *r, struct model_config *c)
{
	llama_read_base(r, c, &(struct llama_defaults){.max_pos = 32768, .kv_heads = 32, .head_dim = 128});
	c->parts |= PART_HEAD_NORM;
	if (field_bool(r, "attention_bias", false))
		c->parts |= PART_QKV_BIAS | PART_O_BIAS;
	read_rope(r, c);
	read_qwen_windows(r, c);
}

/* The class has two networks: 7B is Llama's, 13B has ALiBi. No key says which, but only the config of the former has
 * "max_position_embeddings". The second generation scales the rows of its head to length 1; its code alone knows
 * "z_loss_weight", and its published models have 125,696 tokens, those of the first 64,000. */
static void read_baichuan(struct config_reader *r, struct model_config *c)
{
	bool rotary = field(r, r->root, "max_position_embeddings");

	llama_read_base(r, c, &(struct llama_defaults){.max_pos = field_int(r, "model_max_length", 1, 1 << 26, 4096)});
	c->unit_head = c->vocab == 125696 || field(r, r->root, "z_loss_weight");
	if (rotary) {
		read_rope(r, c);
		return;
	}
	c->positions = POSITIONS_ALIBI;
	if (c->hidden == 4096)
		field_note(r, "there is no \"max_position_embeddings\": positions are ALiBi's, as in Baichuan-13B");
}

/* GLM rotates neighbouring dimensions in the first half of each head. */
static void read_glm(struct config_reader *r, struct model_config *c)
{
	llama_read_base(
		r, c,
		&(struct llama_defaults){.max_pos = 131072, .kv_heads = 2, .head_dim = 128, .norm_eps = 1.5625e-7});
	c->parts = field_bool(r, "attention_bias", true) ? PART_QKV_BIAS : 0;
	c->rotates_neighbours = true;
	field_rope(r, c, &(struct rope_keys){"rope_theta", "partial_rotary_factor", 0.5, 0});
}

#define LLAMA_SHAPE \
	.layer = "model.layers.", .prefix = "model.", .rows = llama_rows, .acting = llama_acting, .pass = llama_pass
#define ENDS(...) \
	.eos = (const int[]) \
	{ \
		__VA_ARGS__, -1 \
	}

const struct family llama_family = {.architecture = "LlamaForCausalLM",
				    .alias = "LLaMAForCausalLM",
				    .model_type = "llama",
				    .read_config = read_llama,
				    ENDS(2),
				    LLAMA_SHAPE};
const struct family mistral_family = {.architecture = "MistralForCausalLM",
				      .model_type = "mistral",
				      .read_config = read_mistral,
				      ENDS(2),
				      LLAMA_SHAPE};
const struct family phi3_family = {
	.architecture = "Phi3ForCausalLM", .model_type = "phi3", .read_config = read_phi3, ENDS(32000), LLAMA_SHAPE};
const struct family glm_family = {.architecture = "GlmForCausalLM",
				  .model_type = "glm",
				  .read_config = read_glm,
				  ENDS(151329, 151336, 151338),
				  LLAMA_SHAPE};
const struct family qwen2_family = {
	.architecture = "Qwen2ForCausalLM", .model_type = "qwen2", .read_config = read_qwen2, LLAMA_SHAPE};
const struct family qwen3_family = {
	.architecture = "Qwen3ForCausalLM", .model_type = "qwen3", .read_config = read_qwen3, LLAMA_SHAPE};
const struct family baichuan_family = {.architecture = "BaichuanForCausalLM",
				       .alias = "BaiChuanForCausalLM",
				       .model_type = "baichuan",
				       .read_config = read_baichuan,
				       ENDS(2),
				       LLAMA_SHAPE};
