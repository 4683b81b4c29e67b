/* tag_text.c - texts of tags, and the free text between them. */
#include "engine/grammar/tag_parts.h"

#include <string.h>

#include "base/utf8.h"
#include "engine/tokenizer/tokenizer.h"

/* ---- strings ---- */

enum { NAME_BYTES = 64 };

/* The special token whose name is the longest at s, or -1. */
static int special_at(const struct tokenizer *t, const char *s, size_t n, size_t *len)
{
	for (*len = n < NAME_BYTES ? n : NAME_BYTES; t && *len; --*len) {
		int id = tokenizer_find(t, s, *len);
		if (id >= 0 && tokenizer_is_special(t, id) && id < MARK_IDS)
			return id;
	}
	return -1;
}

static size_t spell(const struct tokenizer *t, const char *s, size_t n, char *out)
{
	size_t len = 0, name;

	for (size_t i = 0; i < n; i += name) {
		int id = special_at(t, s + i, n - i, &name);
		if (id >= 0) {
			mark_write((uint8_t *)out + len, id);
			len += MARK_BYTES;
		} else {
			out[len++] = s[i];
			name = 1;
		}
	}
	return len;
}

static struct tag_string *string_new(struct graph *g, struct tag_strings *list, size_t bytes)
{
	struct tag_string *s;

	if (list->n == TAG_STRINGS) {
		graph_fail(g, ERR_LIMIT, "more than %d triggers and ends", TAG_STRINGS);
		return NULL;
	}
	if (!list->of)
		list->of = heap_take(TAG_STRINGS, sizeof *list->of);
	s = list->of ? &list->of[list->n] : NULL;
	if (s)
		s->s = heap_take(bytes, 1);
	if (!s || !s->s) {
		if (!g->err)
			g->err = effort_check(&g->why);
		return NULL;
	}
	list->n++;
	return s;
}

bool tag_strings_add(struct graph *g, struct tag_strings *list, const struct tokenizer *t, const char *s, size_t n)
{
	struct tag_string *to;
	size_t bad;

	if (n > TAG_STRING_BYTES)
		return graph_fail(g, ERR_LIMIT, "a text has %zu bytes, at most %d are allowed", n, TAG_STRING_BYTES),
		       false;
	if (!utf8_valid(s, n, &bad))
		return graph_fail(g, ERR_INVALID, "a text is not UTF-8"), false;
	if (!graph_ok(g))
		return false;
	to = string_new(g, list, MARK_BYTES * n + 1);
	if (to)
		to->len = spell(t, s, n, to->s);
	return to;
}

bool tag_strings_join(struct graph *g, struct tag_strings *list, const struct tag_strings *more)
{
	for (int i = 0; i < more->n; i++) {
		struct tag_string *to = string_new(g, list, more->of[i].len + 1);
		if (!to)
			return false;
		memcpy(to->s, more->of[i].s, more->of[i].len);
		to->len = more->of[i].len;
	}
	return true;
}

void tag_strings_finish(struct tag_strings *list)
{
	for (int i = 0; i < list->n; i++)
		heap_free(list->of[i].s);
	heap_free(list->of);
	*list = (struct tag_strings){NULL, 0};
}

struct frag tag_string_frag(struct graph *g, const struct tag_string *s)
{
	return frag_text(g, s->s, s->len);
}

/* ---- free text ---- */

static struct frag any_text(struct graph *g)
{
	struct ranges all = {NULL, 0, 0, false};
	struct frag f;

	ranges_add(&all, 0, 0xd7ff);
	ranges_add(&all, 0xe000, CODE_MAX);
	f = frag_star(g, frag_chars(g, &all));
	ranges_finish(&all);
	return f;
}

static struct frag any_of(struct graph *g, const struct tag_strings *all, int which)
{
	struct frag f = frag_fail(g);

	for (int i = 0; i < all->n; i++)
		if (which < 0 || i == which)
			f = frag_alt(g, f, tag_string_frag(g, &all->of[i]));
	return f;
}

enum shape { ENDING, HOLDING, ANYTHING };

/* Texts that end with a string, that hold one, or all. Made in a graph of its own: the nodes of a DFA are of no use
 * once it is made. */
static struct dfa texts(struct graph *g, enum shape shape, const struct tag_strings *all, int which)
{
	struct graph own;
	struct frag f;
	struct dfa a;

	graph_init(&own);
	f = any_text(&own);
	if (shape != ANYTHING)
		f = frag_cat(&own, f, any_of(&own, all, which));
	if (shape == HOLDING)
		f = frag_cat(&own, f, any_text(&own));
	a = dfa_of(&own, f);
	if (own.err)
		graph_fail(g, own.err, "%s", own.why.text);
	graph_finish(&own);
	return a;
}

/* Nothing follows the first string. */
static void cut_after_end(struct dfa *a)
{
	for (int i = 0; a->to && i < a->n; i++)
		for (int c = 0; a->accept[i] && c < a->classes; c++)
			a->to[(size_t)i * (size_t)a->classes + (size_t)c] = -1;
}

struct frag tag_text_until(struct graph *g, const struct tag_strings *all, int which)
{
	struct dfa a = texts(g, ENDING, all, -1);

	cut_after_end(&a);
	if (which >= 0 && all->n > 1)
		a = dfa_and(g, a, texts(g, ENDING, all, which));
	return dfa_frag(g, a);
}

struct frag tag_text_without(struct graph *g, const struct tag_strings *all)
{
	struct dfa a = texts(g, ANYTHING, all, -1);

	if (all->n)
		a = dfa_minus(g, a, texts(g, HOLDING, all, -1));
	return dfa_frag(g, a);
}
