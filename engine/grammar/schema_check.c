/* schema_check.c - which keywords there are, and what they may hold. What is not supported is refused, never ignored.
 */
#include "engine/grammar/schema_parts.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- keywords ---- */

enum form {
	ANY,
	TEXT,
	COUNT,
	NUMBER,
	BOOL,
	LIST,
	SCHEMA,
	SCHEMAS /* a list of them */,
	MAP /* of schemas */,
	NAMES /* a map of lists of texts */,
	NEEDS /* a map of schemas or such lists */,
	TYPE,
	NO
};
static const struct keyword {
	const char *name;
	enum form form;
} keywords[] = {
	/* applied */
	{"type", TYPE},
	{"enum", LIST},
	{"const", ANY},
	{"$ref", TEXT},
	{"allOf", SCHEMAS},
	{"anyOf", SCHEMAS},
	{"oneOf", SCHEMAS},
	{"properties", MAP},
	{"patternProperties", MAP},
	{"additionalProperties", SCHEMA},
	{"unevaluatedProperties", SCHEMA},
	{"required", LIST},
	{"minProperties", COUNT},
	{"maxProperties", COUNT},
	{"prefixItems", SCHEMAS},
	{"items", ANY},
	{"additionalItems", SCHEMA},
	{"minItems", COUNT},
	{"maxItems", COUNT},
	{"uniqueItems", BOOL},
	{"unevaluatedItems", SCHEMA},
	{"contains", SCHEMA},
	{"minContains", COUNT},
	{"maxContains", COUNT},
	{"minLength", COUNT},
	{"maxLength", COUNT},
	{"pattern", TEXT},
	{"format", TEXT},
	{"minimum", NUMBER},
	{"maximum", NUMBER},
	{"exclusiveMinimum", NUMBER},
	{"exclusiveMaximum", NUMBER},
	{"multipleOf", NUMBER},
	{"not", SCHEMA},
	{"if", SCHEMA},
	{"then", SCHEMA},
	{"else", SCHEMA},
	{"dependencies", NEEDS},
	{"dependentRequired", NAMES},
	{"dependentSchemas", MAP},
	{"propertyNames", SCHEMA},
	/* they say nothing about which values are valid */
	{"title", ANY},
	{"description", ANY},
	{"default", ANY},
	{"examples", ANY},
	{"example", ANY},
	{"$comment", ANY},
	{"deprecated", ANY},
	{"readOnly", ANY},
	{"writeOnly", ANY},
	{"$schema", ANY},
	{"$anchor", ANY},
	{"$defs", ANY},
	{"definitions", ANY},
	{"contentEncoding", ANY},
	{"contentMediaType", ANY},
	{"contentSchema", ANY},
	{"discriminator", ANY},
	{"$vocabulary", ANY},
	{"$id", ANY},
	{"id", ANY},
	/* known and not supported */
	{"$dynamicRef", NO},
	{"$dynamicAnchor", NO},
	{"$recursiveRef", NO},
	{"$recursiveAnchor", NO},
	{"nullable", NO},
};

static const struct keyword *find_keyword(const char *name)
{
	for (size_t i = 0; i < sizeof keywords / sizeof *keywords; i++)
		if (!strcmp(keywords[i].name, name))
			return &keywords[i];
	return NULL;
}

static bool is_schema(const struct json *v)
{
	return json_is(v, JSON_IS_OBJECT) || json_is(v, JSON_IS_BOOL);
}

static bool is_count(const struct json *v)
{
	uint64_t n;

	return json_uint(v, &n) ||
	       (json_is(v, JSON_IS_REAL) && v->real >= 0 && v->real < 1e15 && v->real == (double)(int64_t)v->real);
}

static const char *wrong_map(const struct json *v)
{
	for (size_t i = 0; i < json_size(v); i++)
		if (!is_schema(&json_member(v, i)->value))
			return "holds what is no schema";
	return json_is(v, JSON_IS_OBJECT) ? NULL : "must be an object";
}

static const char *wrong_list(const struct json *v)
{
	for (size_t i = 0; i < json_size(v); i++)
		if (!is_schema(json_at(v, i)))
			return "holds what is no schema";
	return json_is(v, JSON_IS_LIST) && json_size(v) ? NULL : "must be a list that is not empty";
}

