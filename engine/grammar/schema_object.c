/* schema_object.c - objects: the named properties in the order of the schema, then any others. */
#include "engine/grammar/schema_parts.h"

#include <stdlib.h>
#include <string.h>

enum { PATTERNS = 4 };

struct property {
	const char *name;
	size_t len;
	bool required;
};
struct object {
	struct schema *s;
	const struct parts *p;
	struct property *prop; /* (n) */
	int n, room;
	const char *pattern[PATTERNS];
	size_t pattern_len[PATTERNS];
	int32_t pattern_place[PATTERNS];
	int n_patterns;
	int min, max, levels; /* properties; levels: counts of them that are told apart */
	const struct json *unevaluated;
	int32_t place; /* of the schema that has it */
};

/* ---- which names and patterns there are ---- */

static struct property *find(struct object *o, const char *name, size_t len)
{
	for (int i = 0; i < o->n; i++)
		if (o->prop[i].len == len && !memcmp(o->prop[i].name, name, len))
			return &o->prop[i];
	if (o->n == o->room) {
		int room = o->room ? 2 * o->room : 16;
		struct property *all = heap_grow(o->prop, (size_t)room, sizeof *all);
		if (!all)
			return NULL;
		o->prop = all, o->room = room;
	}
	o->prop[o->n] = (struct property){name, len, false};
	return &o->prop[o->n++];
}

static void collect_names(struct object *o)
{
	for (int i = 0; i < o->p->n; i++) {
		const struct json *all = json_get(o->p->part[i].schema, "properties");
		for (size_t k = 0; k < json_size(all) && graph_ok(o->s->g); k++)
			find(o, json_member(all, k)->key, json_member(all, k)->key_len);
	}
	for (int i = 0; i < o->p->n; i++) {
		const struct json *all = json_get(o->p->part[i].schema, "required");
		for (size_t k = 0; k < json_size(all) && graph_ok(o->s->g); k++) {
			struct property *one = find(o, json_str(json_at(all, k)), json_len(json_at(all, k)));
			if (one)
				one->required = true;
		}
	}
}

static int pattern_of(const struct object *o, const char *text, size_t len)
{
	for (int i = 0; i < o->n_patterns; i++)
		if (o->pattern_len[i] == len && !memcmp(o->pattern[i], text, len))
			return i;
	return -1;
}

static void collect_patterns(struct object *o)
{
	for (int i = 0; i < o->p->n; i++) {
		const struct json *all = json_get(o->p->part[i].schema, "patternProperties");
		for (size_t k = 0; k < json_size(all) && !o->s->g->err; k++) {
			const struct json_member *m = json_member(all, k);
			if (pattern_of(o, m->key, m->key_len) >= 0)
				continue;
			if (o->n_patterns == PATTERNS) {
				schema_fail(o->s, ERR_UNSUPPORTED, o->p->part[i].place, "patternProperties",
					    "more than four patterns at once are not supported");
				return;
			}
			o->pattern[o->n_patterns] = m->key;
			o->pattern_len[o->n_patterns] = m->key_len;
			o->pattern_place[o->n_patterns++] = o->p->part[i].place;
		}
	}
}

/* ---- what a name's value must be ---- */

/* Adds what a part says of a name, where `matched` has a bit for each pattern that the name matches. Returns whether
 * it says something. */
static bool add_of_part(struct object *o, struct parts *q, const struct part *part, const struct property *name,
			unsigned matched)
{
	const struct json *props = json_get(part->schema, "properties"),
			  *patterns = json_get(part->schema, "patternProperties"),
			  *more = json_get(part->schema, "additionalProperties"),
			  *own = name ? json_getn(props, name->name, name->len) : NULL;
	bool any = own != NULL;

	if (own)
		schema_add(o->s, q, own,
			   schema_place(o->s, schema_place(o->s, part->place, "properties", -1), name->name, -1));
	for (size_t k = 0; k < json_size(patterns); k++) {
		const struct json_member *m = json_member(patterns, k);
		if (!(matched >> pattern_of(o, m->key, m->key_len) & 1))
			continue;
		schema_add(o->s, q, &m->value,
			   schema_place(o->s, schema_place(o->s, part->place, "patternProperties", -1), m->key, -1));
		any = true;
	}
	if (!any && more)
		schema_add(o->s, q, more, schema_place(o->s, part->place, "additionalProperties", -1));
	return any || more;
}

static struct frag value_of(struct object *o, const struct property *name, unsigned matched)
{
	struct parts q = {.n = 0};
	bool evaluated = false;

