/* render.h - completions and chats as clients read them: pieces of a stream and whole responses. */
#ifndef RPC_GATEWAY_API_RENDER_H
#define RPC_GATEWAY_API_RENDER_H

#include "rpc/gateway/api/generation.h"

extern const struct api_form api_render_form;

/* Tokens of all choices; a prompt counts once. The access log gets them, too. */
struct api_usage {
	uint64_t prompt, cached, output;
};
struct api_usage api_usage_of(struct api_generation *w);

#endif
