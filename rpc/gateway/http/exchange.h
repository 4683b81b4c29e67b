/* exchange.h - one request and its response, as endpoints see it. A route's begin() answers at once (answer.h,
 * stream.h) or attaches work that answers later. */
#ifndef RPC_GATEWAY_HTTP_EXCHANGE_H
#define RPC_GATEWAY_HTTP_EXCHANGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/json/json.h"
#include "rpc/gateway/http/counts.h"
#include "rpc/gateway/http/route.h"

struct http_exchange;

/* What the access log says about the work of an exchange. */
struct http_work_log {
	const char *model; /* NULL: none */
	uint64_t prompt_tokens, output_tokens;
};

/* What an exchange waits for besides its client. pause() is called when the client starts to read too slowly for a
 * stream, and when it has caught up. Each function except free() may be NULL. */
struct http_work {
	void (*tick)(void *data); /* every HTTP_TICK_MS */
	void (*pause)(void *data, bool paused);
	void (*stop)(void *data); /* the client disconnected: nothing is sent any more */
	void (*log)(void *data, struct http_work_log *out);
	void (*free)(void *data);
	void *data;
};
void http_attach(struct http_exchange *x, struct http_work work); /* at most once for an exchange */

void *http_context(const struct http_exchange *x); /* as given to http_server_open() */
const struct http_route *http_routes(const struct http_exchange *x, int *n);
const struct http_counts *http_counts(const struct http_exchange *x);

/* Strings and values below live as long as the exchange. */
const char *http_request_id(const struct http_exchange *x);  /* the client's X-Request-Id, or one made here */
const char *http_tail(const struct http_exchange *x);        /* what follows a route's path that ends in '/' */
bool http_can_stream(const struct http_exchange *x);         /* HTTP/1.1: it has chunked coding */
const char *http_key_name(const struct http_exchange *x);    /* equal pointers: the same key; NULL: no keys are used */
const struct json *http_body(const struct http_exchange *x); /* until begin() of a route with HTTP_JSON returns */
const char *http_header(const struct http_exchange *x, const char *name); /* NULL: absent */
/* The client's address; behind a proxy of --trusted-proxy the one that the proxy names. "unix" for a Unix socket. */
void http_client_address(const struct http_exchange *x, char out[64]);

#endif
