#include "rpc/server/server.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "rpc/server/inside.h"

static void set_defaults(struct rpc_server_options *how)
{
	how->version = xstrdup(how->version ? how->version : "");
	how->served_model = xstrdup(how->served_model ? how->served_model : "");
	how->path = NULL; /* the listener has its own */
	if (how->max_connections <= 0)
		how->max_connections = 1024;
	if (how->max_calls <= 0)
		how->max_calls = 256;
	if (!how->max_frame || how->max_frame > FRAME_LIMIT)
		how->max_frame = FRAME_LIMIT;
	if (!how->max_buffered)
		how->max_buffered = 1 << 20;
	if (!how->max_input)
		how->max_input = 256 << 20;
	if (!how->max_output)
		how->max_output = 256 << 20;
	if (how->stuck_timeout_ms <= 0)
		how->stuck_timeout_ms = 30000;
	if (how->frame_timeout_ms <= 0)
		how->frame_timeout_ms = 30000;
	if (how->hello_timeout_ms <= 0)
		how->hello_timeout_ms = 10000;
}

static int listen_for(struct rpc_server *s, int fd, int slot)
{
	struct epoll_event e = {.events = EPOLLIN, .data.u64 = (uint32_t)slot};

	return epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, fd, &e);
}

int rpc_server_open(struct rpc_server **out, const struct rpc_server_options *how, const struct rpc_handler *h,
		    struct why *why)
{
	enum { CALLS_MOST = 65536 };
	struct rpc_server *s = xalloc(1, sizeof *s);
	int err, most;

	err = how->listen_fd >= 0 ? rpc_listen_on(&s->listener, how->listen_fd, why)
				  : rpc_listen(&s->listener, how->path, how->group, why);
	if (err) {
		free(s);
		return err;
	}
	s->how = *how;
	set_defaults(&s->how);
	s->handler = *h;
	s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	most = min_int(CALLS_MOST / s->how.max_connections + 1, s->how.max_calls) * s->how.max_connections;
	last_init(&s->last, s->how.max_connections, min_int(most, CALLS_MOST));
	calls_init(s, s->last.n_calls);
	s->conns = xalloc((size_t)s->how.max_connections, sizeof *s->conns);
	if (s->epoll_fd < 0 || (!how->hold && listen_for(s, s->listener.fd, SLOT_LISTENER))) {
		err = fail(why, ERR_IO, "epoll: %s", strerror(errno));
		rpc_server_close(s, 0);
		return err;
	}
	*out = s;
	return 0;
}

static bool flush_all(struct rpc_server *s)
{
	bool empty = true;

	for (int i = 0; i < s->how.max_connections; i++)
		if (s->conns[i] && !conn_flush(s, s->conns[i]) && !s->conns[i]->doomed)
			empty = false;
	return empty;
}

void rpc_server_close(struct rpc_server *s, int flush_ms)
{
	uint64_t end;

	if (!s)
		return;
	rpc_unlisten(&s->listener);
	end = now_ns() + (uint64_t)max_int(flush_ms, 0) * 1000000;
	while (!flush_all(s) && now_ns() < end)
		usleep(2000);
	for (int i = 0; i < s->how.max_connections; i++)
		if (s->conns[i])
			conn_close(s, s->conns[i]);
	if (s->epoll_fd >= 0)
		close(s->epoll_fd);
	calls_finish(s);
	last_finish(&s->last);
	free(s->conns);
	free(s->buckets);
	free(s->late);
	free((char *)s->how.version);
	free((char *)s->how.served_model);
	free(s);
}

void rpc_server_watch(struct rpc_server *s, int fd)
{
	if (listen_for(s, fd, SLOT_WATCHED))
		die("epoll: descriptor %d: %s", fd, strerror(errno));
}

