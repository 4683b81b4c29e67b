/* sample.h - logits to a token, on the host, in f32. The same (logits, history, seed, position) always give the same
 * token.
 *
 * The order is that of vLLM V1. Raw logprobs are taken first. Then come allowed and bad tokens, logit_bias, min_tokens
 * (stop ids are masked) and penalties (repetition counts prompt and output, presence and frequency the output alone).
 * Greedy sampling ends here. Then come temperature; top_n_sigma (Tang et al., Top-n-sigma, 2024, arXiv 2411.07641);
 * min_p; top_k; top_p on the renormalised mass in 64-bit fixed point; and the draw.
 *
 * The draw is Gumbel-max over the kept set (Gumbel 1954; Maddison et al. 2014) with a counter hash h of (seed,
 * position, token id): u = (h + 0.5) * 2^-32, e = -log(u), key = logit / T - log(e) in doubles; of equal keys the
 * lowest id wins. math.h has its own exp and log, so that no libm is involved. A token whose share is below 2^-32 of
 * the likeliest is sampled about as often as 32 bits allow; a logprob is within 1e-6 of exact. Where masks leave no
 * token, the likeliest of all is taken. A row with a logit that is NaN or infinite is reported as broken, before masks
 * make numbers infinite. */
#ifndef ENGINE_SAMPLE_SAMPLE_H
#define ENGINE_SAMPLE_SAMPLE_H

#include "engine/sample/sampling.h"

enum { SAMPLE_MAX_TOP = 20 };

/* Token ids whose logits a row reports, in memory of the caller. */
struct sample_targets {
	int n; /* 0: none */
	const int32_t *id;
	float *logit, *logprob; /* (n) as the model made them, and raw; logprob NULL: not wanted */
};

/* One row to sample, as the scheduler describes it. */
struct sample {
	uint64_t call;
	int32_t seq, pos; /* stable index; position of the token to sample */
	int32_t given;    /* >= 0: score this token instead of sampling (prompt logprobs, echo, Score) */
	/* (mask_words(vocab)) a bit for each token, or NULL: a mask that is known only after the forward pass. Where it
	 * and the masks of `how` leave no token, the one that is taken is not allowed, which the caller must look at.
	 */
	const uint32_t *allow;
	int32_t only; /* with `allow`: 1 + the only token that it allows, which is then taken at once; 0: there are
		       * several
		       */
	const struct sampling *how;
	const int32_t *tokens; /* (n_tokens) prompt then output; those of the first row of a call in a step stay in its
				  later steps */
	int n_prompt, n_tokens;
	int n_top; /* -1: no logprob wanted; n: logprob, rank and the n best of this row */
	/* Filled in while the row is sampled, on the host: a device leaves the row to it. NULL: none. */
	const struct sample_targets *targets;
};

struct sampled {
	int32_t id;
	float logprob; /* raw, log softmax of the logits as they came */
	int32_t rank;  /* 1 + the number of likelier tokens */
	bool greedy;   /* id is the arg max (lowest id of ties) */
	int n_top;
	int32_t top_id[SAMPLE_MAX_TOP];
	float top_logprob[SAMPLE_MAX_TOP];
	bool broken; /* a logit was NaN or infinite: id is some token of the vocabulary, the other fields mean nothing
		      */
	int16_t origin; /* of a broken row: as model_nan() reports it; 0: unknown */
};

struct sampler; /* scratch memory for one vocabulary, all allocated at creation */
struct sampler *sampler_create(int vocab);
void sampler_destroy(struct sampler *p);
/* Overwrites `logits` (vocab). */
void sample_token(struct sampler *p, float *logits, const struct sample *what, struct sampled *out);

#endif
