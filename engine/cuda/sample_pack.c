/* sample_pack.c - packs a row to sample into numbers for the device, and unpacks the result. */
#include "engine/cuda/cuda.h"
#include "engine/sample/inside.h"
#include "engine/sample/math.h"

#include <math.h>
#include <string.h>

static bool penalizes(const struct sampling *h)
{
	return h->repetition_penalty != 1 || h->presence_penalty != 0 || h->frequency_penalty != 0;
}

static int put_ids(int32_t *to, const int32_t *from, int n)
{
	if (n)
		memcpy(to, from, (size_t)n * sizeof *to);
	return n;
}

static int put_lists(struct sample_row *r, int32_t *ids, const struct sample *what)
{
	const struct sampling *h = what->how;
	int n = put_ids(ids, (const int32_t *)h->mask, r->n_mask);

	for (int i = 0; i < r->n_bias; i++) {
		ids[n + i] = h->bias[i].id;
		memcpy(&ids[n + r->n_bias + i], &h->bias[i].value, sizeof(int32_t));
	}
	n += 2 * r->n_bias;
	n += put_ids(ids + n, h->stop, r->n_stop);
	return n + put_ids(ids + n, what->tokens + r->kept, r->n_prompt + r->n_output - r->kept);
}

static void choose_mode(struct sample_row *r, const struct sample *what)
{
	const struct sampling *h = what->how;
	bool greedy = h->temperature < SAMPLE_GREEDY_BELOW;

	r->mode = what->given >= 0 ? SAMPLE_SCORE : greedy || h->top_k == 1 ? SAMPLE_LIKELIEST : SAMPLE_DRAW;
	r->per_temperature = greedy ? 0 : 1 / (double)h->temperature;
	if (r->mode != SAMPLE_DRAW)
		return;
	r->stream = sample_stream(h->seed, what->pos);
	r->top_k = max_int(0, h->top_k);
	r->least = (uint64_t)((double)h->min_p * (double)((uint64_t)1 << SAMPLE_MASS_BITS));
	r->n_sigma = h->top_n_sigma > 0 ? (double)h->top_n_sigma : 0;
	r->share = h->top_p >= 1 ? (uint64_t)1 << 32 : (uint64_t)((double)h->top_p * 0x1p32 + 0.5);
}

/* A call's history only grows. Only the step's first row of a call is kept: later rows may be speculative. */
static void find_history(struct sample_row *r, const struct sample_book *b, const struct sample *what)
{
	const struct sample_kept *k = b->kept + what->seq;

	REQUIRE(what->seq >= 0 && what->seq < b->seqs);
	if (what->n_tokens > b->max_history || k->step == b->step)
		return;
	r->seq = what->seq;
	r->kept = k->call == what->call ? min_int(k->n, what->n_tokens) : 0;
}

int sample_pack(struct sample_row *r, int32_t *ids, int at, int room, const struct sample *what,
		struct sample_book *book)
{
	const struct sampling *h = what->how;
	bool draws = what->given < 0;
	int need;

	REQUIRE(what->n_top <= SAMPLE_MAX_TOP);
	*r = (struct sample_row){
		.given = what->given, .n_top = what->n_top, .at = at, .share = (uint64_t)1 << 32, .seq = -1, .skip = 1};
	if (what->allow || what->targets || (!draws && what->n_top < 0))
		return 0;
	if (draws) {
		r->n_mask = h->mask ? mask_words(book->vocab) : 0, r->n_bias = h->n_bias;
		r->n_stop = what->n_tokens - what->n_prompt < h->min_tokens ? h->n_stop : 0;
	}
	if (draws && penalizes(h)) {
		r->n_prompt = what->n_prompt, r->n_output = what->n_tokens - what->n_prompt;
		find_history(r, book, what);
	}
	r->per_repetition = 1 / (double)h->repetition_penalty;
	r->repetition = h->repetition_penalty, r->presence = h->presence_penalty, r->frequency = h->frequency_penalty;
	choose_mode(r, what);
	need = r->n_mask + 2 * r->n_bias + r->n_stop + r->n_prompt + r->n_output - r->kept;
	if (need > room - at)
		return 0;
	r->skip = 0;
	if (r->seq >= 0)
		book->kept[r->seq] = (struct sample_kept){what->call, book->step, what->n_tokens};
	return put_lists(r, ids + at, what);
}

struct sample_needs sample_needs_of(const struct sample_row *row, int n)
{
	struct sample_needs all = {.lists = false};

	for (int i = 0; i < n; i++) {
		const struct sample_row *r = &row[i];
		if (r->skip)
			continue;
		all.lists |= r->n_mask + r->n_bias + r->n_stop + r->n_prompt + r->n_output > 0;
		all.top_n |= r->n_top > 0;
		all.draw |= r->mode == SAMPLE_DRAW;
		all.top_k |= r->mode == SAMPLE_DRAW && r->top_k > 0;
		all.sigma |= r->mode == SAMPLE_DRAW && r->n_sigma > 0;
		all.top_p |= r->mode == SAMPLE_DRAW && r->share >> 32 == 0;
	}
	return all;
}

/* Orders by falling logit; of equal ones the lower id comes first. */
static void put_top(struct sampled *out, const struct sample_result *r, double log_total)
{
	REQUIRE(r->n_top <= SAMPLE_MAX_TOP);
	for (int i = 0; i < r->n_top; i++) {
		float x = r->top[i];
		int at = 0;
		for (int j = 0; j < r->n_top; j++)
			at += r->top[j] > x || (r->top[j] == x && r->top_id[j] < r->top_id[i]);
		out->top_id[at] = r->top_id[i];
		out->top_logprob[at] = (float)((double)x - (double)r->x_best - log_total);
	}
}

void sample_unpack(struct sampled *out, const struct sample_result *r, int n_top)
{
	double log_total = sample_log_total(r->total);

	memset(out, 0, sizeof *out);
	out->id = r->id;
	out->broken = !isfinite(r->x_best);
	out->greedy = !out->broken && r->id == r->best;
	if (n_top < 0 || out->broken)
		return;
	out->logprob = (float)((double)r->x - (double)r->x_best - log_total);
	out->rank = 1 + (int32_t)r->likelier;
	out->n_top = r->n_top;
	put_top(out, r, log_total);
}
