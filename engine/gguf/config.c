/* config.c - the metadata of a GGUF file as config.json and generation_config.json. */
#include "engine/gguf/inside.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct writer {
	const struct gguf *g;
	const struct gguf_arch *arch;
	struct text *out;
	int err;
	struct why *why;
};

static const char *key_of(const struct writer *w, const char *what, char key[128])
{
	snprintf(key, 128, "%s.%s", w->arch->name, what);
	return key;
}

static void put_name(struct writer *w, const char *name)
{
	text_str(w->out, w->out->len > 1 ? ", " : "");
	text_json_str(w->out, name);
	text_str(w->out, ": ");
}

static void put_text(struct writer *w, const char *name, const char *value)
{
	put_name(w, name);
	text_json_str(w->out, value);
}

static void put_int(struct writer *w, const char *name, int64_t value)
{
	put_name(w, name);
	text_fmt(w->out, "%" PRId64, value);
}

static void put_real(struct writer *w, const char *name, double value)
{
	put_name(w, name);
	text_fmt(w->out, "%.9g", value);
}

static void put_flag(struct writer *w, const char *name, bool yes)
{
	put_name(w, name);
	text_str(w->out, yes ? "true" : "false");
}

/* A number of the architecture. Where the file gives one for each layer, all must be equal. */
static int64_t number(struct writer *w, const char *what, int64_t otherwise)
{
	char key[128];
	const struct gguf_value *v = gguf_find(w->g, key_of(w, what, key));
	struct gguf_value item;
	int64_t first = gguf_first(w->g, key, otherwise);
	struct gguf_walk *walk = gguf_walk(w->g, v && v->kind == GGUF_LIST ? v : NULL);
	bool differs = false;

	while (gguf_next(walk, &item))
		differs |= item.integer != first;
	gguf_walk_end(walk, NULL);
	if (differs && !w->err)
		w->err = fail(w->why, ERR_UNSUPPORTED, "%s differs between layers", key);
	return first;
}

static int64_t needed(struct writer *w, const char *what)
{
	int64_t n = number(w, what, -1);

	if (n < 0 && !w->err)
		w->err = fail(w->why, ERR_FORMAT, "the metadata lacks %s.%s", w->arch->name, what);
	return n;
}

static double real(const struct writer *w, const char *what, double otherwise)
{
	char key[128];

	return gguf_real(w->g, key_of(w, what, key), otherwise);
}

static const struct gguf_tensor *find_tensor(const struct gguf *g, const char *name)
{
	for (size_t i = 0; i < g->n_tensors; i++)
		if (!strcmp(g->tensor[i].name, name))
			return &g->tensor[i];
	return NULL;
}

static int64_t vocabulary(const struct gguf *g)
{
	const struct gguf_tensor *t = find_tensor(g, "token_embd.weight");
	const struct gguf_value *tokens = gguf_find(g, "tokenizer.ggml.tokens");

	return t && t->n_dims == 2 ? t->shape[0] : tokens && tokens->kind == GGUF_LIST ? (int64_t)tokens->n : -1;
}

/* bf16 where the matrices are bf16. Numbers of other types keep more bits in f32 than in bf16, so those models compute
 * in f32. */
static const char *type_of(const struct gguf *g)
{
	const struct gguf_tensor *t = find_tensor(g, "blk.0.attn_output.weight");

	return t && t->type && t->type->plain == DT_BF16 ? "bfloat16" : t && t->type_id == 0 ? "float32" : "float16";
}

/* Of a network that rotates whole heads; 0: of another, or the file does not say it. */
static int64_t head_dim(struct writer *w)
{
	static const char *const others[] = {"gptneox", "phi2", "phi3", "stablelm"};
	int64_t heads = number(w, "attention.head_count", 0), width = number(w, "embedding_length", 0);

	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		if (!strcmp(w->arch->name, others[i]))
			return 0;
	return number(w, "attention.key_length", heads > 0 ? width / heads : 0);
}

/* The factor by which Llama 3's scaling divides frequency i of n. */
static double llama3_factor(double base, double factor, int64_t i, int64_t n)
{
	const double low = 1, high = 4, original = 8192;
	double turns = original / (2 * 3.14159265358979 * pow(base, (double)i / (double)n)),
	       smooth = (turns - low) / (high - low);

	return smooth > 1 ? 1 : smooth < 0 ? factor : 1 / ((1 - smooth) / factor + smooth);
}

