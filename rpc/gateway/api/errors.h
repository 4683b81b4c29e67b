/* errors.h - what an ERR_* of the daemon, or of libxverse, is over HTTP. */
#ifndef RPC_GATEWAY_API_ERRORS_H
#define RPC_GATEWAY_API_ERRORS_H

#include "rpc/gateway/daemons.h"
#include "rpc/gateway/http/exchange.h"

/* Answers with the error object. The daemon, whose context is named where a prompt is too long, may be NULL. retry_ms:
 * for Retry-After where the status has one. */
void api_answer_err(struct http_exchange *x, const struct gateway_daemon *d, int err, const char *text,
		    uint32_t retry_ms);
/* What a stream that has begun says of an error. */
struct api_shown_error {
	int status;
	const char *code, *text; /* code may be NULL */
};
struct api_shown_error api_shown_error(int err, const char *text);

#endif
