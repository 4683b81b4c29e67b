#include "rpc/cli/batch/run.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/cli/batch/answer.h"
#include "rpc/cli/batch/output.h"

enum { CALL_BITS = 12, BUCKETS = 256, MOST_TRIES = 14 };
_Static_assert(API_MAX_CHOICES <= 1 << CALL_BITS, "a call's number within its line");

/* A line that was begun. */
struct open {
	struct open *chain;
	int line, left, next; /* answers that are missing; the next call to ask for */
	struct batch_request request;
	const struct batch_adapter *adapter; /* NULL: none */
	struct batch_choice *choice;
	int err; /* of its first call that failed */
	char error[300];
};

struct state {
	struct batch_run *b;
	struct open *bucket[BUCKETS], *begun; /* begun: some of its calls are still to be asked for */
	int at;                               /* in the input's order */
};

/* ---- open lines ---- */

static struct open *find(struct state *s, int line)
{
	struct open *o = s->bucket[line % BUCKETS];

	while (o && o->line != line)
		o = o->chain;
	return o;
}

static void forget(struct state *s, struct open *o)
{
	struct open **at = &s->bucket[o->line % BUCKETS];

	while (*at != o)
		at = &(*at)->chain;
	*at = o->chain;
	for (int i = 0; o->choice && i < o->request.calls; i++)
		batch_choice_finish(&o->choice[i]);
	free(o->choice);
	batch_request_finish(&o->request);
	free(o);
}

/* ---- answers ---- */

/* The request is at fault, so that another try would end the same way. An adapter that is gone may be loaded again. */
static bool is_final(const struct open *o)
{
	int err = o->err;

	if (err == ERR_UNKNOWN && o->adapter)
		return false;
	return err == ERR_INVALID || err == ERR_FORMAT || err == ERR_LIMIT || err == ERR_UNSUPPORTED ||
	       err == ERR_DENIED || err == ERR_UNKNOWN;
}

/* An error that may pass lies behind the lines' own items: the line can still get its answer. */
static uint64_t item_of_error(const struct batch_run *b, int line, int try)
{
	return (uint64_t)b->in->n * (uint64_t)(1 + try) + (uint64_t)line;
}

static int put_error(struct state *s, struct open *o, struct why *why)
{
	struct batch_run *b = s->b;
	uint32_t number = b->in->line[o->line].number;
	struct text t = {0};
	uint64_t item = (uint64_t)o->line;
	int err = 0, try = 0;

	if (!b->refused && !b->failed)
		snprintf(b->first_error, sizeof b->first_error, "line %u: %.250s", number, o->error);
	batch_answer_error(&t, &o->request, number, o->err, o->error);
	b->refused += is_final(o);
	b->failed += !is_final(o);
	while (!is_final(o) && try < MOST_TRIES && journal_has(b->journal, item_of_error(b, o->line, try)))
		try++;
	if (!is_final(o))
		item = item_of_error(b, o->line, try);
	if (is_final(o) || try < MOST_TRIES)
		err = journal_put(b->journal, item, t.data, t.len, why);
	text_finish(&t);
	return err;
}

static int put_answer(struct state *s, struct open *o, struct why *why)
{
	struct batch_run *b = s->b;
	char *print = xprintf("%s%s%s/%s", b->fingerprint, o->adapter ? "+" : "",
			      o->adapter ? o->adapter->fingerprint : "", b->numerics_class);
	struct text t = {0};
	int err;

	batch_answer(&t, &o->request, o->choice, o->adapter ? o->adapter->name : b->model, print);
	err = journal_put(b->journal, (uint64_t)o->line, t.data, t.len, why);
	text_finish(&t);
	free(print);
	return err;
}

static int take(struct state *s, struct open *o, const struct pump_result *r, struct why *why)
{
	int call = (int)(r->item & ((1 << CALL_BITS) - 1)), err;

	if (!r->err && (strcmp(r->fingerprint, s->b->fingerprint) || strcmp(r->numerics_class, s->b->numerics_class)))
		return fail(why, ERR_MISMATCH, "the server is another one now: model %.40s, %.80s; was %.40s, %.80s",
			    r->fingerprint, r->numerics_class, s->b->fingerprint, s->b->numerics_class);
	if (r->err && !o->err) {
		o->err = r->err;
		snprintf(o->error, sizeof o->error, "%.290s", *r->error ? r->error : err_text(r->err));
	} else if (!r->err) {
		batch_choice_take(&o->choice[call], &o->request, r);
	}
	if (--o->left)
		return PUMP_PART;
	err = o->err ? put_error(s, o, why) : put_answer(s, o, why);
	forget(s, o);
	return err;
}

