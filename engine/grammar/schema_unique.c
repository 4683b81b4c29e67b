/* schema_unique.c - arrays whose items differ, where every item is one of a few constants: what follows depends on
 * which of them have been there. */
#include "engine/grammar/schema_parts.h"

enum { VALUES = 16, WAYS = 16384 /* items in all sets of those before them */ };

struct unique {
	struct schema *s;
	const struct array *a;
	const struct json *value[VALUES];
	int n, max;
	bool failed; /* more values, or others */
};

static void add_value(struct unique *u, const struct json *v)
{
	for (int i = 0; i < u->n; i++)
		if (schema_same(u->value[i], v))
			return;
	if (u->n == VALUES)
		u->failed = true;
	else
		u->value[u->n++] = v;
}

static void add_of_types(struct unique *u, int types)
{
	static const struct json yes = {.kind = JSON_IS_BOOL, .yes = true}, no = {.kind = JSON_IS_BOOL, .yes = false},
				 null = {.kind = JSON_IS_NULL};

	if (types & ~(TYPE_BOOL | TYPE_NULL))
		u->failed = true;
	if (types & TYPE_BOOL)
		add_value(u, &yes), add_value(u, &no);
	if (types & TYPE_NULL)
		add_value(u, &null);
}

/* Values of which each item is one; other keywords may leave some of them out. */
static void list_values(struct unique *u)
{
	struct parts q = schema_item(u->s, u->a, -1);
	int types = TYPE_ANY;

	if (!schema_flatten(u->s, &q) || q.never)
		return;
	for (int i = 0; i < q.n; i++) {
		const struct json *only = json_get(q.part[i].schema, "const"),
				  *all = json_get(q.part[i].schema, "enum");
		for (size_t k = 0; !only && k < json_size(all); k++)
			add_value(u, json_at(all, k));
		if (only)
			add_value(u, only);
		if (only || all)
			return;
		types &= schema_types(q.part[i].schema);
	}
	add_of_types(u, types);
}

/* How many items there are to build: of each set of values, those that may follow. */
static int64_t ways(const struct unique *u)
{
	int64_t sets = 1, all = 0;

	for (int used = 0; used < min_int(u->n, u->max); used++) {
		all += sets * (u->n - used);
		sets = sets * (u->n - used) / (used + 1);
	}
	return all;
}

/* One value behind a comma, or the first, as a rule. */
static int32_t rule_of(struct unique *u, int i, bool first)
{
	struct graph *g = u->s->g;
	struct parts q = schema_item(u->s, u->a, -1);
	const struct json *only = schema_made(u->s, u->value[i], CONSTANT);
	int32_t rule = graph_rule(g);
	struct frag f = frag_fail(g);

	if (only && schema_add(u->s, &q, only, q.n ? q.part[0].place : 0))
		f = schema_value(u->s, &q);
	graph_define(g, rule, first ? f : frag_cat(g, schema_char(u->s, ","), f));
	return rule;
}

/* after[set]: what follows behind these values. A set with one more is a larger number, so it is built before. */
static struct frag build(struct unique *u, int32_t *after)
{
	struct graph *g = u->s->g;
	struct frag end = frag_empty(g);
	int32_t rule[VALUES], first[VALUES], fail = graph_node(g, NODE_FAIL, 0, 0);

	for (int i = 0; i < u->n; i++)
		rule[i] = rule_of(u, i, false), first[i] = rule_of(u, i, true);
	for (int set = (1 << u->n) - 1; set >= 0 && graph_ok(g); set--) {
		int used = __builtin_popcount((unsigned)set);
		after[set] = used >= u->a->min ? end.start : fail;
		for (int i = 0; i < u->n && used < u->max; i++)
			if (!(set >> i & 1)) {
				int32_t one = graph_node(g, NODE_CALL, after[set | 1 << i], set ? rule[i] : first[i]);
				after[set] = graph_node(g, NODE_SPLIT, one, after[set]);
			}
	}
	return (struct frag){after[0], end.end};
}

struct frag schema_unique(struct schema *s, const struct array *a, int32_t place)
{
	struct unique u = {.s = s, .a = a, .max = a->max};
	struct frag f = frag_fail(s->g);
	int32_t *after;

	if (a->prefix) {
		schema_fail(s, ERR_UNSUPPORTED, place, "uniqueItems", "not supported beside prefixItems");
		return f;
	}
	list_values(&u);
	if (!s->g->err && (u.failed || ways(&u) > WAYS))
		schema_fail(
			s, ERR_UNSUPPORTED, place, "uniqueItems",
			"only supported where items are one of a few constants: up to 11, or 16 with a small maxItems");
	after = s->g->err ? NULL : heap_take((size_t)1 << u.n, sizeof *after);
	if (after)
		f = build(&u, after);
	else if (!s->g->err)
		s->g->err = effort_check(&s->g->why);
	heap_free(after);
	return f;
}
