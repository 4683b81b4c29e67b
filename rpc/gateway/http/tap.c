/* tap.c - passes every byte of a connection through framing.c before libmicrohttpd sees it. The library has no hook for
 * that. It reads with recv() and gnutls_record_recv(), and since it is a shared library its calls are bound to this
 * program's functions of these names rather than those of glibc and GnuTLS. */
#include <dlfcn.h>
#include <errno.h>
#include <gnutls/gnutls.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "rpc/gateway/http/inside.h"

ssize_t tapped_recv(int fd, void *out, size_t size, int flags) __asm__("recv") __attribute__((visibility("default")));
ssize_t tapped_record_recv(gnutls_session_t session, void *out, size_t size) __asm__("gnutls_record_recv")
	__attribute__((visibility("default")));

/* By descriptor. Only one thread reads connections; descriptors of other threads are not in here. */
static struct http_connection **by_fd;
static int n_fds;

void http_tap_add(struct http_connection *c)
{
	int fd = c->fd;

	if (fd >= n_fds) {
		by_fd = xgrow(by_fd, (size_t)fd + 64, sizeof(struct http_connection *));
		memset(by_fd + n_fds, 0, (size_t)(fd + 64 - n_fds) * sizeof *by_fd);
		n_fds = fd + 64;
	}
	by_fd[fd] = c;
}

void http_tap_remove(int fd)
{
	if (fd >= 0 && fd < n_fds)
		by_fd[fd] = NULL;
}

static gnutls_session_t session_of(const struct http_connection *c)
{
	const union MHD_ConnectionInfo *info =
		c->server->how->tls_cert ? MHD_get_connection_info(c->mhd, MHD_CONNECTION_INFO_GNUTLS_SESSION) : NULL;

	return info ? info->tls_session : NULL;
}

static const char *reason(int status)
{
	switch (status) {
	case 413:
		return "Content Too Large";
	case 414:
		return "URI Too Long";
	case 431:
		return "Request Header Fields Too Large";
	case 501:
		return "Not Implemented";
	case 505:
		return "HTTP Version Not Supported";
	default:
		return "Bad Request";
	}
}

/* Responds past libmicrohttpd, which has nothing in flight on this connection. The connection ends with it. */
static void refuse(struct http_connection *c)
{
	const struct http_framing *f = &c->framing;
	struct text body = {0}, t = {0};
	gnutls_session_t session = session_of(c);

	http_error_json(&body, f->status, NULL, NULL, f->why);
	text_fmt(
		&t,
		"HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\nX-Content-Type-Options: nosniff\r\n"
		"x-should-retry: false\r\nConnection: close\r\n\r\n",
		f->status, reason(f->status), body.len);
	text_put(&t, body.data, body.len);
	if (session)
		gnutls_record_send(session, t.data, t.len);
	else
		send(c->fd, t.data, t.len, MSG_NOSIGNAL | MSG_DONTWAIT);
	text_finish(&t);
	text_finish(&body);
	c->refused = true;
	c->linger = !session;
	c->server->count.by_class[f->status / 100]++;
	c->server->count.refused_framing++;
	if (c->x)
		c->x->answer.status = f->status;
}

/* The requests before the refused one are answered first. */
bool http_tap_completed(struct http_connection *c)
{
	c->completed++;
	if (!c->framing.status || c->refused || c->completed < c->framing.complete)
		return false;
	refuse(c);
	return true;
}

/* Returns how many of the bytes may be handed on, or -1 like recv() on a connection that was reset. */
static ssize_t screen(struct http_connection *c, const char *bytes, ssize_t len)
{
	size_t whole;

	if (c->x && c->x->queued) /* its head was refused, and the connection is closing */
		return len;
	whole = c->framing.status ? 0 : http_framing_feed(&c->framing, bytes, (size_t)len);
	if (!c->framing.status)
		return len;
	if (whole)
		return (ssize_t)whole;
	if (!c->refused)
		refuse(c);
	errno = ECONNRESET;
	return -1;
}

ssize_t tapped_recv(int fd, void *out, size_t size, int flags)
{
	ssize_t n = recvfrom(fd, out, size, flags, NULL, NULL);
	struct http_connection *c = fd >= 0 && fd < n_fds ? by_fd[fd] : NULL;

	return n > 0 && c && !c->server->how->tls_cert ? screen(c, out, n) : n;
}

ssize_t tapped_record_recv(gnutls_session_t session, void *out, size_t size)
{
	static ssize_t (*real)(gnutls_session_t, void *, size_t);
	int fd = gnutls_transport_get_int(session);
	struct http_connection *c = fd >= 0 && fd < n_fds ? by_fd[fd] : NULL;
	ssize_t n;

	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "gnutls_record_recv");
	REQUIRE(real);
	n = real(session, out, size);
	if (n <= 0 || !c)
		return n;
	n = screen(c, out, n);
	return n < 0 ? GNUTLS_E_PREMATURE_TERMINATION : n;
}
