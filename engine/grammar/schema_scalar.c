/* schema_scalar.c - enum and const, strings, numbers. */
#include "engine/grammar/schema_parts.h"

#include <stdlib.h>
#include <string.h>

/* ---- enum and const ---- */

static const struct json *listed(const struct json *schema, size_t i)
{
	const struct json *only = json_get(schema, "const");

	return only ? (i ? NULL : only) : json_at(json_get(schema, "enum"), i);
}

static bool lists(const struct json *schema)
{
	return json_get(schema, "const") || json_get(schema, "enum");
}

static bool in_list(const struct json *list, const struct json *v)
{
	for (size_t i = 0; i < json_size(list); i++)
		if (schema_same(json_at(list, i), v))
			return true;
	return false;
}

static bool has_value(const struct json *schema, const struct json *v)
{
	const struct json *only = json_get(schema, "const"), *all = json_get(schema, "enum");

	return (!only || schema_same(only, v)) && (!all || in_list(all, v));
}

static bool allowed(const struct parts *p, const struct json *v)
{
	for (int i = 0; i < p->n; i++)
		if (!(schema_types(p->part[i].schema) & schema_type_of(v)) || !has_value(p->part[i].schema, v))
			return false;
	return true;
}

/* What is not looked at for listed values, and might leave one out. */
static const char *beside(const struct json *schema, int types)
{
	static const struct {
		const char *key;
		int types;
	} keys[] = {{"minLength", TYPE_STRING},
		    {"maxLength", TYPE_STRING},
		    {"pattern", TYPE_STRING},
		    {"format", TYPE_STRING},
		    {"minimum", 12},
		    {"maximum", 12},
		    {"exclusiveMinimum", 12},
		    {"exclusiveMaximum", 12},
		    {"multipleOf", 12},
		    {"items", TYPE_ARRAY},
		    {"prefixItems", TYPE_ARRAY},
		    {"minItems", TYPE_ARRAY},
		    {"maxItems", TYPE_ARRAY},
		    {"properties", TYPE_OBJECT},
		    {"required", TYPE_OBJECT},
		    {"minProperties", TYPE_OBJECT},
		    {"maxProperties", TYPE_OBJECT},
		    {"patternProperties", TYPE_OBJECT},
		    {"additionalProperties", TYPE_OBJECT},
		    {"uniqueItems", TYPE_ARRAY}};

	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
		if (keys[i].types & types && json_get(schema, keys[i].key))
			return keys[i].key;
	return NULL;
}

/* A listed value is tried against the rules of its type, which know all other keywords. */
static bool satisfies(struct schema *s, const struct parts *p, const struct json *v, const char *text, size_t len)
{
	int type = schema_type_of(v);
	struct graph g;
	struct schema inner = {.g = &g, .root = s->root, .compact = true, .space = -1, .chars = -1};
	struct grammar *made = NULL;
	struct why why;
	int32_t root;
	bool ok = false;

	for (int i = 0; i < p->n && !ok; i++)
		ok = beside(p->part[i].schema, type) != NULL;
	if (!ok)
		return true;
	if (type & (TYPE_ARRAY | TYPE_OBJECT)) {
		for (int i = 0; i < p->n; i++)
			if (beside(p->part[i].schema, type))
				schema_fail(s, ERR_UNSUPPORTED, p->part[i].place, beside(p->part[i].schema, type),
					    "not supported beside listed lists and objects");
		return false;
	}
	graph_init(&g);
	root = graph_rule(&g);
	graph_define(&g, root, type == TYPE_STRING ? schema_string(&inner, p) : schema_number(&inner, p, false));
	ok = !grammar_of(&made, &g, root, &why) && grammar_matches(made, text, len);
	grammar_destroy(made);
	heap_free(inner.place);
	return ok;
}

static struct frag value_frag(struct schema *s, const struct parts *p, const struct json *v)
{
	size_t len;
	char *text = json_write(v, NULL, &len);
	struct frag f = satisfies(s, p, v, text, len) ? frag_text(s->g, text, len) : frag_fail(s->g);

	free(text);
	return f;
}

struct frag schema_listed(struct schema *s, const struct parts *p)
{
	struct frag f = {0, 0};
	const struct json *v;
	int at = 0;

	while (at < p->n && !lists(p->part[at].schema))
		at++;
	if (at == p->n)
		return f;
	f = frag_fail(s->g);
	for (size_t i = 0; (v = listed(p->part[at].schema, i)) && graph_ok(s->g); i++)
		if (allowed(p, v))
			f = frag_alt(s->g, f, value_frag(s, p, v));
	return f;
}

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

/* Patterns and formats of all parts; *any: there is one. */
static struct dfa patterns(struct schema *s, const struct parts *p, bool *any)
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
	struct dfa all = patterns(s, p, &any);
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

static void bound(struct schema *s, const struct part *part, const char *key, struct dfa *all, bool *any)
{
	struct decimal d;

	if (s->g->err || !json_get(part->schema, key) || !number_of(s, part, key, &d))
		return;
	if (!strcmp(key, "multipleOf")) {
		if (d.minus)
			schema_fail(s, ERR_INVALID, part->place, key, "must be above 0");
		narrow(s, all, dfa_multiple(s->g, &d, key), any);
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

struct frag schema_number(struct schema *s, const struct parts *p, bool whole)
{
	static const char *const keys[] = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"};
	struct dfa all = {.n = 0};
	bool any = false;

	for (int i = 0; i < p->n; i++)
		for (int k = 0; k < 5; k++)
			bound(s, &p->part[i], keys[k], &all, &any);
	if (!any)
		return plain_number(s, whole);
	narrow(s, &all, dfa_number(s->g, whole), &any);
	return dfa_frag(s->g, all);
}
