/* http.c - the side of libmicrohttpd: its callbacks, our table of its connections, deadlines. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/file/file.h"
#include "rpc/gateway/gateway.h"
#include "rpc/gateway/http/listen.h"

/* Of a connection: room for the longest head, libmicrohttpd's tables of its lines, a piece of the body and the answer's
 * head. */
enum { MS = 1000000, POOL_BYTES = 28 << 10 };

static uint64_t in_ms(int64_t ms)
{
	return now_ns() + (uint64_t)ms * MS;
}

/* ---- lingering: a refusal that is closed with bytes unread would reach nobody, since the kernel resets ---- */

struct lingerer {
	struct lingerer *next;
	int fd;
	size_t dropped;
	uint64_t end_ns;
};

static void linger(struct gateway *g, int fd)
{
	struct lingerer *l = xalloc(1, sizeof *l);

	l->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	l->end_ns = in_ms(1000);
	l->next = g->lingering;
	g->lingering = l;
	shutdown(fd, SHUT_WR);
}

static bool linger_over(struct lingerer *l)
{
	char bytes[16 << 10];
	ssize_t n;

	while ((n = recv(l->fd, bytes, sizeof bytes, MSG_DONTWAIT)) > 0 && l->dropped < 256 << 10)
		l->dropped += (size_t)n;
	return n == 0 || (n < 0 && errno != EAGAIN) || l->dropped >= 256 << 10 || now_ns() > l->end_ns;
}

void lingerers_look(struct gateway *g)
{
	for (struct lingerer **at = &g->lingering, *l; (l = *at);) {
		if (l->fd >= 0 && !linger_over(l)) {
			at = &l->next;
			continue;
		}
		*at = l->next;
		if (l->fd >= 0)
			close(l->fd);
		free(l);
	}
}

/* ---- connections ---- */

static int fd_of(struct MHD_Connection *http)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(http, MHD_CONNECTION_INFO_CONNECTION_FD);

	return info ? (int)info->connect_fd : -1;
}

static void set_address(struct connection *c)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(c->http, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	const struct sockaddr *a = info ? info->client_addr : NULL;

	strcpy(c->address, "unix");
	if (a && a->sa_family == AF_INET)
		inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)a)->sin_addr, c->address,
			  sizeof c->address);
	else if (a && a->sa_family == AF_INET6)
		inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)(const void *)a)->sin6_addr, c->address,
			  sizeof c->address);
}

static struct connection *connection_create(struct gateway *g, struct MHD_Connection *http)
{
	struct connection *c = xalloc(1, sizeof *c);
	int fd = fd_of(http), one = 1;

	c->g = g;
	c->http = http;
	c->fd = fd;
	c->watch = (struct watch){.kind = WATCH_CONNECTION, .owner = c, .fd = -1};
	c->deadline_ns = in_ms(g->how.head_ms);
	set_address(c);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	watch_set(g, &c->watch, fd, EPOLLRDHUP);
	tap_add(c, fd);
	c->next = g->connections;
	c->link = &g->connections;
	if (c->next)
		c->next->link = &c->next;
	g->connections = c;
	g->n_connections++;
	return c;
}

static void connection_destroy(struct connection *c)
{
	struct gateway *g = c->g;

	if (c->x)
		exchange_destroy(c->x);
	tap_remove(c->fd);
	if (c->linger)
		linger(g, c->fd);
	watch_gone(g, &c->watch);
	*c->link = c->next;
	if (c->next)
		c->next->link = c->link;
	g->freed += POOL_BYTES;
	g->n_connections--;
	free(c);
}

static void on_connection(void *arg, struct MHD_Connection *http, void **socket_context,
			  enum MHD_ConnectionNotificationCode what)
{
	if (what == MHD_CONNECTION_NOTIFY_STARTED)
		*socket_context = connection_create(arg, http);
	else if (*socket_context) {
		connection_destroy(*socket_context);
		*socket_context = NULL;
	}
}

static struct connection *connection_of(struct MHD_Connection *http)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(http, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return info ? info->socket_context : NULL;
}

/* The client may have gone because it has everything. */
static bool all_handed_over(const struct exchange *x)
{
	const struct stream *s = &x->stream;

	return x->queued && (!s->on || (s->ended && s->sent == s->queue.len));
}

void connection_hung_up(struct connection *c)
{
	watch_gone(c->g, &c->watch);
	c->hung_up = true;
	if (!c->x || all_handed_over(c->x))
		return;
	c->g->count.hang_ups++;
	exchange_hung_up(c->x);
}

/* libmicrohttpd has no call that closes a connection; it sees the end of its input. */
void connection_cut(struct connection *c)
{
	c->deadline_ns = 0;
	if (c->x)
		exchange_hung_up(c->x);
	shutdown(c->fd, SHUT_RDWR);
	c->g->run_http = true;
}

/* Bytes wait in the kernel, and for a whole time none of them moved. */
static bool stalled(struct connection *c)
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
	return still && now_ns() - c->stall_ns > (uint64_t)c->g->how.stall_ms * MS;
}

