/* schema_array.c - arrays: items by position, then any number of others. */
#include "engine/grammar/schema_parts.h"

/* "items" as a list is the older name of "prefixItems", and "additionalItems" then that of "items". */
static const struct json *prefix_of(const struct json *schema)
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

/* What all parts say of item i; beyond every prefix for i == -1. */
static struct frag item(struct schema *s, const struct parts *p, int i)
{
	struct parts q = {.n = 0};

	for (int k = 0; k < p->n; k++) {
		const struct part *part = &p->part[k];
		const char *key;
		const struct json *prefix = prefix_of(part->schema), *others = others_of(part->schema, &key);
		if (i >= 0 && (size_t)i < json_size(prefix))
			schema_add(s, &q, json_at(prefix, (size_t)i), schema_place(s, part->place, "prefixItems", i));
		else if (others)
			schema_add(s, &q, others, schema_place(s, part->place, key, -1));
	}
	return schema_value(s, &q);
}

/* Any number of further items, each behind a comma. */
static struct frag tail(struct schema *s, const struct parts *p, int min, int max)
{
	struct frag one = frag_cat(s->g, schema_char(s, ","), item(s, p, -1));

	return frag_times(s->g, one, min, max);
}

static int left(int max, int used)
{
	return max == REPEAT_ALWAYS ? max : max_int(0, max - used);
}

/* Items from `from` on, of which those before n have a schema each; built from the last one backwards. */
static struct frag items(struct schema *s, const struct parts *p, int n, int min, int max)
{
	int last = max == REPEAT_ALWAYS ? max_int(n, 1) : min_int(max_int(n, 1), max);
	struct frag f =
		last < n || max == last ? frag_empty(s->g) : tail(s, p, max_int(0, min - last), left(max, last));

	for (int i = last - 1; i >= 0 && graph_ok(s->g); i--) {
		struct frag one = item(s, p, i < n ? i : -1);
		if (i)
			one = frag_cat(s->g, schema_char(s, ","), one);
		f = frag_cat(s->g, one, f);
		if (i >= min)
			f = frag_opt(s->g, f);
	}
	return f;
}

struct frag schema_array(struct schema *s, const struct parts *p)
{
	int min = schema_count(p, "minItems", true, 0), max = schema_count(p, "maxItems", false, REPEAT_ALWAYS), n = 0;
	struct frag open = frag_cat(s->g, frag_byte(s->g, '['), schema_space(s)),
		    close = frag_cat(s->g, schema_space(s), frag_byte(s->g, ']'));

	for (int i = 0; i < p->n; i++)
		n = max_int(n, (int)json_size(prefix_of(p->part[i].schema)));
	if (min > max)
		return frag_fail(s->g);
	return frag_cat(s->g, open, frag_cat(s->g, items(s, p, n, min, max), close));
}
