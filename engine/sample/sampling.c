#include "engine/sample/sampling.h"

#include <string.h>

const struct range sampling_ranges[] = {
#define REAL(NAME, field, unset, bound, low, high, ...) [SAMPLING_##NAME] = {low, high, RANGE_##bound},
#define WHOLE(NAME, type, field, wire, unset, low, high, ...) [SAMPLING_##NAME] = {low, (double)(high), RANGE_FROM},
#include "proto/sampling.def"
};
static const struct range bias_range = {
#define DECIMAL(Message, field, low, high, meaning) low, high, RANGE_FROM
#include "proto/limits.def"
};
struct sampling sampling_default(void)
{
	return (struct sampling){
#define REAL(NAME, field, unset, ...) .field = unset,
#include "proto/sampling.def"
		.n_logprobs = -1};
}

static int check_ids(const char *name, const int32_t *ids, int n, int vocab, struct why *why)
{
	if (n > vocab)
		return fail(why, ERR_LIMIT, "%s: %d entries are more than the vocabulary of %d has", name, n, vocab);
	for (int i = 0; i < n; i++)
		if (ids[i] < 0 || ids[i] >= vocab)
			return fail(why, ERR_INVALID, "%s: id %d is outside the vocabulary of %d", name, ids[i], vocab);
	return 0;
}

static int check_numbers(const struct sampling *h, struct why *why)
{
	int err = 0;

#define REAL(NAME, field, ...) \
	if (!err) \
		err = range_check(#field, h->field, &sampling_ranges[SAMPLING_##NAME], why);
#include "proto/sampling.def"
	if (!err)
		err = range_check("top_k", h->top_k, &sampling_ranges[SAMPLING_TOP_K], why);
	if (!err)
		err = range_check("min_tokens", h->min_tokens, &sampling_ranges[SAMPLING_MIN_TOKENS], why);
	if (!err && h->n_logprobs != -1)
		err = range_check("logprobs", h->n_logprobs, &sampling_ranges[SAMPLING_LOGPROBS], why);
	return err;
}

int sampling_check(const struct sampling *h, int vocab, struct why *why)
{
	int err = check_numbers(h, why);

	for (int i = 0; !err && i < h->n_stop; i++)
		err = check_ids("stop_token_ids", &h->stop[i], 1, vocab, why);
	if (!err && h->n_bias > vocab)
		err = fail(why, ERR_LIMIT, "logit_bias: %d entries are more than the vocabulary of %d has", h->n_bias,
			   vocab);
	for (int i = 0; !err && i < h->n_bias; i++) {
		err = check_ids("logit_bias", &h->bias[i].id, 1, vocab, why);
		if (!err)
			err = range_check("logit_bias", h->bias[i].value, &bias_range, why);
	}
	return err;
}

int sampling_mask(uint32_t *mask, const int32_t *allowed, int n_allowed, const int32_t *bad, int n_bad, int vocab,
		  struct why *why)
{
	int err = check_ids("allowed_token_ids", allowed, n_allowed, vocab, why);

	if (!err)
		err = check_ids("bad_token_ids", bad, n_bad, vocab, why);
	if (err)
		return err;
	memset(mask, n_allowed ? 0 : 0xff, (size_t)mask_words(vocab) * sizeof *mask);
	for (int i = 0; i < n_allowed; i++)
		mask[allowed[i] / 32] |= 1u << allowed[i] % 32;
	for (int i = 0; i < n_bad; i++)
		mask[bad[i] / 32] &= ~(1u << bad[i] % 32);
	return 0;
}
