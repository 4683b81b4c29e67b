/* gateway.h - what the files of xverse-gateway share. HTTP (libmicrohttpd) on one side, libxverse on the other, one
 * thread with one epoll between them; a second thread parses large bodies and does nothing else.
 *
 * A connection holds at most one exchange: a request and its answer. An exchange that needs the daemon has a
 * client of its own, so that closing it cancels all its calls, and one that is not read holds up nobody else.
 * Connections wait suspended; the epoll of ours sees their clients hang up, which libmicrohttpd does not while
 * they are suspended. */
#ifndef RPC_GATEWAY_GATEWAY_H
#define RPC_GATEWAY_GATEWAY_H

#include <jansson.h>
#include <microhttpd.h>
#include <pthread.h>
#include <stdio.h>

#include "base/json/json.h"
#include "rpc/client/xverse.h"
#include "rpc/gateway/http/framing.h"
#include "base/text.h"

enum {
	GW_URI_BYTES = 8 << 10,
	GW_LARGE_BODY = 64 << 10,  /* parsed on the other thread */
	GW_QUEUE_BYTES = 64 << 10, /* of a stream: over it, its daemon connection is not read */
	GW_MODELS = 32,
	GW_LIST = 32, /* --allowed-host, --cors-origin, --trusted-proxy */
	GW_TICK_MS = 100,
};

struct gateway;
struct exchange;

/* What an epoll event is about. */
struct watch {
	enum watch_kind { WATCH_HTTP, WATCH_SIGNAL, WATCH_PARSED, WATCH_CONNECTION, WATCH_EXCHANGE, WATCH_MODEL } kind;
	void *owner;
	int fd; /* registered, -1: none */
	uint32_t events;
};

struct options {
	const char *host, *uds, *key_file, *tls_cert, *tls_key, *access_log;
	int port;
	const char *model_name[GW_MODELS], *model_socket[GW_MODELS];
	int n_models;
	const char *allowed_host[GW_LIST], *cors_origin[GW_LIST];
	const char *trusted_proxy[GW_LIST];
	int n_allowed_hosts, n_cors_origins, n_trusted_proxies;
	int64_t max_body, max_bodies, max_connections, max_per_address, share, head_ms, body_ms, idle_ms, stall_ms,
		ping_ms, drain_ms, resume_ms;
	bool help, print_openapi, check;
};

enum model_state { MODEL_UNREACHABLE, MODEL_SILENT, MODEL_LOADING, MODEL_READY, MODEL_DRAINING };
/* One daemon. */
struct model {
	struct gateway *g;
	struct watch watch;
	const char *name, *socket; /* NULL name: as the daemon says; NULL socket: the default one */
	struct xv_client *client;  /* asks for Status once a second; NULL: to be connected */
	uint64_t asked_id, asked_ns, next_ns;
	enum model_state state;
	bool was_ready;          /* it has been: when it loads again, requests wait for it */
	int64_t created;         /* Unix time of the first answer */
	struct rpc_reply status; /* the last one, kept; kind is RPC_R_NONE where none came */
	bool no_asker;           /* the daemon lets this process ask for nobody but itself */
	char why[512];
};

/* What one API key holds here; without keys there is none. */
struct account {
	char name[65];
	int open; /* requests */
	int64_t held;
};

/* What the memory of a request is for. */
enum budget_part { BUDGET_BODY, BUDGET_JSON, BUDGET_CALLS, BUDGET_ANSWER, BUDGET_PARTS };

struct answer {
	int status; /* 0: none yet */
	const char *type;
	struct text body;
	int retry_after;            /* seconds; 0: none */
	const char *allow, *policy; /* policy: the Content-Security-Policy of a page */
	char ignored[512];          /* names of keys that were not used */
	bool close, ask_key, no_retry, do_retry;
};

/* What an exchange does with the daemon's replies. The owner's state is x->work. */
struct work_ops {
	void (*take)(struct exchange *x, const struct rpc_reply *r);
	void (*tick)(struct exchange *x);                            /* every GW_TICK_MS; may be NULL */
	void (*lost)(struct exchange *x, int err, const char *text); /* the daemon, for good */
	void (*free)(struct exchange *x);
};

struct connection {
	struct gateway *g;
	struct watch watch;
	struct connection *next, **link;
	struct MHD_Connection *http;
	int fd;
	struct exchange *x;
	struct framing framing;
	uint64_t completed;   /* requests */
	bool refused;         /* by its framing, and over */
	uint64_t deadline_ns; /* 0: none; then the connection is cut */
	bool hung_up, linger;
	uint64_t given, stall_given, stall_ns; /* bytes handed to libmicrohttpd; as last seen, when that changed */
	int stall_unsent;
	char address[64];
};

