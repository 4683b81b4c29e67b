/* generation.h - generation_config.json: how the model's makers sample by default. */
#ifndef ENGINE_MODELS_GENERATION_H
#define ENGINE_MODELS_GENERATION_H

#include "base/base.h"

enum generation_field {
	GENERATION_TEMPERATURE,
	GENERATION_TOP_P,
	GENERATION_MIN_P,
	GENERATION_REPETITION_PENALTY,
	GENERATION_TOP_K,
	GENERATION_MAX_NEW_TOKENS,
};

enum { GENERATION_MAX_EOS = 1024 };

struct generation_config {
	unsigned has; /* 1 << enum generation_field */
	float temperature, top_p, min_p, repetition_penalty;
	int top_k, max_new_tokens;
	int n_eos, eos[GENERATION_MAX_EOS]; /* -1: an id that no token has */
};

/* An absent file sets nothing. "do_sample": false means temperature 0, as in transformers, and "top_p": 0 the likeliest
 * token alone. Ranges are those of requests (proto/sampling.def). ERR_FORMAT or ERR_IO name the file and the key. */
int generation_config_read(struct generation_config *g, const char *dir, struct why *why);

#endif
