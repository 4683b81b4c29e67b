/* stored.h - private to engine/models: in which class the numbers of quantised files are held. */
#ifndef ENGINE_MODELS_STORED_H
#define ENGINE_MODELS_STORED_H

#include "engine/checkpoint/checkpoint.h"
#include "engine/checkpoint/quant.h"
#include "engine/models/config.h"
#include "engine/models/options.h"
#include "engine/models/family.h"

/* A matrix of a layer as the config says that it is quantised, where there are no files. */
struct planned {
	struct ck_tensor t;
	struct ck_quant quant;
};
/* False: it is not quantised. */
bool stored_plan(struct planned *p, const struct model_config *c, int64_t rows, int64_t cols);

/* What is known of a matrix beside its tensors: bits. */
enum {
	STORED_MATRIX = 1,  /* no table, head or stack of experts, whose columns are never in another order */
	STORED_APART = 2,   /* of a stack of experts, whose tensors may differ in type */
	STORED_CHANGED = 4, /* a head whose rows are scaled to length 1 as they are read */
	STORED_BANDS = 8    /* on every rank the rows of each tensor begin at a multiple of 32 */
};
unsigned stored_what(const struct model_config *c, const struct weight_row *row, bool apart);

/* How a matrix is held. */
struct stored {
	enum quant quant[3]; /* the class of each tensor's rows; several only where all are blocks */
	bool codes;          /* they are taken as the files hold them; else numbers are made into the class */
	bool bands;          /* the classes differ */
};
/* For a matrix that is made of these tensors (NULL: dummy) and has the K axis k. QUANT_NONE: as stored, or tensors of
 * which only some are quantised. */
struct stored stored_quant(const struct ck_tensor *const *tensor, int n, const struct split *k,
			   const struct quant_forms *forms, unsigned what);
/* The classes that a model's matrices (`head`: embedding and head) get, as bits 1 << enum quant. */
unsigned model_stored_quants(const struct model_config *c, const struct checkpoint *ck, const struct quant_forms *forms,
			     bool head);

#endif
