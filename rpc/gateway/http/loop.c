/* loop.c - the one thread: sockets, signals, ticks. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "rpc/gateway/gateway.h"

enum { BATCH = 256, MS = 1000000 };

void watch_gone(struct gateway *g, struct watch *w)
{
	for (int i = 0; i < g->n_batch; i++)
		if (g->batch[i].data.ptr == w)
			g->batch[i].data.ptr = NULL;
	if (w->fd >= 0)
		epoll_ctl(g->epoll_fd, EPOLL_CTL_DEL, w->fd, NULL);
	w->fd = -1;
	w->events = 0;
}

void watch_set(struct gateway *g, struct watch *w, int fd, uint32_t events)
{
	struct epoll_event e = {.events = events, .data.ptr = w};

	if (fd == w->fd && events == w->events)
		return;
	if (w->fd >= 0 && fd != w->fd)
		watch_gone(g, w);
	if (fd >= 0 && epoll_ctl(g->epoll_fd, w->fd == fd ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &e))
		log_at(LOG_WARN, "epoll_ctl: %s", strerror(errno));
	w->fd = fd;
	w->events = events;
}

static void take_signals(struct gateway *g)
{
	struct signalfd_siginfo info;

	while (read(g->signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
		log_event(LOG_INFO, g->signals ? "ending now" : "draining: open requests end first", " signal=\"%s\"",
			  strsignal((int)info.ssi_signo));
		g->signals++;
	}
	if (!g->draining) {
		g->draining = true;
		g->drain_end_ns = now_ns() + (uint64_t)g->how.drain_ms * MS;
		http_quiesce(g);
	}
}

static void handle(struct gateway *g, struct watch *w, uint32_t events)
{
	switch (w->kind) {
	case WATCH_HTTP:
		g->run_http = true;
		break;
	case WATCH_SIGNAL:
		take_signals(g);
		break;
	case WATCH_PARSED:
		parser_take(g);
		break;
	case WATCH_CONNECTION:
		if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
			connection_hung_up(w->owner);
		break;
	case WATCH_EXCHANGE:
		exchange_read(w->owner);
		break;
	case WATCH_MODEL:
		model_look(w->owner);
		break;
	}
}

static void handle_batch(struct gateway *g, struct epoll_event *e, int n)
{
	g->batch = e;
	g->n_batch = n;
	for (int i = 0; i < n; i++) {
		struct watch *w = e[i].data.ptr;
		if (w)
			handle(g, w, e[i].events);
	}
	g->n_batch = 0;
}

static void tick(struct gateway *g)
{
	uint64_t now = now_ns();
	bool second = now >= g->second_ns;

	if (now < g->tick_ns)
		return;
	g->tick_ns = now + (uint64_t)GW_TICK_MS * MS;
	if (second)
		g->second_ns = now + 1000ull * MS;
	for (int i = 0; i < g->n_models; i++)
		model_look(&g->models[i]);
	for (struct exchange *x = g->exchanges, *next; x; x = next) {
		next = x->next;
		exchange_tick(x);
	}
	connections_look(g, second);
	if (second)
		budget_trim(g);
	lingerers_look(g);
	g->run_http = true; /* out of connections or descriptors it stops listening, and looks again only when run */
}

static int wait_ms(struct gateway *g)
{
	MHD_UNSIGNED_LONG_LONG http_ms;
	uint64_t now = now_ns();
	int ms = now >= g->tick_ns ? 0 : (int)((g->tick_ns - now) / MS) + 1;

	if (MHD_get_timeout(g->http, &http_ms) == MHD_YES && http_ms < (MHD_UNSIGNED_LONG_LONG)ms) {
		ms = (int)http_ms;
		g->run_http = true;
	}
	return ms;
}

/* All is answered, or there is no time left. */
static bool ended(const struct gateway *g)
{
	return g->draining && (g->signals > 1 || !g->n_exchanges || now_ns() > g->drain_end_ns);
}

int loop_run(struct gateway *g)
{
	struct epoll_event events[BATCH];

	while (!ended(g)) {
		int ms = wait_ms(g), n = epoll_wait(g->epoll_fd, events, BATCH, ms);

		if (n < 0 && errno != EINTR)
			die("epoll_wait: %s", strerror(errno));
		handle_batch(g, events, max_int(n, 0));
		tick(g);
		if (g->run_http) {
			g->run_http = false;
			MHD_run(g->http);
		}
	}
	return 0;
}
