/* schema_exclusive.c - whether the alternatives of a oneOf exclude each other by their form: other types, other
 * constants, a required property with other constants, or a required property that the other forbids. */
#include "engine/grammar/schema_parts.h"

#include <string.h>

enum { ALTERNATIVES = 256, HOPS = 16 };

/* What "$ref" alone leads to. */
static const struct json *resolve(struct schema *s, const struct json *v)
{
	for (int i = 0; i < HOPS && json_get(v, "$ref"); i++) {
		v = schema_ref(s, json_get(v, "$ref"), 0);
		if (!v)
			return NULL;
	}
	return v;
}

static int types(const struct json *v)
{
	const struct json *only = json_get(v, "const"), *list = json_get(v, "enum");
	int t = json_is(v, JSON_IS_OBJECT) ? schema_types(v) : TYPE_ANY, listed = 0;

	for (size_t i = 0; json_is(list, JSON_IS_LIST) && i < json_size(list); i++)
		listed |= schema_type_of(json_at(list, i));
	t &= only ? schema_type_of(only) : TYPE_ANY;
	return t & (json_is(list, JSON_IS_LIST) ? listed : TYPE_ANY);
}

/* The constants that a schema lists, one by one; NULL beyond the last. */
static const struct json *constant(const struct json *v, size_t i)
{
	const struct json *only = json_get(v, "const");

	return only ? (i ? NULL : only) : json_at(json_get(v, "enum"), i);
}

static bool other_constants(const struct json *a, const struct json *b)
{
	if (!constant(a, 0) || !constant(b, 0))
		return false;
	for (size_t i = 0; constant(a, i); i++)
		for (size_t k = 0; constant(b, k); k++)
			if (schema_same(constant(a, i), constant(b, k)))
				return false;
	return true;
}

static bool requires(const struct json *v, const char *name)
{
	const struct json *all = json_get(v, "required");

	for (size_t i = 0; i < json_size(all); i++)
		if (json_str(json_at(all, i)) && !strcmp(json_str(json_at(all, i)), name))
			return true;
	return false;
}

static bool forbids(const struct json *v, const char *name)
{
	const struct json *more = json_get(v, "additionalProperties");

	return json_is(more, JSON_IS_BOOL) && !json_yes(more) && !json_get(v, "patternProperties") &&
	       !json_get(json_get(v, "properties"), name);
}

static bool only_objects(const struct json *v)
{
	return types(v) == TYPE_OBJECT;
}

/* A property that both require has other constants, or one requires what the other forbids. */
static bool other_properties(struct schema *s, const struct json *a, const struct json *b)
{
	const struct json *all = json_get(a, "required");

	for (size_t i = 0; i < json_size(all); i++) {
		const char *name = json_str(json_at(all, i));
		const struct json *x, *y;
		if (!name)
			continue;
		if (forbids(b, name))
			return true;
		x = resolve(s, json_get(json_get(a, "properties"), name));
		y = resolve(s, json_get(json_get(b, "properties"), name));
		if (requires(b, name) && x && y && (other_constants(x, y) || !(types(x) & types(y))))
			return true;
	}
	return false;
}

static bool exclude(struct schema *s, const struct json *a, const struct json *b)
{
	if (!a || !b)
		return false;
	if (!(types(a) & types(b)) || other_constants(a, b))
		return true;
	return only_objects(a) && only_objects(b) && (other_properties(s, a, b) || other_properties(s, b, a));
}

bool schema_exclusive(struct schema *s, const struct json *all)
{
	size_t n = json_size(all);

	for (size_t i = 0; i < n && n <= ALTERNATIVES; i++)
		for (size_t k = 0; k < i; k++)
			if (!graph_ok(s->g) || !exclude(s, resolve(s, json_at(all, i)), resolve(s, json_at(all, k))))
				return false;
	return n <= ALTERNATIVES;
}
