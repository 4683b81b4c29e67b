/* schema_listed.c - enum and const. */
#include "engine/grammar/schema_parts.h"

#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

static const struct json *listed(const struct json *schema, size_t i)
{
	const struct json *only = json_get(schema, "const");

	return only ? (i ? NULL : only) : json_at(json_get(schema, "enum"), i);
}

static bool lists(const struct json *schema)
{
	return json_get(schema, "const") || json_get(schema, "enum");
}

/* at: of the part whose list the value is from, so that it is not looked for there. */
static bool allowed(const struct parts *p, int at, const struct json *v)
{
	for (int i = 0; i < p->n; i++) {
		const struct json *schema = p->part[i].schema;
		bool own = i == at && !(json_get(schema, "const") && json_get(schema, "enum"));
		if (!(schema_types(schema) & schema_type_of(v)) || !(own || schema_has_value(schema, v)))
			return false;
	}
	return schema_type_of(v) & TYPE_SCALARS || !schema_left_out(p, schema_type_of(v), v);
}

/* A keyword that might leave a listed value of these types out. */
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
		    {"propertyNames", TYPE_OBJECT},
		    {"uniqueItems", TYPE_ARRAY},
		    {"contains", TYPE_ARRAY},
		    {"unevaluatedItems", TYPE_ARRAY},
		    {"unevaluatedProperties", TYPE_OBJECT}};

	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
		if (keys[i].types & types && json_get(schema, keys[i].key))
			return keys[i].key;
	return NULL;
}

/* The other rules for listed strings and numbers; automata are made when the first value asks for them. */
struct judge {
	struct dfa text, number;
	bool has_text, has_number; /* there are such rules */
	bool made_text, made_number;
	int min, max; /* characters of a string */
};

static bool fits_text(struct schema *s, const struct parts *p, struct judge *j, const struct json *v)
{
	const char *text = json_str(v);
	int chars = 0, len;

	if (!j->made_text) {
		j->made_text = true;
		j->text = schema_patterns(s, p, &j->has_text);
		j->min = schema_count(p, "minLength", true, 0);
		j->max = schema_count(p, "maxLength", false, REPEAT_ALWAYS);
	}
	for (const char *end = text + json_len(v); text < end; text += len, chars++)
		len = max_int(1, utf8_char(text, (size_t)(end - text)));
	return chars >= j->min && chars <= j->max && (!j->has_text || dfa_accepts(&j->text, json_str(v), json_len(v)));
}

static bool fits_number(struct schema *s, const struct parts *p, struct judge *j, const char *text, size_t len)
{
	if (!j->made_number) {
		j->made_number = true;
		j->number = schema_bounds(s, p, &j->has_number);
	}
	if (j->has_number && memchr(text, 'e', len)) {
		schema_fail(s, ERR_UNSUPPORTED, p->part[0].place, "enum",
			    "a listed number with an exponent is not supported beside bounds");
		return false;
	}
	return !j->has_number || dfa_accepts(&j->number, text, len);
}

static bool fits(struct schema *s, const struct parts *p, struct judge *j, const struct json *v, const char *text,
		 size_t len)
{
	int type = schema_type_of(v);

	if (type & TYPE_STRING)
		return fits_text(s, p, j, v);
	if (type & (TYPE_NUMBER | TYPE_INTEGER))
		return fits_number(s, p, j, text, len);
	for (int i = 0; i < p->n; i++) {
		if (!beside(p->part[i].schema, type))
			continue;
		schema_fail(s, ERR_UNSUPPORTED, p->part[i].place, beside(p->part[i].schema, type),
			    "not supported beside listed lists and objects");
		return false;
	}
	return true;
}

/* JSON has no infinite numbers, but numbers that are read as such. */
static bool is_infinite(const char *text, size_t len)
{
	bool quoted = false;

	for (size_t i = 0; i < len; i++) {
		if (quoted && text[i] == '\\')
			i++;
		else if (text[i] == '"')
			quoted = !quoted;
		else if (!quoted && text[i] == 'I')
			return true;
	}
	return false;
}

/* Appends the value as JSON to the alternatives, unless another rule leaves it out. */
static struct frag add_value(struct schema *s, const struct parts *p, struct judge *j, const struct json *v,
			     struct graph *own, struct frag all)
{
	size_t len;
	char *text = json_write(v, NULL, &len);

	if (is_infinite(text, len))
		schema_fail(s, ERR_UNSUPPORTED, p->part[0].place, "enum", "a listed number is too large");
	else if (fits(s, p, j, v, text, len))
		all = frag_alt(own, all, frag_text(own, text, len));
	free(text);
	return all;
}

/* Values that begin alike share what they share: their automaton is a tree. */
static struct frag values(struct schema *s, const struct parts *p, int at)
{
	struct judge j = {.made_text = false};
	const struct json *v;
	struct graph own;
	struct frag f;
	struct dfa a;

	graph_init(&own);
	f = frag_fail(&own);
	for (size_t i = 0; (v = listed(p->part[at].schema, i)) && graph_ok(s->g); i++)
		if (allowed(p, at, v))
			f = add_value(s, p, &j, v, &own, f);
	a = dfa_of(&own, f);
	if (own.err)
		graph_fail(s->g, own.err, "%s", own.why.text);
	graph_finish(&own);
	dfa_finish(&j.text);
	dfa_finish(&j.number);
	return dfa_frag(s->g, a);
}

struct frag schema_listed(struct schema *s, const struct parts *p)
{
	int at = 0;

	while (at < p->n && !lists(p->part[at].schema))
		at++;
	return at == p->n ? (struct frag){0, 0} : values(s, p, at);
}
