/* token_call.h - one call of the daemon that turns text into tokens, or back. */
#ifndef RPC_GATEWAY_API_TOKEN_CALL_H
#define RPC_GATEWAY_API_TOKEN_CALL_H

#include "rpc/gateway/api/chat.h"
#include "rpc/gateway/api/upstream.h"

struct api_token_call {
	struct http_exchange *x;
	struct api_upstream *up;
	bool strings; /* return_token_strs */
	int32_t *ids; /* freed with the call, as is the chat */
	struct api_chat chat;
};

/* Attaches a call to the exchange, which owns it, for the model that the body names. Returns NULL where it answered
 * with an error. */
struct api_token_call *api_token_call_create(struct http_exchange *x);
/* Sends the request, of so many bytes, or answers with an error. */
void api_token_call_send(struct api_token_call *c, struct xv_request *r, size_t bytes);

#endif
