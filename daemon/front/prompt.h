/* talk.h - the messages of a Chat or Template request become token ids. */
#ifndef DAEMON_FRONT_PROMPT_H
#define DAEMON_FRONT_PROMPT_H

#include "engine/chat/chat.h"
#include "rpc/codec/codec.h"

/* Bytes that the work is about in proportion to. */
size_t front_prompt_size(const struct rpc_chat *said);
/* Appends to *ids; text: NULL, or as chat_encode() fills it. Any thread. */
int front_prompt_encode(const struct chat *chat, const struct rpc_chat *said, struct ids *ids, struct chat_text *text,
			struct why *why);

#endif
