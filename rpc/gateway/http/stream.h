/* stream.h - a response in pieces: server-sent events in chunked coding. The last chunk is sent only after a whole
 * answer, so that a client can recognise a broken one. "id:" and "retry:" are never sent, since official clients trip
 * over them. */
#ifndef RPC_GATEWAY_HTTP_STREAM_H
#define RPC_GATEWAY_HTTP_STREAM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"
#include "rpc/gateway/http/exchange.h"

void http_stream_begin(struct http_exchange *x);
bool http_stream_begun(const struct http_exchange *x);
void http_stream_event(struct http_exchange *x, const struct text *json);
/* The same with an "event:" line. Streams of such events end without "data: [DONE]". */
void http_stream_named_event(struct http_exchange *x, const char *name, const struct text *json);
void http_stream_end(struct http_exchange *x, bool clean); /* clean: with "data: [DONE]" and the last chunk */
/* Sends an event with the error object and ends without the last chunk. */
void http_stream_error(struct http_exchange *x, int status, const char *code, const char *text);
int64_t http_stream_bytes(const struct http_exchange *x); /* memory of what is queued */

#endif
