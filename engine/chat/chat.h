/* chat.h - a conversation becomes the token ids that the model was trained on.
 *
 * A format is a template (engine/template) or one of those built in, which work on tokens as the models' own code does:
 * xverse-v1, xverse-v2, baichuan, ziya, llama-2, moss, plain. Special tokens come from the format alone: what a message
 * says is ordinary text, whatever it looks like. */
#ifndef ENGINE_CHAT_H
#define ENGINE_CHAT_H

#include <jansson.h>
#include "engine/tokenizer/tokenizer.h"
#include "base/base.h"

struct chat;

/* dir: the model's directory. named: a built-in name, the path of a template, or NULL: the model's own template
 * (chat_template.jinja, tokenizer_config.json), else the built-in one that its config.json tells. ERR_UNKNOWN: it has
 * none, and the text says how to give one; ERR_FORMAT, ERR_UNSUPPORTED: a template that cannot be used, with its file.
 * `t` is borrowed. */
int chat_open(struct chat **out, const char *dir, const char *named, const struct tokenizer *t, struct why *why);
void chat_close(struct chat *c); /* NULL is fine */

const char *chat_name(const struct chat *c); /* "xverse-v2", or the file of the template */
/* The answer ends at one of these. */
int chat_stop_ids(const struct chat *c, const int32_t **ids);
int chat_stop_strings(const struct chat *c, const char *const **strings);

struct chat_input {
	const json_t *messages;  /* array of objects with "role" and "content": a text, a list of text parts, null, or
				    absent */
	const json_t *tools;     /* array, or NULL */
	const json_t *documents; /* array, or NULL */
	const json_t *args;      /* object: further variables of a template, or NULL */
	bool add_generation_prompt;
};
struct chat_text {
	char *s; /* (len), NUL after the end; malloced */
	size_t len;
};
/* Appends to *ids. text: NULL, or takes the text of it (tokens that no text stands for by their name). Any thread.
 * Messages become what the format takes (docs/chat.md, "What a template gets").
 * ERR_INVALID: the format refuses the conversation (a role, an order), in its own words where it has any, or renders
 * nothing of a message. */
int chat_encode(const struct chat *c, const struct chat_input *in, struct ids *ids, struct chat_text *text,
		struct why *why);

#endif