/* The client went with its request half sent. libmicrohttpd takes one event for the last bytes and the end behind them,
 * and after a short read waits for another. */
static bool left_early(const struct connection *c)
{
	return c->hung_up && !(c->x && (c->x->begun || c->x->cut || c->x->queued));
}

void connections_look(struct gateway *g, bool second)
{
	uint64_t now = now_ns();

	for (struct connection *c = g->connections; c; c = c->next) {
		if (left_early(c)) {
			connection_cut(c);
		} else if (c->deadline_ns && now > c->deadline_ns) {
			g->count.deadlines++;
			connection_cut(c);
		} else if (second && !c->hung_up && stalled(c)) {
			g->count.stalls++;
			log_event(LOG_INFO, "a client that reads nothing is cut", " address=%s seconds=%d", c->address,
				  (int)(g->how.stall_ms / 1000));
			connection_cut(c);
		}
	}
}

/* ---- requests ---- */

/* The request line is there: the rest of the head has its own time. */
static void *on_line(void *arg, const char *uri, struct MHD_Connection *http)
{
	struct connection *c = connection_of(http);
	uint64_t end = in_ms(((struct gateway *)arg)->how.head_ms);

	(void)uri;
	if (c && (!c->deadline_ns || end < c->deadline_ns))
		c->deadline_ns = end;
	return NULL;
}

static void on_completed(void *arg, struct MHD_Connection *http, void **x, enum MHD_RequestTerminationCode code)
{
	struct connection *c = connection_of(http);

	(void)arg;
	if (!*x)
		return;
	if (code != MHD_REQUEST_TERMINATED_COMPLETED_OK && !all_handed_over(*x))
		((struct exchange *)*x)->cut = true;
	access_log(*x);
	exchange_destroy(*x);
	*x = NULL;
	if (!c)
		return;
	c->deadline_ns = in_ms(c->g->how.idle_ms);
	tap_completed(c);
}

static enum MHD_Result queue(struct exchange *x)
{
	struct MHD_Response *r = x->stream.on ? stream_response(x) : answer_response(x);
	int class = min_int(max_int(x->answer.status / 100, 0), 5);
	enum MHD_Result done;

	if (!r)
		return MHD_NO;
	x->g->count.by_class[class]++;
	x->queued = true;
	x->conn->linger |= x->answer.close && !x->g->how.tls_cert;
	done = MHD_queue_response(x->conn->http, (unsigned)x->answer.status, r);
	MHD_destroy_response(r);
	return done;
}

static void preflight(struct exchange *x)
{
	struct text none = {0};

	answer_text(x, 204, NULL, &none);
}

static void refuse_route(struct exchange *x, const char *allow)
{
	x->answer.allow = allow;
	if (allow)
		answer_error(x, 405, NULL, NULL, "%s is not allowed here; %s are", x->method, allow);
	else
		answer_error(x, 404, NULL, NULL, "there is no %.100s", x->path);
}

/* Answers by the head alone where it is refused. A body that nobody wants is not read: the connection closes. */
static enum MHD_Result take_head(struct exchange *x)
{
	struct refusal no = {0};
	const char *allow, *tail;

	filter_request(x, &no);
	x->route = no.status ? NULL : route_find(x->method, x->path, &allow, &tail);
	if (x->route) {
		x->tail_copy = xstrdup(tail);
		x->tail = x->tail_copy;
	}
	if (!no.status)
		filter_policy(x, &no);
	if (no.status)
		answer_error(x, no.status, no.code, NULL, "%s", no.text);
	else if (!strcmp(x->method, "OPTIONS"))
		preflight(x);
	else if (!x->route)
		refuse_route(x, allow);
	if (!x->answer.status)
		return MHD_YES;
	x->answer.close = no.close || x->has_body;
	return x->answer.close ? queue(x) : MHD_YES;
}

static void refuse_body(struct exchange *x, int64_t size)
{
	struct gateway *g = x->g;
	int64_t bytes = (int64_t)x->body.len + size;
	int status;

	if (bytes > g->how.max_body)
		answer_error(x, 413, NULL, NULL, "the body has more than %lld bytes", (long long)g->how.max_body);
	else if ((status = budget_set(x, BUDGET_BODY, bytes)))
		answer_error(x, status, "overloaded", NULL, "%s", budget_text(status));
	if (!x->answer.status)
		return;
	x->answer.close = true;
	text_finish(&x->body);
	budget_set(x, BUDGET_BODY, 0);
}

/* What comes after a refusal is dropped, and not for ever. */
static enum MHD_Result take_body(struct exchange *x, const char *data, size_t *size)
{
	int64_t n = (int64_t)*size;

