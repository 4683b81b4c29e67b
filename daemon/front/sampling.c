/* Sampling fields of a call: the request's, else those of generation_config.json, else the defaults. */
#include "daemon/front/inside.h"
#include "engine/models/generation.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

bool front_has(const struct xv_sampling *s, enum xv_sampling_field f)
{
	return s->has >> f & 1;
}

int front_check_ids(const struct front *f, const int32_t *ids, int n, const char *what, struct why *why)
{
	for (int i = 0; i < n; i++)
		if (ids[i] < 0 || ids[i] >= f->model->vocab)
			return fail(why, ERR_INVALID, "%s: id %d is outside the vocabulary of %d", what, ids[i],
				    f->model->vocab);
	return 0;
}

static void fill_stop_ids(struct front *f, struct front_call *c, const struct xv_sampling *s)
{
	const struct front_model *m = f->model;
	int eos = f->tokenizer ? tokenizer_eos(f->tokenizer) : -1, n = 0;
	const int32_t *format;
	int n_format = c->chat ? chat_stop_ids(f->chat, &format) : 0;

	c->stop_ids = xalloc((size_t)(s->n_stop_ids + m->n_eos + f->n_default_eos + n_format + 1), sizeof *c->stop_ids);
	for (int i = 0; i < s->n_stop_ids; i++)
		c->stop_ids[n++] = s->stop_ids[i];
	for (int i = 0; i < m->n_eos && !s->ignore_eos && !(m->eos_assumed && f->n_default_eos); i++)
		c->stop_ids[n++] = m->eos[i];
	for (int i = 0; i < f->n_default_eos && !s->ignore_eos; i++)
		if (f->default_eos[i] >= 0 && f->default_eos[i] < m->vocab)
			c->stop_ids[n++] = f->default_eos[i];
	if (!s->ignore_eos && (!m->n_eos || m->eos_assumed) && !f->n_default_eos && eos >= 0 && eos < m->vocab)
		c->stop_ids[n++] = eos;
	for (int i = 0; i < n_format && !s->ignore_eos; i++)
		if (format[i] < m->vocab)
			c->stop_ids[n++] = format[i];
	c->call.how.stop = c->stop_ids;
	c->call.how.n_stop = n;
}

static uint64_t fresh_seed(void)
{
	uint64_t seed = now_ns();

	if (getrandom(&seed, sizeof seed, 0) < 0)
		log_at(LOG_WARN, "getrandom failed; the seed comes from the clock");
	return seed >> 1; /* 63 bits: signed integers hold it */
}

void front_defaults(struct front *f, const struct generation_config *g)
{
	struct xv_sampling *d = &f->defaults;

#define TAKE(NAME, field) \
	if (g->has >> SAMPLING_##NAME & 1) { \
		d->has |= 1u << XV_##NAME; \
		d->field = g->field; \
	}
#define REAL(NAME, field, ...) TAKE(NAME, field)
#include "proto/sampling.def"
	TAKE(TOP_K, top_k)
	if (g->has >> SAMPLING_MAX_TOKENS & 1) {
		d->has |= 1u << XV_MAX_TOKENS;
		d->max_tokens = (uint32_t)g->max_tokens;
	}
#undef TAKE
	memcpy(f->default_eos, g->eos, sizeof g->eos);
	f->n_default_eos = g->n_eos;
}

/* What the request says, else the model's makers, else the list. */
static void fill_numbers(struct sampling *how, const struct xv_sampling *s, const struct xv_sampling *d)
{
	*how = sampling_default();
#define REAL(NAME, field, ...) \
	if (front_has(s, XV_##NAME) || front_has(d, XV_##NAME)) \
		how->field = front_has(s, XV_##NAME) ? s->field : d->field;
#include "proto/sampling.def"
	how->top_k = front_has(s, XV_TOP_K) ? s->top_k : front_has(d, XV_TOP_K) ? d->top_k : 0;
	how->seed = front_has(s, XV_SEED) ? s->seed : fresh_seed();
	how->min_tokens = front_has(s, XV_MIN_TOKENS) ? (int)s->min_tokens : 0;
	how->n_logprobs = front_has(s, XV_LOGPROBS) ? (int)s->logprobs : -1;
}

/* Made once a call, so that a token costs the mask and not the lists. */
static int fill_mask(struct front_call *c, const struct xv_sampling *s, int vocab, struct why *why)
{
	if (!s->n_allowed && !s->n_bad)
		return 0;
	c->mask = heap_take((size_t)mask_words(vocab), sizeof *c->mask);
	if (!c->mask)
		return effort_check(why);
	c->call.how.mask = c->mask;
	return sampling_mask(c->mask, s->allowed, s->n_allowed, s->bad, s->n_bad, vocab, why);
}

/* Equal ids keep their order: an entry of the request lies before a later one. */
static int by_id(const void *a, const void *b)
{
	const struct xv_bias *x = *(const struct xv_bias *const *)a, *y = *(const struct xv_bias *const *)b;

	return x->id != y->id ? (x->id > y->id) - (x->id < y->id) : (x > y) - (x < y);
}

static int fill_bias(struct front_call *c, const struct xv_sampling *s, int vocab, struct why *why)
{
	const struct xv_bias **order;

	if (s->n_bias > vocab)
		return fail(why, ERR_LIMIT, "logit_bias: %d entries are more than the vocabulary of %d has", s->n_bias,
			    vocab);
	if (!s->n_bias)
		return 0;
	order = heap_take((size_t)s->n_bias, sizeof *order);
	c->bias = heap_take((size_t)s->n_bias, sizeof *c->bias);
	for (int i = 0; i < s->n_bias && order; i++)
		order[i] = &s->bias[i];
	if (order)
		qsort(order, (size_t)s->n_bias, sizeof *order, by_id);
	for (int i = 0; i < s->n_bias && order && c->bias; i++)
		c->bias[i] = (struct bias){order[i]->id, order[i]->value};
	free(order);
	c->call.how.bias = c->bias;
	c->call.how.n_bias = s->n_bias;
	return effort_check(why);
}

int front_sampling(struct front *f, struct front_call *c, const struct xv_sampling *s, struct why *why)
{
	struct sampling *how = &c->call.how;
	int err;

	fill_numbers(how, s, &f->defaults);
	err = fill_mask(c, s, f->model->vocab, why);
	if (!err)
		err = fill_bias(c, s, f->model->vocab, why);
	if (err)
		return err;
	fill_stop_ids(f, c, s);
	if (s->n_stop_ids > f->model->vocab)
		err = fail(why, ERR_LIMIT, "stop_token_ids: %d entries are more than the vocabulary of %d has",
			   s->n_stop_ids, f->model->vocab);
	if (!err)
		err = front_check_ids(f, s->stop_ids, s->n_stop_ids, "stop_token_ids", why);
	if (!err)
		err = sampling_check(how, f->model->vocab, why);
	c->call.prompt_logprobs = front_has(s, XV_PROMPT_LOGPROBS) ? (int)s->prompt_logprobs : -1;
	return err;
}
