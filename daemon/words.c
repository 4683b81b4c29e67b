#include "daemon/words.h"

#include <unistd.h>

static void append(struct words_job ***end, struct words_job *job)
{
	job->next = NULL;
	**end = job;
	*end = &job->next;
}

static struct words_job *take(struct words_job **list, struct words_job ***end)
{
	struct words_job *job = *list;

	if (job && !(*list = job->next))
		*end = list;
	return job;
}

void words_run(struct words_job *job, const struct tokenizer *t)
{
	if (job->talk)
		job->err = talk_encode(job->chat, &job->said, &job->ids, job->want_text ? &job->out : NULL, &job->why);
	else
		job->err = tokenizer_encode(t, job->text, job->len, &job->how, &job->ids, &job->why);
}

static void *words_thread(void *arg)
{
	struct words *w = arg;
	uint64_t one = 1;

	pthread_mutex_lock(&w->lock);
	for (;;) {
		struct words_job *job = take(&w->in, &w->in_end);

		if (!job && w->stop)
			break;
		if (!job) {
			pthread_cond_wait(&w->more, &w->lock);
			continue;
		}
		pthread_mutex_unlock(&w->lock);
		words_run(job, w->tokenizer);
		pthread_mutex_lock(&w->lock);
		append(&w->out_end, job);
		if (write(w->wake_fd, &one, sizeof one) < 0)
			continue; /* the counter is full: the front is awake already */
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

void words_start(struct words *w, const struct tokenizer *t, int wake_fd)
{
	*w = (struct words){.tokenizer = t, .wake_fd = wake_fd, .started = true};
	w->in_end = &w->in;
	w->out_end = &w->out;
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->more, NULL);
	if (pthread_create(&w->thread, NULL, words_thread, w))
		die("cannot start the tokenizer's thread");
}

void words_finish(struct words *w)
{
	if (!w->started)
		return;
	pthread_mutex_lock(&w->lock);
	w->stop = true;
	pthread_cond_signal(&w->more);
	pthread_mutex_unlock(&w->lock);
	pthread_join(w->thread, NULL);
	pthread_mutex_destroy(&w->lock);
	pthread_cond_destroy(&w->more);
}

void words_put(struct words *w, struct words_job *job)
{
	pthread_mutex_lock(&w->lock);
	append(&w->in_end, job);
	pthread_cond_signal(&w->more);
	pthread_mutex_unlock(&w->lock);
}

struct words_job *words_take(struct words *w)
{
	struct words_job *job;

	pthread_mutex_lock(&w->lock);
	job = take(&w->out, &w->out_end);
	pthread_mutex_unlock(&w->lock);
	return job;
}
