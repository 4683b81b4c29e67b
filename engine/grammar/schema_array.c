/* schema_array.c - arrays: items by position, then any number of others. */
#include "engine/grammar/schema_parts.h"

static struct frag item(struct schema *s, const struct array *a, int i)
{
	struct parts q = schema_item(s, a, i);

	return schema_value(s, &q);
}

/* Any number of further items, each behind a comma. */
static struct frag tail(struct schema *s, const struct array *a, int min, int max)
{
	struct frag one = frag_cat(s->g, schema_char(s, ","), item(s, a, -1));

	return frag_times(s->g, one, min, max);
}

static int left(int max, int used)
{
	return max == REPEAT_ALWAYS ? max : max_int(0, max - used);
}

/* Those of the prefix have a schema each; built from the last one backwards. */
static struct frag items(struct schema *s, const struct array *a)
{
	int n = a->prefix, last = a->max == REPEAT_ALWAYS ? max_int(n, 1) : min_int(max_int(n, 1), a->max);
	struct frag f = last < n || a->max == last ? frag_empty(s->g)
						   : tail(s, a, max_int(0, a->min - last), left(a->max, last));

	for (int i = last - 1; i >= 0 && graph_ok(s->g); i--) {
		struct frag one = item(s, a, i < n ? i : -1);
		if (i)
			one = frag_cat(s->g, schema_char(s, ","), one);
		f = frag_cat(s->g, one, f);
		if (i >= a->min)
			f = frag_opt(s->g, f);
	}
	return f;
}

/* The part that says that items differ; NULL: none does, or there is one item at most. */
static const struct part *unique(const struct array *a)
{
	for (int i = 0; i < a->p->n && a->max > 1; i++)
		if (json_yes(json_get(a->p->part[i].schema, "uniqueItems")))
			return &a->p->part[i];
	return NULL;
}

static struct frag all_items(struct schema *s, const struct array *a)
{
	const struct part *differ = unique(a);

	if (schema_counts(a->p) && a->unevaluated)
		schema_fail(s, ERR_UNSUPPORTED, a->place, "unevaluatedItems", "not supported beside contains");
	if (schema_counts(a->p) && differ)
		schema_fail(s, ERR_UNSUPPORTED, differ->place, "uniqueItems", "not supported beside contains");
	if (differ)
		return schema_unique(s, a, differ->place);
	return schema_counts(a->p) ? schema_contains(s, a) : items(s, a);
}

struct frag schema_array(struct schema *s, const struct parts *p)
{
	struct array a = {.p = p,
			  .min = schema_count(p, "minItems", true, 0),
			  .max = schema_count(p, "maxItems", false, REPEAT_ALWAYS)};
	struct frag open = frag_cat(s->g, frag_byte(s->g, '['), schema_space(s)),
		    close = frag_cat(s->g, schema_space(s), frag_byte(s->g, ']'));

	for (int i = 0; i < p->n; i++)
		a.prefix = max_int(a.prefix, (int)json_size(schema_prefix(p->part[i].schema)));
	a.unevaluated = schema_unevaluated(s, p, "unevaluatedItems", &a.place);
	if (a.min > a.max)
		return frag_fail(s->g);
	return frag_cat(s->g, open, frag_cat(s->g, all_items(s, &a), close));
}
