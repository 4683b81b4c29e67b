/* logprobs.h - logprobs in the forms of both endpoints, as JSON that is being written. */
#ifndef RPC_GATEWAY_API_LOGPROBS_H
#define RPC_GATEWAY_API_LOGPROBS_H

#include "base/text.h"
#include "rpc/codec/codec.h"
#include "rpc/gateway/api/fields.h"

/* Completions have four lists, chat has one (in `tokens`). */
struct api_logprobs {
	struct text tokens, values, top, offsets;
	int n;
	size_t characters; /* of all tokens sent so far: the next text_offset */
};

void api_logprobs_add(struct api_logprobs *l, const struct api_request *a, bool is_chat, const struct xv_token *t);
/* Writes the tokens added since the last call, or "null" where there are none. */
void api_logprobs_write(struct text *t, struct api_logprobs *l, bool is_chat);
size_t api_logprobs_bytes(const struct api_logprobs *l); /* memory */
void api_logprobs_finish(struct api_logprobs *l);

/* vLLM's prompt_logprobs: appends an entry to a list. */
void api_prompt_logprobs_add(struct text *out, const struct api_request *a, const struct xv_token *t);

#endif