static const char *wrong_needs(const struct json *v, bool schemas)
{
	for (size_t i = 0; i < json_size(v); i++) {
		const struct json *one = &json_member(v, i)->value;
		if (schemas && is_schema(one))
			continue;
		if (!json_is(one, JSON_IS_LIST))
			return "holds what is no list of texts";
		for (size_t k = 0; k < json_size(one); k++)
			if (!json_str(json_at(one, k)))
				return "holds what is no list of texts";
	}
	return json_is(v, JSON_IS_OBJECT) ? NULL : "must be an object";
}

/* NULL: the value is what the keyword takes. */
static const char *wrong(enum form form, const struct json *v, const struct json *schema)
{
	switch (form) {
	case TEXT:
		return json_is(v, JSON_IS_TEXT) ? NULL : "must be a text";
	case COUNT:
		return is_count(v) ? NULL : "must be an integer from 0";
	case NUMBER:
		return json_is_num(v) && json_num(v) - json_num(v) == 0 ? NULL : "must be a number below 1.8e308";
	case BOOL:
		return json_is(v, JSON_IS_BOOL) ? NULL : "must be true or false";
	case LIST:
		return json_is(v, JSON_IS_LIST) ? NULL : "must be a list";
	case SCHEMA:
		return is_schema(v) ? NULL : "must be a schema";
	case SCHEMAS:
		return wrong_list(v);
	case MAP:
		return wrong_map(v);
	case NAMES:
	case NEEDS:
		return wrong_needs(v, form == NEEDS);
	case TYPE:
		return schema_types(schema) >= 0 ? NULL : "must name types";
	default:
		return NULL;
	}
}

static bool refuse_special(struct schema *s, const char *name, const struct json *v, const struct json *schema,
			   int32_t place)
{
	if (!strcmp(name, "format") && (!format_regex(json_str(v)) || strlen(json_str(v)) != json_len(v))) {
		char text[120];
		snprintf(text, sizeof text, "\"%.60s\" is not supported", json_str(v));
		return schema_fail(s, ERR_UNSUPPORTED, place, name, text);
	}
	if ((!strcmp(name, "$id") || !strcmp(name, "id")) && schema != s->root && json_str(v) && *json_str(v) != '#')
		return schema_fail(s, ERR_UNSUPPORTED, place, name, "only the outermost schema may have one");
	if (!strcmp(name, "items") && !is_schema(v) && wrong_list(v) && !(json_is(v, JSON_IS_LIST) && !json_size(v)))
		return schema_fail(s, ERR_INVALID, place, name, "must be a schema or a list of schemas");
	if (!strcmp(name, "required"))
		for (size_t i = 0; i < json_size(v); i++)
			if (!json_str(json_at(v, i)))
				return schema_fail(s, ERR_INVALID, place, name, "must be a list of texts");
	return false;
}

bool schema_keywords(struct schema *s, const struct json *schema, int32_t place)
{
	for (size_t i = 0; i < json_size(schema); i++) {
		const struct json_member *m = json_member(schema, i);
		const struct keyword *k = find_keyword(m->key);
		const char *text;
		if (!strncmp(m->key, "x-", 2))
			continue;
		if (strlen(m->key) != m->key_len)
			k = NULL;
		if (!k || k->form == NO) {
			schema_fail(s, ERR_UNSUPPORTED, place, m->key,
				    k ? "not supported" : "an unknown keyword is not supported");
			return false;
		}
		text = wrong(k->form, &m->value, schema);
		if (text) {
			schema_fail(s, ERR_INVALID, place, m->key, text);
			return false;
		}
		if (refuse_special(s, m->key, &m->value, schema, place))
			return false;
	}
	return true;
}

/* ---- types ---- */

static int type_named(const struct json *v)
{
	static const struct {
		const char *name;
		int type;
	} types[] = {{"null", TYPE_NULL},       {"boolean", TYPE_BOOL},
		     {"integer", TYPE_INTEGER}, {"number", TYPE_NUMBER | TYPE_INTEGER},
		     {"string", TYPE_STRING},   {"array", TYPE_ARRAY},
		     {"object", TYPE_OBJECT}};

	for (size_t i = 0; json_str(v) && i < sizeof types / sizeof *types; i++)
		if (!strcmp(types[i].name, json_str(v)) && strlen(json_str(v)) == json_len(v))
			return types[i].type;
	return -1;
}

int schema_types(const struct json *schema)
{
	const struct json *v = json_get(schema, "type");
	int types = 0;

	if (!v)
		return TYPE_ANY;
	if (!json_is(v, JSON_IS_LIST))
		return type_named(v);
	for (size_t i = 0; i < json_size(v); i++) {
		int one = type_named(json_at(v, i));
		if (one < 0)
			return -1;
		types |= one;
	}
	return types ? types : -1;
}

