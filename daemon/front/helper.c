#include "daemon/front/helper.h"

#include <stdlib.h>
#include <unistd.h>

#include "rpc/frame.h"

static size_t size_of(const struct front_job *job)
{
	switch (job->kind) {
	case JOB_ENCODE:
		return job->len;
	case JOB_DECODE:
		return (size_t)job->n_pieces * (JOB_LONG / JOB_LONG_IDS);
	default:
		return front_prompt_size(&job->said);
	}
}

bool front_job_is_short(const struct front_job *job)
{
	return size_of(job) < JOB_LONG;
}

static int work(struct front_job *job, const struct tokenizer *t)
{
	switch (job->kind) {
	case JOB_ENCODE:
		return tokenizer_encode(t, job->text, job->len, &job->how, &job->ids, &job->why);
	case JOB_DECODE:
		return tokenizer_decode_most(t, job->pieces, job->n_pieces, job->skip_special, FRAME_LIMIT, &job->out.s,
					     &job->out.len, &job->why);
	default:
		return front_prompt_encode(job->chat, &job->said, &job->ids, job->want_text ? &job->out : NULL,
					   &job->why);
	}
}

static void run(struct front_job *job, const struct tokenizer *t)
{
	int err;

	effort_begin(&job->effort);
	job->err = work(job, t);
	err = effort_check(&job->why); /* it says why where a library only told that it failed */
	if (err)
		job->err = err;
	effort_end();
}

void front_job_run(struct front_job *job, const struct tokenizer *t)
{
	job->effort.bytes = JOB_MEMORY_SHORT;
	job->effort.cpu_ns = JOB_FRONT_MS * 1000000ull;
	run(job, t);
}

static size_t answer_bytes(const struct front_job *job)
{
	size_t each = sizeof *job->ids.id + (job->ids.offset ? sizeof *job->ids.offset : 0);

	return job->out.len + (size_t)job->ids.max * each;
}

/* With the lock. */
static void put_out(struct front_helpers *w, struct front_job *job)
{
	uint64_t one = 1;

	job->next = NULL;
	*w->out_end = job;
	w->out_end = &job->next;
	w->done += answer_bytes(job);
	if (write(w->wake_fd, &one, sizeof one) < 0)
		return; /* the counter is full: the front is awake already */
}

static struct front_job *take_next(struct front_lane *lane)
{
	struct front_job **best = &lane->in, *job;

	for (struct front_job **at = &lane->in; *at; at = &(*at)->next)
		if ((*at)->turn < (*best)->turn)
			best = at;
	job = *best;
	if (job)
		*best = job->next;
	return job;
}

static void *lane_thread(void *arg)
{
	struct front_lane *lane = arg;
	struct front_helpers *w = lane->words;

	pthread_mutex_lock(&w->lock);
	while (!w->stop) {
		struct front_job *job = w->done > JOB_DONE ? NULL : take_next(lane);

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

void front_helpers_start(struct front_helpers *w, const struct tokenizer *t, int wake_fd)
{
	*w = (struct front_helpers){.tokenizer = t, .wake_fd = wake_fd, .started = true};
	w->out_end = &w->out;
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->more, NULL);
	for (int i = 0; i < 2; i++) {
		w->lane[i].words = w;
		if (pthread_create(&w->lane[i].thread, NULL, lane_thread, &w->lane[i]))
			die("cannot start the tokenizer's thread");
	}
}

void front_helpers_finish(struct front_helpers *w)
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

void front_helpers_put(struct front_helpers *w, struct front_job *job)
{
	struct front_lane *lane;
	uint64_t before;

	job->size = size_of(job);
	lane = &w->lane[job->size > JOB_LANE];
	job->effort.bytes = job->size <= JOB_LANE   ? JOB_MEMORY_SHORT
			    : job->kind == JOB_CHAT ? JOB_MEMORY_CHAT
						    : JOB_MEMORY;
	job->effort.cpu_ns = JOB_SECONDS * 1000000000ull;
	pthread_mutex_lock(&w->lock);
	before = lane->clock;
	for (const struct front_job *j = lane->in; j; j = j->next)
		if (j->client == job->client && j->turn > before)
			before = j->turn;
	job->turn = before + job->size;
	job->next = NULL;
	struct front_job **end = &lane->in;
	while (*end)
		end = &(*end)->next;
	*end = job;
	pthread_cond_broadcast(&w->more);
	pthread_mutex_unlock(&w->lock);
}

void front_helpers_cancel(struct front_helpers *w, uint64_t call)
{
	if (!w->started)
		return;
	pthread_mutex_lock(&w->lock);
	for (int i = 0; i < 2; i++) {
		struct front_lane *lane = &w->lane[i];
		struct front_job **at = &lane->in, *job;

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

struct front_job *front_helpers_take(struct front_helpers *w)
{
	struct front_job *job;

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

void front_job_finish(struct front_job *job)
{
	ids_finish(&job->ids);
	free(job->out.s);
	job->out.s = NULL;
	if (job->keep)
		rpc_request_free(job->keep);
	free(job->keep);
	job->keep = NULL;
}
