/* tools.h - the tools of a chat request. */
#ifndef RPC_GATEWAY_API_TOOLS_H
#define RPC_GATEWAY_API_TOOLS_H

#include "base/json/json.h"
#include "rpc/codec/codec.h"

/* Checks tools, tool_choice and parallel_tool_calls of a body and sets the last two in *c. *name receives an allocated
 * string that c->tool_name points to, or NULL. ERR_INVALID; *param then names the field. */
int api_tools_read(struct xv_chat *c, char **name, const struct json *body, const char **param, struct why *why);
/* Checks what message number i has to say on calls, their results and reasoning, which templates read. ERR_INVALID. */
int api_tools_check_message(const struct json *message, int i, struct why *why);

#endif