int schema_type_of(const struct json *v)
{
	switch (v->kind) {
	case JSON_IS_NULL:
		return TYPE_NULL;
	case JSON_IS_BOOL:
		return TYPE_BOOL;
	case JSON_IS_INTEGER:
	case JSON_IS_BIG:
		return TYPE_INTEGER;
	case JSON_IS_REAL:
		return v->real == trunc(v->real) ? TYPE_INTEGER : TYPE_NUMBER;
	case JSON_IS_TEXT:
		return TYPE_STRING;
	case JSON_IS_LIST:
		return TYPE_ARRAY;
	default:
		return TYPE_OBJECT;
	}
}

/* json_same() takes true for 1; inside of lists and objects that is not told apart, which only refuses more. */
bool schema_same(const struct json *a, const struct json *b)
{
	return json_is(a, JSON_IS_BOOL) == json_is(b, JSON_IS_BOOL) && json_same(a, b);
}

/* ---- references ---- */

static int hex_value(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

/* One step of a JSON pointer, decoded to `out`; returns what is left of it. */
static const char *take_step(const char *s, char *out, size_t max)
{
	size_t n = 0;

	for (; *s && *s != '/' && n + 1 < max; s++) {
		if (*s == '%' && hex_value(s[1]) >= 0 && hex_value(s[2]) >= 0) {
			out[n++] = (char)(16 * hex_value(s[1]) + hex_value(s[2]));
			s += 2;
		} else {
			out[n++] = *s;
		}
	}
	out[n] = 0;
	for (size_t i = 0, k = 0; i <= n; i++) {
		bool tilde = out[i] == '~' && (out[i + 1] == '0' || out[i + 1] == '1');
		out[k++] = tilde ? (out[i + 1] == '0' ? '~' : '/') : out[i];
		i += tilde;
	}
	return s;
}

static const struct json *by_pointer(const struct json *at, const char *s)
{
	char step[512];

	while (*s == '/' && at) {
		s = take_step(s + 1, step, sizeof step);
		if (json_is(at, JSON_IS_LIST)) {
			size_t i = 0;
			for (const char *d = step; *d; d++)
				i = *d >= '0' && *d <= '9' && i < 1000000 ? 10 * i + (size_t)(*d - '0') : 1000000000;
			at = *step ? json_at(at, i) : NULL;
		} else {
			at = json_get(at, step);
		}
	}
	return *s ? NULL : at;
}

static const struct json *by_anchor(const struct json *root, const char *name)
{
	static const char *const homes[] = {"$defs", "definitions"};

	for (int h = 0; h < 2; h++) {
		const struct json *all = json_get(root, homes[h]);
		for (size_t i = 0; json_is(all, JSON_IS_OBJECT) && i < json_size(all); i++) {
			const struct json *one = &json_member(all, i)->value;
			const char *anchor = json_str(json_get(one, "$anchor")), *id = json_str(json_get(one, "$id"));
			if ((anchor && !strcmp(anchor, name)) || (id && *id == '#' && !strcmp(id + 1, name)))
				return one;
		}
	}
	return NULL;
}

const struct json *schema_ref(struct schema *s, const struct json *ref, int32_t place)
{
	const char *text = json_str(ref), *id = json_str(json_get(s->root, "$id"));
	const struct json *to = NULL;

	if (!text || strlen(text) != json_len(ref)) {
		schema_fail(s, ERR_INVALID, place, "$ref", text ? "holds U+0000" : "must be a text");
		return NULL;
	}
	if (id && !strncmp(text, id, strlen(id)))
		text += strlen(id);
	if (*text && *text != '#') {
		schema_fail(s, ERR_UNSUPPORTED, place, "$ref", "only references within the schema are supported");
		return NULL;
	}
	text += *text == '#';
	to = !*text || *text == '/' ? by_pointer(s->root, text) : by_anchor(s->root, text);
	if (!to)
		schema_fail(s, ERR_INVALID, place, "$ref", "it names nothing within the schema");
	return to;
}

int schema_count(const struct parts *p, const char *key, bool largest, int otherwise)
{
	int out = otherwise;

	for (int i = 0; i < p->n; i++) {
		const struct json *v = json_get(p->part[i].schema, key);
		double n = v ? json_num(v) : 0;
		int one = n < 1e9 ? (int)n : 1000000000;
		if (v)
			out = largest ? max_int(out, one) : min_int(out, one);
	}
	return out;
}
