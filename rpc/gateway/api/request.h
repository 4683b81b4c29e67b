/* request.h - reads a generation request from JSON. */
#ifndef RPC_GATEWAY_API_REQUEST_H
#define RPC_GATEWAY_API_REQUEST_H

#include "base/json/json.h"
#include "rpc/codec/codec.h"
#include "rpc/gateway/api/fields.h"

/* Appends prefix and key to a list of names for a header. Names that a header cannot hold are left out, and so are
 * those that do not fit. */
void api_note_ignored(char ignored[512], const char *prefix, const char *key);

/* Reads all fields of a body but prompt and messages. The request owns what its `sampling` points to; free it with
 * api_request_finish() also after an error. ERR_INVALID; *param then names the field (a static string) or is NULL. */
int api_request_read(struct api_request *a, const struct json *body, enum api_where where, const char **param,
		     struct why *why);
void api_request_finish(struct api_request *a);
size_t api_request_bytes(const struct api_request *a); /* of its lists and strings, which each call carries */

/* Reads a list of at most `most` token ids, which the caller frees. ERR_INVALID. */
int api_read_ids(const struct json *value, const char *name, int most, int32_t **out, int *n, struct why *why);

#endif
