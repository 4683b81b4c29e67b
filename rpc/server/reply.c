/* Encodes replies, buffers them within bounds and writes them. */
#include "base/log_limit.h"
#include "rpc/server/inside.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum { LARGE_REPLIES = 3 }; /* of the largest size, that may be unsent to a client */

void conn_attend(struct rpc_server *s, struct conn *c)
{
	if (c->waiting)
		return;
	c->waiting = true;
	c->next_waiting = s->waiting;
	s->waiting = c;
}

size_t conn_unsent(const struct conn *c)
{
	return c->out.len - c->sent;
}

bool conn_is_full(const struct rpc_server *s, const struct conn *c)
{
	return conn_unsent(c) > s->how.max_buffered / 2;
}

void conn_update_interest(struct rpc_server *s, struct conn *c)
{
	struct epoll_event e = {.data.u64 = (uint64_t)c->life << 32 | (uint32_t)c->slot};

	e.events = (conn_is_full(s, c) ? 0 : EPOLLIN) | (conn_unsent(c) ? EPOLLOUT : 0);
	if (e.events == c->interest)
		return;
	c->interest = e.events;
	epoll_ctl(s->epoll_fd, EPOLL_CTL_MOD, c->fd, &e);
}

/* ---- memory of all connections ---- */

static void count_output(struct rpc_server *s, struct conn *c)
{
	size_t max = c->out.max > OUT_STEP ? c->out.max : 0;

	s->out_held += max - c->out_counted;
	c->out_counted = max;
}

void conn_forget_output(struct rpc_server *s, struct conn *c)
{
	rpc_out_finish(&c->out);
	c->sent = 0;
	count_output(s, c);
}

void conn_cut(struct rpc_server *s, struct conn *c, const char *reason)
{
	static struct log_limit limit = {.event = "clients stalled: disconnecting"};

	if (log_limit(&limit))
		log_event(LOG_WARN, reason, " connection=%ju pid=%d unsent_bytes=%zu", (uintmax_t)c->peer.connection,
			  (int)c->peer.pid, conn_unsent(c));
	c->doomed = true;
	s->n_cut++;
	conn_forget_output(s, c);
	conn_attend(s, c);
}

/* Bytes by the time that they have waited: a large reply to a client that reads at once weighs little. */
static double burden(const struct conn *c, uint64_t now)
{
	return ((double)(now - c->behind_ns) + 1e6) * (double)conn_unsent(c);
}

static struct conn *worst_reader(const struct rpc_server *s)
{
	uint64_t now = now_ns();
	struct conn *worst = NULL;

	for (int i = 0; i < s->how.max_connections; i++) {
		struct conn *c = s->conns[i];
		if (c && c->out_counted && (!worst || burden(c, now) > burden(worst, now)))
			worst = c;
	}
	return worst;
}

static void keep_budget(struct rpc_server *s)
{
	struct conn *worst;

	while (s->out_held > s->how.max_output && (worst = worst_reader(s)))
		conn_cut(s, worst, "unread replies hold too much memory: disconnecting the slowest client");
}

/* ---- writing ---- */

static void out_sent(struct rpc_server *s, struct conn *c)
{
	struct rpc_out *out = &c->out;

	if (c->sent == out->len) {
		c->sent = out->len = c->large = 0;
		if (out->max > OUT_STEP) /* a big answer does not keep its memory */
			conn_forget_output(s, c);
	} else if (c->sent > out->len / 2) {
		memmove(out->data, out->data + c->sent, out->len - c->sent);
		out->len -= c->sent;
		c->sent = 0;
	}
}

bool conn_flush(struct rpc_server *s, struct conn *c)
{
	if (!conn_unsent(c) || c->doomed || !last_write_begin(&s->last, c->slot))
		return true;
	while (conn_unsent(c)) {
		ssize_t n = send(c->fd, c->out.data + c->sent, conn_unsent(c), MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			c->doomed = errno != EAGAIN && errno != EWOULDBLOCK;
			break;
		}
		c->sent += (size_t)n;
		c->moved += (size_t)n;
	}
	last_write_end(&s->last, c->slot, !conn_unsent(c));
	out_sent(s, c);
	return !conn_unsent(c);
}

/* ---- replies ---- */

/* What the client would not take becomes an Error of the same call: false. */
static bool check_frame_limit(struct conn *c, size_t before, const struct xv_reply *reply)
{
	size_t size = c->out.len - before;
	char text[128];
	struct xv_reply error = {.id = reply->id, .kind = XV_R_ERROR};

	if (size <= (size_t)c->frame_limit + FRAME_HEAD_MAX)
		return true;
	c->out.len = before;
	snprintf(text, sizeof text, "the answer has %zu bytes, but the client accepts frames of at most %u", size,
		 c->frame_limit);
	error.error = (struct xv_error){.code = ERR_LIMIT, .text = text, .rank = -1, .step = -1, .pid = -1};
	rpc_reply_encode(&c->out, &error);
	return false;
}

static void no_memory(struct conn *c, const struct xv_reply *reply)
{
	struct xv_reply error = {.id = reply->id, .kind = XV_R_ERROR};

	error.error = (struct xv_error){
		.code = ERR_BUSY, .text = "there is no memory for the answer now", .rank = -1, .step = -1, .pid = -1};
	c->doomed |= !rpc_reply_encode(&c->out, &error);
}

/* Large replies do not count, up to a few: a client that sent a few large requests at once, or one beside its streams,
 * is not behind for that. How fast it reads them is another matter (LEAST_RATE). */
static bool conn_is_behind(struct rpc_server *s, struct conn *c)
{
	if (conn_unsent(c) > s->how.max_buffered + c->large)
		conn_flush(s, c);
	return conn_unsent(c) > s->how.max_buffered + c->large;
}

static void count_large(const struct rpc_server *s, struct conn *c, size_t bytes)
{
	if (bytes > s->how.max_buffered / 4 && c->large + bytes <= LARGE_REPLIES * (size_t)FRAME_LIMIT)
		c->large += bytes;
}

bool conn_reply(struct rpc_server *s, struct conn *c, const struct xv_reply *reply)
{
	size_t before;
	bool fits = true;

	if (c->doomed)
		return true;
	if (conn_is_behind(s, c) && !c->doomed)
		conn_cut(s, c, "client stalled: disconnecting");
	if (c->doomed)
		return true;
	if (!conn_unsent(c))
		c->behind_ns = now_ns();
	before = c->out.len;
	fits = rpc_reply_encode(&c->out, reply);
	if (fits)
		fits = check_frame_limit(c, before, reply);
	else
		no_memory(c, reply);
	count_large(s, c, c->out.len - before);
	count_output(s, c);
	if (c->out_counted && s->out_held > s->how.max_output) {
		conn_flush(s, c);
		keep_budget(s);
	}
	conn_attend(s, c);
	return fits;
}

void conn_error(struct rpc_server *s, struct conn *c, uint64_t id, int code, const char *fmt, ...)
{
	struct xv_reply reply = {.id = id, .kind = XV_R_ERROR};
	char text[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	reply.error = (struct xv_error){.code = code, .text = text, .rank = -1, .step = -1, .pid = -1};
	reply.error.retry_after_ms = code == ERR_BUSY ? 1000 : 0;
	conn_reply(s, c, &reply);
	if (!id)
		conn_end(c);
}

void conn_end(struct conn *c)
{
	c->ending = true;
	c->since_ns = now_ns();
}
