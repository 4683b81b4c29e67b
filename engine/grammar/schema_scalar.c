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

/* An expression in a graph of its own, whose automaton it becomes. search: anything may be around a match. */
struct dfa schema_pattern(struct schema *s, const char *text, size_t n, bool search, int32_t place, const char *keyword)
{
	struct graph g;
	struct frag f;
	struct dfa a = {.n = 0};

	graph_init(&g);
	f = regex_frag(&g, text, n, true);
	if (search && !g.err) {
		struct ranges all = {.n = 0}, again = {.n = 0};
		ranges_invert(&all);
		ranges_invert(&again);
		f = frag_cat(&g, frag_star(&g, frag_chars(&g, &all)), f);
		f = frag_cat(&g, f, frag_star(&g, frag_chars(&g, &again)));
		ranges_finish(&all);
		ranges_finish(&again);
	}
	a = dfa_of(&g, f);
	if (g.err)
		schema_fail(s, g.err, place, keyword, g.why.text);
	graph_finish(&g);
	return a;
}

static void narrow(struct schema *s, struct dfa *all, struct dfa one, bool *any)
{
	*all = *any ? dfa_and(s->g, *all, one) : one;
	*any = true;
}

struct dfa schema_patterns(struct schema *s, const struct parts *p, bool *any)
{
	struct dfa all = {.n = 0};

	for (int i = 0; i < p->n && !s->g->err; i++) {
		const struct json *pattern = json_get(p->part[i].schema, "pattern"),
				  *format = json_get(p->part[i].schema, "format");
		if (pattern)
			narrow(s, &all,
			       schema_pattern(s, json_str(pattern), json_len(pattern), true, p->part[i].place,
					      "pattern"),
			       any);
		if (format) {
			const char *regex = format_regex(json_str(format));
			narrow(s, &all, schema_pattern(s, regex, strlen(regex), false, p->part[i].place, "format"),
			       any);
		}
	}
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

static bool number_of(struct schema *s, const struct part *part, const char *key, struct decimal *out)
{
	size_t len;
	char *text = json_write(json_get(part->schema, key), NULL, &len);
	bool ok = decimal_read(out, text, len);

	free(text);
	if (!ok)
		schema_fail(s, ERR_UNSUPPORTED, part->place, key, "a number of so many digits is not supported");
	return ok;
}

static void multiple(struct schema *s, const struct part *part, const struct decimal *d, struct dfa *all, bool *any)
{
	struct dfa one = {.n = 0};

	if (d->minus || !(d->n_whole + d->n_part)) {
		schema_fail(s, ERR_INVALID, part->place, "multipleOf", "must be above 0");
		return;
	}
	one = dfa_multiple(s->g, d);
	if (!one.to)
		schema_fail(s, ERR_UNSUPPORTED, part->place, "multipleOf",
			    "a number with more than four digits is not supported");
	narrow(s, all, one, any);
}

static void bound(struct schema *s, const struct part *part, const char *key, struct dfa *all, bool *any)
{
	struct decimal d;

	if (s->g->err || !json_get(part->schema, key) || !number_of(s, part, key, &d))
		return;
	if (!strcmp(key, "multipleOf")) {
		multiple(s, part, &d, all, any);
	} else {
		narrow(s, all, dfa_bound(s->g, &d, strstr(key, "inimum") != NULL, key[0] == 'e'), any);
	}
	decimal_finish(&d);
}

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
	static const char *const keys[] = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"};
	struct dfa all = {.n = 0};

	for (int i = 0; i < p->n; i++)
		for (int k = 0; k < 5; k++)
			bound(s, &p->part[i], keys[k], &all, any);
	return all;
}

struct frag schema_number(struct schema *s, const struct parts *p, bool whole)
{
	bool any = false;
	struct dfa all = schema_bounds(s, p, &any);

	if (!any)
		return plain_number(s, whole);
	narrow(s, &all, dfa_number(s->g, whole), &any);
	return dfa_frag(s->g, all);
}
