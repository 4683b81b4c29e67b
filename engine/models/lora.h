/* lora.h - LoRA adapters on a model: slots whose memory is reserved when the model is made, so that loading one while
 * others compute allocates nothing on the device and moves nothing. */
#ifndef ENGINE_MODELS_LORA_H
#define ENGINE_MODELS_LORA_H

#include "engine/lora/adapter.h"
#include "engine/models/model.h"

/* Whether the adapter's modules are products of this network, each of its shape and of at most `rank` ranks (0: any).
 * ERR_FORMAT, ERR_UNSUPPORTED or ERR_LIMIT, naming the module, what was found and what it must be. */
int model_lora_check(const struct model_config *c, const struct adapter *a, int rank, struct why *why);
/* Reads this rank's part of an adapter into a slot that no step names. From any thread, one at a time. The errors of
 * model_lora_check() and of reading. */
int model_lora_fill(struct model *m, int slot, const struct adapter *a, struct why *why);
/* Between two steps, after model_lora_fill(): steps may name the slot from now on. */
void model_lora_switch(struct model *m, int slot);
/* Bytes of this rank's slots; 0: there are none. */
size_t model_lora_bytes(const struct model *m);

#endif
