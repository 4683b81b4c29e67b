/* stored.h - private to engine/models: in which class the numbers of quantised files are held. */
#ifndef ENGINE_MODELS_STORED_H
#define ENGINE_MODELS_STORED_H

#include "engine/checkpoint/checkpoint.h"
#include "engine/checkpoint/quant.h"
#include "engine/models/config.h"
#include "engine/models/options.h"

/* A matrix of a layer as the config says that it is quantised, where there are no files. */
struct planned {
	struct ck_tensor t;
	struct ck_quant quant;
};
/* False: it is not quantised. */
bool stored_plan(struct planned *p, const struct model_config *c, int64_t rows, int64_t cols);
/* The class of a matrix that is made of these tensors (NULL: dummy) and has the K axis k. QUANT_NONE: as stored, or
 * tensors of which only some are quantised. *codes: their integers are taken as they are; else numbers are made into
 * the class. `matrix`: no table, head or stack of experts, whose columns are never in another order. */
enum quant stored_quant(const struct ck_tensor *const *tensor, int n, const struct split *k,
			const struct quant_forms *forms, bool matrix, bool *codes);
/* The classes that a model's matrices (`head`: embedding and head) get, as bits 1 << enum quant. */
unsigned model_stored_quants(const struct model_config *c, const struct checkpoint *ck, const struct quant_forms *forms,
			     bool head);

#endif
