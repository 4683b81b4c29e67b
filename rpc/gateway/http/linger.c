/* linger.c - reads and drops what still arrives, for a second, on a connection that was refused. Closed with bytes
 * unread it would be reset by the kernel, and the refusal would not arrive. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rpc/gateway/http/inside.h"

enum { LINGER_NS = 1000000000, MOST_BYTES = 256 << 10 };

struct http_lingerer {
	struct http_lingerer *next;
	int fd;
	size_t dropped;
	uint64_t end_ns;
};

void http_linger(struct http_server *s, int fd)
{
	struct http_lingerer *l = xalloc(1, sizeof *l);

	l->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	l->end_ns = now_ns() + LINGER_NS;
	l->next = s->lingering;
	s->lingering = l;
	shutdown(fd, SHUT_WR);
}

static bool is_over(struct http_lingerer *l)
{
	char bytes[16 << 10];
	ssize_t n;

	while ((n = recv(l->fd, bytes, sizeof bytes, MSG_DONTWAIT)) > 0 && l->dropped < MOST_BYTES)
		l->dropped += (size_t)n;
	return n == 0 || (n < 0 && errno != EAGAIN) || l->dropped >= MOST_BYTES || now_ns() > l->end_ns;
}

void http_linger_tick(struct http_server *s)
{
	for (struct http_lingerer **at = &s->lingering, *l; (l = *at);) {
		if (l->fd >= 0 && !is_over(l)) {
			at = &l->next;
			continue;
		}
		*at = l->next;
		if (l->fd >= 0)
			close(l->fd);
		free(l);
	}
}

void http_linger_close(struct http_server *s)
{
	while (s->lingering) {
		s->lingering->end_ns = 0;
		http_linger_tick(s);
	}
}
