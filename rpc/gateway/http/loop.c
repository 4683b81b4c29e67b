#include "rpc/gateway/http/loop.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"

enum { BATCH = 256 };

void http_loop_open(struct http_loop *l)
{
	*l = (struct http_loop){.epoll_fd = epoll_create1(EPOLL_CLOEXEC)};
}

void http_loop_close(struct http_loop *l)
{
	close(l->epoll_fd);
	l->epoll_fd = -1;
}

void http_loop_add(struct http_loop *l, struct http_hook hook)
{
	REQUIRE(l->n_hooks < HTTP_MAX_HOOKS);
	l->hook[l->n_hooks++] = hook;
}

void http_watch_drop(struct http_loop *l, struct http_watch *w)
{
	for (int i = 0; i < l->n_batch; i++)
		if (l->batch[i].data.ptr == w)
			l->batch[i].data.ptr = NULL;
	if (w->fd >= 0)
		epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, w->fd, NULL);
	w->fd = -1;
	w->events = 0;
}

void http_watch_set(struct http_loop *l, struct http_watch *w, int fd, uint32_t events)
{
	struct epoll_event e = {.events = events, .data.ptr = w};

	if (fd == w->fd && events == w->events)
		return;
	if (w->fd >= 0 && fd != w->fd)
		http_watch_drop(l, w);
	if (fd >= 0 && epoll_ctl(l->epoll_fd, w->fd == fd ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &e))
		log_at(LOG_WARN, "epoll_ctl: %s", strerror(errno));
	w->fd = fd;
	w->events = events;
}

static void handle_batch(struct http_loop *l, struct epoll_event *e, int n)
{
	l->batch = e;
	l->n_batch = n;
	for (int i = 0; i < n; i++) {
		struct http_watch *w = e[i].data.ptr;
		if (w)
			w->ready(w->data, e[i].events);
	}
	l->n_batch = 0;
}

static void tick(struct http_loop *l)
{
	uint64_t now = now_ns();
	bool second = now >= l->second_ns;

	if (now < l->tick_ns)
		return;
	l->tick_ns = now + (uint64_t)HTTP_TICK_MS * NS_PER_MS;
	if (second)
		l->second_ns = now + 1000ull * NS_PER_MS;
	for (int i = 0; i < l->n_hooks; i++)
		if (l->hook[i].tick)
			l->hook[i].tick(l->hook[i].data, second);
}

static int wait_ms(struct http_loop *l)
{
	uint64_t now = now_ns();
	int ms = now >= l->tick_ns ? 0 : (int)((l->tick_ns - now) / NS_PER_MS) + 1;

	for (int i = 0; i < l->n_hooks; i++)
		if (l->hook[i].limit)
			ms = l->hook[i].limit(l->hook[i].data, ms);
	return ms;
}

static bool ended(const struct http_loop *l)
{
	for (int i = 0; i < l->n_hooks; i++)
		if (l->hook[i].ended && l->hook[i].ended(l->hook[i].data))
			return true;
	return false;
}

void http_loop_run(struct http_loop *l)
{
	struct epoll_event events[BATCH];

	while (!ended(l)) {
		int ms = wait_ms(l), n = epoll_wait(l->epoll_fd, events, BATCH, ms);

		if (n < 0 && errno != EINTR)
			die("epoll_wait: %s", strerror(errno));
		handle_batch(l, events, max_int(n, 0));
		tick(l);
		for (int i = 0; i < l->n_hooks; i++)
			if (l->hook[i].turn)
				l->hook[i].turn(l->hook[i].data);
	}
}