	for (int i = 0; i < o->p->n; i++)
		evaluated |= add_of_part(o, &q, &o->p->part[i], name, matched);
	if (!evaluated && o->unevaluated)
		schema_add(o->s, &q, o->unevaluated, schema_place(o->s, o->place, "unevaluatedProperties", -1));
	return frag_cat(o->s->g, schema_char(o->s, ":"), schema_value(o->s, &q));
}

/* ---- other keys ---- */

static struct dfa pattern_dfa(struct object *o, int i)
{
	return schema_pattern(o->s, o->pattern[i], o->pattern_len[i], true, o->pattern_place[i], "patternProperties");
}

/* What propertyNames says of keys; *any: something. */
static struct dfa keys_dfa(struct object *o, bool *any)
{
	struct graph *g = o->s->g;
	struct dfa all = {.n = 0};

	for (int i = 0; i < o->p->n && !g->err; i++) {
		struct part keys = o->p->part[i];
		keys.schema = json_get(keys.schema, "propertyNames");
		while (json_get(keys.schema, "$ref") && graph_ok(g))
			keys.schema = schema_ref(o->s, json_get(keys.schema, "$ref"), keys.place);
		if (!keys.schema || (json_is(keys.schema, JSON_IS_BOOL) && json_yes(keys.schema)))
			continue;
		if (schema_structural(keys.schema))
			schema_fail(o->s, ERR_UNSUPPORTED, keys.place, "propertyNames",
				    "only keywords for strings are supported");
		else if (json_is(keys.schema, JSON_IS_OBJECT) && !schema_keywords(o->s, keys.schema, keys.place))
			break;
		struct dfa one = json_is(keys.schema, JSON_IS_BOOL) ? dfa_make(g, 1, 1) : schema_texts(o->s, &keys);
		all = *any ? dfa_and(g, all, one) : one;
		*any = true;
	}
	return all;
}

/* Exactly the named keys. */
static struct dfa names_dfa(struct object *o)
{
	struct graph g;
	struct dfa a;
	struct frag f;

	graph_init(&g);
	f = frag_fail(&g);
	for (int i = 0; i < o->n; i++)
		f = frag_alt(&g, f, frag_text(&g, o->prop[i].name, o->prop[i].len));
	a = dfa_of(&g, f);
	if (g.err)
		schema_fail(o->s, g.err, o->p->part[0].place, "properties", g.why.text);
	graph_finish(&g);
	return a;
}

/* Keys without a name that match just these patterns, with their values. */
static struct frag others_with(struct object *o, unsigned matched)
{
	struct graph *g = o->s->g;
	bool any = false;
	struct dfa a = keys_dfa(o, &any);

	if (!any)
		a = dfa_text(g, 0, REPEAT_ALWAYS);
	for (int i = 0; i < o->n_patterns && !g->err; i++)
		a = matched >> i & 1 ? dfa_and(g, a, pattern_dfa(o, i)) : dfa_minus(g, a, pattern_dfa(o, i));
	if (o->n && !g->err)
		a = dfa_minus(g, a, names_dfa(o));
	return frag_cat(g, dfa_frag(g, dfa_quote(g, a)), value_of(o, NULL, matched));
}

static bool is_false(const struct json *v)
{
	return json_is(v, JSON_IS_BOOL) && !json_yes(v);
}

/* Whether all keys without a name are forbidden, by a part that has no patterns or by what nothing evaluates. */
static bool closed(const struct object *o)
{
	bool open = !is_false(o->unevaluated);

	for (int i = 0; i < o->p->n; i++) {
		const struct json *schema = o->p->part[i].schema, *more = json_get(schema, "additionalProperties");
		if (is_false(more) && !json_get(schema, "patternProperties"))
			return true;
		open |= more || json_get(schema, "patternProperties");
	}
	return !open;
}

/* A pair of another key and its value, as a rule. */
static int32_t others_rule(struct object *o)
{
	struct graph *g = o->s->g;
	int32_t rule = graph_rule(g);
	struct frag f = frag_fail(g);

	for (unsigned m = 0; m < 1u << o->n_patterns && !closed(o) && graph_ok(g); m++)
		f = frag_alt(g, f, others_with(o, m));
	graph_define(g, rule, f);
	return rule;
}

static unsigned matches(struct object *o, const struct property *p)
{
	unsigned m = 0;

	for (int i = 0; i < o->n_patterns && !o->s->g->err; i++) {
		struct dfa a = pattern_dfa(o, i);
		if (a.to && dfa_accepts(&a, p->name, p->len))
			m |= 1u << i;
		dfa_finish(&a);
	}
	return m;
}

