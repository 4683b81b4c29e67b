/* llama.h - private to engine/models: networks of Llama's shape. */
#ifndef ENGINE_MODELS_LLAMA_H
#define ENGINE_MODELS_LLAMA_H

#include "engine/models/family.h"
#include "engine/models/pass.h"

extern const struct family llama_family, mistral_family, qwen2_family, qwen3_family, baichuan_family;
extern const struct family opt_family, phi3_family, stablelm_family, glm_family, internlm_family, internlm2_family;
/* For families whose tensors have the same names. */
extern const struct weight_row llama_rows[];
extern const char *const llama_acting[];

/* What a class of transformers takes where config.json says nothing. */
struct llama_defaults {
	int max_pos, kv_heads, head_dim; /* kv_heads 0: all; head_dim 0: hidden_size / heads */
	double norm_eps;                 /* 0: 1e-6 */
};
/* All but positions and parts. */
void llama_read_base(struct config_reader *r, struct model_config *c, const struct llama_defaults *d);
/* Of LlamaForCausalLM; max_pos: where the file has no "max_position_embeddings". */
void llama_read_config(struct config_reader *r, struct model_config *c, int max_pos);
/* Of Qwen's classes, by "use_sliding_window"; 0: none. */
int qwen_window(struct config_reader *r);

/* Attention, then FFN, each added to the residual stream. */
pass_ffn llama_ffn;
void llama_pass(struct model *m, struct kv *kv, const struct step *s);

#endif
