/* Connections: accept, read, close. Replies are written by server_reply.c, frames are handled in server_frames.c. */
#include "base/log_limit.h"
#include "base/arena.h"
#include "rpc/server/inside.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

void conn_close(struct rpc_server *s, struct conn *c)
{
	s->conns[c->slot] = NULL;
	s->n_conns--;
	epoll_ctl(s->epoll_fd, EPOLL_CTL_DEL, c->fd, NULL);
	if (last_close(&s->last, c->slot))
		close(c->fd);
	conn_forget_input(s, c);
	conn_forget_output(s, c);
	free(c);
}

static void drop(struct rpc_server *s, struct conn *c)
{
	while (c->calls) {
		uint64_t number = c->calls->number;
		bool told = c->calls->cancelled;
		call_close(s, c->calls);
		if (!told)
			s->handler.cancel(s->handler.ctx, number);
	}
	conn_close(s, c);
}

static void attend_one(struct rpc_server *s, struct conn *c)
{
	bool empty = conn_flush(s, c);

	if (c->stalled && !c->doomed && !conn_is_full(s, c))
		frames_handle(s, c);
	if (c->doomed || (c->ending && empty && !conn_unsent(c)))
		drop(s, c);
	else
		conn_update_interest(s, c);
}

void conn_attend_all(struct rpc_server *s)
{
	while (s->waiting) {
		struct conn *c = s->waiting;
		s->waiting = c->next_waiting;
		c->waiting = false;
		attend_one(s, c);
	}
}

static int free_slot(const struct rpc_server *s)
{
	for (int i = 0; i < s->how.max_connections; i++)
		if (!s->conns[i] && atomic_load(&s->last.conns[i].state) == LAST_NONE)
			return i;
	return -1;
}

static void refuse(struct rpc_server *s, int fd, const struct ucred *who)
{
	static struct log_limit limit = {.event = "a client is refused: too many are connected"};
	struct xv_error error = {.code = ERR_BUSY, .retry_after_ms = 1000};
	uint8_t frame[RPC_ERROR_MAX];
	char text[120];
	size_t n;

	s->refused.connections++;
	if (log_limit(&limit))
		log_event(LOG_WARN, limit.event, " uid=%u pid=%d connections=%d", who->uid, (int)who->pid, s->n_conns);
	snprintf(text, sizeof text, "%d of %d clients are connected, and the rest is kept for other users", s->n_conns,
		 s->how.max_connections);
	error.text = text;
	n = rpc_error_write(frame, 0, &error);
	if (send(fd, frame, n, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		log_at(LOG_DEBUG, "a refused client was gone at once");
	close(fd);
}

static void conn_create(struct rpc_server *s, int fd, int slot, const struct ucred *who)
{
	struct conn *c = xalloc(1, sizeof *c);
	struct epoll_event e = {.events = EPOLLIN};

	c->fd = fd;
	c->slot = slot;
	c->life = ++s->lives;
	c->peer = (struct rpc_peer){
		.uid = who->uid, .gid = who->gid, .pid = who->pid, .connection = ++s->next_connection};
	c->since_ns = c->window_ns = c->behind_ns = c->heard_ns = now_ns();
	c->frame_limit = FRAME_LIMIT;
	c->interest = EPOLLIN;
	s->conns[slot] = c;
	s->n_conns++;
	last_open(&s->last, slot, fd);
	e.data.u64 = (uint64_t)c->life << 32 | (uint32_t)slot;
	if (epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, fd, &e)) {
		c->doomed = true;
		conn_attend(s, c);
	}
}

/* Without descriptors or memory the waiting connection stays in the backlog and would wake us for ever: be
 * deaf a while. */
static void accept_failed(struct rpc_server *s)
{
	static struct log_limit limit = {.event = "cannot accept a connection"};
	struct epoll_event e = {.data.u64 = SLOT_LISTENER};

	if (log_limit(&limit))
		log_event(LOG_WARN, limit.event, " reason=\"%s\"", strerror(errno));
	epoll_ctl(s->epoll_fd, EPOLL_CTL_MOD, s->listener.fd, &e);
	s->deaf_until_ns = now_ns() + 200 * 1000000ull;
}

static void take(struct rpc_server *s, int fd)
{
	struct ucred who;
	socklen_t size = sizeof who;
	int slot;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size)) {
		close(fd);
		return;
	}
	if (!users_may_connect(s, who.uid, who.pid))
		users_make_place(s, who.uid);
	slot = users_may_connect(s, who.uid, who.pid) ? free_slot(s) : -1;
	if (slot < 0)
		refuse(s, fd, &who);
	else
		conn_create(s, fd, slot, &who);
}

void conn_accept(struct rpc_server *s)
{
	for (int i = 0; i < 64; i++) {
		int fd = accept4(s->listener.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
			continue;
		if (fd < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return;
		if (fd < 0) {
			accept_failed(s);
			return;
		}
		take(s, fd);
	}
}

static size_t counted(size_t in_max)
{
	return in_max > IN_STEP ? in_max - IN_STEP : 0;
}

void conn_forget_input(struct rpc_server *s, struct conn *c)
{
	s->in_held -= counted(c->in_max);
	free(c->in);
	c->in = NULL;
	c->in_len = c->in_max = 0;
}

size_t conn_input_held(const struct conn *c)
{
	return counted(c->in_max) + c->calls_bytes;
}

/* Grows with what arrives, never with what a frame's head announces. False: all of them hold too much. */
static bool make_room(struct rpc_server *s, struct conn *c)
{
	size_t most = s->how.max_frame + FRAME_HEAD_MAX + IN_STEP, size, more;
	uint8_t *in;

	if (c->in_max - c->in_len >= IN_STEP / 2)
		return true;
	size = c->in_max ? c->in_max * 2 : IN_STEP;
	size = size < most ? size : most;
	more = counted(size) - counted(c->in_max);
	if (more && more > users_input_left(s, c))
		return false;
	in = realloc(c->in, size);
	if (!in)
		return false;
	s->in_held += more;
	c->in_max = size;
	c->in = in;
	return true;
}

/* It cannot be answered by its id, since its frame is not whole. */
static void refuse_input(struct rpc_server *s, struct conn *c)
{
	s->refused.input++;
	conn_error(s, c, 0, ERR_BUSY, "large requests hold %zu of %zu bytes already; send this one later",
		   s->in_held + arena_held(), s->how.max_input);
	conn_forget_input(s, c);
	conn_attend(s, c);
}

/* What comes after the end is of no interest, but its reader must learn why: closing over unread bytes would
 * lose the last words. */
static void conn_skip(struct conn *c)
{
	char nothing[4096];
	ssize_t n = recv(c->fd, nothing, sizeof nothing, MSG_DONTWAIT);

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR))
		c->doomed = true;
}

static void conn_read(struct rpc_server *s, struct conn *c)
{
	ssize_t n;

	if (c->ending) {
		conn_skip(c);
		return;
	}
	if (!make_room(s, c)) {
		refuse_input(s, c);
		return;
	}
	n = recv(c->fd, c->in + c->in_len, c->in_max - c->in_len, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
		return;
	if (n <= 0) {
		c->doomed = true;
	} else {
		c->in_len += (size_t)n;
		c->heard_ns = now_ns();
		frames_handle(s, c);
	}
}

void conn_event(struct rpc_server *s, struct conn *c, uint32_t events)
{
	if (events & EPOLLIN)
		conn_read(s, c);
	else if (events & (EPOLLHUP | EPOLLERR))
		c->doomed = true;
	conn_attend(s, c);
}
