/* chat.h - the conversation of a request. */
#ifndef RPC_GATEWAY_API_CHAT_H
#define RPC_GATEWAY_API_CHAT_H

#include "base/json/json.h"
#include "rpc/codec/codec.h"

struct api_chat {
	struct xv_chat chat; /* points into message and owned; sampling, resume and user stay empty */
	struct xv_message *message;
	char **owned;
	int n_owned;
	size_t bytes; /* of the messages and all strings */
};

/* Copies messages, tools, documents, chat_template_kwargs and add_generation_prompt of a body. Names of keys that
 * nothing here uses are appended to `ignored`. Call api_chat_finish() also after an error. ERR_INVALID; *param then
 * names the field. */
int api_chat_read(struct api_chat *in, const struct json *body, char ignored[512], const char **param, struct why *why);
void api_chat_finish(struct api_chat *in);

#endif
