/* Connections: accepting, events, closing. */
#include "base/log_limit.h"
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
	rpc_prefix_forget(&c->prefix);
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
	static struct log_limit limit = {.event = "client refused: too many are connected"};
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

/* Kernels before 4.13 do not say: then the groups are not known. */
static void note_groups(struct rpc_peer *p, int fd)
{
	gid_t all[1024];
	socklen_t size = sizeof all;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, all, &size))
		return;
	p->n_groups = min_int(PEER_GROUPS, (int)(size / sizeof *all));
	memcpy(p->groups, all, (size_t)p->n_groups * sizeof *all);
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
	note_groups(&c->peer, fd);
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
	s->deaf_until_ns = now_ns() + 200 * NS_PER_MS;
}

static bool is_idle(const struct rpc_server *s, const struct conn *c, uint64_t now)
{
	enum { IDLE_MS = 60000 };
	int idle_ms = s->how.idle_timeout_ms ? s->how.idle_timeout_ms : IDLE_MS;

	return c->hello && !c->n_calls && !c->doomed && !c->ending && now - c->heard_ns > (uint64_t)idle_ms * 1000000u;
}

/* Closes the connection of this user that has been idle longest; false: none has been idle long enough. */
static bool make_place(struct rpc_server *s, uid_t uid)
{
	uint64_t now = now_ns();
	struct conn *oldest = NULL;

	for (int i = 0; i < s->how.max_connections; i++) {
		struct conn *c = s->conns[i];
		if (c && c->peer.uid == uid && is_idle(s, c, now) && (!oldest || c->heard_ns < oldest->heard_ns))
			oldest = c;
	}
	if (!oldest)
		return false;
	conn_error(s, oldest, 0, ERR_BUSY,
		   "another connection of yours waits for a place, and this one has been idle for long");
	conn_flush(s, oldest);
	oldest->doomed = true;
	conn_attend_all(s);
	return true;
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
		make_place(s, who.uid);
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

void conn_event(struct rpc_server *s, struct conn *c, uint32_t events)
{
	if (events & EPOLLIN) {
		if (conn_read(s, c))
			frames_handle(s, c);
	} else if (events & (EPOLLHUP | EPOLLERR)) {
		c->doomed = true;
	}
	conn_attend(s, c);
}
