/* lora_inside.h - private to engine/models: slots of adapters, and how modules of an adapter meet a family's table. */
#ifndef ENGINE_MODELS_LORA_INSIDE_H
#define ENGINE_MODELS_LORA_INSIDE_H

#include "engine/backend/lora.h"
#include "engine/models/lora.h"
#include "engine/models/rows.h"

enum lora_product { LORA_QKV, LORA_O, LORA_GATE_UP, LORA_DOWN, LORA_PRODUCTS };

struct model_lora {
	int slots, rank; /* a multiple of LORA_LANES */
	float *memory;   /* of all slots of all products */
	size_t bytes;
	struct lora **product;    /* (layers, LORA_PRODUCTS); NULL: the layer has none */
	struct lora_slot *staged; /* (layers, LORA_PRODUCTS) of the slot that is being filled */
	unsigned *changes;        /* (slots) bits of enum lora_product that its adapter changes, in any layer */
	float *t;                 /* (T, LORA_PIECES * rank) the low-rank numbers of a step */
	size_t t_bytes;
	int32_t *now_of_tokens, *now_of_rows; /* (T) each, the backend's: the two below */
	size_t now_bytes;                     /* of both */
	/* of the step that runs */
	int32_t *of_token, *of_row; /* (T) slot of each token, of each row; -1: none */
	const int32_t *now;         /* one of the two: of the rows that are computed now */
	unsigned active;            /* bits of enum lora_product that some sequence changes */
};

/* lora_slots.c */
void lora_create_slots(struct model *m); /* nothing without how.loras */
void lora_destroy_slots(struct model *m);

/* lora_bind.c */
/* NULL: the family has no such product. */
const struct weight_row *lora_row(const struct family *f, enum lora_product which);
/* Whether the layer has the product; a routed FFN has not. */
bool lora_is_there(const struct model_config *c, const struct weight_row *row, int layer);
/* The module that changes piece i of a row in a layer, or NULL; *fused: it holds all pieces. */
const struct adapter_module *lora_module(const struct family *f, const struct adapter *a, const struct weight_row *row,
					 int layer, int i, bool *fused);
/* dst (count, rank): rows [first, first + count) of a piece of the model, of B. */
int lora_read_b(const struct model_config *c, const struct adapter *a, const struct adapter_module *m,
		const struct weight_row *row, bool fused, int i, int64_t first, int64_t count, float *dst,
		struct why *why);

/* lora_pass.c */
/* Notes the slots of a step's tokens and rows, filled up to those of `run`, the step as the backend runs it. */
void lora_begin(struct model *m, const struct step *s, const struct step *run);
/* Says for a pass that only counts whether some sequence has an adapter. */
void lora_plan(struct model *m, bool named);
/* From here on the step's rows are computed, not its tokens. */
void lora_rows(struct model *m);
/* Whether some sequence of the step has an adapter that changes the product in some layer. */
static inline bool lora_is_active(const struct model *m, enum lora_product which)
{
	return m->lora && (m->lora->active & 1u << which);
}
/* y += the low-rank updates of x for the rows that have an adapter; a sum between ranks where K is split. */
void lora_apply(struct model *m, const struct layer *l, enum lora_product which, const struct tensor *x,
		struct tensor *y);

/* lora_merge.c */
/* Whether adapters may change the matrices of a row. */
bool lora_is_product(const struct model *m, const struct weight_row *row);
/* rows (count, col.count; stored type) of a piece, from its row `first` on, become those of the merged model: added in
 * f64, rounded to f32 and then to their type. */
int lora_merge_rows(const struct model *m, const struct slot *s, int piece, int64_t first, int64_t count,
		    struct span col, void *rows, enum dtype stored, struct why *why);

#endif
