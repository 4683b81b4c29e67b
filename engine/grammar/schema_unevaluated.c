/* schema_unevaluated.c - unevaluatedProperties and unevaluatedItems, where the schema that has them is the outermost:
 * all others that hold come from it, so what any of them evaluates counts. */
#include "engine/grammar/schema_parts.h"

/* What "not" and "if" are made into names properties that they do not evaluate. */
static const char *unsure(const struct json *schema)
{
	const struct json *opposite = json_get(schema, "not");

	if (json_get(schema, "if"))
		return "not supported beside if";
	return schema_structural(opposite)
		       ? "not supported beside not and oneOf of schemas that do not exclude each other"
		       : NULL;
}

const struct json *schema_unevaluated(struct schema *s, const struct parts *p, const char *key, int32_t *place)
{
	const struct json *found = NULL;
	const char *text = NULL;

	for (int i = 0; i < p->n; i++) {
		const struct json *v = json_get(p->part[i].schema, key);
		if (!v)
			continue;
		if (!(p->part[i].chosen & OUTERMOST)) {
			schema_fail(
				s, ERR_UNSUPPORTED, p->part[i].place, key,
				"only supported where no other schema holds of the same value but those within this one");
			return NULL;
		}
		found = v;
		*place = p->part[i].place;
	}
	for (int i = 0; i < p->n && found && !text; i++)
		text = unsure(p->part[i].schema);
	if (!text)
		return found;
	schema_fail(s, ERR_UNSUPPORTED, *place, key, text);
	return NULL;
}
