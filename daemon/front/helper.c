#include "daemon/front/helper.h"

#include <stdlib.h>
#include <unistd.h>

#include "daemon/front/constraint.h"
#include "rpc/frame.h"

static size_t size_of(const struct front_job *job)
{
	switch (job->kind) {
	case JOB_COMPILE:
		return 0;
	case JOB_ENCODE:
		return job->len;
	case JOB_DECODE:
		return (size_t)job->n_pieces * (JOB_LONG / JOB_LONG_IDS);
	case JOB_PARSE:
		return front_parse_size(&job->parse);
	default:
		return front_prompt_size(&job->said);
	}
}

bool front_job_is_short(const struct front_job *job)
{
	bool tools = job->answer && *job->said.tools_json;

	return size_of(job) < JOB_LONG && !job->constraint && !tools;
}

static int work(struct front_job *job, const struct tokenizer *t)
{
	switch (job->kind) {
	case JOB_COMPILE:
		return 0;
	case JOB_ENCODE:
		return tokenizer_encode(t, job->text, job->len, &job->how, &job->ids, &job->why);
	case JOB_DECODE:
		return tokenizer_decode_most(t, job->pieces, job->n_pieces, job->skip_special, FRAME_LIMIT, &job->out.s,
					     &job->out.len, &job->why);
	case JOB_PARSE:
		return front_parse(&job->parsed, &job->parse, &job->why);
	default:
		return front_prompt_encode(job->chat, &job->said, job->forms.calls, &job->ids,
					   job->want_text ? &job->out : NULL, &job->why);
	}
}

/* Names the part that the compiler refuses: the request's own constraint, or the schema of a tool. */
static int blame(const struct front_job *job, const struct tokenizer *t, int err, struct why *why)
{
	struct grammar *g = NULL;
	int own = job->constraint ? front_constraint(&g, job->constraint, t, job->compact, NULL, why) : 0;

	grammar_destroy(g);
	return own ? own : front_tools_blame(&job->said, err, why);
}

/* A chat's tools and reasoning are part of what its answer must be. */
static int compile(struct front_job *job, const struct tokenizer *t, struct front_grammars *kept)
{
	struct xv_constraint whole = {.kind = XV_STRUCTURAL_TAG};
	const struct xv_constraint *c = job->constraint;
	char *text = NULL;
	int err = 0;

	if (job->answer) {
		front_forms_begin(&job->forms, t, &job->ids);
		err = front_tools_constraint(&text, &job->forms, &job->said, c, &job->why);
	}
	if (text) {
		whole.text = text;
		whole.has_compact = c && c->has_compact;
		whole.compact = c && c->compact;
		c = &whole;
	}
	if (!err && c)
		err = front_constraint(&job->grammar, c, t, job->compact, kept, &job->why);
	if (err && text)
		err = blame(job, t, err, &job->why);
	free(text);
	return err;
}

static void run(struct front_job *job, const struct tokenizer *t, struct front_grammars *kept)
{
	int err;

	effort_begin(&job->effort);
	job->err = job->answer ? front_tools_check(&job->forms, &job->said, job->constraint, &job->why) : 0;
	if (!job->err)
		job->err = work(job, t);
	err = effort_check(&job->why); /* the reason, where a library reported only that it failed */
	if (err)
		job->err = err;
	if (!job->err)
		job->err = compile(job, t, kept);
	effort_end();
}

void front_job_run(struct front_job *job, const struct tokenizer *t)
{
	job->effort.bytes = JOB_MEMORY_SHORT;
	job->effort.cpu_ns = JOB_FRONT_MS * NS_PER_MS;
	run(job, t, NULL);
}

static size_t result_bytes(const struct front_job *job)
{
	size_t each = sizeof *job->ids.id + (job->ids.offset ? sizeof *job->ids.offset : 0);

	return job->out.len + (size_t)job->ids.max * each + (job->grammar ? grammar_bytes(job->grammar) : 0) +
	       front_parsed_bytes(job->parsed);
}

/* The caller holds the lock. */
static void put_out(struct front_helpers *h, struct front_job *job)
{
	uint64_t one = 1;

	job->next = NULL;
	*h->out_end = job;
	h->out_end = &job->next;
	h->done += result_bytes(job);
	if (write(h->wake_fd, &one, sizeof one) < 0)
		return; /* the counter is full, so the front is awake */
}

static struct front_job *take_next(struct front_helper *me)
{
	struct front_job **best = &me->in, *job;

