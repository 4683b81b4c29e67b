/* options.h - how a rank's part of a model is made. */
#ifndef ENGINE_MODELS_OPTIONS_H
#define ENGINE_MODELS_OPTIONS_H

#include "engine/backend/tensor.h"
#include "engine/progress.h"
#include "engine/step.h"

struct model_options {
	struct step_limits limits;
	int max_context;
	int rank, size;
	const char *pack_cache;       /* folder of packed weights, or NULL */
	enum quant quant, quant_head; /* of matrices; of embedding and head */
	uint64_t dummy_seed;          /* for --load-format dummy */
	bool debug_nan;               /* rank 0 checks every layer's output: model_nan() */
	bool dry; /* checks names and shapes but reads and fills nothing; the backend must be dry, too */
};

#endif
