/* Last words: sent from a thread that must not wait for the poll thread. */
#include "rpc/server/inside.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

void last_init(struct last *l, int n_conns, int n_calls)
{
	*l = (struct last){.n_conns = n_conns, .n_calls = n_calls};
	l->conns = xalloc((size_t)n_conns, sizeof *l->conns);
	l->calls = xalloc((size_t)n_calls, sizeof *l->calls);
	for (int i = 0; i < n_calls; i++)
		atomic_init(&l->calls[i].conn, -1);
}

void last_finish(struct last *l)
{
	free(l->conns);
	free(l->calls);
	*l = (struct last){0};
}

void last_open(struct last *l, int conn, int fd)
{
	atomic_store(&l->conns[conn].fd, fd);
	atomic_store(&l->conns[conn].state, LAST_CLEAN);
}

static bool take(struct last_conn *c, int from, int to)
{
	return atomic_compare_exchange_strong(&c->state, &from, to);
}

bool last_close(struct last *l, int conn)
{
	struct last_conn *c = &l->conns[conn];

	return take(c, LAST_CLEAN, LAST_NONE) || take(c, LAST_TORN, LAST_NONE);
}

bool last_write_begin(struct last *l, int conn)
{
	struct last_conn *c = &l->conns[conn];

	return take(c, LAST_CLEAN, LAST_WRITING) || take(c, LAST_TORN, LAST_WRITING);
}

void last_write_end(struct last *l, int conn, bool whole)
{
	atomic_store(&l->conns[conn].state, whole ? LAST_CLEAN : LAST_TORN);
}

void last_call_set(struct last *l, int call, int conn, uint64_t id)
{
	struct last_call *c = &l->calls[call];

	atomic_fetch_add(&c->changes, 1);
	atomic_store(&c->conn, conn);
	atomic_store(&c->id, id);
	atomic_fetch_add(&c->changes, 1);
}

/* The connection and id of an entry that did not change meanwhile; -1: none. */
static int last_call_get(struct last_call *c, uint64_t *id)
{
	uint32_t before = atomic_load(&c->changes);
	int conn = atomic_load(&c->conn);

	*id = atomic_load(&c->id);
	return before % 2 || before != atomic_load(&c->changes) ? -1 : conn;
}

/* Takes the connection from the poll thread. True: its bytes end with a frame's end. A send() of the poll
 * thread never blocks, so that waiting for it is short. */
static bool last_take(struct last_conn *c, uint64_t deadline_ns)
{
	for (;;) {
		if (take(c, LAST_CLEAN, LAST_TAKEN))
			return true;
		if (atomic_load(&c->state) == LAST_NONE)
			return false;
		if (take(c, LAST_TORN, LAST_TAKEN) || now_ns() > deadline_ns) {
			shutdown(atomic_load(&c->fd), SHUT_RDWR);
			return false;
		}
		usleep(200);
	}
}

void rpc_last_words(struct rpc_server *s, const struct xv_error *error, int deadline_ms)
{
	uint64_t deadline = now_ns() + (uint64_t)deadline_ms * 1000000, id;
	struct last *l = &s->last;
	uint8_t frame[RPC_ERROR_MAX];

	for (int i = 0; i < l->n_conns; i++)
		last_take(&l->conns[i], deadline);
	for (int i = 0; i < l->n_calls && now_ns() < deadline; i++) {
		int conn = last_call_get(&l->calls[i], &id);
		if (conn < 0 || atomic_load(&l->conns[conn].state) != LAST_TAKEN)
			continue;
		size_t n = rpc_error_write(frame, id, error);
		int fd = atomic_load(&l->conns[conn].fd);
		if (send(fd, frame, n, MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)n)
			shutdown(fd, SHUT_RDWR); /* half a frame: nothing may follow it, and send() fails from
						    now on */
	}
	for (int i = 0; i < l->n_conns; i++)
		if (atomic_load(&l->conns[i].state) == LAST_TAKEN)
			shutdown(atomic_load(&l->conns[i].fd), SHUT_RDWR);
	rpc_unlink(&s->listener); /* the process ends without another word */
}