	for (struct front_job **at = &me->in; *at; at = &(*at)->next)
		if ((*at)->turn < (*best)->turn)
			best = at;
	job = *best;
	if (job)
		*best = job->next;
	return job;
}

static void *helper_thread(void *arg)
{
	struct front_helper *me = arg;
	struct front_helpers *h = me->all;

	pthread_mutex_lock(&h->lock);
	while (!h->stop) {
		struct front_job *job = h->done > JOB_DONE ? NULL : take_next(me);

		if (!job) {
			pthread_cond_wait(&h->more, &h->lock);
			continue;
		}
		me->running = job;
		pthread_mutex_unlock(&h->lock);
		run(job, h->tokenizer, &h->grammars);
		pthread_mutex_lock(&h->lock);
		me->running = NULL;
		me->clock += job->size / 2;
		put_out(h, job);
	}
	pthread_mutex_unlock(&h->lock);
	return NULL;
}

void front_helpers_start(struct front_helpers *h, const struct tokenizer *t, int wake_fd)
{
	*h = (struct front_helpers){.tokenizer = t, .wake_fd = wake_fd, .started = true};
	h->out_end = &h->out;
	pthread_mutex_init(&h->lock, NULL);
	pthread_cond_init(&h->more, NULL);
	front_grammars_init(&h->grammars);
	for (int i = 0; i < 2; i++) {
		h->helper[i].all = h;
		if (pthread_create(&h->helper[i].thread, NULL, helper_thread, &h->helper[i]))
			die("cannot start a helper thread");
	}
}

void front_helpers_finish(struct front_helpers *h)
{
	if (!h->started)
		return;
	pthread_mutex_lock(&h->lock);
	h->stop = true;
	for (int i = 0; i < 2; i++)
		if (h->helper[i].running)
			effort_stop(&h->helper[i].running->effort);
	pthread_cond_broadcast(&h->more);
	pthread_mutex_unlock(&h->lock);
	for (int i = 0; i < 2; i++)
		pthread_join(h->helper[i].thread, NULL);
	pthread_mutex_destroy(&h->lock);
	pthread_cond_destroy(&h->more);
	front_grammars_finish(&h->grammars);
}

void front_helpers_put(struct front_helpers *h, struct front_job *job)
{
	struct front_helper *to;
	uint64_t before;

	job->size = size_of(job);
	to = &h->helper[job->size > JOB_LARGE];
	job->effort.bytes = job->size <= JOB_LARGE  ? JOB_MEMORY_SHORT
			    : job->kind == JOB_CHAT ? JOB_MEMORY_CHAT
						    : JOB_MEMORY;
	job->effort.cpu_ns = JOB_SECONDS * 1000000000ull;
	pthread_mutex_lock(&h->lock);
	before = to->clock;
	for (const struct front_job *j = to->in; j; j = j->next)
		if (j->client == job->client && j->turn > before)
			before = j->turn;
	job->turn = before + job->size;
	job->next = NULL;
	struct front_job **end = &to->in;
	while (*end)
		end = &(*end)->next;
	*end = job;
	pthread_cond_broadcast(&h->more);
	pthread_mutex_unlock(&h->lock);
}

void front_helpers_cancel(struct front_helpers *h, uint64_t call)
{
	if (!h->started)
		return;
	pthread_mutex_lock(&h->lock);
	for (int i = 0; i < 2; i++) {
		struct front_helper *one = &h->helper[i];
		struct front_job **at = &one->in, *job;

		if (one->running && one->running->call == call)
			effort_stop(&one->running->effort);
		while (*at && (*at)->call != call)
			at = &(*at)->next;
		job = *at;
		if (!job)
			continue;
		*at = job->next;
		job->err = fail(&job->why, ERR_CANCELLED, "cancelled");
		put_out(h, job);
	}
	pthread_mutex_unlock(&h->lock);
}

struct front_job *front_helpers_take(struct front_helpers *h)
{
	struct front_job *job;

	pthread_mutex_lock(&h->lock);
	job = h->out;
	if (job) {
		h->out = job->next;
		if (!h->out)
			h->out_end = &h->out;
		h->done -= result_bytes(job);
		pthread_cond_broadcast(&h->more);
	}
	pthread_mutex_unlock(&h->lock);
	return job;
}

void front_job_finish(struct front_job *job)
{
	ids_finish(&job->ids);
	free(job->out.s);
	job->out.s = NULL;
	front_parsed_free(job->parsed);
	job->parsed = NULL;
	if (job->keep)
		rpc_request_free(job->keep);
	free(job->keep);
	job->keep = NULL;
}
