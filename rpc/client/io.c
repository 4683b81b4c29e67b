#include "rpc/client/inside.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "rpc/frame.h"

bool client_io_is_there(const struct xv_client *c)
{
	struct stat st;

	return !stat(c->path, &st) && S_ISSOCK(st.st_mode);
}

static int explain(const struct xv_client *c, int error, struct why *why)
{
	struct stat st;

	switch (error) {
	case ENOENT:
		return fail(why, ERR_GONE,
			    "%s: no server: there is no such socket (is xversed running? --uds or "
			    "XVERSE_SOCKET names its socket)",
			    c->path);
	case ECONNREFUSED:
		if (!stat(c->path, &st) && !S_ISSOCK(st.st_mode))
			return fail(why, ERR_INVALID, "%s is not a socket", c->path);
		return fail(why, ERR_GONE, "%s: no server: nothing listens on this socket", c->path);
	case EACCES:
	case EPERM:
		return fail(why, ERR_DENIED, "%s: you may not connect (the server's --uds-group says who may)",
			    c->path);
	case EAGAIN:
		return fail(why, ERR_BUSY, "%s: the server does not accept connections", c->path);
	default:
		return fail(why, ERR_IO, "%s: %s", c->path, strerror(error));
	}
}

/* A Unix socket connects at once, or says EAGAIN where the queue of the listener is full. */
int client_io_connect(struct xv_client *c, struct why *why)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	struct xv_request hello = {.kind = XV_HELLO};

	memcpy(to.sun_path, c->path, sizeof to.sun_path);
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (c->fd < 0)
		return fail(why, ERR_IO, "socket: %s", strerror(errno));
	if (connect(c->fd, (struct sockaddr *)&to, sizeof to)) {
		int error = errno;
		client_io_lose(c);
		return explain(c, error, why);
	}
	hello.hello = (struct xv_hello){.protocol_min = RPC_PROTOCOL,
					.protocol_max = RPC_PROTOCOL,
					.frame_limit = FRAME_LIMIT,
					.version = XV_VERSION,
					.served_model = ""};
	rpc_request_encode(&c->out, &hello);
	c->heard_ns = c->connected_ns = now_ns();
	return 0;
}

void client_io_lose(struct xv_client *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	c->greeted = false;
	c->in_len = 0;
	c->out.len = c->out_sent = 0;
	rpc_prefix_forget(&c->sent);
}

int client_io_send(struct xv_client *c, struct why *why)
{
	while (c->out_sent < c->out.len) {
		ssize_t n = send(c->fd, c->out.data + c->out_sent, c->out.len - c->out_sent, MSG_NOSIGNAL);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return 0;
		if (n < 0)
			return fail(why, ERR_GONE, "%s: the server has gone away: %s", c->path, strerror(errno));
		c->out_sent += (size_t)n;
	}
	c->out.len = c->out_sent = 0;
	return 0;
}

int client_io_receive(struct xv_client *c, struct why *why)
{
	enum { PIECE = 64 << 10 };
	ssize_t n;

	if (c->in_max - c->in_len < PIECE) {
		c->in_max = 2 * c->in_max + PIECE;
		c->in = xgrow(c->in, c->in_max, 1);
	}
	n = recv(c->fd, c->in + c->in_len, c->in_max - c->in_len, 0);
	if (n > 0) {
		c->heard_ns = now_ns();
		c->in_len += (size_t)n;
		return 0;
	}
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	return fail(why, ERR_GONE, "%s: the server closed the connection", c->path);
}
