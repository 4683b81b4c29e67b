/* listen.c - opens the listening socket, or takes one that was passed: an address and a port, or a Unix socket. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rpc/gateway/http/inside.h"
#include "rpc/server/listen.h"

enum { BACKLOG = 1024, SEND_BUFFER = 16 << 10 };

static bool is_loopback(const struct sockaddr *a)
{
	if (a->sa_family == AF_INET)
		return ntohl(((const struct sockaddr_in *)(const void *)a)->sin_addr.s_addr) >> 24 == 127;
	if (a->sa_family == AF_INET6)
		return IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)(const void *)a)->sin6_addr);
	return false;
}

static void log_address(const struct http_server *s, int fd)
{
	struct sockaddr_storage a;
	socklen_t size = sizeof a;
	char host[128], port[16];
	const char *scheme = s->how->tls_cert ? "https" : "http";

	if (getsockname(fd, (struct sockaddr *)&a, &size) ||
	    getnameinfo((struct sockaddr *)&a, size, host, sizeof host, port, sizeof port,
			NI_NUMERICHOST | NI_NUMERICSERV))
		return;
	log_event(LOG_INFO, "listening", a.ss_family == AF_INET6 ? " on=%s://[%s]:%s" : " on=%s://%s:%s", scheme, host,
		  port);
}

/* With a small send buffer a client that stopped reading is noticed after kilobytes, not megabytes. */
static int open_address(const struct http_server *s, const struct addrinfo *a, struct why *why)
{
	int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), one = 1, bytes = SEND_BUFFER;

	if (fd < 0)
		return fail(why, ERR_IO, "socket: %s", strerror(errno));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
	if (bind(fd, a->ai_addr, a->ai_addrlen) || listen(fd, BACKLOG)) {
		int err = fail(why, ERR_IO, "%s port %d: %s", s->how->host, s->how->port, strerror(errno));
		close(fd);
		return err;
	}
	return fd;
}

static int open_inet(struct http_server *s, int *fd, struct why *why)
{
	struct addrinfo want = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *found;
	char port[16];
	int err;

	snprintf(port, sizeof port, "%d", s->how->port);
	err = getaddrinfo(s->how->host, port, &want, &found);
	if (err)
		return fail(why, ERR_INVALID, "--host %s: %s", s->how->host, gai_strerror(err));
	*fd = http_passed(found->ai_addr);
	s->passed = *fd >= 0;
	if (*fd < 0)
		*fd = open_address(s, found, why);
	s->loopback = is_loopback(found->ai_addr);
	freeaddrinfo(found);
	if (*fd < 0)
		return *fd;
	log_address(s, *fd);
	if (!s->loopback && !s->keys)
		log_at(LOG_WARN, "no --api-key-file: anyone who can reach %s may use this server", s->how->host);
	return 0;
}

static int open_unix(struct http_server *s, int *fd, struct why *why)
{
	struct rpc_listener *u = &s->unix_socket;
	int err;

	s->passed = http_passed_unix(u, s->how->uds);
	err = s->passed ? 0 : rpc_listen(u, s->how->uds, (gid_t)-1, why);
	if (err)
		return err;
	s->loopback = true;
	*fd = fcntl(u->fd, F_DUPFD_CLOEXEC, 0);
	log_event(LOG_INFO, "listening", " on=\"%s\"", s->how->uds);
	return 0;
}

int http_listen(struct http_server *s, int *fd, struct why *why)
{
	return s->how->uds ? open_unix(s, fd, why) : open_inet(s, fd, why);
}

void http_unlisten(struct http_server *s)
{
	if (!s->how->uds)
		return;
	if (s->passed || s->shown)
		rpc_listen_leave(&s->unix_socket);
	rpc_unlisten(&s->unix_socket);
}
