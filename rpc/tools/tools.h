/* tools.h - the text of an answer becomes reasoning, content and calls of tools, as it arrives.
 *
 * What the parser reports does not depend on how the text is cut. It takes time and memory in proportion to the text:
 * no byte is looked at more often than a mark has bytes. A call that breaks its form before its name is known was none:
 * its text is content. From the name on the arguments are reported as the model wrote them, valid or not. */
#ifndef RPC_TOOLS_TOOLS_H
#define RPC_TOOLS_TOOLS_H

#include <stdbool.h>
#include <stddef.h>

struct json;

enum tools_kind {
	TOOLS_REASONING,
	TOOLS_CONTENT,
	TOOLS_CALL,      /* a call begins; the text is its name, whole */
	TOOLS_ARGUMENTS, /* more of the last call's arguments: together JSON text, as the model wrote it */
};
/* call: its number from 0, with the last two kinds. */
typedef void tools_sink(void *arg, enum tools_kind kind, int call, const char *s, size_t n);

struct tools_how {
	const char *calls, *reasoning; /* names of proto/tools.def, as Started has them; "": none */
	bool reasoning_open;           /* the text begins inside the reasoning */
	const struct json *tools;      /* the request's list, borrowed; may be NULL */
	bool one_call;                 /* what follows the first call is left out */
	bool short_ids;                /* set by tools_create(): ids of calls have 9 characters (Mistral's templates) */
};

struct tools_parser;
/* Names that it does not know mean none. NULL: the text is content only, and no parser is needed. */
struct tools_parser *tools_create(struct tools_how *how, tools_sink *sink, void *arg);
void tools_destroy(struct tools_parser *p); /* takes NULL */
/* What one call reports is joined as far as it is of one kind. */
void tools_feed(struct tools_parser *p, const char *s, size_t n);
void tools_end(struct tools_parser *p);        /* reports what was held back */
int tools_calls(const struct tools_parser *p); /* calls so far; 0 for NULL */
/* Whether there are calls, and the last one's arguments are whole; false for NULL. */
bool tools_whole(const struct tools_parser *p);
size_t tools_bytes(const struct tools_parser *p); /* memory of what is held back */

#endif
