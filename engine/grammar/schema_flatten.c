/* schema_flatten.c - from what was asked for to all that holds at once. */
#include "engine/grammar/schema_parts.h"

static bool add_all_of(struct schema *s, struct parts *p, const struct part *part)
{
	const struct json *all = json_get(part->schema, "allOf");

	for (size_t i = 0; i < json_size(all); i++)
		if (!schema_add(s, p, json_at(all, i), schema_place(s, part->place, "allOf", (int)i)))
			return false;
	return true;
}

bool schema_flatten(struct schema *s, struct parts *p)
{
	for (int i = 0; i < p->n; i++) {
		struct part part = p->part[i];
		const struct json *ref = json_get(part.schema, "$ref"), *to;
		if (!schema_keywords(s, part.schema, part.place) || !graph_ok(s->g))
			return false;
		to = ref ? schema_ref(s, ref, part.place) : NULL;
		if (ref && (!to || !schema_add(s, p, to, part.place)))
			return false;
		if (!add_all_of(s, p, &part) || !schema_derive(s, p, &part))
			return false;
	}
	return true;
}
