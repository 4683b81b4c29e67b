/* parse.c - a thread of its own parses the JSON bodies that would hold up every stream (20 ms a MiB). */
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "rpc/gateway/api/request.h"
#include "rpc/gateway/gateway.h"

struct job {
	struct job *next;
	struct exchange *x; /* not looked into by the other thread */
	struct text body;
	struct json_doc *doc;
	struct json_error error;
};

struct parser {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct job *todo, *done;
	bool stop;
	int fd;
};

static void *run(void *arg)
{
	struct parser *p = arg;

	pthread_mutex_lock(&p->lock);
	for (;;) {
		while (!p->todo && !p->stop)
			pthread_cond_wait(&p->more, &p->lock);
		if (p->stop)
			break;
		struct job *j = p->todo;
		p->todo = j->next;
		pthread_mutex_unlock(&p->lock);
		j->doc = parse_body(j->body.data, j->body.len, &j->error);
		text_finish(&j->body);
		pthread_mutex_lock(&p->lock);
		j->next = p->done;
		p->done = j;
		eventfd_write(p->fd, 1);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

int parser_start(struct gateway *g, struct why *why)
{
	struct parser *p = xalloc(1, sizeof *p);

	g->parser = p;
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->more, NULL);
	p->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (p->fd < 0 || pthread_create(&p->thread, NULL, run, p))
		return fail(why, ERR_IO, "cannot start a thread");
	g->parsed_watch = (struct watch){.kind = WATCH_PARSED, .owner = g, .fd = -1};
	watch_set(g, &g->parsed_watch, p->fd, EPOLLIN);
	return 0;
}

void parser_put(struct exchange *x)
{
	struct parser *p = x->g->parser;
	struct job *j = xalloc(1, sizeof *j), **at;

	j->x = x;
	j->body = x->body;
	x->body = (struct text){0};
	pthread_mutex_lock(&p->lock);
	for (at = &p->todo; *at;)
		at = &(*at)->next;
	*at = j;
	pthread_cond_signal(&p->more);
	pthread_mutex_unlock(&p->lock);
}

static void free_jobs(struct job *j)
{
	while (j) {
		struct job *next = j->next;
		text_finish(&j->body);
		free(j);
		j = next;
	}
}

void parser_take(struct gateway *g)
{
	struct parser *p = g->parser;
	struct job *done;
	eventfd_t n;

	eventfd_read(p->fd, &n);
	pthread_mutex_lock(&p->lock);
	done = p->done;
	p->done = NULL;
	pthread_mutex_unlock(&p->lock);
	for (struct job *j = done; j; j = j->next)
		exchange_parsed(j->x, j->doc, &j->error);
	free_jobs(done);
}

void parser_stop(struct gateway *g)
{
	struct parser *p = g->parser;

	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	p->stop = true;
	pthread_cond_signal(&p->more);
	pthread_mutex_unlock(&p->lock);
	pthread_join(p->thread, NULL);
	for (struct job *j = p->todo; j; j = j->next)
		exchange_parsed(j->x, NULL, &(struct json_error){.err = ERR_IO, .text = "the server ends"});
	for (struct job *j = p->done; j; j = j->next)
		exchange_parsed(j->x, j->doc, &j->error);
	free_jobs(p->todo);
	free_jobs(p->done);
	watch_gone(g, &g->parsed_watch);
	close(p->fd);
	free(p);
	g->parser = NULL;
}
