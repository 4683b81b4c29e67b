/* Reading: bytes of a connection into its buffer, within the memory that all connections may hold. */
#include "base/arena.h"
#include "rpc/server/inside.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

void conn_forget_input(struct rpc_server *s, struct conn *c)
{
	s->in_held -= input_counted(c->in_max);
	free(c->in);
	c->in = NULL;
	c->in_len = c->in_max = 0;
}

/* The buffer grows with the bytes that arrive, never with the length that a frame announces. False: all connections
 * together hold too much. */
static bool make_room(struct rpc_server *s, struct conn *c)
{
	size_t most = s->how.max_frame + FRAME_HEAD_MAX + IN_STEP, size, more;
	uint8_t *in;

	if (c->in_max - c->in_len >= IN_STEP / 2)
		return true;
	size = c->in_max ? c->in_max * 2 : IN_STEP;
	size = size < most ? size : most;
	more = input_counted(size) - input_counted(c->in_max);
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

/* The request's id is not known, since its frame is not whole: the Error ends the connection. */
static void refuse_input(struct rpc_server *s, struct conn *c)
{
	s->refused.input++;
	conn_error(s, c, 0, ERR_BUSY, "large requests hold %zu of %zu bytes already; send this one later",
		   s->in_held + arena_held(), s->how.max_input);
	conn_forget_input(s, c);
	conn_attend(s, c);
}

/* After the last reply, what arrives is read and dropped: closing a socket with unread bytes would lose that reply. */
static void skip_input(struct conn *c)
{
	char nothing[4096];
	ssize_t n = recv(c->fd, nothing, sizeof nothing, MSG_DONTWAIT);

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR))
		c->doomed = true;
}

bool conn_read(struct rpc_server *s, struct conn *c)
{
	ssize_t n;

	if (c->ending) {
		skip_input(c);
		return false;
	}
	if (!make_room(s, c)) {
		refuse_input(s, c);
		return false;
	}
	n = recv(c->fd, c->in + c->in_len, c->in_max - c->in_len, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
		return false;
	if (n <= 0) {
		c->doomed = true;
		return false;
	}
	c->in_len += (size_t)n;
	c->heard_ns = now_ns();
	return true;
}
