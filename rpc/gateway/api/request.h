/* request.h - reads a generation request from JSON. */
#ifndef RPC_GATEWAY_API_REQUEST_H
#define RPC_GATEWAY_API_REQUEST_H

#include "base/json/json.h"
#include "rpc/codec/codec.h"
#include "rpc/gateway/api/fields.h"

/* Adds "prefix.key" to a list of names; what a header cannot say, or has no room for, is left out. */
void api_note_ignored(char ignored[512], const char *prefix, const char *key);

/* ERR_INVALID with *param naming the field (a static string). Pointers in `sampling` are owned by the ask. */
int api_request_read(struct api_request *a, const struct json *body, enum api_where where, const char **param,
		     struct why *why);
void api_request_finish(struct api_request *a);
size_t api_request_bytes(const struct api_request *a); /* of its lists and texts: what each call carries of it */

/* "prompt": a text, token ids, or a list of either. */
struct api_prompts {
	struct rpc_prompt *prompt; /* texts and ids are owned */
	int n;
	size_t bytes, longest; /* of all of them, and of one */
};
int api_prompts_read(struct api_prompts *p, const struct json *value, struct why *why);
void api_prompts_finish(struct api_prompts *p);
/* A list of token ids. */
int api_read_ids(const struct json *value, const char *name, int most, int32_t **out, int *n, struct why *why);

#endif
