/* schema_scalar.c - strings and numbers. */
#include "engine/grammar/schema_parts.h"

#include <stdlib.h>
#include <string.h>

/* ---- strings ---- */

/* A character as JSON may write it: itself, a short escape, \uXXXX, or two of them for a pair of surrogates. */
static const char char_regex[] =
	"[^\"\\\\\\x00-\\x1f]|\\\\(?:[\"\\\\/bfnrt]|u(?:[0-9a-cA-CefEF][0-9a-fA-F]{3}|[dD][0-7][0-9a-fA-F]{2}|"
	"[dD][89abAB][0-9a-fA-F]{2}\\\\u[dD][c-fC-F][0-9a-fA-F]{2}))";

static int32_t char_rule(struct schema *s)
{
	if (s->chars < 0) {
		struct dfa a = schema_pattern(s, char_regex, sizeof char_regex - 1, false, 0, "");
		int first;
		s->chars = graph_rule(s->g);
		graph_define(s->g, s->chars, dfa_frag(s->g, a));
		first = s->g->n_tables ? s->g->table[s->g->n_tables - 1].first : 0;
		if (!s->g->err)
			s->g->node[first].pure = true;
	}
	return s->chars;
}

struct dfa schema_patterns(struct schema *s, const struct parts *p, bool *any)
{
	struct dfa all = schema_said_texts(s, p, any);

	schema_not_texts(s, p, &all, any);
	return all;
}

struct frag schema_string(struct schema *s, const struct parts *p)
{
	int min = schema_count(p, "minLength", true, 0), max = schema_count(p, "maxLength", false, REPEAT_ALWAYS);
	bool any = false;
	struct dfa all = schema_patterns(s, p, &any);
	struct frag f;

	if (max < min) {
		dfa_finish(&all);
		return frag_fail(s->g);
	}
	if (any && (min || max != REPEAT_ALWAYS))
		all = dfa_and(s->g, all, dfa_text(s->g, min, max));
	if (any)
		return dfa_frag(s->g, dfa_quote(s->g, all));
	f = frag_times(s->g, frag_call(s->g, char_rule(s)), min, max);
	return frag_cat(s->g, frag_byte(s->g, '"'), frag_cat(s->g, f, frag_byte(s->g, '"')));
}

/* ---- numbers ---- */

static struct frag plain_number(struct schema *s, bool whole)
{
	struct frag f = dfa_frag(s->g, dfa_number(s->g, whole));
	struct byte_set e = {{0}}, sign = {{0}}, digit = {{0}};

	if (whole)
		return f;
	set_put(&e, 'e', 'e'), set_put(&e, 'E', 'E');
	set_put(&sign, '+', '+'), set_put(&sign, '-', '-');
	set_put(&digit, '0', '9');
	struct frag digits = frag_cat(s->g, frag_bytes(s->g, &digit), frag_opt(s->g, frag_bytes(s->g, &digit)));
	struct frag exponent = frag_cat(s->g, frag_bytes(s->g, &e), frag_opt(s->g, frag_bytes(s->g, &sign)));
	return frag_cat(s->g, f, frag_opt(s->g, frag_cat(s->g, exponent, digits)));
}

struct dfa schema_bounds(struct schema *s, const struct parts *p, bool *any)
{
	struct dfa all = schema_said_numbers(s, p, any);

	schema_not_numbers(s, p, &all, any);
	return all;
}

struct frag schema_number(struct schema *s, const struct parts *p, bool whole)
{
	bool any = false;
	struct dfa all = schema_bounds(s, p, &any);

	if (!any)
		return plain_number(s, whole);
	return dfa_frag(s->g, dfa_and(s->g, all, dfa_number(s->g, whole)));
}
