/* template.h - chat templates: the subset of Jinja that models' templates use, rendered as python's jinja2 does in the
 * environment that the reference library sets up (trim_blocks, lstrip_blocks, loop controls, immutable sandbox).
 *
 * Every byte of the output knows where it came from: the template's own literals, or what the caller passed in. Only
 * the first may become special tokens, so that a message that holds "<|im_end|>" ends nothing. The content of each
 * message has an origin of its own, so that a message of which nothing was rendered is found.
 *
 * A template comes out of a model's files and is not trusted: the work of one rendering is bounded. */
#ifndef ENGINE_TEMPLATE_H
#define ENGINE_TEMPLATE_H

#include <jansson.h>
#include <time.h>
#include "base/base.h"

/* Budgets of one rendering; over them it ends with ERR_LIMIT. */
enum {
	TEMPLATE_STEPS = 500000,    /* evaluated nodes, loop turns, and units of work inside filters */
	TEMPLATE_OUTPUT = 1 << 20,  /* bytes of output */
	TEMPLATE_MEMORY = 64 << 20, /* bytes of intermediate values */
	TEMPLATE_DEPTH = 64,        /* macro calls and nested constructs, each */
	TEMPLATE_RANGE = 10000,     /* items of range() */
	TEMPLATE_SOURCE = 1 << 20,  /* bytes of source */
};

struct template;

/* ERR_FORMAT: the source is malformed; ERR_UNSUPPORTED: a construct that is not in the subset. Both name line and
 * construct. */
int template_compile(struct template **out, const char *source, size_t len, struct why *why);
void template_free(struct template *t); /* NULL is fine */

/* Where a byte comes from. */
enum {
	ORIGIN_TEMPLATE,
	ORIGIN_SAID,    /* what the caller passed as `said`, but for the next two */
	ORIGIN_KEY,     /* a key of a content's part: the template prints the part as data */
	ORIGIN_CONTENT, /* the text of the content of a message: template_content_origin() */
};
/* Of message i of n; ORIGIN_SAID: of those before the last 252, which have none of their own. */
uint8_t template_content_origin(size_t i, size_t n);

struct template_piece {
	const char *text; /* UTF-8, not terminated */
	size_t len;
	bool user; /* not ORIGIN_TEMPLATE */
};
/* Neighbours differ in `user`; no piece is empty. */
struct template_output {
	struct template_piece *piece;
	int n;
	char *text; /* all of it, NUL after the end */
	size_t len;
	bool seen[UINT8_MAX + 1]; /* origins that some byte of the text has */
};
void template_output_free(struct template_output *out);

/* A JSON text in `said` that begins with this byte, which begins no UTF-8, is a number that jansson cannot hold: the
 * digits of an integer beyond 64 bits, or NaN, Infinity, -Infinity. It is printed as Python prints it. */
#define TEMPLATE_NUMBER '\xff'

struct template_input {
	const json_t *own;  /* object: variables of the model (bos_token, ...); their text counts as the template's. May
			       be NULL */
	const json_t *said; /* object: messages, tools, ...; their text is the user's. May be NULL */
	time_t now;         /* what strftime_now shows; 0: the clock */
};
/* Any thread. ERR_INVALID: raise_exception, with its message, or an error of evaluation with its line; ERR_LIMIT. */
int template_render(const struct template *t, const struct template_input *in, struct template_output *out,
		    struct why *why);

bool char_is_space(uint32_t c); /* what python's strip() takes away */

/* JSON text as a value of an input, which the caller ends with json_decref(). ERR_INVALID names the place, after
 * `name`. */
int template_read_json(json_t **out, const char *text, size_t len, const char *name, struct why *why);

#endif
