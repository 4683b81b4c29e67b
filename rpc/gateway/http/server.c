#include "rpc/gateway/http/server.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "rpc/gateway/http/inside.h"

static uint64_t in_ms(int64_t ms)
{
	return now_ns() + (uint64_t)ms * NS_PER_MS;
}

/* ---- libmicrohttpd's callbacks ---- */

static void on_connection(void *arg, struct MHD_Connection *mhd, void **socket_context,
			  enum MHD_ConnectionNotificationCode what)
{
	if (what == MHD_CONNECTION_NOTIFY_STARTED)
		*socket_context = http_connection_create(arg, mhd);
	else if (*socket_context) {
		http_connection_destroy(*socket_context);
		*socket_context = NULL;
	}
}

/* The request line has arrived: the rest of the head has its own time. */
static void *on_line(void *arg, const char *uri, struct MHD_Connection *mhd)
{
	struct http_connection *c = http_connection_of(mhd);
	uint64_t end = in_ms(((struct http_server *)arg)->how->head_ms);

	(void)uri;
	if (c && (!c->deadline_ns || end < c->deadline_ns))
		c->deadline_ns = end;
	return NULL;
}

static void on_completed(void *arg, struct MHD_Connection *mhd, void **state, enum MHD_RequestTerminationCode code)
{
	struct http_connection *c = http_connection_of(mhd);
	struct http_exchange *x = *state;

	(void)arg;
	if (!x)
		return;
	if (code != MHD_REQUEST_TERMINATED_COMPLETED_OK && !http_exchange_is_sent(x))
		x->cut = true;
	http_access_log(x);
	http_exchange_destroy(x);
	*state = NULL;
	if (!c)
		return;
	c->deadline_ns = in_ms(c->server->how->idle_ms);
	if (http_tap_completed(c))
		http_connection_cut(c);
}

static enum MHD_Result queue(struct http_exchange *x)
{
	struct MHD_Response *r = x->stream.on ? http_stream_response(x) : http_answer_response(x);
	int class = min_int(max_int(x->answer.status / 100, 0), 5);
	enum MHD_Result done;

	if (!r)
		return MHD_NO;
	x->server->count.by_class[class]++;
	x->queued = true;
	x->conn->linger |= x->answer.close && !x->server->how->tls_cert;
	done = MHD_queue_response(x->conn->mhd, (unsigned)x->answer.status, r);
	MHD_destroy_response(r);
	return done;
}

static enum MHD_Result suspend(struct http_exchange *x)
{
	x->suspended = true;
	MHD_suspend_connection(x->conn->mhd);
	return MHD_YES;
}

static void answer_preflight(struct http_exchange *x)
{
	struct text none = {0};

	http_answer_text(x, 204, NULL, &none);
}

static void refuse_route(struct http_exchange *x, const char allow[64])
{
	memcpy(x->answer.allow, allow, 64);
	if (*allow)
		http_answer_error(x, 405, NULL, NULL, "method %s is not allowed; allowed: %s", x->head.method, allow);
	else
		http_answer_error(x, 404, NULL, NULL, "unknown path %.100s", x->head.path);
}

static void find_route(struct http_exchange *x, char allow[64])
{
	const struct http_server *s = x->server;
	struct http_head *h = &x->head;

	h->route = http_route_find(s->routes, s->n_routes, h->method, h->path, allow);
	if (h->route)
		h->tail = xstrdup(h->path + strlen(h->route->path));
}

/* Answers where the head alone says that the request is refused. A body that is not needed is not read: the connection
 * closes. */
static enum MHD_Result take_head(struct http_exchange *x)
{
	struct http_refusal no = {0};
	char allow[64] = "";

	http_filter_head(x, &no);
	if (!no.status) {
		find_route(x, allow);
		http_filter_policy(x, &no);
	}
	if (no.status)
		http_answer_error(x, no.status, no.code, NULL, "%s", no.text);
	else if (!strcmp(x->head.method, "OPTIONS"))
		answer_preflight(x);
	else if (!x->head.route)
		refuse_route(x, allow);
	if (!x->answer.status)
		return MHD_YES;
	x->answer.close = no.close || x->head.has_body;
	return x->answer.close ? queue(x) : MHD_YES;
}

static void refuse_body(struct http_exchange *x, int64_t size)
{
	int64_t bytes = (int64_t)x->body.bytes.len + size, most = x->server->how->max_body;
	int status;

	if (bytes > most)
		http_answer_error(x, 413, NULL, NULL, "the body has more than %lld bytes", (long long)most);
	else if ((status = http_budget_set(x, HTTP_BUDGET_BODY, bytes)))
		http_answer_error(x, status, "overloaded", NULL, "%s", http_budget_text(status));
	if (!x->answer.status)
		return;
	x->answer.close = true;
	text_finish(&x->body.bytes);
	http_budget_set(x, HTTP_BUDGET_BODY, 0);
}

