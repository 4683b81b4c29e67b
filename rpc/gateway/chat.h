/* chat.h - the conversation of a request. */
#ifndef RPC_GATEWAY_CHAT_H
#define RPC_GATEWAY_CHAT_H

#include <jansson.h>

#include "rpc/codec.h"

struct chat_input {
	struct rpc_chat chat; /* sampling, resume and user are left alone; points into the JSON, message and owned */
	struct rpc_message *message;
	char **owned;
	int n_owned;
};

/* messages, tools, documents, chat_template_kwargs and add_generation_prompt of a body. ERR_INVALID with *param naming the field;
 * chat_finish() in any case. */
int chat_read(struct chat_input *in, json_t *body, const char **param, struct why *why);
void chat_finish(struct chat_input *in);

#endif
