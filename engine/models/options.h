/* options.h - how a rank's part of a model is made. */
#ifndef ENGINE_MODELS_OPTIONS_H
#define ENGINE_MODELS_OPTIONS_H

#include "engine/backend/tensor.h"
#include "engine/progress.h"
#include "engine/step.h"

struct adapter;

struct quant_forms {
	unsigned codes; /* classes that are taken as files hold them: bits 1 << enum quant (weight_codes()) */
	bool order;     /* columns in another order than x's (weight_order()) */
	bool merge;     /* adapters are added to the weights, which blocks cannot be part of */
	bool aligned;   /* groups of every class begin with the leaves: else the file's group is no class's */
};

struct model_options {
	struct step_limits limits;
	int max_context;
	int rank, size;
	const char *pack_cache;       /* folder of packed weights, or NULL */
	enum quant quant, quant_head; /* of matrices; of embedding and head */
	bool as_files, head_as_files; /* each in the class of its files instead (stored.h) */
	struct quant_forms forms;     /* what the backend holds of quantised files */
	uint64_t dummy_seed;          /* for --load-format dummy */
	int loras, lora_rank;         /* slots for adapters and the largest rank that they hold; 0: none */
	struct adapter *const *merge; /* (n_merge) adapters that are added to the weights as these are loaded */
	int n_merge;
	bool debug_nan; /* rank 0 checks every layer's output: model_nan() */
	bool dry;       /* checks names and shapes but reads and fills nothing; the backend must be dry, too */
};

#endif
