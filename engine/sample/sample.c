/* sample.c - logprobs, masks and penalties; the draw itself is draw.c. */
#include "engine/sample/sample.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/sample/inside.h"
#include "engine/sample/math.h"

enum {
#define WHOLE(NAME, type, field, wire, unset, low, high, ...) MOST_##NAME = (int)(high),
#include "proto/sampling.def"
#define NUMBER(Message, field, low, high, meaning) MOST_##Message##_##field = (int)(high),
#include "proto/limits.def"
};
_Static_assert((int)MOST_LOGPROBS == SAMPLE_MAX_TOP && (int)MOST_PROMPT_LOGPROBS == SAMPLE_MAX_TOP &&
		       (int)MOST_Score_top_n == SAMPLE_MAX_TOP,
	       "struct sampled has room for the likeliest");

struct sampler *sampler_create(int vocab)
{
	struct sampler *p = xalloc(1, sizeof *p);
	size_t n = (size_t)vocab;

	REQUIRE(vocab > 0);
	p->vocab = vocab;
	p->count = xalloc_touched(n, sizeof *p->count);
	p->seen = xalloc_touched(n, sizeof *p->seen);
	p->values = xalloc_touched(n, sizeof *p->values);
	p->cand = xalloc_touched(n, sizeof *p->cand);
	p->raw = xalloc_touched(n, sizeof *p->raw);
	return p;
}

void sampler_destroy(struct sampler *p)
{
	if (!p)
		return;
	free(p->count);
	free(p->seen);
	free(p->values);
	free(p->cand);
	free(p->raw);
	free(p);
}

/* ---- raw logprobs ---- */

/* The ids of the n largest, likelier first; of equal ones the lower id is first. */
static int top_n(const float *x, int vocab, int n, int32_t *ids)
{
	int have = 0;

	REQUIRE(n <= SAMPLE_MAX_TOP);
	for (int i = 0; n > 0 && i < vocab; i++) {
		int at = have;
		if (!(x[i] > -INFINITY) || (have == n && x[i] <= x[ids[n - 1]]))
			continue;
		have = min_int(have + 1, n);
		at = min_int(at, n - 1);
		for (; at > 0 && x[i] > x[ids[at - 1]]; at--)
			ids[at] = ids[at - 1];
		ids[at] = i;
	}
	return have;
}

struct raw {
	int32_t best;     /* arg max */
	bool finite;      /* all logits are; otherwise the other fields mean nothing */
	double log_total; /* ln of the sum of exp(x - max) */
};

/* One pass is enough: without the sign, the bits of floats order as their sizes do, with infinity and NaN above all. */
static struct raw finite_max(const float *x, int n)
{
	struct raw r = {.best = 0};
	uint32_t largest = 0;
	float best = -INFINITY;

	for (int i = 0; i < n; i++) {
		uint32_t bits;
		memcpy(&bits, &x[i], sizeof bits);
		bits &= 0x7fffffff;
		largest = bits > largest ? bits : largest;
		if (x[i] > best) {
			best = x[i];
			r.best = i;
		}
	}
	r.finite = largest < 0x7f800000;
	return r;
}

static struct raw raw_of(const struct sampler *p, const float *x, bool wanted)
{
	struct raw r = finite_max(x, p->vocab);
	uint64_t total = 0;

	wanted = wanted && r.finite;
	for (int i = 0; wanted && i < p->vocab; i++)
		total += sample_mass(x[i], x[r.best]);
	r.log_total = sample_log_total(total);
	return r;
}

static float logprob(const float *x, const struct raw *r, int32_t id)
{
	return (float)((double)x[id] - (double)x[r->best] - r->log_total);
}

static void describe(const struct sampler *p, const float *x, const struct raw *r, int n_top, struct sampled *out)
{
	out->n_top = top_n(x, p->vocab, n_top, out->top_id);
	for (int i = 0; i < out->n_top; i++)
		out->top_logprob[i] = logprob(x, r, out->top_id[i]);
}

static void describe_chosen(const struct sampler *p, const float *x, const struct raw *r, struct sampled *out)
{
	out->logprob = logprob(x, r, out->id);
	out->rank = 1;
	for (int i = 0; i < p->vocab; i++)
		out->rank += x[i] > x[out->id];
}

/* ---- masks and penalties ---- */

