/* schema_contains.c - arrays in which a number of items satisfy further schemas.
 *
 * Which items count is a choice that the automaton leaves open, so that an array is derived where some choice reaches
 * the counts. Without maxContains items that do not count may satisfy the schema nevertheless, and the counts are
 * reached just if there are as many; with it an item that does not count must not satisfy the schema. */
#include "engine/grammar/schema_parts.h"

enum { COUNTED = 3, CELLS = 4096 };

struct counted {
	const struct json *schema;
	int32_t place;
	int min, max, levels; /* levels: counts that are told apart, from 0 */
};
struct grid {
	struct schema *s;
	const struct array *a;
	struct counted c[COUNTED];
	int n, width;  /* width: combinations of counts */
	int last;      /* items that are told apart; further ones are as the last */
	int32_t *cell; /* (last + 1, width) nodes: what follows behind so many items with such counts */
	int32_t *rule; /* (prefix + 1, 1 << n) a further item that counts for such schemas; 0: not made */
};

/* Returns false where the part counts nothing. */
static bool counts(const struct part *part, struct counted *c)
{
	struct parts one = {.n = 1, .part = {*part}};

	*c = (struct counted){.schema = json_get(part->schema, "contains"),
			      .place = part->place,
			      .min = json_get(part->schema, "minContains") ? schema_count(&one, "minContains", true, 0)
									   : 1,
			      .max = schema_count(&one, "maxContains", false, REPEAT_ALWAYS)};
	c->levels = min_int(CELLS, c->max == REPEAT_ALWAYS ? c->min : max_int(c->min, c->max)) + 1;
	return c->schema && (c->min || c->max != REPEAT_ALWAYS);
}

bool schema_counts(const struct parts *p)
{
	struct counted c;

	for (int i = 0; i < p->n; i++)
		if (counts(&p->part[i], &c))
			return true;
	return false;
}

static bool gather(struct grid *d)
{
	int width = 1;

	for (int i = 0; i < d->a->p->n; i++) {
		struct counted c;
		if (!counts(&d->a->p->part[i], &c))
			continue;
		if (d->n == COUNTED) {
			schema_fail(d->s, ERR_UNSUPPORTED, c.place, "contains",
				    "more than three at once are not supported");
			return false;
		}
		width = min_int(CELLS + 1, width * c.levels);
		d->c[d->n++] = c;
	}
	d->width = width;
	d->last = d->a->max != REPEAT_ALWAYS ? d->a->max : max_int(1, max_int(d->a->prefix, d->a->min));
	if (d->last > CELLS || (int64_t)(d->last + 1) * width > CELLS) {
		schema_fail(d->s, ERR_LIMIT, d->c[0].place, "contains", "too many items have to be counted");
		return false;
	}
	return true;
}

/* ---- an item ---- */

/* The item at place i, of which `set` has a bit for each schema that it counts for. */
static struct frag item(struct grid *d, int i, unsigned set)
{
	struct parts q = schema_item(d->s, d->a, i < d->a->prefix ? i : -1);

	for (int k = 0; k < d->n; k++) {
		int32_t place = schema_place(d->s, d->c[k].place, "contains", -1);
		const struct json *not = NULL;
		if (set >> k & 1)
			schema_add(d->s, &q, d->c[k].schema, place);
		else if (d->c[k].max != REPEAT_ALWAYS && (not = schema_made(d->s, d->c[k].schema, OPPOSITE)))
			schema_add(d->s, &q, not, place);
	}
	return schema_value(d->s, &q);
}

/* The same behind a comma, as a rule. */
static int32_t further(struct grid *d, int i, unsigned set)
{
	int32_t *rule = &d->rule[((size_t)min_int(i, d->a->prefix) << d->n) + set];

	if (!*rule) {
		*rule = graph_rule(d->s->g);
		graph_define(d->s->g, *rule, frag_cat(d->s->g, schema_char(d->s, ","), item(d, i, set)));
	}
	return *rule;
}

/* ---- counts ---- */

static int count_of(const struct grid *d, int at, int k)
{
	for (int i = 0; i < k; i++)
		at /= d->c[i].levels;
	return at % d->c[k].levels;
}

/* The counts behind an item that counts for `set`, or -1: it need not be told apart, or may not be there. */
static int counts_with(const struct grid *d, int at, unsigned set)
{
	int step = 1, to = at;

	for (int k = 0; k < d->n; k++) {
		if (set >> k & 1) {
			if (count_of(d, at, k) + 1 == d->c[k].levels)
				return -1;
			to += step;
		}
		step *= d->c[k].levels;
	}
	return to;
}

static bool enough(const struct grid *d, int items, int at)
{
	bool is = items >= d->a->min;

	for (int k = 0; k < d->n; k++)
		is &= count_of(d, at, k) >= d->c[k].min && count_of(d, at, k) <= d->c[k].max;
	return is;
}

/* ---- the grid ---- */

static int32_t *cell(const struct grid *d, int items, int at)
{
	return &d->cell[(size_t)items * (size_t)d->width + (size_t)at];
}

/* Where a cell leads: to an end, or with one more item to another cell. */
static int32_t ways(struct grid *d, int items, int at, struct frag end)
{
	struct graph *g = d->s->g;
	int32_t from = enough(d, items, at) ? end.start : graph_node(g, NODE_FAIL, 0, 0);

	if (items == d->last && d->a->max != REPEAT_ALWAYS)
		return from;
	for (unsigned set = 0; set < 1u << d->n && graph_ok(g); set++) {
		int to = counts_with(d, at, set);
		int32_t next = to < 0 ? 0 : *cell(d, min_int(items + 1, d->last), to), one;
		if (to < 0)
			continue;
		if (items) {
			one = graph_node(g, NODE_CALL, next, further(d, items, set));
		} else {
			struct frag first = item(d, 0, set);
			struct frag all = frag_cat(g, first, (struct frag){next, next});
			one = all.start;
		}
		from = graph_node(g, NODE_SPLIT, one, from);
	}
	return from;
}

static struct frag fill(struct grid *d)
{
	struct graph *g = d->s->g;
	struct frag end = frag_empty(g);

	for (int i = 0; i < (d->last + 1) * d->width; i++)
		d->cell[i] = graph_node(g, NODE_JUMP, 0, 0);
	for (int i = 0; i <= d->last; i++)
		for (int at = 0; at < d->width && graph_ok(g); at++) {
			int32_t to = ways(d, i, at, end);
			if (!g->err)
				g->node[*cell(d, i, at)].next = to;
		}
	return (struct frag){d->cell[0], end.end};
}

struct frag schema_contains(struct schema *s, const struct array *a)
{
	struct grid d = {.s = s, .a = a};
	struct frag f = frag_fail(s->g);

	if (!gather(&d))
		return f;
	d.cell = heap_take((size_t)(d.last + 1) * (size_t)d.width, sizeof *d.cell);
	d.rule = heap_take((size_t)(a->prefix + 1) << d.n, sizeof *d.rule);
	if (d.cell && d.rule)
		f = fill(&d);
	else
		s->g->err = effort_check(&s->g->why);
	heap_free(d.cell), heap_free(d.rule);
	return f;
}
