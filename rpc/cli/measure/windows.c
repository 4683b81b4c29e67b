#include "rpc/cli/measure/windows.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json/json.h"
#include "rpc/cli/cli.h"

/* ---- cutting ---- */

static void add(struct measure_windows *w, int *room, struct measure_window one)
{
	if (w->n == *room) {
		*room = *room ? 2 * *room : 64;
		w->window = xgrow(w->window, (size_t)*room, sizeof *w->window);
	}
	w->window[w->n++] = one;
}

int measure_windows_make(struct measure_windows *w, const struct measure_text *t, int window, int stride, int limit,
			 struct why *why)
{
	int room = 0;

	*w = (struct measure_windows){.text = t};
	for (int d = 0; d < t->n; d++) {
		int n = t->doc[d].n, from = 1;
		for (int begin = 0; from < n; begin += stride) {
			int end = min_int(begin + window, n);
			add(w, &room, (struct measure_window){d, begin, end, from});
			from = end;
		}
	}
	w->whole = w->n;
	if (!w->n)
		return fail(why, ERR_INVALID,
			    "the file has no token that follows another: there is nothing to measure");
	if (limit && w->n > limit)
		w->n = limit;
	w->nll = xalloc((size_t)w->n, sizeof *w->nll);
	w->squares = xalloc((size_t)w->n, sizeof *w->squares);
	for (int i = 0; i < w->n; i++)
		w->nll[i] = -1;
	return 0;
}

void measure_windows_finish(struct measure_windows *w)
{
	free(w->window);
	free(w->nll);
	free(w->squares);
	*w = (struct measure_windows){.n = 0};
}

/* ---- asking ---- */

struct state {
	struct measure_windows *w;
	struct journal *journal;
	int at;
};

static int next(void *arg, uint64_t *item, struct why *why)
{
	struct state *s = arg;

	(void)why;
	while (s->at < s->w->n && s->w->nll[s->at] >= 0)
		s->at++;
	*item = (uint64_t)s->at;
	return s->at++ < s->w->n;
}

static int make(void *arg, uint64_t item, struct xv_request *r, struct why *why)
{
	const struct state *s = arg;
	const struct measure_window *one = &s->w->window[item];

	(void)why;
	r->kind = XV_SCORE;
	r->score.prompt = (struct xv_prompt){
		.text = "", .ids = s->w->text->doc[one->doc].ids + one->begin, .n_ids = one->end - one->begin};
	r->score.adapter = s->w->adapter;
	return 0;
}

static int done(void *arg, const struct pump_result *r, struct why *why)
{
	struct state *s = arg;
	const struct measure_window *one = &s->w->window[r->item];
	double nll = 0, squares = 0;
	char line[120];

	if (r->err)
		return fail(why, r->err == ERR_LIMIT ? ERR_INVALID : r->err, "window %llu: %.400s",
			    (unsigned long long)r->item, r->error);
	if (r->n_prompt_tokens != one->end - one->begin)
		return fail(why, ERR_FORMAT, "window %llu: %d tokens were scored, not %d", (unsigned long long)r->item,
			    r->n_prompt_tokens, one->end - one->begin);
	for (int i = one->from - one->begin; i < r->n_prompt_tokens; i++) {
		nll -= (double)r->prompt_tokens[i].logprob;
		squares += (double)r->prompt_tokens[i].logprob * (double)r->prompt_tokens[i].logprob;
	}
	s->w->nll[r->item] = nll > 0 ? nll : 0;
	s->w->squares[r->item] = squares;
	snprintf(line, sizeof line, "{\"nll\":%.17g,\"squares\":%.17g,\"tokens\":%d}", s->w->nll[r->item], squares,
		 one->end - one->from);
	return s->journal ? journal_put(s->journal, r->item, line, strlen(line), why) : 0;
}

static void tell(void *arg, char *out, size_t size)
{
	struct measure_ppl p = measure_ppl_of(((struct state *)arg)->w);

	if (p.tokens)
		snprintf(out, size, "perplexity %.4f", p.perplexity);
}

static int restore(void *arg, uint64_t item, const char *line, size_t len, struct why *why)
{
	struct measure_windows *w = arg;
	struct json_error e;
	struct json_doc *doc = json_read(line, len, &json_of_files, &e);
	double nll = json_num(json_get(json_root(doc), "nll"));

	if (item < (uint64_t)w->n) {
		w->nll[item] = nll;
		w->squares[item] = json_num(json_get(json_root(doc), "squares"));
	}
	json_close(doc);
	return nll >= 0 ? 0 : fail(why, ERR_FORMAT, "the journal's window %llu has no sum", (unsigned long long)item);
}

int measure_windows_run(struct measure_windows *w, struct xv_client *c, struct journal *journal, int in_flight,
			bool quiet, struct pump_totals *out, struct why *why)
{
	struct state s = {.w = w, .journal = journal};
	struct pump how = {.unit = "window",
			   .total = (uint64_t)w->n,
			   .already = journal ? journal_count(journal) : 0,
			   .in_flight = in_flight,
			   .retries = 3,
			   .quiet = quiet,
			   .next = next,
			   .make = make,
			   .done = done,
			   .tell = tell,
			   .arg = &s};
	int err = journal ? journal_each(journal, restore, w, why) : 0;

	return err ? err : pump_run(c, &how, out, why);
}

/* ---- the sum ---- */

struct measure_ppl measure_ppl_of(const struct measure_windows *w)
{
	struct measure_ppl p = {0};
	double sum = 0, squares = 0;

	for (int i = 0; i < w->n; i++) {
		const struct measure_window *one = &w->window[i];
		const struct measure_doc *d = &w->text->doc[one->doc];
		if (w->nll[i] < 0)
			continue;
		sum += w->nll[i];
		squares += w->squares[i];
		p.tokens += (uint64_t)(one->end - one->from);
		p.bytes += d->end[one->end - 1] - d->end[one->from - 1];
	}
	if (!p.tokens)
		return p;
	p.nll = sum / (double)p.tokens;
	if (p.tokens > 1)
		p.error = sqrt(fmax(0, squares / (double)p.tokens - p.nll * p.nll) / (double)(p.tokens - 1));
	p.perplexity = exp(p.nll);
	p.perplexity_error = p.perplexity * p.error;
	p.bits_per_token = p.nll / log(2);
	p.bits_per_byte = p.bytes ? sum / log(2) / (double)p.bytes : 0;
	return p;
}
