#include "rpc/cli/measure/distance.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file/own.h"
#include "rpc/cli/cli.h"

static uint64_t count(const struct measure_windows *w)
{
	uint64_t n = 0;

	for (int i = 0; i < w->n; i++)
		n += (uint64_t)(w->window[i].end - w->window[i].from);
	return n;
}

static void fill_places(struct measure_distance *d, const struct measure_windows *w, uint64_t all)
{
	uint64_t before = 0;
	int k = 0;

	for (int i = 0; i < w->n && k < d->n; i++) {
		const struct measure_window *one = &w->window[i];
		uint64_t here = (uint64_t)(one->end - one->from);
		for (; k < d->n && (uint64_t)k * all / (uint64_t)d->n < before + here; k++) {
			int at = one->from + (int)((uint64_t)k * all / (uint64_t)d->n - before);
			d->place[k] = (struct measure_place){w->text->doc[one->doc].ids + one->begin, at - one->begin};
		}
		before += here;
	}
}

/* A file without a name: it goes with the process. */
static int open_file(struct why *why)
{
	const char *base = getenv("TMPDIR");
	char *path = xprintf("%s/xverse-logprobs-XXXXXX", base && *base ? base : "/tmp");
	int fd = mkstemp(path);

	if (fd >= 0)
		unlink(path);
	else
		fd = fail(why, ERR_IO, "%s: %s", path, strerror(errno));
	free(path);
	return fd;
}

int measure_distance_open(struct measure_distance *d, const struct measure_windows *w, int places, int vocab,
			  struct why *why)
{
	uint64_t all = count(w);

	*d = (struct measure_distance){
		.adapter = w->adapter, .n = all < (uint64_t)places ? (int)all : places, .vocab = vocab, .fd = -1};
	d->place = xalloc((size_t)d->n + 1, sizeof *d->place);
	d->all = xalloc((size_t)vocab + 1, sizeof *d->all);
	d->kl = xalloc((size_t)d->n + 1, sizeof *d->kl);
	d->same = xalloc((size_t)d->n + 1, sizeof *d->same);
	for (int i = 0; i < vocab; i++)
		d->all[i] = i;
	fill_places(d, w, all);
	d->fd = open_file(why);
	return d->fd < 0 ? d->fd : 0;
}

void measure_distance_close(struct measure_distance *d)
{
	if (d->place && d->fd >= 0)
		close(d->fd);
	free(d->place);
	free(d->all);
	free(d->kl);
	free(d->same);
	*d = (struct measure_distance){.fd = -1};
}

/* ---- asking ---- */

struct state {
	struct measure_distance *d;
	bool finest;
	float *row; /* (vocab) of the finest */
	int at;
};

static int next(void *arg, uint64_t *item, struct why *why)
{
	struct state *s = arg;

	(void)why;
	*item = (uint64_t)s->at;
	return s->at++ < s->d->n;
}

static int make(void *arg, uint64_t item, struct xv_request *r, struct why *why)
{
	const struct state *s = arg;
	const struct measure_place *p = &s->d->place[item];

	(void)why;
	r->kind = XV_SCORE;
	r->score.prompt = (struct xv_prompt){.text = "", .ids = p->ids, .n_ids = p->n};
	r->score.targets = s->d->all;
	r->score.n_targets = s->d->vocab;
	r->score.target_logprobs = true;
	r->score.adapter = s->d->adapter;
	return 0;
}

static int io(const struct state *s, uint64_t item, float *row, bool writes, struct why *why)
{
	size_t size = (size_t)s->d->vocab * sizeof *row, done = 0;

	while (done < size) {
		off_t at = (off_t)(item * size + done);
		ssize_t n = writes ? pwrite(s->d->fd, (char *)row + done, size - done, at)
				   : pread(s->d->fd, (char *)row + done, size - done, at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return fail(why, n ? file_write_error(errno) : ERR_IO,
				    "the file of logprobs (%d places of %d tokens; --positions, TMPDIR): %s", s->d->n,
				    s->d->vocab, strerror(n ? errno : EIO));
		done += (size_t)n;
	}
	return 0;
}

static void compare(struct measure_distance *d, uint64_t item, const float *p, const float *q)
{
	double sum = 0;
	int best_p = 0, best_q = 0;

	for (int i = 0; i < d->vocab; i++) {
		if (p[i] > -INFINITY) /* what is never said adds nothing */
			sum += exp((double)p[i]) * ((double)p[i] - (double)q[i]);
		best_p = p[i] > p[best_p] ? i : best_p;
		best_q = q[i] > q[best_q] ? i : best_q;
	}
	d->kl[item] = sum;
	d->same[item] = best_p == best_q;
}

static int done(void *arg, const struct pump_result *r, struct why *why)
{
	struct state *s = arg;
	const float *row = r->err ? NULL : r->reply->finished.target_logprobs;
	int err;

	if (r->err)
		return fail(why, r->err == ERR_LIMIT ? ERR_INVALID : r->err, "place %llu: %.400s",
			    (unsigned long long)r->item, r->error);
	if (r->reply->finished.n_target_logprobs != s->d->vocab)
		return fail(why, ERR_FORMAT, "place %llu: %d logprobs came, not %d", (unsigned long long)r->item,
			    r->reply->finished.n_target_logprobs, s->d->vocab);
	memcpy(s->row, row, (size_t)s->d->vocab * sizeof *row);
	if (s->finest)
		return io(s, r->item, s->row, true, why);
	err = io(s, r->item, s->row, false, why);
	if (!err)
		compare(s->d, r->item, s->row, row);
	return err;
}

int measure_distance_run(struct measure_distance *d, struct xv_client *c, bool finest, bool quiet, double *kl,
			 double *same, struct why *why)
{
	enum { IN_FLIGHT = 8 }; /* each request and each answer name the whole vocabulary */
	struct state s = {.d = d, .finest = finest, .row = xalloc((size_t)d->vocab, sizeof *s.row)};
	struct pump_totals totals;
	struct pump how = {.unit = "distribution",
			   .total = (uint64_t)d->n,
			   .in_flight = IN_FLIGHT,
			   .retries = 3,
			   .quiet = quiet,
			   .next = next,
			   .make = make,
			   .done = done,
			   .arg = &s};
	int err = pump_run(c, &how, &totals, why);

	*kl = *same = 0;
	for (int i = 0; !err && !finest && i < d->n; i++) {
		*kl += d->kl[i] / d->n;
		*same += (double)d->same[i] / d->n;
	}
	if (finest)
		*same = 1;
	free(s.row);
	return err;
}
