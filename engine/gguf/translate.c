#include "engine/gguf/translate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const llama_names[][2] = {
	{"token_embd.weight", "model.embed_tokens.weight"},
	{"output_norm.weight", "model.norm.weight"},
	{"output_norm.bias", "model.norm.bias"},
	{"output.weight", "lm_head.weight"},
	{".attn_norm.weight", "input_layernorm.weight"},
	{".attn_norm.bias", "input_layernorm.bias"},
	{".attn_q.weight", "self_attn.q_proj.weight"},
	{".attn_k.weight", "self_attn.k_proj.weight"},
	{".attn_v.weight", "self_attn.v_proj.weight"},
	{".attn_q.bias", "self_attn.q_proj.bias"},
	{".attn_k.bias", "self_attn.k_proj.bias"},
	{".attn_v.bias", "self_attn.v_proj.bias"},
	{".attn_q_norm.weight", "self_attn.q_norm.weight"},
	{".attn_k_norm.weight", "self_attn.k_norm.weight"},
	{".attn_output.weight", "self_attn.o_proj.weight"},
	{".ffn_norm.weight", "post_attention_layernorm.weight"},
	{".ffn_norm.bias", "post_attention_layernorm.bias"},
	{".ffn_gate.weight", "mlp.gate_proj.weight"},
	{".ffn_up.weight", "mlp.up_proj.weight"},
	{".ffn_down.weight", "mlp.down_proj.weight"},
	/* Mixtures of experts: a tensor of three axes holds those of all. */
	{".ffn_gate_inp.weight", "mlp.gate.weight"},
	{".ffn_gate_exps.weight", "mlp.experts.gate_proj.weight"},
	{".ffn_up_exps.weight", "mlp.experts.up_proj.weight"},
	{".ffn_down_exps.weight", "mlp.experts.down_proj.weight"},
	/* In older files each expert has tensors of its own; '#' is its number. Only Mixtral's are known. */
	{".ffn_gate.#.weight", "block_sparse_moe.experts.#.w1.weight"},
	{".ffn_up.#.weight", "block_sparse_moe.experts.#.w3.weight"},
	{".ffn_down.#.weight", "block_sparse_moe.experts.#.w2.weight"},
	{".ffn_gate_inp_shexp.weight", "mlp.shared_expert_gate.weight"},
	{".ffn_gate_shexp.weight", "mlp.shared_expert.gate_proj.weight"},
	{".ffn_up_shexp.weight", "mlp.shared_expert.up_proj.weight"},
	{".ffn_down_shexp.weight", "mlp.shared_expert.down_proj.weight"},
	{NULL, NULL},
};

static const char *const neox_names[][2] = {
	{"token_embd.weight", "gpt_neox.embed_in.weight"},
	{"output_norm.weight", "gpt_neox.final_layer_norm.weight"},
	{"output_norm.bias", "gpt_neox.final_layer_norm.bias"},
	{"output.weight", "embed_out.weight"},
	{".attn_norm.weight", "input_layernorm.weight"},
	{".attn_norm.bias", "input_layernorm.bias"},
	{".attn_qkv.weight", "attention.query_key_value.weight"},
	{".attn_qkv.bias", "attention.query_key_value.bias"},
	{".attn_output.weight", "attention.dense.weight"},
	{".attn_output.bias", "attention.dense.bias"},
	{".ffn_norm.weight", "post_attention_layernorm.weight"},
	{".ffn_norm.bias", "post_attention_layernorm.bias"},
	{".ffn_up.weight", "mlp.dense_h_to_4h.weight"},
	{".ffn_up.bias", "mlp.dense_h_to_4h.bias"},
	{".ffn_down.weight", "mlp.dense_4h_to_h.weight"},
	{".ffn_down.bias", "mlp.dense_4h_to_h.bias"},
	{NULL, NULL},
};

static const char *const phi3_names[][2] = {
	{"token_embd.weight", "model.embed_tokens.weight"},
	{"output_norm.weight", "model.norm.weight"},
	{"output.weight", "lm_head.weight"},
	{".attn_norm.weight", "input_layernorm.weight"},
	{".attn_qkv.weight", "self_attn.qkv_proj.weight"},
	{".attn_output.weight", "self_attn.o_proj.weight"},
	{".ffn_norm.weight", "post_attention_layernorm.weight"},
	{".ffn_up.weight", "mlp.gate_up_proj.weight"},
	{".ffn_down.weight", "mlp.down_proj.weight"},
	{NULL, NULL},
};