void rpc_server_unwatch(struct rpc_server *s, int fd)
{
	epoll_ctl(s->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
}

void rpc_server_accept(struct rpc_server *s, bool accept)
{
	s->leaving = !accept;
	s->deaf_until_ns = 0;
	rpc_server_unwatch(s, s->listener.fd);
	if (accept && listen_for(s, s->listener.fd, SLOT_LISTENER))
		die("epoll: the listening socket: %s", strerror(errno));
}

static void keep_alive(struct rpc_server *s, struct call *call, uint64_t now)
{
	struct xv_reply reply = {.id = call->id, .kind = XV_R_KEEP_ALIVE};

	if (s->handler.queue_place)
		reply.keep_alive.queue_place = s->handler.queue_place(s->handler.ctx, call->number);
	call->heard_ns = now;
	conn_reply(s, call->conn, &reply);
}

static bool over_cap(const struct rpc_server *s, const struct conn *c)
{
	return conn_unsent(c) > s->how.max_buffered;
}

static bool past(uint64_t since_ns, uint64_t now, int ms)
{
	return now > since_ns && now - since_ns > (uint64_t)ms * 1000000;
}

/* A client that reads a large reply byte by byte, or not at all, would hold its memory for ever. */
static bool reads_too_slowly(const struct rpc_server *s, struct conn *c, uint64_t now)
{
	bool slow = c->moved < (size_t)s->how.stuck_timeout_ms * LEAST_RATE / 1000;

	if (over_cap(s, c) && !past(c->window_ns, now, s->how.stuck_timeout_ms))
		return false;
	slow &= over_cap(s, c);
	c->window_ns = now;
	c->moved = 0;
	return slow;
}

/* Every open call hears something, unless bytes of an earlier tick are still unsent: then the client is behind, and
 * hears those first. */
static void keep_calls_alive(struct rpc_server *s, struct conn *c, uint64_t now)
{
	if (conn_unsent(c))
		return;
	for (struct call *call = c->calls; call; call = call->next)
		if (past(call->heard_ns, now, KEEP_ALIVE_MS))
			keep_alive(s, call, now);
}

/* Its client will find the process that took over. One that was just heard may be about to ask. */
static bool may_go(const struct rpc_server *s, const struct conn *c, uint64_t now)
{
	return s->leaving && c->hello && !c->ending && !c->n_calls && !c->frame_ns && past(c->heard_ns, now, LEAVE_MS);
}

static void tick_conn(struct rpc_server *s, struct conn *c, uint64_t now)
{
	if (may_go(s, c, now)) {
		conn_end(c);
		conn_attend(s, c);
	} else if ((!c->hello && past(c->since_ns, now, s->how.hello_timeout_ms)) ||
		   (c->ending && past(c->since_ns, now, 2000)))
		c->doomed = true;
	else if (reads_too_slowly(s, c, now))
		conn_cut(s, c, "client stalled: disconnecting");
	else if (c->hello && !c->ending && c->frame_ns && past(c->frame_ns, now, s->how.frame_timeout_ms))
		conn_error(s, c, 0, ERR_DEADLINE, "a frame was begun and is not whole after %d ms",
			   s->how.frame_timeout_ms);
	else
		keep_calls_alive(s, c, now);
	if (c->doomed)
		conn_attend(s, c);
}

static void tick(struct rpc_server *s)
{
	uint64_t now = now_ns();

	if (s->deaf_until_ns && now >= s->deaf_until_ns) {
		struct epoll_event e = {.events = EPOLLIN, .data.u64 = SLOT_LISTENER};
		epoll_ctl(s->epoll_fd, EPOLL_CTL_MOD, s->listener.fd, &e);
		s->deaf_until_ns = 0;
	}
	if (now - s->tick_ns < TICK_MS * NS_PER_MS)
		return;
	s->tick_ns = now;
	for (int i = 0; i < s->how.max_connections; i++)
		if (s->conns[i])
			tick_conn(s, s->conns[i], now);
}

static bool needs_ticks(const struct rpc_server *s)
{
	if (s->n_calls || s->deaf_until_ns || s->leaving)
		return true;
	for (int i = 0; i < s->how.max_connections; i++) {
		const struct conn *c = s->conns[i];
		if (c && (!c->hello || c->ending || c->frame_ns || over_cap(s, c)))
			return true;
	}
	return false;
}

static void event_handle(struct rpc_server *s, const struct epoll_event *e)
{
	uint32_t slot = (uint32_t)e->data.u64, life = (uint32_t)(e->data.u64 >> 32);
	struct conn *c;

	if (slot == SLOT_LISTENER) {
		conn_accept(s);
	} else if (slot != SLOT_WATCHED) {
		c = s->conns[slot];
		if (c && c->life == life)
			conn_event(s, c, e->events);
	}
}

/* Ends a call whose reply the client would not take; the handler, which is sending just now, hears of it later. */
static void end_late(struct rpc_server *s, struct call *call)
{
	bool told = call->cancelled;
	uint64_t number = call->number;

	call_close(s, call);
	if (told)
		return;
	if (s->n_late == s->max_late) {
		s->max_late = 2 * s->max_late + 16;
		s->late = xgrow(s->late, (size_t)s->max_late, sizeof *s->late);
	}
	s->late[s->n_late++] = number;
}

static void cancel_late(struct rpc_server *s)
{
	while (s->n_late)
		s->handler.cancel(s->handler.ctx, s->late[--s->n_late]);
}

void rpc_server_poll(struct rpc_server *s, int timeout_ms)
{
	enum { POLL_MS = 20 }; /* of events before others have their turn; one event may take longer */
	struct epoll_event events[64];
	uint64_t start;
	int n;

	cancel_late(s);
	tick(s);
	conn_attend_all(s);
	if (needs_ticks(s) && (timeout_ms < 0 || timeout_ms > TICK_MS))
		timeout_ms = TICK_MS;
	n = epoll_wait(s->epoll_fd, events, 64, timeout_ms);
	if (n < 0 && errno != EINTR)
		die("epoll_wait: %s", strerror(errno));
	/* What is left comes again with the next call, behind what the caller has to do meanwhile. */
	start = now_ns();
	for (int i = 0; i < n && now_ns() - start < POLL_MS * NS_PER_MS; i++)
		event_handle(s, &events[i]);
	tick(s);
	conn_attend_all(s);
}

static bool ends_call(enum xv_reply_kind kind)
{
	return kind != XV_R_STARTED && kind != XV_R_CHUNK && kind != XV_R_KEEP_ALIVE;
}

void rpc_send(struct rpc_server *s, uint64_t number, struct xv_reply *reply)
{
	struct call *call = call_find(s, number);
	struct conn *c;

	if (!call)
		return;
	c = call->conn;
	reply->id = call->id;
	if (reply->kind == XV_R_STARTED)
		reply->started.call = number;
	call->heard_ns = now_ns();
	if (ends_call(reply->kind)) {
		call_close(s, call);
		conn_reply(s, c, reply);
	} else if (!conn_reply(s, c, reply)) {
		end_late(s, call);
	}
}

void rpc_send_error(struct rpc_server *s, uint64_t call, int code, uint32_t retry_after_ms, const char *fmt, ...)
{
	struct xv_reply reply = {.kind = XV_R_ERROR};
	char text[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	reply.error = (struct xv_error){
		.code = code, .text = text, .retry_after_ms = retry_after_ms, .rank = -1, .step = -1, .pid = -1};
	rpc_send(s, call, &reply);
}

bool rpc_call_open(const struct rpc_server *s, uint64_t number)
{
	struct call *call = call_find(s, number);

	return call && !call->conn->doomed;
}

int rpc_open_calls(const struct rpc_server *s)
{
	return s->n_calls;
}

int rpc_connections(const struct rpc_server *s)
{
	return s->n_conns;
}

const struct rpc_refused *rpc_refused(const struct rpc_server *s)
{
	return &s->refused;
}

uint64_t rpc_connections_cut(const struct rpc_server *s)
{
	return s->n_cut;
}