struct exchange {
	struct gateway *g;
	struct connection *conn;
	struct watch watch; /* of the client's descriptor */
	struct exchange *next, **link;
	const struct route *route;
	const char *path;                    /* valid during the exchange */
	char method[12], id[132], asks[129]; /* asks: who does, for turns in the daemon */
	const char *tail; /* what follows the path of a route that takes it, an allocated copy is in tail_copy */
	char *tail_copy, *origin;
	bool http11, has_body, begun, suspended, parsing, cut, queued; /* queued: the answer is libmicrohttpd's */
	struct text body;
	int64_t dropped; /* bytes of a refused body */
	int64_t held[BUDGET_PARTS];
	struct account *account; /* NULL: no key */
	struct json_doc *doc;    /* of the body, until the request is made from it */
	struct model *model;
	struct answer answer;
	uint64_t start_ns;

	struct xv_client *client;
	const struct work_ops *ops;
	void *work;
	uint64_t prompt_tokens, output_tokens; /* for the log */
	int resends;                           /* of the client, as last seen */
	uint32_t queue_place;                  /* of its last call that is still in the daemon's queue; 0: none is */

	struct stream {
		bool on, ended, clean, held;
		struct text queue; /* from `sent` on */
		size_t sent;
		uint64_t put_ns, bytes;
	} stream;
};

struct route {
	const char *method, *path;         /* a path that ends in '/' takes what follows it too */
	bool open;                         /* without a key */
	void (*begin)(struct exchange *x); /* answers, or starts work */
};

struct counters {
	uint64_t by_class[6], streams, hang_ups, refused_filter, refused_key, stalls, deadlines, pings, log_lost,
		refused_framing, refused_memory, resends;
};

struct gateway {
	struct options how;
	int epoll_fd, signal_fd;
	struct watch http_watch, signal_watch, parsed_watch;
	struct MHD_Daemon *http;
	bool run_http, draining, loopback;
	int signals;
	uint64_t drain_end_ns, tick_ns, second_ns, started_ns;
	struct connection *connections;
	struct exchange *exchanges;
	int n_connections, n_exchanges;
	int64_t held, freed; /* memory of all exchanges; given back in this second */
	int trims;           /* still to come */
	struct model models[GW_MODELS];
	int n_models;
	struct lingerer *lingering;
	struct keys *keys; /* NULL: no key wanted */
	struct parser *parser;
	int log_fd; /* -1: none */
	struct counters count;
	struct epoll_event *batch; /* events not yet handled: watch_forget() empties those of one that goes */
	int n_batch;
};

/* loop.c */
void watch_set(struct gateway *g, struct watch *w, int fd, uint32_t events); /* fd -1: none */
void watch_gone(struct gateway *g, struct watch *w); /* closing removed the descriptor, or it is about to be closed */
int loop_run(struct gateway *g);

/* http.c: the side of libmicrohttpd */
int http_open(struct gateway *g, struct why *why);
void http_close(struct gateway *g);
void http_quiesce(struct gateway *g);
void connection_hung_up(struct connection *c);
void connection_cut(struct connection *c);
void connections_look(struct gateway *g, bool second); /* deadlines; stalled readers once a second */
void lingerers_look(struct gateway *g);

/* tap.c: the bytes that libmicrohttpd reads */
void tap_add(struct connection *c, int fd);
void tap_remove(int fd);
void tap_completed(struct connection *c); /* a request was answered to its end */

/* exchange.c */
struct exchange *exchange_create(struct connection *c, const char *method, const char *path, const char *version);
void exchange_destroy(struct exchange *x);
void exchange_begin(struct exchange *x); /* the whole request is there */
void exchange_parsed(struct exchange *x, struct json_doc *doc, const struct json_error *e);
void exchange_hung_up(struct exchange *x);
void exchange_wake(struct exchange *x); /* libmicrohttpd looks at it again */
void exchange_tick(struct exchange *x);
void exchange_read(struct exchange *x); /* replies of the daemon */
void exchange_arm(struct exchange *x);  /* waits for more of them */
/* Opens the exchange's client; false: answered with an error. */
bool exchange_connect(struct exchange *x);
/* xv_send() in the name of who asked. */
uint64_t exchange_send(struct exchange *x, struct rpc_request *r);
const struct json *exchange_json(const struct exchange *x); /* the body; NULL once it was given up */
void exchange_drop_json(struct exchange *x);
void exchange_name_asker(struct exchange *x, const char *user); /* NULL or "": by address */
void exchange_forget_daemon(struct exchange *x);
const char *exchange_header(const struct exchange *x, const char *name); /* NULL: not there */
/* What system_fingerprint says: who computed this, and by which arithmetic. */
void exchange_receipt(struct text *out, const char *fingerprint, const char *numerics_class);