static const char *const phi2_names[][2] = {
	{"token_embd.weight", "model.embed_tokens.weight"},
	{"output_norm.weight", "model.final_layernorm.weight"},
	{"output_norm.bias", "model.final_layernorm.bias"},
	{"output.weight", "lm_head.weight"},
	{"output.bias", "lm_head.bias"},
	{".attn_norm.weight", "input_layernorm.weight"},
	{".attn_norm.bias", "input_layernorm.bias"},
	{".attn_qkv.weight", "self_attn.qkv_proj.weight"},
	{".attn_qkv.bias", "self_attn.qkv_proj.bias"},
	{".attn_q.weight", "self_attn.q_proj.weight"},
	{".attn_k.weight", "self_attn.k_proj.weight"},
	{".attn_v.weight", "self_attn.v_proj.weight"},
	{".attn_q.bias", "self_attn.q_proj.bias"},
	{".attn_k.bias", "self_attn.k_proj.bias"},
	{".attn_v.bias", "self_attn.v_proj.bias"},
	{".attn_output.weight", "self_attn.dense.weight"},
	{".attn_output.bias", "self_attn.dense.bias"},
	{".ffn_up.weight", "mlp.fc1.weight"},
	{".ffn_up.bias", "mlp.fc1.bias"},
	{".ffn_down.weight", "mlp.fc2.weight"},
	{".ffn_down.bias", "mlp.fc2.bias"},
	{NULL, NULL},
};

static const char *const internlm2_names[][2] = {
	{"token_embd.weight", "model.tok_embeddings.weight"},
	{"output_norm.weight", "model.norm.weight"},
	{"output.weight", "output.weight"},
	{".attn_norm.weight", "attention_norm.weight"},
	{".attn_q.weight", "attention.wq.weight"},
	{".attn_k.weight", "attention.wk.weight"},
	{".attn_v.weight", "attention.wv.weight"},
	{".attn_q.bias", "attention.wq.bias"},
	{".attn_k.bias", "attention.wk.bias"},
	{".attn_v.bias", "attention.wv.bias"},
	{".attn_output.weight", "attention.wo.weight"},
	{".attn_output.bias", "attention.wo.bias"},
	{".ffn_norm.weight", "ffn_norm.weight"},
	{".ffn_gate.weight", "feed_forward.w1.weight"},
	{".ffn_up.weight", "feed_forward.w3.weight"},
	{".ffn_down.weight", "feed_forward.w2.weight"},
	{NULL, NULL},
};

#define LAYERS "model.layers."
static const struct gguf_arch archs[] = {
	{"llama", "LlamaForCausalLM", "llama", LAYERS, llama_names, true, false},
	{"xverse", "XverseForCausalLM", "xverse", LAYERS, llama_names, true, false},
	{"baichuan", "BaichuanForCausalLM", "baichuan", LAYERS, llama_names, true, false},
	{"qwen2", "Qwen2ForCausalLM", "qwen2", LAYERS, llama_names, false, false},
	{"qwen3", "Qwen3ForCausalLM", "qwen3", LAYERS, llama_names, false, false},
	{"qwen2moe", "Qwen2MoeForCausalLM", "qwen2_moe", LAYERS, llama_names, false, false},
	{"qwen3moe", "Qwen3MoeForCausalLM", "qwen3_moe", LAYERS, llama_names, false, false},
	{"gptneox", "GPTNeoXForCausalLM", "gpt_neox", "gpt_neox.layers.", neox_names, false, true},
	{"phi2", "PhiForCausalLM", "phi", LAYERS, phi2_names, false, false},
	{"phi3", "Phi3ForCausalLM", "phi3", LAYERS, phi3_names, false, false},
	{"stablelm", "StableLmForCausalLM", "stablelm", LAYERS, llama_names, false, false},
	{"internlm2", "InternLM2ForCausalLM", "internlm2", LAYERS, internlm2_names, true, false},
};

/* Mixtral's files name the architecture of Llama's. */
static const struct gguf_arch mixtral = {"llama", "MixtralForCausalLM", "mixtral", LAYERS, llama_names, true, false};

