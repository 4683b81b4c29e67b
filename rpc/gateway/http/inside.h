/* inside.h - the structs of the HTTP side, and what its files call of each other.
 *
 * A connection holds at most one exchange: a request and its response. Connections wait suspended; the loop's epoll
 * sees their clients hang up, which libmicrohttpd does not while they are suspended. */
#ifndef RPC_GATEWAY_HTTP_INSIDE_H
#define RPC_GATEWAY_HTTP_INSIDE_H

#include <gnutls/abstract.h>
#include <microhttpd.h>
#include <sys/socket.h>

#include "base/base.h"
#include "base/text.h"
#include "rpc/gateway/http/answer.h"
#include "rpc/gateway/http/bodies.h"
#include "rpc/gateway/http/budget.h"
#include "rpc/gateway/http/counts.h"
#include "rpc/gateway/http/exchange.h"
#include "rpc/gateway/http/framing.h"
#include "rpc/gateway/http/loop.h"
#include "rpc/gateway/http/options.h"
#include "rpc/gateway/http/route.h"
#include "rpc/gateway/http/server.h"
#include "rpc/gateway/http/stream.h"
#include "rpc/server/listen.h"

enum {
	HTTP_URI_BYTES = 8 << 10,
	HTTP_QUEUE_BYTES = 64 << 10, /* of a stream: above it the exchange's work is paused */
	/* Of a connection: room for the longest head, libmicrohttpd's tables of its lines, a piece of the body and the
	 * response's head. */
	HTTP_POOL_BYTES = 28 << 10,
};

/* What the requests of one API key hold. */
struct http_account {
	char name[65];
	int open; /* requests */
	int64_t held;
};

struct http_connection {
	struct http_server *server;
	struct http_watch watch;
	struct http_connection *next, **link;
	struct MHD_Connection *mhd;
	int fd;
	struct http_exchange *x;
	struct http_framing framing;
	uint64_t completed;   /* requests */
	bool refused;         /* because of its framing; nothing more is read */
	uint64_t deadline_ns; /* 0: none; after it the connection is closed */
	bool hung_up, linger;
	bool shut; /* the gateway has ended its input, so that libmicrohttpd closes it */
	uint64_t given, stall_given,
		stall_ns; /* bytes passed to libmicrohttpd; as last seen; when stall_* last changed */
	int stall_unsent;
	char address[64];
};

/* What the request line and the headers say. */
struct http_head {
	char method[12], id[132];
	const char *path; /* libmicrohttpd keeps it during the exchange */
	const struct http_route *route;
	char *tail;   /* a copy of what follows the route's path */
	char *origin; /* an allowed one, for CORS; NULL: none */
	struct http_account *account;
	bool http11, has_body;
};

struct http_request_body {
	struct text bytes;
	struct json_doc *doc; /* until the route has made its request from it */
	int64_t dropped;      /* bytes of a refused body */
	bool reading;         /* on the other thread */
};

struct http_answer {
	int status; /* 0: none yet */
	const char *type;
	struct text body;
	int retry_after; /* seconds; 0: none */
	enum http_retry retry;
	const char *policy; /* the Content-Security-Policy of a page */
	char allow[64];     /* methods, for 405 */
	char ignored[512];  /* names of keys that were not used */
	bool close, ask_key;
};

struct http_stream {
	bool on, ended, clean, paused, named;
	struct text queue; /* from `sent` on */
	size_t sent;
	uint64_t put_ns;
};

struct http_exchange {
	struct http_server *server;
	struct http_connection *conn;
	struct http_exchange *next, **link;
	struct http_head head;
	struct http_request_body body;
	struct http_answer answer;
	struct http_stream stream;
	struct http_work work;
	int64_t held[HTTP_BUDGET_PARTS];
	bool begun, suspended, cut, queued; /* queued: libmicrohttpd has the response */
	uint64_t start_ns, sent_bytes;
};

struct http_server {
	struct http_options *how;
	struct http_loop *loop;
	const struct http_route *routes;
	int n_routes;
	void *context;
	struct http_watch watch;
	struct MHD_Daemon *mhd;
	struct rpc_listener unix_socket; /* with --uds */
	bool run;                        /* libmicrohttpd in this turn */
	bool draining, loopback;
	bool passed, shown;    /* another process has the listening socket, too: it gave it, or was given it */
	bool held;             /* nothing is accepted yet */
	bool leaving;          /* draining without a limit: until the last connection has ended */
	uint64_t drain_end_ns; /* UINT64_MAX: none */
	struct http_connection *connections;
	struct http_exchange *exchanges;
	struct http_lingerer *lingering;
	struct http_keys *keys; /* NULL: no key is needed */
	struct http_bodies *bodies;
	int64_t freed; /* bytes freed within this second */
	int trims;     /* calls of malloc_trim() that are due */
	int log_fd;    /* -1: none */
	struct http_counts count;
};

