/* llama.h - private to engine/models: networks of Llama's shape. */
#ifndef ENGINE_MODELS_LLAMA_H
#define ENGINE_MODELS_LLAMA_H

#include "engine/models/family.h"

extern const struct family llama_family, xverse_family;
/* For families whose tensors have the same names. */
extern const struct weight_row llama_rows[];
extern const char *const llama_acting[];

/* Rotary positions, RMS norms, grouped K/V heads, SwiGLU; attention, then FFN, each added to the residual stream. */
void llama_pass(struct model *m, struct kv *kv, const struct step *s);

#endif