const struct gguf_arch *gguf_arch(const struct gguf *g, int *err, struct why *why)
{
	const char *name = gguf_text(g, "general.architecture");
	char known[240] = "";

	*err = 0;
	if (name && !strcmp(name, mixtral.name) && gguf_int(g, "llama.expert_count", 0) > 0)
		return &mixtral;
	for (size_t i = 0; i < sizeof archs / sizeof *archs; i++) {
		size_t n = strlen(known);
		if (name && !strcmp(archs[i].name, name))
			return &archs[i];
		snprintf(known + n, sizeof known - n, "%s%s", i ? ", " : "", archs[i].name);
	}
	*err = name ? fail(why, ERR_UNSUPPORTED, "general.architecture is %.60s; supported in GGUF files: %s", name,
			   known)
		    : fail(why, ERR_FORMAT, "the metadata lacks general.architecture");
	return NULL;
}

/* "blk.7.attn_q.weight": 7, and ".attn_q.weight". NULL: the tensor is of no layer. */
static const char *split_layer(const char *tensor, long *layer)
{
	char *end;

	if (strncmp(tensor, "blk.", 4) || tensor[4] < '0' || tensor[4] > '9')
		return NULL;
	*layer = strtol(tensor + 4, &end, 10);
	return *end == '.' ? end : NULL;
}

static int heads_of(const struct gguf *g, const struct gguf_arch *a, const char *what)
{
	char key[96];
	int64_t n;

	snprintf(key, sizeof key, "%s.attention.%s", a->name, what);
	n = gguf_first(g, key, -1);
	if (n < 0 && strcmp(what, "head_count"))
		return heads_of(g, a, "head_count");
	return n > 0 && n < 1 << 20 ? (int)n : 1;
}

/* Whether `name` is `pattern`, in which '#' stands for a number: its digits begin at *number. */
static bool is_like(const char *pattern, const char *name, const char **number, size_t *digits)
{
	size_t before = strcspn(pattern, "#");

	*number = name + before;
	*digits = 0;
	if (!pattern[before])
		return !strcmp(pattern, name);
	if (strncmp(pattern, name, before))
		return false;
	*digits = strspn(*number, "0123456789");
	return *digits > 0 && *digits < 6 && !strcmp(pattern + before + 1, *number + *digits);
}

/* Appends the name of a tensor in transformers, with a number in place of '#'. */
static void put_name(struct gguf_place *out, const char *name, const char *number, size_t digits)
{
	size_t n = strlen(out->name);
	int before = (int)strcspn(name, "#");

	snprintf(out->name + n, sizeof out->name - n, "%.*s%.*s%s", before, name, (int)digits, number,
		 name[before] ? name + before + 1 : "");
}

bool gguf_place(const struct gguf *g, const struct gguf_arch *a, const char *tensor, struct gguf_place *out)
{
	long layer = 0;
	const char *rest = split_layer(tensor, &layer), *number;
	size_t digits;

	*out = (struct gguf_place){.order = ROWS_SAME, .heads = 1};
	snprintf(out->name, sizeof out->name, "%s", tensor);
	for (const char *const(*n)[2] = a->names; (*n)[0]; n++)
		if (is_like((*n)[0], rest ? rest : tensor, &number, &digits)) {
			out->name[0] = 0;
			if (rest)
				snprintf(out->name, sizeof out->name, "%s%ld.", a->layer, layer);
			put_name(out, (*n)[1], number, digits);
		}
	if (rest && a->rotary_rows && !strncmp(rest, ".attn_q.", 8)) {
		out->order = ROWS_ROTARY;
		out->heads = heads_of(g, a, "head_count");
	} else if (rest && a->rotary_rows && !strncmp(rest, ".attn_k.", 8)) {
		out->order = ROWS_ROTARY;
		out->heads = heads_of(g, a, "head_count_kv");
	} else if (rest && a->thirds && !strncmp(rest, ".attn_qkv.", 10)) {
		out->order = ROWS_THIRDS;
		out->heads = heads_of(g, a, "head_count");
	}
	return strncmp(tensor, "rope_f", 6) != 0;
}

int64_t gguf_row(enum row_order order, int heads, int64_t rows, int64_t row)
{
	int64_t dim, head, i, third;

	if (order == ROWS_SAME)
		return row;
	dim = rows / heads;
	head = row / dim;
	i = row % dim;
	if (order == ROWS_ROTARY)
		return head * dim + (i < dim / 2 ? 2 * i : 2 * (i - dim / 2) + 1);
	third = dim / 3;
	return i / third * (rows / 3) + head * third + i % third;
}
