/* connections.c - the table of libmicrohttpd's connections: their clients that hang up, deadlines, stalled readers. */
#include <arpa/inet.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "rpc/gateway/http/inside.h"

static int fd_of(struct MHD_Connection *mhd)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);

	return info ? (int)info->connect_fd : -1;
}

static void set_address(struct http_connection *c)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(c->mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	const struct sockaddr *a = info ? info->client_addr : NULL;

	strcpy(c->address, "unix");
	if (a && a->sa_family == AF_INET)
		inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)a)->sin_addr, c->address,
			  sizeof c->address);
	else if (a && a->sa_family == AF_INET6)
		inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)(const void *)a)->sin6_addr, c->address,
			  sizeof c->address);
}

static void on_event(void *data, uint32_t events)
{
	struct http_connection *c = data;

	if (!(events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)))
		return;
	http_watch_drop(c->server->loop, &c->watch);
	c->hung_up = true;
	if (!c->x || http_exchange_is_sent(c->x)) /* the client may have left because it has everything */
		return;
	c->server->count.hang_ups++;
	http_exchange_hung_up(c->x);
}

struct http_connection *http_connection_create(struct http_server *s, struct MHD_Connection *mhd)
{
	struct http_connection *c = xalloc(1, sizeof *c);
	int one = 1;

	c->server = s;
	c->mhd = mhd;
	c->fd = fd_of(mhd);
	c->watch = (struct http_watch){on_event, c, -1, 0};
	c->deadline_ns = now_ns() + (uint64_t)s->how->head_ms * NS_PER_MS;
	set_address(c);
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	http_watch_set(s->loop, &c->watch, c->fd, EPOLLRDHUP);
	http_tap_add(c);
	c->next = s->connections;
	c->link = &s->connections;
	if (c->next)
		c->next->link = &c->next;
	s->connections = c;
	s->count.connections++;
	return c;
}

void http_connection_destroy(struct http_connection *c)
{
	struct http_server *s = c->server;

	if (c->x)
		http_exchange_destroy(c->x);
	http_tap_remove(c->fd);
	if (c->linger)
		http_linger(s, c->fd);
	http_watch_drop(s->loop, &c->watch);
	*c->link = c->next;
	if (c->next)
		c->next->link = c->link;
	s->freed += HTTP_POOL_BYTES;
	s->count.connections--;
	free(c);
}

struct http_connection *http_connection_of(struct MHD_Connection *mhd)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return info ? info->socket_context : NULL;
}

/* libmicrohttpd has no call that closes a connection; it sees the end of its input. */
void http_connection_cut(struct http_connection *c)
{
	c->deadline_ns = 0;
	if (c->x)
		http_exchange_hung_up(c->x);
	c->shut = true;
	shutdown(c->fd, SHUT_RDWR);
	c->server->run = true;
}

/* Returns true if bytes wait in the kernel and none of them moved during --stall-timeout. */
static bool stalled(struct http_connection *c)
{
	int unsent = 0;
	bool still;

	if (ioctl(c->fd, SIOCOUTQ, &unsent) < 0 || !unsent) {
		c->stall_ns = 0;
		return false;
	}
	still = c->stall_ns && unsent == c->stall_unsent && c->given == c->stall_given;
	if (!still)
		c->stall_ns = now_ns();
	c->stall_unsent = unsent;
	c->stall_given = c->given;
	return still && now_ns() - c->stall_ns > (uint64_t)c->server->how->stall_ms * NS_PER_MS;
}

/* Returns true if the client left with its request half sent. libmicrohttpd takes one event for the last bytes and
 * the end behind them, and after a short read waits for another. */
static bool left_early(const struct http_connection *c)
{
	return c->hung_up && !c->shut && !(c->x && (c->x->begun || c->x->queued));
}

void http_connections_tick(struct http_server *s, bool second)
{
	uint64_t now = now_ns();

	for (struct http_connection *c = s->connections; c; c = c->next) {
		if (left_early(c)) {
			http_connection_cut(c);
		} else if (c->deadline_ns && now > c->deadline_ns) {
			s->count.deadlines++;
			http_connection_cut(c);
		} else if (second && !c->hung_up && stalled(c)) {
			s->count.stalls++;
			log_event(LOG_INFO, "client stalled; disconnecting", " address=%s seconds=%d", c->address,
				  (int)(s->how->stall_ms / 1000));
			http_connection_cut(c);
		}
	}
}