static int32_t pair_rule(struct object *o, const struct property *p)
{
	struct graph *g = o->s->g;
	int32_t rule = graph_rule(g);
	struct json key = {.kind = JSON_IS_TEXT, .n = (uint32_t)p->len, .text = p->name};
	size_t len;
	char *text = json_write(&key, NULL, &len);
	bool any = false;
	struct dfa keys = keys_dfa(o, &any);

	if (any && !dfa_accepts(&keys, p->name, p->len))
		graph_define(g, rule, frag_fail(g));
	else
		graph_define(g, rule, frag_cat(g, frag_text(g, text, len), value_of(o, p, matches(o, p))));
	dfa_finish(&keys);
	free(text);
	return rule;
}

/* ---- the order of pairs ---- */

static struct frag comma(struct object *o, int level, struct frag pair)
{
	return level ? frag_cat(o->s->g, schema_char(o->s, ","), pair) : pair;
}

/* Other pairs at the end, behind `level` pairs. Keys may repeat, so only one of them surely counts as new. */
static struct frag others(struct object *o, int32_t rule, int level)
{
	struct graph *g = o->s->g;
	int need = max_int(0, o->min - level), most = o->max == REPEAT_ALWAYS ? o->max : o->max - level;
	struct frag first, more;

	if (need > 1)
		return frag_fail(g);
	if (most <= 0)
		return frag_empty(g);
	first = comma(o, level, frag_call(g, rule));
	more = frag_cat(g, schema_char(o->s, ","), frag_call(g, rule));
	first = frag_cat(g, first, frag_times(g, more, 0, most == REPEAT_ALWAYS ? most : most - 1));
	return need ? first : frag_opt(g, first);
}

/* after[l]: what follows behind l pairs. All that lies behind one point is built once, from the last property
 * backwards. */
static struct frag pairs(struct object *o)
{
	struct graph *g = o->s->g;
	struct frag *after = heap_take((size_t)o->levels + 1, sizeof *after), end = frag_empty(g);
	int32_t rule = others_rule(o);

	if (!after) {
		graph_fail(g, ERR_LIMIT, "the schema is too large");
		return end;
	}
	for (int l = 0; l <= o->levels; l++)
		after[l] = (struct frag){frag_cat(g, others(o, rule, l), end).start, end.end};
	for (int i = o->n - 1; i >= 0 && graph_ok(g); i--) {
		int32_t pair = pair_rule(o, &o->prop[i]);
		for (int l = 0; l <= o->levels; l++) {
			int next = min_int(l + 1, o->levels);
			bool room = o->max == REPEAT_ALWAYS || l < o->max;
			struct frag with =
				room ? frag_cat(g, comma(o, l, frag_call(g, pair)), after[next]) : frag_fail(g);
			/* `after` of this level changes only when all levels below, which lead to it, have been built
			 */
			struct frag to = after[l];
			after[l] = o->prop[i].required
					   ? (struct frag){with.start, end.end}
					   : (struct frag){graph_node(g, NODE_SPLIT, with.start, to.start), end.end};
		}
	}
	end = (struct frag){after[0].start, end.end};
	heap_free(after);
	return end;
}

struct frag schema_object(struct schema *s, const struct parts *p)
{
	struct object o = {.s = s, .p = p};
	struct frag f = frag_cat(s->g, frag_byte(s->g, '{'), schema_space(s));

	o.min = schema_count(p, "minProperties", true, 0);
	o.max = schema_count(p, "maxProperties", false, REPEAT_ALWAYS);
	o.unevaluated = schema_unevaluated(s, p, "unevaluatedProperties", &o.place);
	collect_names(&o);
	collect_patterns(&o);
	o.levels = o.max != REPEAT_ALWAYS ? min_int(o.max, o.n) : min_int(max_int(o.min, 1), max_int(o.n, 1));
	if (o.min > o.n + 1)
		schema_fail(s, ERR_UNSUPPORTED, p->n ? p->part[0].place : 0, "minProperties",
			    "more keys than `properties` names, and one, cannot be told apart");
	if ((int64_t)o.levels * (o.n + 1) > GRAMMAR_NODES / 8)
		schema_fail(s, ERR_LIMIT, p->n ? p->part[0].place : 0, "minProperties", "too many properties to count");
	if (o.max >= 0 && o.min <= o.max)
		f = frag_cat(s->g, f, pairs(&o));
	else
		f = frag_fail(s->g);
	f = frag_cat(s->g, f, frag_cat(s->g, schema_space(s), frag_byte(s->g, '}')));
	heap_free(o.prop);
	return f;
}
