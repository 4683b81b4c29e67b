/* chat.h - turns a conversation into the token ids that the model was trained on.
 *
 * A format is a template (engine/template) or one of the built-in ones, which work on tokens as the models' own code
 * does: xverse-v1, xverse-v2, baichuan, ziya, llama-2, moss, plain. Special tokens come from the format alone: the text
 * of a message is ordinary text, whatever it looks like. */
#ifndef ENGINE_CHAT_H
#define ENGINE_CHAT_H

#include <jansson.h>
#include "engine/chat/forms.h"
#include "engine/tokenizer/tokenizer.h"
#include "base/base.h"

struct chat;

/* dir: the model's directory. named: a built-in name, the path of a template, or NULL for the model's own template
 * (chat_template.jinja, tokenizer_config.json), else the built-in format that its config.json implies. ERR_UNKNOWN: the
 * model has no format, and the text says how to name one; ERR_FORMAT, ERR_UNSUPPORTED: the template cannot be used, and
 * the text names its file. `t` is borrowed. */
int chat_open(struct chat **out, const char *dir, const char *named, const struct tokenizer *t, struct why *why);
void chat_close(struct chat *c); /* NULL is fine */

const char *chat_name(const struct chat *c); /* "xverse-v2", or the template's file */
/* The model's answer ends at any of these. */
int chat_stop_ids(const struct chat *c, const int32_t **ids);
int chat_stop_strings(const struct chat *c, const char *const **strings);

/* By the template, or by the built-in format. */
const struct chat_form *chat_tools(const struct chat *c); /* never NULL */
const struct chat_form *
chat_reasoning(const struct chat *c); /* NULL: the model does not reason apart from its answer */
struct chat_input {
	const json_t *messages; /* objects with "role" and "content": a string, a list of text parts, null, or absent */
	const json_t *tools;    /* array, or NULL; a format without tools gets them in words (forms.c) */
	const struct chat_form *form; /* of those words; NULL: chat_tools() */
	const json_t *documents;      /* array, or NULL */
	const json_t *args;           /* object with further variables of a template, or NULL */
	bool add_generation_prompt;
};
struct chat_text {
	char *s; /* (len), NUL-terminated, allocated by malloc */
	size_t len;
};
/* Appends to *ids. text: NULL, or receives the encoded text; a token without a text appears by its name. Any thread.
 * docs/chat.md, "What a template gets", says what becomes of messages. ERR_INVALID: the format refuses the conversation
 * (a role, an order), with its own message if it has one, or renders nothing of a message. */
int chat_encode(const struct chat *c, const struct chat_input *in, struct ids *ids, struct chat_text *text,
		struct why *why);

#endif
