#include "daemon/front/helper.h"

#include <stdlib.h>
#include <unistd.h>

#include "rpc/frame.h"

static size_t size_of(const struct words_job *job)
{
	switch (job->kind) {
	case WORDS_ENCODE:
		return job->len;
	case WORDS_DECODE:
		return (size_t)job->n_pieces * (WORDS_LONG / WORDS_LONG_IDS);
	default:
		return talk_size(&job->said);
	}
}

bool words_is_short(const struct words_job *job)
{
	return size_of(job) < WORDS_LONG;
}

static int work(struct words_job *job, const struct tokenizer *t)
{
	switch (job->kind) {
	case WORDS_ENCODE:
		return tokenizer_encode(t, job->text, job->len, &job->how, &job->ids, &job->why);
	case WORDS_DECODE:
		return tokenizer_decode_most(t, job->pieces, job->n_pieces, job->skip_special, FRAME_LIMIT, &job->out.s,
					     &job->out.len, &job->why);
	default:
		return talk_encode(job->chat, &job->said, &job->ids, job->want_text ? &job->out : NULL, &job->why);
	}
}

static void run(struct words_job *job, const struct tokenizer *t)
{
	int err;

	effort_begin(&job->effort);
	job->err = work(job, t);
	err = effort_check(&job->why); /* it says why where a library only told that it failed */
	if (err)
		job->err = err;
	effort_end();
}

void words_run(struct words_job *job, const struct tokenizer *t)
{
	job->effort.bytes = WORDS_MEMORY_SHORT;
	job->effort.cpu_ns = WORDS_FRONT_MS * 1000000ull;
	run(job, t);
}

static size_t answer_bytes(const struct words_job *job)
{
	size_t each = sizeof *job->ids.id + (job->ids.offset ? sizeof *job->ids.offset : 0);

	return job->out.len + (size_t)job->ids.max * each;
}

/* With the lock. */
static void put_out(struct words *w, struct words_job *job)
{
	uint64_t one = 1;

	job->next = NULL;
	*w->out_end = job;
	w->out_end = &job->next;
	w->done += answer_bytes(job);
	if (write(w->wake_fd, &one, sizeof one) < 0)
		return; /* the counter is full: the front is awake already */
}

static struct words_job *take_next(struct words_lane *lane)
{
	struct words_job **best = &lane->in, *job;

	for (struct words_job **at = &lane->in; *at; at = &(*at)->next)
		if ((*at)->turn < (*best)->turn)
			best = at;
	job = *best;
	if (job)
		*best = job->next;
	return job;
}

static void *lane_thread(void *arg)
{
	struct words_lane *lane = arg;
	struct words *w = lane->words;

	pthread_mutex_lock(&w->lock);
	while (!w->stop) {
		struct words_job *job = w->done > WORDS_DONE ? NULL : take_next(lane);

		if (!job) {
			pthread_cond_wait(&w->more, &w->lock);
			continue;
		}
		lane->running = job;
		pthread_mutex_unlock(&w->lock);
		run(job, w->tokenizer);
		pthread_mutex_lock(&w->lock);
		lane->running = NULL;
		lane->clock += job->size / 2;
		put_out(w, job);
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

void words_start(struct words *w, const struct tokenizer *t, int wake_fd)
{
	*w = (struct words){.tokenizer = t, .wake_fd = wake_fd, .started = true};
	w->out_end = &w->out;
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->more, NULL);
	for (int i = 0; i < 2; i++) {
		w->lane[i].words = w;
		if (pthread_create(&w->lane[i].thread, NULL, lane_thread, &w->lane[i]))
			die("cannot start the tokenizer's thread");
	}
}

void words_finish(struct words *w)
{
	if (!w->started)
		return;
	pthread_mutex_lock(&w->lock);
	w->stop = true;
	for (int i = 0; i < 2; i++)
		if (w->lane[i].running)
			effort_stop(&w->lane[i].running->effort);
	pthread_cond_broadcast(&w->more);
	pthread_mutex_unlock(&w->lock);
	for (int i = 0; i < 2; i++)
		pthread_join(w->lane[i].thread, NULL);
	pthread_mutex_destroy(&w->lock);
	pthread_cond_destroy(&w->more);
}

void words_put(struct words *w, struct words_job *job)
{
	struct words_lane *lane;
	uint64_t before;

	job->size = size_of(job);
	lane = &w->lane[job->size > WORDS_LANE];
	job->effort.bytes = job->size <= WORDS_LANE   ? WORDS_MEMORY_SHORT
			    : job->kind == WORDS_TALK ? WORDS_MEMORY_TALK
						      : WORDS_MEMORY;
	job->effort.cpu_ns = WORDS_SECONDS * 1000000000ull;
	pthread_mutex_lock(&w->lock);
	before = lane->clock;
	for (const struct words_job *j = lane->in; j; j = j->next)
		if (j->client == job->client && j->turn > before)
			before = j->turn;
	job->turn = before + job->size;
	job->next = NULL;
	struct words_job **end = &lane->in;
	while (*end)
		end = &(*end)->next;
	*end = job;
	pthread_cond_broadcast(&w->more);
	pthread_mutex_unlock(&w->lock);
}

void words_cancel(struct words *w, uint64_t call)
{
	if (!w->started)
		return;
	pthread_mutex_lock(&w->lock);
	for (int i = 0; i < 2; i++) {
		struct words_lane *lane = &w->lane[i];
		struct words_job **at = &lane->in, *job;

		if (lane->running && lane->running->call == call)
			effort_stop(&lane->running->effort);
		while (*at && (*at)->call != call)
			at = &(*at)->next;
		job = *at;
		if (!job)
			continue;
		*at = job->next;
		job->err = fail(&job->why, ERR_CANCELLED, "cancelled");
		put_out(w, job);
	}
	pthread_mutex_unlock(&w->lock);
}

struct words_job *words_take(struct words *w)
{
	struct words_job *job;

	pthread_mutex_lock(&w->lock);
	job = w->out;
	if (job) {
		w->out = job->next;
		if (!w->out)
			w->out_end = &w->out;
		w->done -= answer_bytes(job);
		pthread_cond_broadcast(&w->more);
	}
	pthread_mutex_unlock(&w->lock);
	return job;
}

void words_job_finish(struct words_job *job)
{
	ids_finish(&job->ids);
	free(job->out.s);
	job->out.s = NULL;
	if (job->keep)
		rpc_request_free(job->keep);
	free(job->keep);
	job->keep = NULL;
}