/* llama.cpp's converter leaves out Llama 3's scaling and writes the factors that follow from it. The three numbers that
 * they follow from are those of Meta's models; the last factor says which, and all others must follow from it. */
static void put_llama3(struct writer *w, const struct gguf_tensor *t)
{
	float factor[512] = {0};
	int64_t n = t->n_dims == 1 ? t->shape[0] : 0;
	bool good = t->type_id == 0 && n > 0 && n <= 512 && 2 * n == head_dim(w);
	int err = good ? w->g->in.read(w->g->in.arg, t->offset, factor, (size_t)n * sizeof *factor, w->why) : 0;

	for (int64_t i = 0; good && !err && i < n; i++) {
		double wanted = llama3_factor(real(w, "rope.freq_base", 10000), (double)factor[n - 1], i, n);
		good = fabs((double)factor[i] - wanted) <= 1e-3 * wanted && wanted >= 1 && wanted <= 1e6;
	}
	if (err || !good) {
		w->err = err ? err
			     : fail(w->why, ERR_UNSUPPORTED,
				    "rope_freqs.weight holds no factors of Llama 3's scaling from 8192 positions");
		return;
	}
	put_name(w, "rope_scaling");
	text_fmt(w->out,
		 "{\"rope_type\": \"llama3\", \"factor\": %.9g, \"low_freq_factor\": 1.0, \"high_freq_factor\": 4.0, "
		 "\"original_max_position_embeddings\": 8192}",
		 (double)factor[n - 1]);
}

/* One number for each pair of dimensions. */
static void put_factors(struct writer *w, const char *name, const char *tensor)
{
	enum { MOST = 1024 };
	const struct gguf_tensor *t = find_tensor(w->g, tensor);
	float x[MOST];

	if (w->err)
		return;
	if (!t || t->type_id != 0 || !t->bytes || t->bytes > sizeof x)
		w->err = fail(w->why, ERR_FORMAT, "%s is no list of numbers", tensor);
	else
		w->err = w->g->in.read(w->g->in.arg, t->offset, x, t->bytes, w->why);
	text_fmt(w->out, ", \"%s\": ", name);
	for (uint64_t i = 0; !w->err && i < t->bytes / sizeof *x; i++)
		text_fmt(w->out, "%s%.9g", i ? ", " : "[", (double)x[i]);
	text_str(w->out, "]");
}

static void put_longrope(struct writer *w)
{
	double attention = real(w, "rope.scaling.attn_factor", 0);

	put_name(w, "rope_scaling");
	text_str(w->out, "{\"rope_type\": \"longrope\"");
	put_factors(w, "short_factor", "rope_factors_short.weight");
	put_factors(w, "long_factor", "rope_factors_long.weight");
	if (attention > 0)
		text_fmt(w->out, ", \"attention_factor\": %.9g", attention);
	text_fmt(w->out, ", \"original_max_position_embeddings\": %" PRId64 "}",
		 number(w, "rope.scaling.original_context_length", number(w, "context_length", 0)));
}

static void put_scaling(struct writer *w)
{
	char key[128];
	const char *type = gguf_text(w->g, key_of(w, "rope.scaling.type", key));
	const struct gguf_tensor *factors = find_tensor(w->g, "rope_freqs.weight");
	double factor = real(w, "rope.scaling.factor", real(w, "rope.scale_linear", 1)); /* the older key second */

	if (find_tensor(w->g, "rope_factors_long.weight")) {
		put_longrope(w);
	} else if (factors) {
		put_llama3(w, factors);
	} else if (strcmp(type ? type : "linear", "none") && factor != 1) {
		put_name(w, "rope_scaling");
		text_str(w->out, "{\"rope_type\": ");
		text_json_str(w->out, type ? type : "linear");
		text_fmt(w->out, ", \"factor\": %.9g, \"original_max_position_embeddings\": %" PRId64 "}", factor,
			 number(w, "rope.scaling.original_context_length", number(w, "context_length", 0)));
	}
}