/* connections.c */
struct http_connection *http_connection_create(struct http_server *s, struct MHD_Connection *mhd);
void http_connection_destroy(struct http_connection *c);
struct http_connection *http_connection_of(struct MHD_Connection *mhd);
void http_connection_cut(struct http_connection *c);
void http_connections_tick(struct http_server *s, bool second); /* deadlines; stalled readers once a second */

/* linger.c */
void http_linger(struct http_server *s, int fd);
void http_linger_tick(struct http_server *s);
void http_linger_close(struct http_server *s);

/* tap.c: the bytes that libmicrohttpd reads */
void http_tap_add(struct http_connection *c);
void http_tap_remove(int fd);
/* Called when a request was answered to its end. Returns true if the connection was refused: disconnect it. */
bool http_tap_completed(struct http_connection *c);

/* exchange.c */
struct http_exchange *http_exchange_create(struct http_connection *c, const char *method, const char *path,
					   const char *version);
void http_exchange_destroy(struct http_exchange *x);
void http_exchange_begin(struct http_exchange *x); /* the whole request has arrived */
void http_exchange_hung_up(struct http_exchange *x);
void http_exchange_tick(struct http_exchange *x);
bool http_exchange_is_sent(const struct http_exchange *x); /* libmicrohttpd has all of the response */

/* head.c */
void http_wake(struct http_exchange *x); /* libmicrohttpd looks at it again */
void http_head_set_id(struct http_exchange *x);

/* budget.c */
void http_budget_leave(struct http_exchange *x);
void http_budget_trim(struct http_server *s);
int64_t http_budget_share(const struct http_server *s,
			  int64_t of); /* the most that one key may have of what all have */

/* answer.c */
struct MHD_Response *http_answer_response(struct http_exchange *x);
void http_answer_headers(struct http_exchange *x, struct MHD_Response *r);

/* stream.c */
struct MHD_Response *http_stream_response(struct http_exchange *x);
void http_stream_tick(struct http_exchange *x);

/* filter.c: status 0, or a refusal */
struct http_refusal {
	int status;
	const char *code;
	char text[200];
	bool close;
};
void http_filter_head(struct http_exchange *x, struct http_refusal *out);
void http_filter_policy(struct http_exchange *x, struct http_refusal *out); /* Host, Origin, key, content type */

/* keys.c */
int http_keys_read(struct http_keys **out, const char *path, struct why *why);
/* Returns NULL for an unknown key, in the same time whatever the key. */
struct http_account *http_keys_match(struct http_keys *k, const char *authorization);
/* Takes the keys of the file as it is now; accounts of requests that are open stay. On an error nothing changes. */
int http_keys_reread(struct http_keys *k, const char *path, struct why *why);
int http_keys_names(const struct http_keys *k); /* different ones; 0 for NULL */
void http_keys_destroy(struct http_keys *k);

/* tls.c: one certificate for the process */
/* Reads --tls-cert and --tls-key, which then hold for new connections. On an error nothing changes. */
int http_tls_read(const struct http_options *how, struct why *why);
/* For libmicrohttpd, as a gnutls_certificate_retrieve_function2. */
int http_tls_certificate(gnutls_session_t session, const gnutls_datum_t *names, int n_names,
			 const gnutls_pk_algorithm_t *algorithms, int n_algorithms, gnutls_pcert_st **chain,
			 unsigned *n, gnutls_privkey_t *key);
void http_tls_close(void);

/* access_log.c */
int http_access_log_open(struct http_server *s, struct why *why);
void http_access_log_reopen(struct http_server *s); /* an error is logged, and the old file stays in use */
void http_access_log(const struct http_exchange *x);
void http_access_log_close(struct http_server *s);

/* listen.c: an address and a port, or a Unix socket */
/* Also sets s->loopback: only this machine can connect. Logs where it listens. */
int http_listen(struct http_server *s, int *fd, struct why *why);
void http_unlisten(struct http_server *s); /* removes a Unix socket that no other process has */

/* passed.c */
/* The listening socket of this address among those that were passed to this process (LISTEN_FDS), or -1; the others are
 * closed. */
int http_passed(const struct sockaddr *asked);
/* The same of the socket at a path, in *out. A launcher passes the file whose flock protects the path behind it
 * (rpc/server/listen.h); without that file the socket must have been bound to this path. False: there is none. */
bool http_passed_unix(struct rpc_listener *out, const char *path);

#endif