/* budget.c */
void budget_open(void);
/* What this part of the exchange takes from now on. 0, or the status to refuse with: nothing changed then. Less is
 * always taken. */
int budget_set(struct exchange *x, enum budget_part part, int64_t bytes);
const char *budget_text(int status);
void budget_leave(struct exchange *x);
void budget_trim(struct gateway *g);
int64_t budget_share(const struct gateway *g, int64_t of); /* the most that one key may have of what all have */

/* answer.c */
void answer_text(struct exchange *x, int status, const char *type, struct text *body); /* takes body's memory */
void answer_json(struct exchange *x, int status, json_t *j);                           /* takes the reference */
/* The error object of the API. type NULL: the usual one of the status; code and param may be NULL. */
void answer_error(struct exchange *x, int status, const char *code, const char *param, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));
/* An ERR_* of the daemon or of libxverse. */
void answer_err(struct exchange *x, int err, const char *text, uint32_t retry_ms);
/* The same as a piece of JSON, for a stream. */
void error_object(struct text *t, int status, const char *code, const char *param, const char *message);
int error_status(int err, const char **code);
const char *error_told(int err, const char *text); /* what clients may know of it; the rest is logged */
struct MHD_Response *answer_response(struct exchange *x);
void answer_headers(struct exchange *x, struct MHD_Response *r);

/* sse.c */
void stream_begin(struct exchange *x);
void stream_event(struct exchange *x, const struct text *json);
void stream_end(struct exchange *x, bool clean);
void stream_error(struct exchange *x, int err, const char *text);
void stream_refuse(struct exchange *x, int status, const char *code, const char *text);
void stream_tick(struct exchange *x);
struct MHD_Response *stream_response(struct exchange *x);

/* filter.c: status 0, or a refusal */
struct refusal {
	int status;
	const char *code;
	char text[200];
	bool close;
};
void filter_request(struct exchange *x, struct refusal *out);
void filter_policy(struct exchange *x, struct refusal *out); /* Host, Origin, key, content type */

/* keys.c */
int keys_read(struct keys **out, const char *path, struct why *why);
/* NULL: none of them. In the same time whatever the key. */
struct account *keys_match(struct keys *k, const char *authorization);
int keys_names(const struct keys *k); /* different ones; 0 for NULL */
void keys_destroy(struct keys *k);

/* routes.c */
const struct route *route_find(const char *method, const char *path, const char **allow, const char **tail);
const struct route *route_all(int *n);

/* parse.c: the other thread */
int parser_start(struct gateway *g, struct why *why);
void parser_stop(struct gateway *g);
void parser_put(struct exchange *x);
void parser_take(struct gateway *g); /* what is done */

/* model.c */
void models_open(struct gateway *g);
void models_close(struct gateway *g);
void model_look(struct model *m); /* its descriptor is ready, or a tick */
/* By the request's "model"; NULL: answered with an error. */
struct model *model_of(struct exchange *x);
const char *model_name(const struct model *m);
const struct rpc_status *model_status(const struct model *m); /* NULL: none came yet */

/* log.c */
void access_log(const struct exchange *x);

/* options.c */
int options_parse(struct options *o, int argc, char **argv, struct why *why);
void options_help(FILE *f);

/* The endpoints. */
void get_page(struct exchange *x);
void get_health(struct exchange *x);
void get_ready(struct exchange *x);
void get_models(struct exchange *x);
void get_model(struct exchange *x);
void get_version(struct exchange *x);
void get_server_info(struct exchange *x);
void get_metrics(struct exchange *x);
void get_openapi(struct exchange *x);
void get_tokenizer_info(struct exchange *x);
void post_tokenize(struct exchange *x);
void post_detokenize(struct exchange *x);
void post_completions(struct exchange *x);
void post_chat(struct exchange *x);
void post_cancel(struct exchange *x);
void get_request(struct exchange *x);

json_t *openapi_document(void);

#endif