/* What arrives after a refusal is dropped, up to a limit. */
static enum MHD_Result take_body(struct http_exchange *x, const char *data, size_t *size)
{
	int64_t n = (int64_t)*size;

	if (!x->answer.status)
		refuse_body(x, n);
	if (!x->answer.status) {
		text_put(&x->body.bytes, data, *size);
	} else if ((x->body.dropped += n) > x->server->how->max_body) {
		return MHD_NO;
	}
	*size = 0;
	return MHD_YES;
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *mhd, const char *path, const char *method,
				  const char *version, const char *data, size_t *size, void **state)
{
	struct http_server *s = arg;
	struct http_exchange *x = *state;

	if (!x) {
		x = *state = http_exchange_create(http_connection_of(mhd), method, path, version);
		x->conn->deadline_ns = in_ms(s->how->body_ms);
		return take_head(x);
	}
	if (*size)
		return take_body(x, data, size);
	x->conn->deadline_ns = 0;
	if (!x->begun)
		http_exchange_begin(x);
	if (x->cut || x->conn->hung_up)
		return x->body.reading ? suspend(x) : MHD_NO;
	return x->answer.status ? queue(x) : suspend(x);
}

/* Paths are not unescaped: see http_route_find(). */
static size_t no_unescape(void *arg, struct MHD_Connection *mhd, char *s)
{
	(void)arg;
	(void)mhd;
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

/* TLS 1.3 and 1.2, with authenticated ciphers and forward secrecy only. */
static const char tls_priorities[] =
	"NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-KX-ALL:+ECDHE-ECDSA:+ECDHE-RSA:-CIPHER-ALL:+AES-256-GCM:"
	"+AES-128-GCM:+CHACHA20-POLY1305:-MAC-ALL:+AEAD:%SERVER_PRECEDENCE";

static int start(struct http_server *s, int fd, struct why *why)
{
	bool with_tls = s->how->tls_cert;
	unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG | (with_tls ? MHD_USE_TLS : 0);
	struct MHD_OptionItem tls[] = {{MHD_OPTION_HTTPS_CERT_CALLBACK, 0, (void *)(uintptr_t)http_tls_certificate},
				       {MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)(uintptr_t)tls_priorities},
				       {MHD_OPTION_END, 0, NULL}};
	const struct MHD_OptionItem none[] = {{MHD_OPTION_END, 0, NULL}};

	s->mhd = MHD_start_daemon(
		flags, 0, NULL, NULL, on_request, s, MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL, MHD_OPTION_LISTEN_SOCKET,
		fd, MHD_OPTION_NOTIFY_COMPLETED, on_completed, s, MHD_OPTION_NOTIFY_CONNECTION, on_connection, s,
		MHD_OPTION_URI_LOG_CALLBACK, on_line, s, MHD_OPTION_UNESCAPE_CALLBACK, no_unescape, s,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HTTP_POOL_BYTES, MHD_OPTION_CONNECTION_LIMIT,
		(unsigned)s->how->max_connections, MHD_OPTION_PER_IP_CONNECTION_LIMIT,
		(unsigned)s->how->max_per_address, MHD_OPTION_STRICT_FOR_CLIENT, 0, MHD_OPTION_SIGPIPE_HANDLED_BY_APP,
		1, MHD_OPTION_ARRAY, with_tls ? tls : none, MHD_OPTION_END);
	return s->mhd ? 0 : fail(why, ERR_IO, "libmicrohttpd cannot start");
}

static int listen_and_start(struct http_server *s, struct why *why)
{
	int fd = -1, err = s->how->tls_cert ? http_tls_read(s->how, why) : 0;

	if (!err)
		err = http_listen(s, &fd, why);
	return err ? err : start(s, fd, why);
}

/* A stream needs a descriptor on each side. If the limit of open files is too low, fewer connections are accepted: a
 * client beyond them is refused properly, whereas accept() would fail. */
static void raise_files(struct http_options *how)
{
	enum { OURS = 64 };
	rlim_t want = (rlim_t)how->max_connections * 2 + OURS;
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) || r.rlim_cur >= want)
		return;
	r.rlim_cur = want < r.rlim_max ? want : r.rlim_max;
	setrlimit(RLIMIT_NOFILE, &r);
	if (getrlimit(RLIMIT_NOFILE, &r) || r.rlim_cur >= want)
		return;
	how->max_connections = r.rlim_cur > OURS + 2 ? (int64_t)(r.rlim_cur - OURS) / 2 : 1;
	log_event(LOG_WARN, "--max-connections lowered to fit the limit of open files",
		  " allowed=%ju needed=%ju connections=%jd", (uintmax_t)r.rlim_cur, (uintmax_t)want,
		  (intmax_t)how->max_connections);
}

