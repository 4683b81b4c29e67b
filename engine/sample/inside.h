/* inside.h - what sample.c and draw.c share. */
#ifndef ENGINE_SAMPLE_INSIDE_H
#define ENGINE_SAMPLE_INSIDE_H

#include "engine/sample/sampling.h"

static const float SAMPLE_GREEDY_BELOW = 1e-5f; /* as vLLM: no division by less */

/* A token that may be sampled. */
struct candidate {
	float x; /* logit / temperature */
	int32_t id;
	uint64_t mass;
};

struct sampler {
	int vocab;
	uint16_t *count;        /* (vocab) occurrences in the output; all 0 between calls */
	uint8_t *seen;          /* (vocab) in prompt or output; all 0 between calls */
	float *values;          /* (vocab) scratch, for selecting the k-th */
	float *raw;             /* (vocab) a copy of the raw logits */
	struct candidate *cand; /* (vocab) */
};

/* Draws a token from logits (vocab) to which masks and penalties are applied, and overwrites them. The temperature is
 * above 0; `reference` is the largest raw logit. Returns -1 where no token is left. */
int32_t sample_draw(struct sampler *p, float *logits, const struct sampling *how, int32_t pos, float reference);
int32_t sample_argmax(const float *logits, int n); /* the lowest id of the largest; -1: all are -inf or NaN */

#endif
