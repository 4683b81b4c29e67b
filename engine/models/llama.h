/* llama.h - private to engine/models: networks of Llama's shape. */
#ifndef ENGINE_MODELS_LLAMA_H
#define ENGINE_MODELS_LLAMA_H

#include "engine/models/family.h"

extern const struct family llama_family, xverse_family;

/* Rotary positions, RMS norms, grouped K/V heads, SwiGLU; attention, then FFN, each added to the residual stream. */
void llama_pass(struct model *m, struct kv *kv, const struct step *s);

#endif