/* ---- in the loop ---- */

static void on_event(void *data, uint32_t events)
{
	(void)events;
	((struct http_server *)data)->run = true;
}

static int limit_wait(void *data, int ms)
{
	struct http_server *s = data;
	MHD_UNSIGNED_LONG_LONG most;

	if (MHD_get_timeout(s->mhd, &most) == MHD_YES && most < (MHD_UNSIGNED_LONG_LONG)ms) {
		ms = (int)most;
		s->run = true;
	}
	return ms;
}

static void tick(void *data, bool second)
{
	struct http_server *s = data;

	for (struct http_exchange *x = s->exchanges, *next; x; x = next) {
		next = x->next;
		http_exchange_tick(x);
	}
	http_connections_tick(s, second);
	if (second)
		http_budget_trim(s);
	http_linger_tick(s);
	s->run = true; /* at its limit of connections it stops listening, and checks again only when it runs */
}

static void turn(void *data)
{
	struct http_server *s = data;

	if (!s->run || s->held)
		return;
	s->run = false;
	MHD_run(s->mhd);
}

bool http_server_was_passed(const struct http_server *s)
{
	return s->passed;
}

void http_server_hold(struct http_server *s, bool hold)
{
	int fd = MHD_get_daemon_info(s->mhd, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;

	s->held = hold;
	s->run = true;
	http_watch_set(s->loop, &s->watch, hold ? -1 : fd, EPOLLIN);
}

int http_server_open(struct http_server **out, struct http_loop *loop, struct http_options *how,
		     const struct http_route *routes, int n_routes, void *context, struct why *why)
{
	struct http_server *s = *out = xalloc(1, sizeof *s);
	int err = 0;

	s->loop = loop;
	s->how = how;
	s->routes = routes;
	s->n_routes = n_routes;
	s->context = context;
	s->log_fd = -1;
	raise_files(how);
	if (how->key_file)
		err = http_keys_read(&s->keys, how->key_file, why);
	if (!err)
		err = http_access_log_open(s, why);
	if (!err)
		err = http_bodies_open(&s->bodies, loop, why);
	if (!err)
		err = listen_and_start(s, why);
	if (err)
		return err;
	s->watch = (struct http_watch){on_event, s, -1, 0};
	http_server_hold(s, false);
	http_loop_add(loop, (struct http_hook){.limit = limit_wait, .tick = tick, .turn = turn, .data = s});
	return 0;
}

void http_server_reload(struct http_server *s)
{
	struct why why = {""};

	http_access_log_reopen(s);
	if (s->how->key_file && http_keys_reread(s->keys, s->how->key_file, &why))
		log_at(LOG_ERROR, "the old API keys stay: %s", why.text);
	if (s->how->tls_cert && http_tls_read(s->how, &why))
		log_at(LOG_ERROR, "the old certificate stays: %s", why.text);
	log_event(LOG_INFO, "received SIGHUP; files were opened and read again", " keys=%d", http_keys_names(s->keys));
}

static void quiesce(struct http_server *s)
{
	int fd = (int)MHD_quiesce_daemon(s->mhd);

	if (fd >= 0)
		close(fd);
	http_unlisten(s);
}

static void drain_until(struct http_server *s, uint64_t end_ns, bool leaving)
{
	if (!s->draining)
		quiesce(s);
	s->draining = true;
	s->leaving = leaving;
	s->drain_end_ns = end_ns;
}

void http_server_drain(struct http_server *s)
{
	if (!s->draining || s->leaving)
		drain_until(s, in_ms(s->how->drain_ms), false);
}

void http_server_leave(struct http_server *s)
{
	if (!s->draining)
		drain_until(s, UINT64_MAX, true);
}

bool http_server_drained(const struct http_server *s)
{
	int open = s->leaving ? s->count.connections : s->count.exchanges;

	return s->draining && (!open || now_ns() > s->drain_end_ns);
}

/* libmicrohttpd aborts the process if a connection is still suspended when it stops. It must not have the listening
 * socket then, which others may have too. */
static void stop(struct http_server *s)
{
	if (!s->draining)
		quiesce(s);
	for (struct http_connection *c = s->connections; c; c = c->next)
		http_connection_cut(c);
	for (int i = 0; i < 10; i++)
		MHD_run(s->mhd);
	MHD_stop_daemon(s->mhd);
	http_linger_close(s);
}

void http_server_close(struct http_server *s)
{
	if (!s)
		return;
	http_bodies_close(s->bodies);
	if (s->mhd)
		stop(s);
	http_keys_destroy(s->keys);
	http_tls_close();
	http_access_log_close(s);
	free(s);
}
