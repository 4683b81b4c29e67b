/* moe.h - private to engine/models: networks of Llama's shape whose FFN is a mixture of experts. */
#ifndef ENGINE_MODELS_MOE_H
#define ENGINE_MODELS_MOE_H

#include "engine/models/family.h"

extern const struct family xverse_family, mixtral_family, qwen2_moe_family, qwen3_moe_family;

/* Attention, then the FFN, which is routed in the layers that the config names. */
void moe_pass(struct model *m, struct kv *kv, const struct step *s);

#endif