static void put_ids(struct writer *w)
{
	static const char *const keys[][2] = {{"bos_token_id", "tokenizer.ggml.bos_token_id"},
					      {"eos_token_id", "tokenizer.ggml.eos_token_id"},
					      {"pad_token_id", "tokenizer.ggml.padding_token_id"}};

	for (int i = 0; i < 3; i++) {
		int64_t id = gguf_int(w->g, keys[i][1], -1);
		put_name(w, keys[i][0]);
		if (id >= 0 && id < vocabulary(w->g)) /* 0xffffffff: none */
			text_fmt(w->out, "%" PRId64, id);
		else
			text_str(w->out, "null");
	}
}

/* Baichuan's files do not say it; llama.cpp, too, takes the model of 40 layers for the one with ALiBi. Its config.json
 * has no max_position_embeddings. */
static bool alibi(struct writer *w)
{
	return !strcmp(w->arch->name, "baichuan") && number(w, "block_count", 0) == 40;
}

static void put_shape(struct writer *w)
{
	int64_t heads = needed(w, "attention.head_count");

	put_int(w, "hidden_size", needed(w, "embedding_length"));
	put_int(w, "num_hidden_layers", needed(w, "block_count"));
	put_int(w, "intermediate_size", needed(w, "feed_forward_length"));
	put_int(w, "num_attention_heads", heads);
	put_int(w, alibi(w) ? "model_max_length" : "max_position_embeddings", needed(w, "context_length"));
	put_int(w, "vocab_size", vocabulary(w->g));
	put_ids(w);
}

/* Qwen 3's weights of a token's experts sum to 1, unless the file says otherwise, those of Qwen 2 do not. */
static void put_experts(struct writer *w)
{
	int64_t experts = number(w, "expert_count", 0), width = number(w, "expert_feed_forward_length", 0),
		shared = number(w, "expert_shared_feed_forward_length", 0);

	if (experts <= 0)
		return;
	put_int(w, "num_local_experts", experts);
	put_int(w, "num_experts", experts);
	put_int(w, "num_experts_per_tok", needed(w, "expert_used_count"));
	if (width > 0)
		put_int(w, "moe_intermediate_size", width);
	if (shared > 0)
		put_int(w, "shared_expert_intermediate_size", shared);
	put_flag(w, "norm_topk_prob", number(w, "expert_weights_norm", !strcmp(w->arch->name, "qwen3moe")));
}

/* The share of a head that is rotated. Its reader cuts the product with the head's size to a whole number, so a share
 * that has no short form is a little larger. */
static void put_part(struct writer *w, const char *name)
{
	int64_t heads = needed(w, "attention.head_count"), width = needed(w, "embedding_length"), head, rotated;

	if (heads <= 0 || width < heads)
		return;
	head = width / heads;
	rotated = number(w, "rope.dimension_count", head);
	put_real(w, name, rotated == head ? 1 : ((double)rotated + 0.125) / (double)head);
}

static void put_llama_like(struct writer *w)
{
	int64_t length = number(w, "attention.key_length", -1);

	put_int(w, "num_key_value_heads", number(w, "attention.head_count_kv", needed(w, "attention.head_count")));
	if (length > 0)
		put_int(w, "head_dim", length);
	if (!strcmp(w->arch->name, "phi3"))
		put_part(w, "partial_rotary_factor");
	put_real(w, "rms_norm_eps", real(w, "attention.layer_norm_rms_epsilon", 1e-6));
	put_text(w, "hidden_act", "silu");
	put_real(w, "rope_theta", real(w, "rope.freq_base", 10000));
	put_scaling(w);
	put_experts(w);
	put_flag(w, "tie_word_embeddings", !find_tensor(w->g, "output.weight"));
	if (!strcmp(w->arch->name, "internlm2"))
		put_flag(w, "bias", find_tensor(w->g, "blk.0.attn_q.bias"));
	if (!strcmp(w->arch->name, "phi3") && number(w, "attention.sliding_window", 0) > 0)
		put_int(w, "sliding_window", number(w, "attention.sliding_window", 0));
}

static void put_neox(struct writer *w)
{
	char key[128];
	const struct gguf_value *parallel = gguf_find(w->g, key_of(w, "use_parallel_residual", key));

	put_real(w, "layer_norm_eps", real(w, "attention.layer_norm_epsilon", 1e-5));
	put_text(w, "hidden_act", "gelu");
	put_real(w, "rotary_emb_base", real(w, "rope.freq_base", 10000));
	put_part(w, "rotary_pct");
	put_flag(w, "use_parallel_residual", !parallel || parallel->integer);
	put_flag(w, "tie_word_embeddings", !find_tensor(w->g, "output.weight"));
}

