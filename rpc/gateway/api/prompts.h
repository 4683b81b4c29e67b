/* prompts.h - "prompt" of /v1/completions: a string, token ids, or a list of either. */
#ifndef RPC_GATEWAY_API_PROMPTS_H
#define RPC_GATEWAY_API_PROMPTS_H

#include "base/json/json.h"
#include "rpc/codec/codec.h"

struct api_prompts {
	struct xv_prompt *prompt; /* owns its strings and ids */
	int n;
	size_t bytes, longest; /* of all prompts; of the longest */
};

/* Reads the value of "prompt". Call api_prompts_finish() also after an error. ERR_INVALID. */
int api_prompts_read(struct api_prompts *p, const struct json *value, struct why *why);
void api_prompts_finish(struct api_prompts *p);

#endif