static void keep(float *x, const uint32_t *mask, int vocab)
{
	for (int w = 0; w < mask_words(vocab); w++) {
		if (mask[w] == UINT32_MAX)
			continue;
		for (int i = 32 * w; i < vocab && i < 32 * w + 32; i++)
			if (!(mask[w] >> i % 32 & 1))
				x[i] = -INFINITY;
	}
}

static void apply_masks(const struct sampler *p, float *x, const struct sample *what, const uint32_t *allow)
{
	const struct sampling *h = what->how;

	if (allow)
		keep(x, allow, p->vocab);
	if (h->mask)
		keep(x, h->mask, p->vocab);
	for (int i = 0; i < h->n_bias; i++)
		x[h->bias[i].id] += h->bias[i].value;
	for (int i = 0; what->n_tokens - what->n_prompt < h->min_tokens && i < h->n_stop; i++)
		x[h->stop[i]] = -INFINITY;
}

static void penalize(struct sampler *p, float *x, const struct sampling *h, int32_t id)
{
	if (p->seen[id])
		x[id] = x[id] > 0 ? x[id] / h->repetition_penalty : x[id] * h->repetition_penalty;
	if (p->count[id])
		x[id] = x[id] - h->frequency_penalty * (float)p->count[id] - h->presence_penalty;
	p->seen[id] = 0;
	p->count[id] = 0;
}

static void apply_penalties(struct sampler *p, float *x, const struct sample *what)
{
	const struct sampling *h = what->how;

	if (h->repetition_penalty == 1 && h->presence_penalty == 0 && h->frequency_penalty == 0)
		return;
	for (int i = 0; i < what->n_tokens; i++)
		p->seen[what->tokens[i]] = 1;
	for (int i = what->n_prompt; i < what->n_tokens; i++)
		p->count[what->tokens[i]]++;
	for (int i = 0; i < what->n_tokens; i++)
		if (p->seen[what->tokens[i]])
			penalize(p, x, h, what->tokens[i]);
}

/* Where masks leave no token, the likeliest of all is taken. */
static int32_t choose(struct sampler *p, float *x, const struct sample *what, const struct raw *r,
		      const uint32_t *allow)
{
	float reference = x[r->best];
	int32_t id;

	apply_masks(p, x, what, allow);
	apply_penalties(p, x, what);
	if (what->how->temperature < SAMPLE_GREEDY_BELOW)
		id = sample_argmax(x, p->vocab);
	else
		id = sample_draw(p, x, what->how, what->pos, reference);
	return id >= 0 ? id : r->best;
}

static void report_targets(const float *x, const struct raw *r, const struct sample_targets *t)
{
	for (int i = 0; i < t->n; i++)
		t->logit[i] = x[t->id[i]];
	for (int i = 0; t->logprob && i < t->n; i++)
		t->logprob[i] = logprob(x, r, t->id[i]);
}

/* Draws without the late mask first. The raw logits are in p->raw. */
static int32_t choose_allowed(struct sampler *p, float *x, const struct sample *what, const struct raw *r)
{
	int32_t id;

	if (what->allow && what->only)
		return what->only - 1;
	id = choose(p, x, what, r, NULL);
	if (!what->allow || sample_allows(what->allow, id))
		return id;
	memcpy(x, p->raw, (size_t)p->vocab * sizeof *x);
	return choose(p, x, what, r, what->allow);
}

/* Masks and penalties work in place, so raw logits that are needed afterwards are copied first. */
void sample_token(struct sampler *p, float *x, const struct sample *what, struct sampled *out)
{
	bool of_targets = what->targets && what->targets->logprob;
	struct raw r = raw_of(p, x, what->n_top >= 0 || of_targets);

	memset(out, 0, sizeof *out);
	if (!r.finite) {
		out->id = max_int(what->given, 0);
		out->broken = true;
		return;
	}
	if (what->targets)
		report_targets(x, &r, what->targets);
	if (what->n_top >= 0)
		describe(p, x, &r, what->n_top, out);
	if (what->given >= 0) {
		out->id = what->given;
		describe_chosen(p, x, &r, out);
	} else {
		if (what->n_top >= 0 || (what->allow && !what->only))
			memcpy(p->raw, x, (size_t)p->vocab * sizeof *x);
		out->id = choose_allowed(p, x, what, &r);
		if (what->n_top >= 0)
			describe_chosen(p, p->raw, &r, out);
	}
	out->greedy = out->id == r.best;
}
