/* llama.h - private to engine/models: networks of Llama's shape. */
#ifndef ENGINE_MODELS_LLAMA_H
#define ENGINE_MODELS_LLAMA_H

#include "engine/models/family.h"
#include "engine/models/pass.h"

extern const struct family xverse_family, llama_family, mistral_family, qwen2_family, qwen3_family, baichuan_family;
extern const struct family opt_family;
/* For families whose tensors have the same names. */
extern const struct weight_row llama_rows[];
extern const char *const llama_acting[];

/* Attention, then FFN, each added to the residual stream. */
pass_ffn llama_ffn;
void llama_pass(struct model *m, struct kv *kv, const struct step *s);

#endif
