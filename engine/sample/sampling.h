/* sampling.h - the parameters of one call's sampling, and their checks. */
#ifndef ENGINE_SAMPLE_SAMPLING_H
#define ENGINE_SAMPLE_SAMPLING_H

#include "base/base.h"

struct bias {
	int32_t id;
	float value;
};

/* The numbers that a request or generation_config.json sets, and their ranges (proto/sampling.def). */
enum sampling_number {
#define REAL(NAME, ...) SAMPLING_##NAME,
#define WHOLE(NAME, ...) SAMPLING_##NAME,
#include "proto/sampling.def"
};
extern const struct range sampling_ranges[]; /* by enum sampling_number */

/* How one call samples; the call owns it and does not change it. sampling_default() has temperature 1 and no limits. */
struct sampling {
#define REAL(NAME, field, ...) float field;
#include "proto/sampling.def"
	int top_k; /* <= 0: off */
	uint64_t seed;
	int min_tokens; /* output tokens before a stop id may be sampled */
	int n_bias, n_stop;
	const struct bias *bias; /* (n_bias) by rising id; the entries of one id are added in order */
	const uint32_t *mask;    /* (mask_words(vocab)) a bit for each token that may be sampled; NULL: all may */
	const int32_t *stop;     /* (n_stop) ids that end the answer (end tokens included, unless ignored) */
	int n_logprobs;          /* -1: none; 0: of the sampled token alone; n: and of the n likeliest */
};
struct sampling sampling_default(void);
/* Returns 0, or ERR_INVALID or ERR_LIMIT with the field and its range. */
int sampling_check(const struct sampling *how, int vocab, struct why *why);

static inline int mask_words(int vocab)
{
	return (vocab + 31) / 32;
}
static inline bool sample_allows(const uint32_t *mask, int32_t id)
{
	return mask[id / 32] >> id % 32 & 1;
}
/* Folds the allowed ids (n_allowed 0: all) and the bad ids into a mask (mask_words(vocab)). Returns ERR_INVALID for an
 * id outside the vocabulary, ERR_LIMIT for a list longer than the vocabulary. */
int sampling_mask(uint32_t *mask, const int32_t *allowed, int n_allowed, const int32_t *bad, int n_bad, int vocab,
		  struct why *why);

#endif
