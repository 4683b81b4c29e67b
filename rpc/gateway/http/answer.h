/* answer.h - whole responses, and the error object of the API. */
#ifndef RPC_GATEWAY_HTTP_ANSWER_H
#define RPC_GATEWAY_HTTP_ANSWER_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"
#include "rpc/gateway/http/exchange.h"

/* Each of these is the whole response. The first frees body's memory, the second releases j. */
void http_answer_text(struct http_exchange *x, int status, const char *type, struct text *body);
void http_answer_json(struct http_exchange *x, int status, json_t *j);
/* Answers with the error object; code and param may be NULL. */
void http_answer_error(struct http_exchange *x, int status, const char *code, const char *param, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));

/* Appends the error object as JSON. */
void http_error_json(struct text *t, int status, const char *code, const char *param, const char *message);

/* These set headers of the response that follows: Retry-After (0: none) and x-should-retry, X-Ignored-Fields (up to 511
 * bytes, copied), and the Content-Security-Policy of a page (a static string). */
enum http_retry { HTTP_RETRY_BY_STATUS, HTTP_RETRY_NEVER, HTTP_RETRY_ALWAYS };
void http_answer_retry(struct http_exchange *x, int after_seconds, enum http_retry retry);
void http_answer_ignored(struct http_exchange *x, const char *names);
void http_answer_policy(struct http_exchange *x, const char *policy);

int64_t http_answer_bytes(const struct http_exchange *x); /* memory of a body that is not sent yet */

#endif
