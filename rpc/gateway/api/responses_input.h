/* responses_input.h - the conversation of a request of /v1/responses, in the terms of a chat. */
#ifndef RPC_GATEWAY_API_RESPONSES_INPUT_H
#define RPC_GATEWAY_API_RESPONSES_INPUT_H

#include "base/json/json.h"

/* Makes the body of a chat that says the same: messages, tools, tool_choice, parallel_tool_calls, documents and
 * chat_template_kwargs. The document, of which the caller takes charge also after an error, points into the body's.
 * ERR_INVALID; *param then names the field. */
int api_responses_to_chat(struct json_doc **out, const struct json *body, const char **param, struct why *why);

#endif
