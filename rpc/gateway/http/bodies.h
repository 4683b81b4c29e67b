/* bodies.h - JSON bodies: their limits, and a thread that reads those that would hold up every stream (20 ms a MiB). */
#ifndef RPC_GATEWAY_HTTP_BODIES_H
#define RPC_GATEWAY_HTTP_BODIES_H

#include <stddef.h>

#include "base/base.h"
#include "base/json/json.h"
#include "base/text.h"
#include "rpc/gateway/http/loop.h"

enum {
	HTTP_LARGE_BODY = 64 << 10, /* read on the other thread */
	HTTP_JSON_DEPTH = 64,       /* of lists and objects in each other */
	HTTP_JSON_VALUES = 1 << 18, /* values in a body, token ids included */
};

/* Returns NULL with the reason and its place for: anything but one JSON value, duplicate keys, NaN, too deep a nesting,
 * too many values. May be called on any thread. */
struct json_doc *http_read_json(const char *data, size_t len, struct json_error *e);

struct http_bodies;

int http_bodies_open(struct http_bodies **out, struct http_loop *loop, struct why *why);
/* Moves *body to the other thread, which reads it. done() is then called on the loop's thread: doc is the callee's, or
 * NULL with the reason in e. */
void http_bodies_put(struct http_bodies *b, struct text *body,
		     void (*done)(void *data, struct json_doc *doc, const struct json_error *e), void *data);
void http_bodies_close(struct http_bodies *b); /* calls done() for all that is left; NULL is fine */

#endif
