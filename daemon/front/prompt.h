/* prompt.h - the messages of a Chat or Template request become token ids. */
#ifndef DAEMON_FRONT_PROMPT_H
#define DAEMON_FRONT_PROMPT_H

#include "engine/chat/chat.h"
#include "rpc/codec/codec.h"

/* Bytes; the work is about proportional to them. */
size_t front_prompt_size(const struct xv_chat *said);
/* Appends to *ids; text may be NULL, else chat_encode() fills it. Any thread. ERR_* name the field at fault. */
int front_prompt_encode(const struct chat *chat, const struct xv_chat *said, const struct chat_form *form,
			struct ids *ids, struct chat_text *text, struct why *why);

#endif
