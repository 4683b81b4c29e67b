/* generation.h - generation_config.json: how the model's makers sample by default. */
#ifndef ENGINE_MODELS_GENERATION_H
#define ENGINE_MODELS_GENERATION_H

#include "base/base.h"

enum { GENERATION_MAX_EOS = 1024 };

/* `has` holds a bit, 1 << enum sampling_number, for each number that the file sets: the REAL fields of
 * proto/sampling.def whose source is MODEL, top_k, and max_tokens ("max_new_tokens"). */
struct generation_config {
	unsigned has;
#define REAL(NAME, field, ...) float field;
#include "proto/sampling.def"
	int top_k, max_tokens;
	int n_eos, eos[GENERATION_MAX_EOS]; /* -1: an id that no token has */
};

/* An absent file sets nothing. "do_sample": false means temperature 0, as in transformers. Ranges are those of requests
 * (proto/sampling.def). ERR_FORMAT or ERR_IO name the file and the key. */
int generation_config_read(struct generation_config *g, const char *dir, struct why *why);

#endif
