/* chat.h - the conversation of a request. */
#ifndef RPC_GATEWAY_API_CHAT_H
#define RPC_GATEWAY_API_CHAT_H

#include "base/json/json.h"
#include "rpc/codec/codec.h"

struct chat_input {
	struct rpc_chat chat; /* sampling, resume and user are left alone; points into message and owned */
	struct rpc_message *message;
	char **owned;
	int n_owned;
	size_t bytes; /* of all of it */
};

/* messages, tools, documents, chat_template_kwargs and add_generation_prompt of a body, copied. Keys that nobody uses
 * are added to `ignored`. ERR_INVALID with *param naming the field; chat_finish() in any case. */
int chat_read(struct chat_input *in, const struct json *body, char ignored[512], const char **param, struct why *why);
void chat_finish(struct chat_input *in);

#endif
