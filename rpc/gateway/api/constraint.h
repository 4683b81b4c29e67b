/* constraint.h - what an answer must be, under the names that clients of other servers use. */
#ifndef RPC_GATEWAY_API_CONSTRAINT_H
#define RPC_GATEWAY_API_CONSTRAINT_H

#include "base/json/json.h"
#include "rpc/gateway/api/fields.h"

/* Fills a->sampling.constraint; *param names the field of a refusal. ERR_INVALID. */
int api_constraint_read(struct api_request *a, const struct json *body, const char **param, struct why *why);
/* The same of one value in the form of response_format, which stands at `name`. */
int api_constraint_read_format(struct api_request *a, const char *name, const struct json *v, struct why *why);
void api_constraint_finish(struct api_request *a);
size_t api_constraint_bytes(const struct api_request *a);

#endif
