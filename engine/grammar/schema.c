/* schema.c - the rules that schemas become, of which all hold at once. */
#include "engine/grammar/schema_parts.h"

#include <string.h>

/* ---- what holds at once ---- */

/* The first part with a choice that is not made yet. */
static int open_choice(const struct parts *p, int *which)
{
	for (int i = 0; i < p->n; i++)
		for (*which = ANY_OF; *which <= ONE_OF; ++*which)
			if (!(p->part[i].chosen & *which) &&
			    json_get(p->part[i].schema, *which == ANY_OF ? "anyOf" : "oneOf"))
				return i;
	return -1;
}

static struct frag branch(struct schema *s, const struct parts *p, int at, int which)
{
	const char *key = which == ANY_OF ? "anyOf" : "oneOf";
	const struct json *all = json_get(p->part[at].schema, key);
	struct frag f = frag_fail(s->g);

	bool alone = which == ONE_OF && !schema_exclusive(s, all);
	for (size_t i = 0; i < json_size(all) && graph_ok(s->g); i++) {
		struct parts q = *p;
		const struct json *one = alone ? schema_alone(s, all, i) : json_at(all, i);
		q.part[at].chosen |= (uint8_t)which;
		if (!one)
			schema_fail(s, ERR_UNSUPPORTED, p->part[at].place, key,
				    "so many alternatives that a value may satisfy two of are not supported: use "
				    "anyOf, or a property with another const in each");
		else if (schema_add(s, &q, one, schema_place(s, p->part[at].place, key, (int)i)))
			f = frag_alt(s->g, f, schema_value(s, &q));
	}
	return f;
}

static int types_of(const struct parts *p)
{
	int types = TYPE_ANY;

	for (int i = 0; i < p->n; i++)
		types &= schema_types(p->part[i].schema);
	return types;
}

static struct frag by_type(struct schema *s, const struct parts *p)
{
	int types = types_of(p);
	struct frag f = frag_fail(s->g);
	const struct json yes = json_make_bool(true), no = json_make_bool(false), null = json_make_null();

	if (types & TYPE_OBJECT && !schema_left_out(p, TYPE_OBJECT, NULL))
		f = frag_alt(s->g, f, schema_object(s, p));
	if (types & TYPE_ARRAY && !schema_left_out(p, TYPE_ARRAY, NULL))
		f = frag_alt(s->g, f, schema_array(s, p));
	if (types & TYPE_STRING)
		f = frag_alt(s->g, f, schema_string(s, p));
	if (types & (TYPE_NUMBER | TYPE_INTEGER))
		f = frag_alt(s->g, f, schema_number(s, p, !(types & TYPE_NUMBER)));
	if (types & TYPE_BOOL && !schema_left_out(p, TYPE_BOOL, &yes))
		f = frag_alt(s->g, f, frag_str(s->g, "true"));
	if (types & TYPE_BOOL && !schema_left_out(p, TYPE_BOOL, &no))
		f = frag_alt(s->g, f, frag_str(s->g, "false"));
	if (types & TYPE_NULL && !schema_left_out(p, TYPE_NULL, &null))
		f = frag_alt(s->g, f, frag_str(s->g, "null"));
	return f;
}

/* Only "$ref", beside which nothing counts. */
static const struct json *lone_ref(const struct json *schema)
{
	const struct json *ref = json_get(schema, "$ref");

	for (size_t i = 0; ref && i < json_size(schema); i++) {
		const char *key = json_member(schema, i)->key;
		if (strcmp(key, "$ref") && strcmp(key, "$defs") && strcmp(key, "definitions") && strcmp(key, "$schema"))
			return NULL;
	}
	return ref;
}

/* A joint of one schema begins with it, or with what it stands for. */
static void mark_outermost(struct schema *s, struct parts *p)
{
	enum { HOPS = 16 };
	const struct json *at = p->n == 1 ? p->part[0].schema : NULL, *ref;

	if (!at || p->part[0].chosen)
		return;
	for (int i = 0; i < HOPS && (ref = lone_ref(at)); i++) {
		at = schema_ref(s, ref, p->part[0].place);
		if (!json_is(at, JSON_IS_OBJECT))
			return;
	}
	if (!json_get(at, "unevaluatedProperties") && !json_get(at, "unevaluatedItems"))
		return;
	p->part[0].schema = at;
	p->part[0].chosen = OUTERMOST;
}

static struct frag make(struct schema *s, struct parts *p)
{
	struct frag listed;
	int which, at;

	mark_outermost(s, p);
	if (!schema_flatten(s, p) || p->never)
		return frag_fail(s->g);
	at = open_choice(p, &which);
	if (at >= 0)
		return branch(s, p, at, which);
	listed = schema_listed(s, p);
	return listed.start || s->g->err ? listed : by_type(s, p);
}

/* ---- the whole ---- */

static const struct json_rules rules = {.depth = 200, .values = 100000, .bytes = 16 << 20, .last = true};

/* Rules of all joints that are met, the root's first. */
static int32_t rules_from(struct schema *s, const struct parts *first)
{
	int32_t root = graph_rule(s->g);
	struct parts *p = heap_take(1, sizeof *p);

	s->slot = heap_take(2 * JOINTS_MOST, sizeof *s->slot);
	if (!p || !s->slot) {
		s->g->err = effort_check(&s->g->why);
	} else {
		graph_define(s->g, root, frag_cat(s->g, schema_space(s), schema_value(s, first)));
		for (int i = 0; i < s->n_joints && graph_ok(s->g); i++) {
			*p = (struct parts){.n = s->joint[i].n};
			if (p->n)
				memcpy(p->part, s->joint[i].part, (size_t)p->n * sizeof *p->part);
			int32_t rule = s->joint[i].rule;
			graph_define(s->g, rule, make(s, p));
		}
	}
	for (int i = 0; i < s->n_joints; i++)
		heap_free(s->joint[i].part);
	heap_free(s->joint), heap_free(s->place), heap_free(s->slot), heap_free(p);
	schema_derive_finish(s);
	return root;
}

int32_t schema_of(struct graph *g, const struct json *schema, bool compact)
{
	struct schema s = {.g = g, .root = schema, .compact = compact, .space = -1, .chars = -1};
	struct parts first = {.n = 0};

	if (schema_add(&s, &first, s.root, schema_place(&s, -1, "", -1)))
		return rules_from(&s, &first);
	heap_free(s.place);
	return 0;
}

int32_t schema_rules(struct graph *g, const char *text, size_t n, bool compact)
{
	struct json_error e;
	struct json_doc *doc = json_read(text, n, &rules, &e);
	int32_t root;

	if (!doc) {
		struct why why;
		int err = json_why(&why, &e, "json_schema");
		return graph_fail(g, err == ERR_FORMAT ? ERR_INVALID : err, "%s", why.text), 0;
	}
	root = schema_of(g, json_root(doc), compact);
	json_close(doc);
	return root;
}

int32_t schema_any_object(struct graph *g, bool compact)
{
	static const char text[] = "{\"type\": \"object\"}";

	return schema_rules(g, text, sizeof text - 1, compact);
}
