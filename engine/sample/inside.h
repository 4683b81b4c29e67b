/* sample_inside.h - what the two halves of sample share. */
#ifndef ENGINE_SAMPLE_INSIDE_H
#define ENGINE_SAMPLE_INSIDE_H

#include "engine/sample/sample.h"

static const float SAMPLE_GREEDY_BELOW = 1e-5f; /* as vLLM: no division by less */

/* A word that may be drawn. */
struct candidate {
	float x; /* logit / temperature */
	int32_t id;
	uint64_t mass;
};

struct sampler {
	int vocab;
	uint16_t *count;        /* (vocab) times in the output; all 0 between calls */
	uint8_t *seen;          /* (vocab) in prompt or output; all 0 between calls */
	float *values;          /* (vocab) to select the k-th of */
	float *raw;             /* (vocab) logits as they came */
	struct candidate *cand; /* (vocab) */
};

/* `reference`: the largest logit as they came. One draw from logits whose masks and penalties are applied; temperature
 * > 0. Overwrites them. -1: none is left. */
int32_t sample_draw(struct sampler *p, float *logits, const struct sampling *how, int32_t pos, float reference);
int32_t sample_argmax(const float *logits, int n); /* lowest id of the largest; -1: all are -inf or NaN */

#endif