	if (!x->answer.status)
		refuse_body(x, n);
	if (!x->answer.status) {
		text_put(&x->body, data, *size);
	} else if ((x->dropped += n) > x->g->how.max_body) {
		return MHD_NO;
	}
	*size = 0;
	return MHD_YES;
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *http, const char *path, const char *method,
				  const char *version, const char *data, size_t *size, void **state)
{
	struct gateway *g = arg;
	struct exchange *x = *state;

	if (!x) {
		x = *state = exchange_create(connection_of(http), method, path, version);
		x->conn->deadline_ns = in_ms(g->how.body_ms);
		return take_head(x);
	}
	if (*size)
		return take_body(x, data, size);
	x->conn->deadline_ns = 0;
	if (!x->begun)
		exchange_begin(x);
	if (x->cut || x->conn->hung_up) {
		if (x->parsing) {
			x->suspended = true;
			MHD_suspend_connection(http);
			return MHD_YES;
		}
		return MHD_NO;
	}
	if (x->answer.status)
		return queue(x);
	x->suspended = true;
	MHD_suspend_connection(http);
	return MHD_YES;
}

/* A path is taken as it came. */
static size_t no_unescape(void *arg, struct MHD_Connection *http, char *s)
{
	(void)arg;
	(void)http;
	return strlen(s);
}

static void on_log(void *arg, const char *fmt, va_list args)
{
	char line[512];

	(void)arg;
	vsnprintf(line, sizeof line, fmt, args);
	line[strcspn(line, "\r\n")] = 0;
	log_at(LOG_DEBUG, "libmicrohttpd: %s", line);
}

/* ---- opening and closing ---- */

/* TLS 1.3 and 1.2; ciphers that also authenticate, keys that later theft of the server's key does not give away. */
static const char tls_priorities[] =
	"NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-KX-ALL:+ECDHE-ECDSA:+ECDHE-RSA:-CIPHER-ALL:+AES-256-GCM:"
	"+AES-128-GCM:+CHACHA20-POLY1305:-MAC-ALL:+AEAD:%SERVER_PRECEDENCE";

static int start(struct gateway *g, int fd, char *cert, char *key, struct why *why)
{
	unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG | (cert ? MHD_USE_TLS : 0);
	struct MHD_OptionItem tls[] = {{MHD_OPTION_HTTPS_MEM_CERT, 0, cert},
				       {MHD_OPTION_HTTPS_MEM_KEY, 0, key},
				       {MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)(uintptr_t)tls_priorities},
				       {MHD_OPTION_END, 0, NULL}};
	const struct MHD_OptionItem none[] = {{MHD_OPTION_END, 0, NULL}};

	g->http = MHD_start_daemon(flags, 0, NULL, NULL, on_request, g, MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL,
				   MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_NOTIFY_COMPLETED, on_completed, g,
				   MHD_OPTION_NOTIFY_CONNECTION, on_connection, g, MHD_OPTION_URI_LOG_CALLBACK, on_line,
				   g, MHD_OPTION_UNESCAPE_CALLBACK, no_unescape, g, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
				   (size_t)POOL_BYTES, MHD_OPTION_CONNECTION_LIMIT, (unsigned)g->how.max_connections,
				   MHD_OPTION_PER_IP_CONNECTION_LIMIT, (unsigned)g->how.max_per_address,
				   MHD_OPTION_STRICT_FOR_CLIENT, 0, MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1,
				   MHD_OPTION_ARRAY, cert ? tls : none, MHD_OPTION_END);
	return g->http ? 0 : fail(why, ERR_IO, "libmicrohttpd does not start%s", cert ? " (certificate and key?)" : "");
}

int http_open(struct gateway *g, struct why *why)
{
	char *cert = NULL, *key = NULL;
	size_t len = 0; /* of the key, where there is one */
	int fd = -1, err = 0;

	if (g->how.tls_cert)
		err = file_read(g->how.tls_cert, FILE_KEYS, &cert, &len, why);
	if (!err && g->how.tls_key)
		err = file_read(g->how.tls_key, FILE_KEYS, &key, &len, why);
	if (!err)
		err = listen_open(g, &fd, why);
	if (!err)
		err = start(g, fd, cert, key, why);
	free(cert);
	if (key)
		explicit_bzero(key, len);
	free(key);
	if (err)
		return err;
	g->http_watch = (struct watch){.kind = WATCH_HTTP, .owner = g, .fd = -1};
	watch_set(g, &g->http_watch, MHD_get_daemon_info(g->http, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd, EPOLLIN);
	return 0;
}

void http_quiesce(struct gateway *g)
{
	int fd = (int)MHD_quiesce_daemon(g->http);

	if (fd >= 0)
		close(fd);
	listen_close(g);
}

/* libmicrohttpd ends the process where a connection is still suspended. */
void http_close(struct gateway *g)
{
	if (!g->http)
		return;
	for (struct connection *c = g->connections; c; c = c->next)
		connection_cut(c);
	for (int i = 0; i < 10; i++)
		MHD_run(g->http);
	MHD_stop_daemon(g->http);
	while (g->lingering) {
		g->lingering->end_ns = 0;
		lingerers_look(g);
	}
}
