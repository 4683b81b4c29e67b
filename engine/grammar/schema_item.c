/* schema_item.c - what schemas say of an item by its place. */
#include "engine/grammar/schema_parts.h"

/* "items" as a list is the older name of "prefixItems", and "additionalItems" then that of "items". */
const struct json *schema_prefix(const struct json *schema)
{
	const struct json *items = json_get(schema, "items"), *prefix = json_get(schema, "prefixItems");

	return prefix ? prefix : json_is(items, JSON_IS_LIST) ? items : NULL;
}

static const struct json *others_of(const struct json *schema, const char **key)
{
	const struct json *items = json_get(schema, "items");
	bool list = json_is(items, JSON_IS_LIST);

	*key = list ? "additionalItems" : "items";
	return list ? json_get(schema, "additionalItems") : items;
}

struct parts schema_item(struct schema *s, const struct array *a, int i)
{
	struct parts q = {.n = 0};
	bool evaluated = false;

	for (int k = 0; k < a->p->n; k++) {
		const struct part *part = &a->p->part[k];
		const char *key;
		const struct json *prefix = schema_prefix(part->schema), *others = others_of(part->schema, &key);
		bool own = i >= 0 && (size_t)i < json_size(prefix);
		if (own)
			schema_add(s, &q, json_at(prefix, (size_t)i), schema_place(s, part->place, "prefixItems", i));
		else if (others)
			schema_add(s, &q, others, schema_place(s, part->place, key, -1));
		evaluated |= own || others;
	}
	if (!evaluated && a->unevaluated)
		schema_add(s, &q, a->unevaluated, schema_place(s, a->place, "unevaluatedItems", -1));
	return q;
}