/* What phi2 and stablelm have in common. */
static void put_partly_rotated(struct writer *w)
{
	put_int(w, "num_key_value_heads", number(w, "attention.head_count_kv", needed(w, "attention.head_count")));
	put_real(w, "layer_norm_eps", real(w, "attention.layer_norm_epsilon", 1e-5));
	put_real(w, "rope_theta", real(w, "rope.freq_base", 10000));
	put_part(w, "partial_rotary_factor");
	put_scaling(w);
}

/* Its models with attention and FFN beside each other have one norm for both. */
static void put_stablelm(struct writer *w)
{
	put_partly_rotated(w);
	put_flag(w, "use_qkv_bias", find_tensor(w->g, "blk.0.attn_q.bias"));
	put_flag(w, "use_parallel_residual", !find_tensor(w->g, "blk.0.ffn_norm.weight"));
	put_flag(w, "tie_word_embeddings", !find_tensor(w->g, "output.weight"));
}

int gguf_config(const struct gguf *g, struct text *out, struct why *why)
{
	struct writer w = {.g = g, .out = out, .why = why};

	w.arch = gguf_arch(g, &w.err, why);
	if (!w.arch)
		return w.err;
	text_str(out, "{");
	put_name(&w, "architectures");
	text_fmt(out, "[\"%s\"]", w.arch->class);
	put_text(&w, "model_type", w.arch->model_type);
	put_text(&w, "torch_dtype", type_of(g));
	put_shape(&w);
	if (!strcmp(w.arch->name, "gptneox"))
		put_neox(&w);
	else if (!strcmp(w.arch->name, "phi2"))
		put_partly_rotated(&w);
	else if (!strcmp(w.arch->name, "stablelm"))
		put_stablelm(&w);
	else
		put_llama_like(&w);
	text_str(out, "}\n");
	return w.err ? w.err
		     : gguf_check_acting(g, w.arch->name, head_dim(&w), find_tensor(g, "rope_factors_long.weight"),
					 why);
}

/* Tokens that end an answer beside eos, where a vocabulary has them as control tokens: llama.cpp takes these, too. */
static const char *const ends[] = {"<|im_end|>", "<|eot_id|>",    "<|eom_id|>",
				   "<|end|>",    "<end_of_turn>", "<|endoftext|>"};

static bool ends_answer(const struct gguf_value *token, uint8_t kind)
{
	for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
		if (kind == TOKEN_CONTROL && !strcmp(ends[i], token->text))
			return true;
	return false;
}

static void put_end(struct text *out, int64_t id, int64_t eos, int *n)
{
	if (id >= 0 && (id != eos || !*n))
		text_fmt(out, "%s%" PRId64, (*n)++ ? ", " : "", id);
}

int gguf_generation(const struct gguf *g, struct text *out, struct why *why)
{
	const struct gguf_value *tokens = gguf_find(g, "tokenizer.ggml.tokens");
	int64_t eos = gguf_int(g, "tokenizer.ggml.eos_token_id", -1);
	uint64_t n_tokens = tokens && tokens->kind == GGUF_LIST && tokens->of == GGUF_TEXT ? tokens->n : 0;
	int err, n = 0;
	uint8_t *kind = gguf_token_kinds(g, n_tokens, &err, why);
	struct gguf_walk *walk = gguf_walk(g, n_tokens ? tokens : NULL);
	struct gguf_value token;

	text_str(out, "{\"eos_token_id\": [");
	put_end(out, eos < (int64_t)n_tokens ? eos : -1, eos, &n);
	for (uint64_t i = 0; !err && gguf_next(walk, &token); i++)
		if (ends_answer(&token, kind[i]))
			put_end(out, (int64_t)i, eos, &n);
	text_str(out, "]}\n");
	if (!n) {
		out->len = 0;
		text_str(out, "{}\n");
	}
	free(kind);
	err = err ? (gguf_walk_end(walk, NULL), err) : gguf_walk_end(walk, why);
	return err;
}
