/* schema_derive.c - not, if, dependentRequired, dependentSchemas and dependencies in words of the other keywords. */
#include "engine/grammar/schema_parts.h"

#include <string.h>

enum { DERIVED_MOST = 2048, OPPOSITES = 16 };

/* ---- schemas made by hand ---- */

static struct json with(struct schema *s, struct json object, const char *key, struct json v)
{
	json_set(s->doc, &object, key, v);
	return object;
}

static struct json only(struct schema *s, const char *key, struct json v)
{
	return with(s, json_make_object(s->doc), key, v);
}

static struct json object_with(struct schema *s, const char *key, struct json v)
{
	return with(s, only(s, "type", json_make_text(s->doc, "object", 6)), key, v);
}

static struct json list_of(struct schema *s, struct json v)
{
	struct json list = json_make_list();

	json_add(s->doc, &list, v);
	return list;
}

static struct json *any_of(struct schema *s, struct json *list, struct json alternatives)
{
	json_add(s->doc, list, json_size(&alternatives) ? only(s, "anyOf", alternatives) : json_make_bool(false));
	return list;
}

/* Keys with U+0000 cannot be named by a text that ends with one. */
static bool plain_key(struct schema *s, int32_t place, const char *keyword, const char *key, size_t len)
{
	return strlen(key) == len || schema_fail(s, ERR_UNSUPPORTED, place, keyword, "a name with U+0000") == 0;
}

/* ---- not ---- */

static bool is_scalar(const char *key)
{
	static const char keys[] =
		" type enum const minLength maxLength pattern format minimum maximum exclusiveMinimum "
		"exclusiveMaximum multipleOf ";
	size_t n = strlen(key);

	for (const char *at = keys; (at = strstr(at, key)); at++)
		if (at > keys && at[-1] == ' ' && at[n] == ' ' && !strchr(key, ' '))
			return true;
	return false;
}

static void not_required(struct schema *s, const struct json *names, int32_t place, struct json *out)
{
	for (size_t i = 0; i < json_size(names); i++) {
		const struct json *name = json_at(names, i);
		if (plain_key(s, place, "required", json_str(name), json_len(name)))
			json_add(s->doc, out,
				 object_with(s, "properties", only(s, json_str(name), json_make_bool(false))));
	}
}

static void not_properties(struct schema *s, const struct json *all, int32_t place, struct json *out)
{
	for (size_t i = 0; i < json_size(all); i++) {
		const struct json_member *m = json_member(all, i);
		struct json one;
		if (!plain_key(s, place, "properties", m->key, m->key_len))
			return;
		one = object_with(s, "required", list_of(s, json_make_text(s->doc, m->key, m->key_len)));
		json_add(s->doc, out, with(s, one, "properties", only(s, m->key, only(s, "not", m->value))));
	}
}

static struct json each_not(struct schema *s, const struct json *all)
{
	struct json list = json_make_list();

	for (size_t i = 0; i < json_size(all); i++)
		json_add(s->doc, &list, only(s, "not", *json_at(all, i)));
	return list;
}

/* Appends alternatives, of which a value satisfies one if it breaks the keyword. */
static void not_keyword(struct schema *s, const char *key, const struct json *v, int32_t place, struct json *out)
{
	struct json each;

	if (!strcmp(key, "required")) {
		not_required(s, v, place, out);
	} else if (!strcmp(key, "properties")) {
		not_properties(s, v, place, out);
	} else if (!strcmp(key, "allOf")) {
		each = each_not(s, v);
		for (size_t i = 0; i < json_size(&each); i++)
			json_add(s->doc, out, *json_at(&each, i));
	} else if (!strcmp(key, "anyOf")) {
		json_add(s->doc, out, only(s, "allOf", each_not(s, v)));
	} else if (!strcmp(key, "not")) {
		json_add(s->doc, out, *v);
	} else if (!strcmp(key, "contains")) {
		json_add(s->doc, out,
			 with(s, only(s, "type", json_make_text(s->doc, "array", 5)), "items", only(s, "not", *v)));
	} else if (!strcmp(key, "$ref")) {
		const struct json *to = schema_ref(s, v, place);
		if (to)
			json_add(s->doc, out, only(s, "not", *to));
	} else {
		schema_fail(s, ERR_UNSUPPORTED, place, key,
			    "its opposite, which not, if or oneOf need, is not supported");
	}
}

static void not_schema(struct schema *s, const struct json *schema, int32_t place, struct json *list)
{
	struct json out = json_make_list(), rest = json_make_object(s->doc);

	for (size_t i = 0; i < json_size(schema) && graph_ok(s->g); i++) {
		const struct json_member *m = json_member(schema, i);
		struct json one = only(s, m->key, m->value);
		if (schema_structural(&one))
			not_keyword(s, m->key, &m->value, place, &out);
		else if (is_scalar(m->key))
			json_set(s->doc, &rest, m->key, m->value);
	}
	if (json_size(&rest))
		json_add(s->doc, &out, only(s, "not", rest));
	any_of(s, list, out);
}

static bool is_more(const struct json *v)
{
	return json_is(v, JSON_IS_LIST) || json_is(v, JSON_IS_OBJECT);
}

static bool lists_more(const struct json *list)
{
	for (size_t i = 0; i < json_size(list); i++)
		if (is_more(json_at(list, i)))
			return true;
	return false;
}

