/* schema_not.c - "not" of a schema that judges single values only, by types, constants and what strings and numbers
 * may be: what it takes is taken out. Of other schemas schema_derive.c makes these. */
#include "engine/grammar/schema_parts.h"

#include <stdlib.h>
#include <string.h>

const char *schema_structural(const struct json *schema)
{
	static const char *const keys[] = {"$ref",
					   "allOf",
					   "anyOf",
					   "oneOf",
					   "not",
					   "if",
					   "then",
					   "else",
					   "properties",
					   "patternProperties",
					   "required",
					   "additionalProperties",
					   "items",
					   "propertyNames",
					   "prefixItems",
					   "additionalItems",
					   "minItems",
					   "maxItems",
					   "uniqueItems",
					   "minProperties",
					   "contains",
					   "minContains",
					   "maxContains",
					   "unevaluatedItems",
					   "unevaluatedProperties",
					   "maxProperties",
					   "dependencies",
					   "dependentRequired",
					   "dependentSchemas"};

	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
		if (json_get(schema, keys[i]))
			return keys[i];
	return NULL;
}

static bool in_list(const struct json *list, const struct json *v)
{
	for (size_t i = 0; i < json_size(list); i++)
		if (schema_same(json_at(list, i), v))
			return true;
	return false;
}

bool schema_has_value(const struct json *schema, const struct json *v)
{
	const struct json *only = json_get(schema, "const"), *all = json_get(schema, "enum");

	return (!only || schema_same(only, v)) && (!all || in_list(all, v));
}

/* What a part's "not" holds, where it is of that kind. */
static const struct json *opposite(const struct part *part)
{
	const struct json *inner = json_get(part->schema, "not");

	return json_is(inner, JSON_IS_OBJECT) && !schema_structural(inner) ? inner : NULL;
}

static bool lists(const struct json *schema)
{
	return json_get(schema, "const") || json_get(schema, "enum");
}

bool schema_left_out(const struct parts *p, int type, const struct json *v)
{
	for (int i = 0; i < p->n; i++) {
		const struct json *inner = opposite(&p->part[i]);
		if (inner && schema_types(inner) & type && (!lists(inner) || (v && schema_has_value(inner, v))))
			return true;
	}
	return false;
}

/* ---- strings ---- */

static const struct json *listed(const struct json *schema, size_t i)
{
	const struct json *only = json_get(schema, "const");

	return only ? (i ? NULL : only) : json_at(json_get(schema, "enum"), i);
}

static struct dfa listed_texts(struct schema *s, const struct part *part)
{
	const struct json *v;
	struct graph own;
	struct frag f;
	struct dfa a;

	graph_init(&own);
	f = frag_fail(&own);
	for (size_t i = 0; (v = listed(part->schema, i)) && graph_ok(s->g); i++)
		if (json_str(v) && schema_has_value(part->schema, v))
			f = frag_alt(&own, f, frag_text(&own, json_str(v), json_len(v)));
	a = dfa_of(&own, f);
	if (own.err)
		schema_fail(s, own.err, part->place, "", own.why.text);
	graph_finish(&own);
	return a;
}

struct dfa schema_texts(struct schema *s, const struct part *part)
{
	struct parts one = {.n = 1, .part = {*part}};
	int min = schema_count(&one, "minLength", true, 0), max = schema_count(&one, "maxLength", false, REPEAT_ALWAYS);
	bool any = false;
	struct dfa a;

	if (!(schema_types(part->schema) & TYPE_STRING) || max < min)
		return dfa_make(s->g, 1, 1);
	a = schema_said_texts(s, &one, &any);
	if (!any || min || max != REPEAT_ALWAYS)
		a = any ? dfa_and(s->g, a, dfa_text(s->g, min, max)) : dfa_text(s->g, min, max);
	return lists(part->schema) ? dfa_and(s->g, a, listed_texts(s, part)) : a;
}

void schema_not_texts(struct schema *s, const struct parts *p, struct dfa *all, bool *any)
{
	for (int i = 0; i < p->n && !s->g->err; i++) {
		struct part inner = {opposite(&p->part[i]), p->part[i].place, 0};
		if (!inner.schema || !(schema_types(inner.schema) & TYPE_STRING))
			continue;
		if (!*any)
			*all = dfa_text(s->g, 0, REPEAT_ALWAYS);
		*any = true;
		*all = dfa_minus(s->g, *all, schema_texts(s, &inner));
	}
}

/* ---- numbers ---- */

static struct dfa multiples_of_one(struct graph *g)
{
	struct decimal d;
	struct dfa a = {.n = 0};

	if (decimal_read(&d, "1", 1))
		a = dfa_multiple(g, &d);
	decimal_finish(&d);
	return a;
}

/* However it is written. */
static struct dfa number_equal(struct schema *s, const struct part *part, const struct json *v)
{
	struct dfa a = {.n = 0};
	struct decimal d;
	size_t len;
	char *text = json_write(v, NULL, &len);

	if (decimal_read(&d, text, len)) {
		a = dfa_and(s->g, dfa_bound(s->g, &d, true, false), dfa_bound(s->g, &d, false, false));
		decimal_finish(&d);
	} else {
		schema_fail(s, ERR_UNSUPPORTED, part->place, "not", "a number of so many digits is not supported");
	}
	free(text);
	return a;
}

static void take_numbers(struct schema *s, const struct part *inner, struct dfa *all)
{
	struct parts one = {.n = 1, .part = {*inner}};
	int types = schema_types(inner->schema);
	const struct json *v;
	bool any = false;
	struct dfa a = schema_said_numbers(s, &one, &any);

	if (!any)
		a = dfa_number(s->g, false);
	if (!(types & TYPE_NUMBER))
		a = dfa_and(s->g, a, multiples_of_one(s->g));
	if (!lists(inner->schema)) {
		*all = dfa_minus(s->g, *all, a);
		return;
	}
	dfa_finish(&a);
	if (any)
		schema_fail(s, ERR_UNSUPPORTED, inner->place, "not", "bounds beside listed values are not supported");
	for (size_t i = 0; (v = listed(inner->schema, i)) && graph_ok(s->g); i++)
		if (json_is_num(v) && types & schema_type_of(v) && schema_has_value(inner->schema, v))
			*all = dfa_minus(s->g, *all, number_equal(s, inner, v));
}

void schema_not_numbers(struct schema *s, const struct parts *p, struct dfa *all, bool *any)
{
	for (int i = 0; i < p->n && !s->g->err; i++) {
		struct part inner = {opposite(&p->part[i]), p->part[i].place, 0};
		if (!inner.schema || !(schema_types(inner.schema) & (TYPE_NUMBER | TYPE_INTEGER)))
			continue;
		if (!*any)
			*all = dfa_number(s->g, false);
		*any = true;
		take_numbers(s, &inner, all);
	}
}
