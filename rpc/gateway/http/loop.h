/* loop.h - the event loop of the gateway's one thread: one epoll. Each watch carries what is called when its descriptor
 * is ready; each hook what is called in every turn. */
#ifndef RPC_GATEWAY_HTTP_LOOP_H
#define RPC_GATEWAY_HTTP_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

enum { HTTP_TICK_MS = 100, HTTP_MAX_HOOKS = 4 };

/* A descriptor that is waited for. `fd` is -1 while none is registered; set it so at first. */
struct http_watch {
	void (*ready)(void *data, uint32_t events); /* EPOLL* */
	void *data;
	int fd;
	uint32_t events;
};

/* What runs in every turn of the loop. Each function may be NULL. */
struct http_hook {
	int (*limit)(void *data, int ms);      /* returns how long to wait for events: at most ms milliseconds */
	void (*tick)(void *data, bool second); /* every HTTP_TICK_MS; second: once a second */
	void (*turn)(void *data);              /* after the events and the tick */
	bool (*ended)(const void *data);       /* the loop returns */
	void *data;
};

struct http_loop {
	int epoll_fd;
	uint64_t tick_ns, second_ns; /* when the next ones are due */
	struct http_hook hook[HTTP_MAX_HOOKS];
	int n_hooks;
	struct epoll_event *batch; /* events not handled yet: http_watch_drop() empties those of its watch */
	int n_batch;
};

void http_loop_open(struct http_loop *l);
void http_loop_add(struct http_loop *l, struct http_hook hook); /* hooks run in the order in which they were added */
void http_loop_run(struct http_loop *l);
void http_loop_close(struct http_loop *l);

void http_watch_set(struct http_loop *l, struct http_watch *w, int fd, uint32_t events); /* fd -1: none */
/* Call this before the descriptor is closed, or after. */
void http_watch_drop(struct http_loop *l, struct http_watch *w);

#endif