static int done(void *arg, const struct pump_result *r, struct why *why)
{
	struct state *s = arg;

	return take(s, find(s, (int)(r->item >> CALL_BITS)), r, why);
}

/* ---- requests ---- */

/* As at the gateway, another name means the model itself. */
static const struct batch_adapter *find_adapter(const struct batch_run *b, const char *model)
{
	for (int i = 0; model && i < b->n_adapters; i++)
		if (!strcmp(b->adapter[i].name, model))
			return &b->adapter[i];
	return NULL;
}

/* 1: its calls follow; 0: it has ended with an error of its own. */
static int begin(struct state *s, int line, struct why *why)
{
	struct open *o = xalloc(1, sizeof *o);
	struct why own = {""};
	char *text;
	int err = batch_input_read(s->b->in, line, &text, why);

	o->line = line;
	o->chain = s->bucket[line % BUCKETS];
	s->bucket[line % BUCKETS] = o;
	if (err) {
		forget(s, o);
		return err;
	}
	o->err = batch_request_read(&o->request, text, s->b->in->line[line].len, s->b->in->line[line].number,
				    s->b->defaults, &own);
	free(text);
	if (o->err) {
		snprintf(o->error, sizeof o->error, "%.290s", own.text);
		err = put_error(s, o, why);
		forget(s, o);
		return err;
	}
	o->adapter = find_adapter(s->b, o->request.model);
	o->left = o->request.calls;
	o->choice = xalloc((size_t)o->request.calls, sizeof *o->choice);
	s->begun = o;
	return 1;
}

static int next(void *arg, uint64_t *item, struct why *why)
{
	struct state *s = arg;
	int got = s->begun != NULL;

	while (!got && s->at < s->b->in->n) {
		int line = (int)s->b->in->order[s->at++];
		if (!journal_has(s->b->journal, (uint64_t)line))
			got = begin(s, line, why);
	}
	if (got <= 0)
		return got;
	*item = (uint64_t)s->begun->line << CALL_BITS | (uint64_t)s->begun->next++;
	if (s->begun->next == s->begun->request.calls)
		s->begun = NULL;
	return 1;
}

static int make(void *arg, uint64_t item, struct xv_request *r, struct why *why)
{
	struct state *s = arg;
	const struct open *o = find(s, (int)(item >> CALL_BITS));

	(void)why;
	batch_request_fill(&o->request, (int)(item & ((1 << CALL_BITS) - 1)), r);
	if (o->adapter)
		*(r->kind == XV_CHAT ? &r->chat.adapter : &r->generate.adapter) = o->adapter->name;
	return 0;
}

static void tell(void *arg, char *out, size_t size)
{
	const struct state *s = arg;

	if (s->b->refused)
		snprintf(out, size, "%" PRIu64 " lines refused", s->b->refused);
}

uint64_t batch_undone(const struct batch_run *b)
{
	uint64_t n = 0;

	for (int i = 0; i < b->in->n; i++)
		n += !journal_has(b->journal, (uint64_t)i);
	return n;
}

static int count_refused(void *arg, uint64_t item, const char *line, size_t len, struct why *why)
{
	(void)item, (void)len, (void)why;
	*(uint64_t *)arg += batch_output_is_error(line);
	return 0;
}

uint64_t batch_refused(const struct batch_run *b)
{
	uint64_t n = 0;

	return journal_each(b->journal, count_refused, &n, NULL) ? 0 : n;
}

uint64_t batch_pick(void *arg, uint64_t line)
{
	const struct batch_run *b = arg;
	int try = 0;

	if (journal_has(b->journal, line))
		return line;
	while (try < MOST_TRIES && journal_has(b->journal, item_of_error(b, (int)line, try)))
		try++;
	return try ? item_of_error(b, (int)line, try - 1) : UINT64_MAX;
}

int batch_run(struct batch_run *b, struct xv_client *c, int in_flight, int retries, bool quiet, struct pump_totals *out,
	      struct why *why)
{
	struct state s = {.b = b};
	uint64_t undone = batch_undone(b);
	struct pump how = {.unit = "request",
			   .total = (uint64_t)b->in->n,
			   .already = (uint64_t)b->in->n - undone,
			   .in_flight = in_flight,
			   .retries = retries,
			   .quiet = quiet,
			   .next = next,
			   .make = make,
			   .done = done,
			   .tell = tell,
			   .arg = &s};
	int err = pump_run(c, &how, out, why);

	for (int i = 0; i < BUCKETS; i++)
		while (s.bucket[i])
			forget(&s, s.bucket[i]);
	return err;
}