static void derive_not(struct schema *s, const struct part *part, struct json *list)
{
	const struct json *inner = json_get(part->schema, "not");
	int32_t place;

	if (!inner || (json_is(inner, JSON_IS_BOOL) && !json_yes(inner)))
		return;
	place = schema_place(s, part->place, "not", -1);
	if (json_is(inner, JSON_IS_BOOL)) {
		json_add(s->doc, list, json_make_bool(false));
		return;
	}
	if (!schema_keywords(s, inner, place))
		return;
	if (json_get(inner, "format")) /* ours allow less than the standards do, so their opposites would allow more */
		schema_fail(s, ERR_UNSUPPORTED, place, "format", "not supported within not, if and oneOf");
	if (lists_more(json_get(inner, "enum")) || is_more(json_get(inner, "const")))
		schema_fail(s, ERR_UNSUPPORTED, place, json_get(inner, "const") ? "const" : "enum",
			    "listed lists and objects are not supported within not, if and oneOf");
	if (schema_structural(inner))
		not_schema(s, inner, place, list);
}

/* ---- if, and what depends on a property ---- */

static void derive_if(struct schema *s, const struct json *schema, struct json *list)
{
	const struct json *when = json_get(schema, "if"), *then = json_get(schema, "then"),
			  *otherwise = json_get(schema, "else");
	struct json yes, no, both = json_make_list();

	if (!when || (!then && !otherwise))
		return;
	yes = list_of(s, *when);
	no = list_of(s, only(s, "not", *when));
	if (then)
		json_add(s->doc, &yes, *then);
	if (otherwise)
		json_add(s->doc, &no, *otherwise);
	json_add(s->doc, &both, only(s, "allOf", yes));
	json_add(s->doc, &both, only(s, "allOf", no));
	any_of(s, list, both);
}

/* The object has the property, and its schema holds. */
static struct json present(struct schema *s, const struct json_member *m)
{
	return with(s, object_with(s, "allOf", list_of(s, m->value)), "required",
		    list_of(s, json_make_text(s->doc, m->key, m->key_len)));
}

/* The property is absent, or more holds. */
static void derive_dependent(struct schema *s, const struct part *part, const char *keyword, struct json *list)
{
	const struct json *all = json_get(part->schema, keyword);

	for (size_t i = 0; i < json_size(all) && graph_ok(s->g); i++) {
		const struct json_member *m = json_member(all, i);
		struct json both = json_make_list();
		if (!plain_key(s, part->place, keyword, m->key, m->key_len))
			return;
		json_add(s->doc, &both, only(s, "properties", only(s, m->key, json_make_bool(false))));
		json_add(s->doc, &both,
			 json_is(&m->value, JSON_IS_LIST) ? object_with(s, "required", m->value) : present(s, m));
		any_of(s, list, both);
	}
}

/* ---- all ---- */

static bool has_any(const struct json *schema)
{
	return json_get(schema, "not") || json_get(schema, "if") || json_get(schema, "dependentRequired") ||
	       json_get(schema, "dependentSchemas") || json_get(schema, "dependencies");
}

static struct json *known(const struct schema *s, const struct json *of, enum derived_as as)
{
	for (int i = 0; i < s->n_derived; i++)
		if (s->derived[i].of == of && s->derived[i].as == as)
			return s->derived[i].made;
	return NULL;
}

/* Keeps what was made, so that the schema gets the same one each time. NULL: an error. */
static struct json *keep(struct schema *s, const struct json *of, enum derived_as as, struct json made)
{
	struct json *v = s->n_derived < DERIVED_MOST ? heap_take(1, sizeof *v) : NULL;

	if (!s->derived)
		s->derived = heap_take(DERIVED_MOST, sizeof *s->derived);
	if (!v || !s->derived) {
		heap_free(v);
		graph_fail(s->g, ERR_LIMIT, "the schema has more than %d conditions", DERIVED_MOST);
		return NULL;
	}
	*v = made;
	s->derived[s->n_derived++] = (struct derived){of, v, as};
	return v;
}

static bool begin(struct schema *s)
{
	if (!s->doc)
		s->doc = json_new();
	return graph_ok(s->g);
}

bool schema_derive(struct schema *s, struct parts *p, const struct part *part)
{
	const struct json *made = known(s, part->schema, CONDITIONS);
	struct json list = json_make_list();

	if (!has_any(part->schema) || !begin(s))
		return !s->g->err;
	if (!made) {
		derive_not(s, part, &list);
		derive_if(s, part->schema, &list);
		derive_dependent(s, part, "dependentRequired", &list);
		derive_dependent(s, part, "dependentSchemas", &list);
		derive_dependent(s, part, "dependencies", &list);
		made = keep(s, part->schema, CONDITIONS,
			    json_size(&list) ? only(s, "allOf", list) : json_make_object(s->doc));
	}
	return made && !s->g->err && schema_add(s, p, made, part->place);
}

const struct json *schema_alone(struct schema *s, const struct json *alternatives, size_t which)
{
	const struct json *at = json_at(alternatives, which), *made = known(s, at, ALONE);
	struct json list = json_make_list();

	if (json_size(alternatives) > OPPOSITES || !begin(s))
		return NULL;
	for (size_t i = 0; i < json_size(alternatives) && !made; i++)
		json_add(s->doc, &list, i == which ? *at : only(s, "not", *json_at(alternatives, i)));
	return made ? made : keep(s, at, ALONE, only(s, "allOf", list));
}

const struct json *schema_made(struct schema *s, const struct json *of, enum derived_as as)
{
	const struct json *made = known(s, of, as);

	return made || !begin(s) ? made : keep(s, of, as, only(s, as == OPPOSITE ? "not" : "const", *of));
}

void schema_derive_finish(struct schema *s)
{
	for (int i = 0; i < s->n_derived; i++)
		heap_free(s->derived[i].made);
	heap_free(s->derived);
	json_close(s->doc);
}
