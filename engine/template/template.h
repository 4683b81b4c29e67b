/* template.h - chat templates: the subset of Jinja that models' templates use, rendered as Python's jinja2 does in the
 * environment of the reference library (trim_blocks, lstrip_blocks, loop controls, immutable sandbox).
 *
 * Every byte of the output has an origin: the template's own literals, or what the caller passed in. Only the
 * template's bytes may become special tokens, so that a message with "<|im_end|>" ends nothing. The content of each
 * message has an origin of its own, which reveals a message that is not rendered.
 *
 * A template is part of a model's files and is not trusted: the work of a rendering is bounded. */
#ifndef ENGINE_TEMPLATE_H
#define ENGINE_TEMPLATE_H

#include <jansson.h>
#include <time.h>
#include "base/base.h"

/* Budgets of one rendering; exceeding one ends it with ERR_LIMIT. */
enum {
	TEMPLATE_STEPS = 500000,    /* evaluated nodes, loop turns, and units of work inside filters */
	TEMPLATE_OUTPUT = 1 << 20,  /* bytes of output */
	TEMPLATE_MEMORY = 64 << 20, /* bytes of intermediate values */
	TEMPLATE_DEPTH = 64,        /* nested macro calls; nested constructs */
	TEMPLATE_RANGE = 10000,     /* items of range() */
	TEMPLATE_SOURCE = 1 << 20,  /* bytes of source */
};

struct template;

/* ERR_FORMAT: the source is malformed. ERR_UNSUPPORTED: it uses a construct outside the subset. The text names line and
 * construct. */
int template_compile(struct template **out, const char *source, size_t len, struct why *why);
void template_free(struct template *t); /* NULL is fine */

/* The origin of a byte. */
enum {
	ORIGIN_TEMPLATE,
	ORIGIN_SAID,    /* what the caller passed as `said`, except for the next two */
	ORIGIN_KEY,     /* a key of a content's part; in the output, it shows that the part was printed as data */
	ORIGIN_CONTENT, /* the text of a message's content; see template_content_origin() */
};
/* Returns the origin of message i of n. Messages before the last 252 share ORIGIN_SAID. */
uint8_t template_content_origin(size_t i, size_t n);

struct template_piece {
	const char *text; /* UTF-8, not NUL-terminated */
	size_t len;
	bool user; /* its origin is not ORIGIN_TEMPLATE */
};
/* Adjacent pieces differ in `user`; no piece is empty. */
struct template_output {
	struct template_piece *piece;
	int n;
	char *text; /* all of it, NUL-terminated */
	size_t len;
	bool seen[UINT8_MAX + 1]; /* the origins of its bytes */
};
void template_output_free(struct template_output *out);

/* A JSON string in `said` that begins with this byte, which begins no UTF-8, is a number that jansson cannot hold: the
 * digits of an integer beyond 64 bits, or NaN, Infinity, -Infinity. It is printed as Python prints it. */
#define TEMPLATE_NUMBER '\xff'

struct template_input {
	const json_t *own;  /* object: the model's variables (bos_token, ...), whose text counts as the template's. May
			       be NULL */
	const json_t *said; /* object: messages, tools, ..., whose text is the user's. May be NULL */
	time_t now;         /* the time that strftime_now() shows; 0: the current one */
};
/* Any thread. ERR_INVALID: raise_exception(), with its message, or an error of evaluation, with its line. ERR_LIMIT: a
 * budget is spent. */
int template_render(const struct template *t, const struct template_input *in, struct template_output *out,
		    struct why *why);

bool char_is_space(uint32_t c); /* what Python's strip() removes */

/* Parses JSON text into a value of an input; the caller frees it with json_decref(). ERR_INVALID names the place, after
 * `name`. */
int template_read_json(json_t **out, const char *text, size_t len, const char *name, struct why *why);

#endif
