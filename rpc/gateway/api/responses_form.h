/* responses_form.h - the answer of /v1/responses: a list of items (reasoning, messages, calls), whole or as events. */
#ifndef RPC_GATEWAY_API_RESPONSES_FORM_H
#define RPC_GATEWAY_API_RESPONSES_FORM_H

#include "base/json/json.h"
#include "rpc/gateway/api/generation.h"

/* Gives the generation this form. Keys of the body that an answer repeats are copied. */
void api_responses_begin(struct api_generation *w, const struct json *body);

#endif
