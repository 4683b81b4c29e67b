/* settle.h - a config and the tensors of its files must agree, or the start is refused. */
#ifndef ENGINE_MODELS_SETTLE_H
#define ENGINE_MODELS_SETTLE_H

#include "engine/backend/tensor.h"
#include "engine/checkpoint/checkpoint.h"
#include "engine/models/config.h"

/* Refuses by name a tensor that this model does not use and whose numbers would change its answers: a bias, a norm of
 * queries or keys, experts, adapters, scales. A tied config whose files hold another head is untied, as transformers 5
 * does, with a note. ERR_UNSUPPORTED, ERR_IO. All ranks return the same. */
int model_config_settle(struct model_config *c, const struct checkpoint *ck, struct why *why);
/* The type of the matrices: as the files hold the first layer's, else (ck NULL, or quantised with scales) as the config
 * says, else bf16. */
enum dtype model_stored_type(const struct model_config *c, const struct checkpoint *ck);
/* A tensor that is not used and changes nothing: a buffer of rotary angles or a mask. */
bool tensor_is_harmless(const struct ck_tensor *t);
/* The head of a tied model, which uses its embedding instead. */
bool tensor_is_spare_head(const struct model_config *c, const struct ck_tensor *t);

#endif
