/* sample.h - logits to a token. Rank 0, host, f32; the same (logits, history, seed, position) always give the same
 * token.
 *
 * Order, as vLLM V1: raw logprobs are taken first; then allowed and bad tokens, logit_bias, min_tokens (stop ids are
 * masked), penalties (repetition over prompt + output; presence and frequency over output only); greedy ends here; then
 * temperature; top_n_sigma (Tang et al.: Top-n-sigma, 2024, arXiv 2411.07641); min_p; top_k, then top_p on the
 * renormalised mass in 64-bit fixed point; then the draw. Draw: Gumbel-max over the kept set with a counter hash of
 * (seed, position, token id): u = (h + 0.5) * 2^-32, e = -log(u), key = logit/T - log(e) in doubles; ties go to the
 * lowest id. Own exp and log (sample_math.h), no libm. A word with a share below 2^-32 of the likeliest is drawn about
 * as often as 32 bits tell; a logprob is within 1e-6 of exact. Where masks leave no word, the likeliest of all is
 * taken. Logits must be finite as they come: a row that is not is told as broken, before masks make numbers infinite.
 */
#ifndef ENGINE_SAMPLE_SAMPLE_H
#define ENGINE_SAMPLE_SAMPLE_H

#include "base/base.h"

enum { SAMPLE_MAX_TOP = 20 };

struct bias {
	int32_t id;
	float value;
};

/* Numbers that a request or generation_config.json sets, and what they may be (proto/sampling.def). */
enum sampling_number {
#define REAL(NAME, ...) SAMPLING_##NAME,
#define WHOLE(NAME, ...) SAMPLING_##NAME,
#include "proto/sampling.def"
};
extern const struct range sampling_ranges[]; /* by enum sampling_number */

/* How one call samples; owned by the call, constant over its life. Zero-initialised plus sampling_default() is
 * greedy-free standard sampling: temperature 1, top_p 1, no limits. */
struct sampling {
#define REAL(NAME, field, ...) float field;
#include "proto/sampling.def"
	int top_k; /* <= 0: off */
	uint64_t seed;
	int min_tokens; /* output tokens before a stop id may be drawn */
	int n_bias, n_stop;
	const struct bias *bias; /* (n_bias) by rising id; of one id all are added, in order */
	const uint32_t *mask;    /* (mask_words(vocab)) a bit for each word that may be drawn, or NULL: all may */
	const int32_t *stop;     /* (n_stop) ids that end the answer (eos included, unless ignored) */
	int n_logprobs;          /* -1: none; 0: the chosen one only; n: and the n best */
};
struct sampling sampling_default(void);
/* ERR_INVALID naming the field and its range. */
int sampling_check(const struct sampling *how, int vocab, struct why *why);
static inline int mask_words(int vocab)
{
	return (vocab + 31) / 32;
}
/* Folds what is allowed (n_allowed 0: all) and what is not into a mask. ERR_INVALID: an id outside the vocabulary;
 * ERR_LIMIT: a list of more entries than it has. */
int sampling_mask(uint32_t *mask, const int32_t *allowed, int n_allowed, const int32_t *bad, int n_bad, int vocab,
		  struct why *why);

/* One row to sample: what the scheduler knows of it. */
struct sample {
	uint64_t call;
	int32_t seq, pos;      /* stable index; position of the token to be drawn */
	int32_t given;         /* >= 0: do not draw, score this one (prompt logprobs, echo, Score) */
	const uint32_t *allow; /* bit mask over the vocabulary, or NULL: a mask that comes after the forward */
	const struct sampling *how;
	const int32_t *tokens; /* (n_tokens) prompt then output; those of the first row of a call in a step stay in its
				  later steps */
	int n_prompt, n_tokens;
	int n_top; /* -1: no logprob wanted; n: logprob, rank and the n best of this row */
};

struct sampled {
	int32_t id;
	float logprob; /* raw, log softmax of the logits as they came */
	int32_t rank;  /* 1 + the number of likelier words */
	bool greedy;   /* id is the arg max (lowest id of ties) */
	int n_top;
	int32_t top_id[SAMPLE_MAX_TOP];
	float top_logprob[SAMPLE_MAX_TOP];
	bool broken; /* a logit was NaN or infinite as it came: id is a word of the vocabulary, the rest says nothing */
	int16_t origin; /* of a broken row: as model_nan() tells it, 0: unknown */
};

struct sampler; /* scratch for one vocabulary; all memory taken at creation */
struct sampler *sampler_create(int vocab);
void sampler_destroy(struct sampler *p);
/* Overwrites `logits` (vocab). */
void sample_token(struct sampler *p, float *logits, const struct sample *what, struct sampled *out);

#endif
