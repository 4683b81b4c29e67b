/* tag_parts.h - private to tag*.c: structural tags, answers that are constrained between some texts only. */
#ifndef ENGINE_GRAMMAR_TAG_PARTS_H
#define ENGINE_GRAMMAR_TAG_PARTS_H

#include "base/json/json.h"
#include "engine/grammar/inside.h"

enum { TAG_STRINGS = 256, TAG_STRING_BYTES = 4096 };

/* A text of a tag, in which each name of a special token stands as that token. */
struct tag_string {
	char *s; /* (len) */
	size_t len;
};
struct tag_strings {
	struct tag_string *of; /* (n) at most TAG_STRINGS */
	int n;
};
/* False: an error of the graph. */
bool tag_strings_add(struct graph *g, struct tag_strings *list, const struct tokenizer *t, const char *s, size_t n);
bool tag_strings_join(struct graph *g, struct tag_strings *list, const struct tag_strings *more); /* copies */
void tag_strings_finish(struct tag_strings *list);
struct frag tag_string_frag(struct graph *g, const struct tag_string *s);

/* Text up to and with the first of the strings, which is `which`; -1: any of them. */
struct frag tag_text_until(struct graph *g, const struct tag_strings *all, int which);
/* Text without any of the strings. */
struct frag tag_text_without(struct graph *g, const struct tag_strings *all);

#endif
