#include "rpc/gateway/http/bodies.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* A value needs 16 bytes, a member's key as many, and strings their length. So these limits allow no more memory than a
 * body of 4 MB with few values needs. */
static const struct json_rules rules = {.depth = HTTP_JSON_DEPTH, .values = HTTP_JSON_VALUES, .bytes = SIZE_MAX};

struct json_doc *http_read_json(const char *data, size_t len, struct json_error *e)
{
	return json_read(data, len, &rules, e);
}

struct http_body_job {
	struct http_body_job *next;
	void (*done)(void *data, struct json_doc *doc, const struct json_error *e);
	void *data; /* the other thread does not look into it */
	struct text body;
	struct json_doc *doc;
	struct json_error error;
};

struct http_bodies {
	struct http_loop *loop;
	struct http_watch watch;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct http_body_job *todo, *done;
	bool stop;
	int fd;
};

static void *run(void *arg)
{
	struct http_bodies *b = arg;

	pthread_mutex_lock(&b->lock);
	for (;;) {
		while (!b->todo && !b->stop)
			pthread_cond_wait(&b->more, &b->lock);
		if (b->stop)
			break;
		struct http_body_job *j = b->todo;
		b->todo = j->next;
		pthread_mutex_unlock(&b->lock);
		j->doc = http_read_json(j->body.data, j->body.len, &j->error);
		text_finish(&j->body);
		pthread_mutex_lock(&b->lock);
		j->next = b->done;
		b->done = j;
		eventfd_write(b->fd, 1);
	}
	pthread_mutex_unlock(&b->lock);
	return NULL;
}

static void free_jobs(struct http_body_job *j)
{
	while (j) {
		struct http_body_job *next = j->next;
		text_finish(&j->body);
		free(j);
		j = next;
	}
}

static void take_done(void *data, uint32_t events)
{
	struct http_bodies *b = data;
	struct http_body_job *done;
	eventfd_t n;

	(void)events;
	eventfd_read(b->fd, &n);
	pthread_mutex_lock(&b->lock);
	done = b->done;
	b->done = NULL;
	pthread_mutex_unlock(&b->lock);
	for (struct http_body_job *j = done; j; j = j->next)
		j->done(j->data, j->doc, &j->error);
	free_jobs(done);
}

int http_bodies_open(struct http_bodies **out, struct http_loop *loop, struct why *why)
{
	struct http_bodies *b = *out = xalloc(1, sizeof *b);

	b->loop = loop;
	pthread_mutex_init(&b->lock, NULL);
	pthread_cond_init(&b->more, NULL);
	b->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (b->fd < 0 || pthread_create(&b->thread, NULL, run, b))
		return fail(why, ERR_IO, "cannot start a thread");
	b->watch = (struct http_watch){take_done, b, -1, 0};
	http_watch_set(loop, &b->watch, b->fd, EPOLLIN);
	return 0;
}

void http_bodies_put(struct http_bodies *b, struct text *body,
		     void (*done)(void *data, struct json_doc *doc, const struct json_error *e), void *data)
{
	struct http_body_job *j = xalloc(1, sizeof *j), **at;

	j->done = done;
	j->data = data;
	j->body = *body;
	*body = (struct text){0};
	pthread_mutex_lock(&b->lock);
	for (at = &b->todo; *at;)
		at = &(*at)->next;
	*at = j;
	pthread_cond_signal(&b->more);
	pthread_mutex_unlock(&b->lock);
}

void http_bodies_close(struct http_bodies *b)
{
	if (!b)
		return;
	pthread_mutex_lock(&b->lock);
	b->stop = true;
	pthread_cond_signal(&b->more);
	pthread_mutex_unlock(&b->lock);
	pthread_join(b->thread, NULL);
	for (struct http_body_job *j = b->todo; j; j = j->next)
		j->done(j->data, NULL, &(struct json_error){.err = ERR_IO, .text = "the server is stopping"});
	for (struct http_body_job *j = b->done; j; j = j->next)
		j->done(j->data, j->doc, &j->error);
	free_jobs(b->todo);
	free_jobs(b->done);
	http_watch_drop(b->loop, &b->watch);
	close(b->fd);
	free(b);
}
