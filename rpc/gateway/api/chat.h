/* chat.h - the conversation of a request. */
#ifndef RPC_GATEWAY_API_CHAT_H
#define RPC_GATEWAY_API_CHAT_H

#include "base/json/json.h"
#include "rpc/codec/codec.h"

struct api_chat {
	struct rpc_chat chat; /* sampling, resume and user are left alone; points into message and owned */
	struct rpc_message *message;
	char **owned;
	int n_owned;
	size_t bytes; /* of all of it */
};

/* messages, tools, documents, chat_template_kwargs and add_generation_prompt of a body, copied. Keys that nobody uses
 * are added to `ignored`. ERR_INVALID with *param naming the field; api_chat_finish() in any case. */
int api_chat_read(struct api_chat *in, const struct json *body, char ignored[512], const char **param, struct why *why);
void api_chat_finish(struct api_chat *in);

#endif
