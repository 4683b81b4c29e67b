/* neox.h - private to engine/models: networks with attention and FFN beside each other. */
#ifndef ENGINE_MODELS_NEOX_H
#define ENGINE_MODELS_NEOX_H

#include "engine/models/family.h"

extern const struct family neox_family, codegen_family, moss_family, phi_family;

/* Attention and FFN of the same residual stream, or (parallel false) one after the other. */
void neox_pass(struct model *m, struct kv *kv, const struct step *s);

#endif
