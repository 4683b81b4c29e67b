/* answer.h - whole responses, and the error object of the API. */
#ifndef RPC_GATEWAY_HTTP_ANSWER_H
#define RPC_GATEWAY_HTTP_ANSWER_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"
#include "rpc/gateway/http/exchange.h"

void http_answer_text(struct http_exchange *x, int status, const char *type,
		      struct text *body);                              /* takes body's memory */
void http_answer_json(struct http_exchange *x, int status, json_t *j); /* takes the reference */
/* The error object; code and param may be NULL. */
void http_answer_error(struct http_exchange *x, int status, const char *code, const char *param, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));

/* The error object as JSON. */
void http_error_json(struct text *t, int status, const char *code, const char *param, const char *message);

/* Headers of the answer that follows. */
enum http_retry { HTTP_RETRY_BY_STATUS, HTTP_RETRY_NEVER, HTTP_RETRY_ALWAYS };             /* x-should-retry */
void http_answer_retry(struct http_exchange *x, int after_seconds, enum http_retry retry); /* 0: no Retry-After */
void http_answer_ignored(struct http_exchange *x, const char *names); /* X-Ignored-Fields, up to 511 bytes */
void http_answer_policy(struct http_exchange *x, const char *policy); /* a page's Content-Security-Policy, static */

int64_t http_answer_bytes(const struct http_exchange *x); /* of a body that is not sent yet */

#endif
