/* upstream.h - the daemon's side of an exchange: a client of libxverse of its own, so that closing it cancels all its
 * calls and one that is not read holds up no other. */
#ifndef RPC_GATEWAY_API_UPSTREAM_H
#define RPC_GATEWAY_API_UPSTREAM_H

#include "base/text.h"
#include "rpc/codec/codec.h"
#include "rpc/xverse.h"
#include "rpc/gateway/daemons.h"
#include "rpc/gateway/http/exchange.h"

/* What all endpoints share: http_context() of an exchange. */
struct api_context {
	struct gateway_daemons *daemons;
	struct api_upstream *upstreams;
	const char *title; /* of the web page; NULL: its own */
	int resume_ms;     /* how long to wait for a lost daemon */
	uint64_t resends;  /* calls sent again because their daemon was lost */
};
struct api_context *api_context(const struct http_exchange *x);

/* What an endpoint does with the daemon's replies. lost() is called when the daemon is lost for good. */
struct api_calls {
	void (*take)(void *data, const struct xv_reply *r);
	void (*tick)(void *data); /* every HTTP_TICK_MS while connected; may be NULL */
	void (*lost)(void *data, int err, const char *text);
	void (*cancel)(void *data); /* another request asks for it; NULL: not possible */
	void (*free)(void *data);
	void *data;
};

struct api_upstream {
	struct http_exchange *x;
	struct api_context *context;
	struct api_upstream *next, **link;
	struct gateway_daemon *daemon;         /* NULL: of no model */
	char *adapter;                         /* of the daemon, which "model" names; NULL: none */
	struct xv_client *client;              /* NULL: not connected */
	struct http_watch watch;               /* of the client's descriptor */
	struct api_calls calls;                /* free NULL: none yet */
	char asker[129];                       /* the client's name, for turns in the daemon */
	bool paused;                           /* the HTTP client reads too slowly: the daemon is not read */
	int resends;                           /* of the client, as last seen */
	uint32_t queue_place;                  /* of its last call in the daemon's queue; 0: none is queued */
	uint64_t prompt_tokens, output_tokens; /* for the access log */
};

/* Attaches an upstream to the exchange, which owns it: for the daemon that "model" of the body names, or for none. The
 * first returns NULL if it answered with an error. */
struct api_upstream *api_upstream_for_model(struct http_exchange *x);
struct api_upstream *api_upstream_for_none(struct http_exchange *x);

/* The model's name in answers: the adapter's where there is one. */
const char *api_upstream_model(const struct api_upstream *u);
/* Connects to the daemon. Returns false if it answered with an error. */
bool api_upstream_connect(struct api_upstream *u);
/* xv_send() in the name of the client. */
uint64_t api_upstream_send(struct api_upstream *u, struct xv_request *r);
void api_upstream_wait(struct api_upstream *u);  /* for replies; call this after sending */
void api_upstream_close(struct api_upstream *u); /* cancels what is open */

/* Appends what "system_fingerprint" says: which model, with which adapter, computed a response, and by which
 * arithmetic.
 */
void api_put_receipt(struct text *out, const struct xv_started *s);

#endif
