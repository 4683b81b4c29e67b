/* regex.c - regular expressions become fragments. The groups that are open lie on a stack of our own. */
#include "engine/grammar/inside.h"

#include <string.h>

#include "base/utf8.h"

enum { GROUPS = 200 };

/* What was read of a group: alternatives | items before the last | the last item, which a count would be for. */
struct group {
	struct frag alternatives, items, last;
	bool has_alternatives, has_last, counted;
	int last_from; /* the first node of the last item */
	size_t at;     /* where it was opened */
};

struct parser {
	struct graph *g;
	struct cursor c;
	bool expand;
	struct group group[GROUPS];
	int depth; /* index of the innermost */
};

static void open_group(struct parser *p)
{
	p->group[p->depth] = (struct group){.items = frag_empty(p->g), .at = p->c.at};
}

static void put_last(struct parser *p)
{
	struct group *g = &p->group[p->depth];

	if (g->has_last)
		g->items = frag_cat(p->g, g->items, g->last);
	g->has_last = g->counted = false;
}

static void item(struct parser *p, struct frag f, int from)
{
	struct group *g = &p->group[p->depth];

	put_last(p);
	g->last = f, g->last_from = from, g->has_last = true;
}

static struct frag alternatives(struct parser *p)
{
	struct group *g = &p->group[p->depth];

	put_last(p);
	g->alternatives = g->has_alternatives ? frag_alt(p->g, g->alternatives, g->items) : g->items;
	g->has_alternatives = true;
	return g->alternatives;
}

/* ---- counts ---- */

static struct frag copies(struct parser *p, struct frag a, int from, int min, int max)
{
	int to = p->g->n_nodes, n = max == REPEAT_ALWAYS ? max_int(min, 1) : max;
	struct frag out = frag_empty(p->g);

	if ((int64_t)n * (to - from) > GRAMMAR_NODES) {
		graph_fail(p->g, ERR_LIMIT, "at byte %zu: the count needs more than %d nodes", p->c.at, GRAMMAR_NODES);
		return out;
	}
	for (int i = 0; i < n && graph_ok(p->g); i++) {
		struct frag one = frag_copy(p->g, a, from, to);
		if (max == REPEAT_ALWAYS && i == n - 1)
			one = min ? frag_plus(p->g, one) : frag_star(p->g, one);
		else if (i >= min)
			one = frag_opt(p->g, one);
		out = frag_cat(p->g, out, one);
	}
	return out;
}

static void count(struct parser *p, int min, int max, size_t at)
{
	struct group *g = &p->group[p->depth];

	if (!g->has_last || g->counted) {
		graph_fail(p->g, ERR_INVALID, "at byte %zu: nothing to repeat", at);
		return;
	}
	if (min > max || min > REPEAT_MOST || (max != REPEAT_ALWAYS && max > REPEAT_MOST)) {
		graph_fail(p->g, min > max ? ERR_INVALID : ERR_LIMIT,
			   min > max ? "at byte %zu: the count goes from more to less"
				     : "at byte %zu: a count is above 100000",
			   at);
		return;
	}
	if (p->expand && !(min <= 1 && (max == 1 || max == REPEAT_ALWAYS)))
		g->last = copies(p, g->last, g->last_from, min, max);
	else
		g->last = frag_times(p->g, g->last, min, max);
	g->counted = true;
	if (p->c.at < p->c.n && p->c.s[p->c.at] == '?') /* the lazy form has the same language */
		p->c.at++;
	else if (p->c.at < p->c.n && p->c.s[p->c.at] == '+')
		graph_fail(p->g, ERR_UNSUPPORTED, "at byte %zu: possessive counts are not supported", p->c.at);
}

/* ---- items ---- */

/* A class of many ranges as one automaton, so that a character is read in one way only. */
static struct frag class_rule(struct graph *g, const struct ranges *s)
{
	struct graph own;
	struct dfa a;

	graph_init(&own);
	a = dfa_of(&own, frag_chars(&own, s));
	if (own.err)
		graph_fail(g, own.err, "%s", own.why.text);
	graph_finish(&own);
	return dfa_frag(g, a);
}

static void chars(struct parser *p, struct ranges *s)
{
	enum { FEW = 16 };
	int from = p->g->n_nodes;

	ranges_sort(s);
	item(p, s->n > FEW && !p->expand ? class_rule(p->g, s) : frag_chars(p->g, s), from);
	ranges_finish(s);
}

static void any_char(struct parser *p)
{
	struct ranges s = {.n = 0};

	ranges_add(&s, '\n', '\n');
	ranges_add(&s, '\r', '\r');
	ranges_add(&s, 0x2028, 0x2029);
	ranges_invert(&s);
	chars(p, &s);
}

static void literal(struct parser *p)
{
	struct ranges s = {.n = 0};
	uint32_t cp = cursor_char(&p->c);

	ranges_add(&s, cp, cp);
	chars(p, &s);
}

/* An assertion needs automata, which know where a text begins and ends. */
static void assertion(struct parser *p, enum node_kind kind)
{
	int from = p->g->n_nodes;

	if (p->expand)
		item(p, frag_assert(p->g, kind), from);
	else
		graph_fail(p->g, ERR_UNSUPPORTED, "at byte %zu: an assertion inside", p->c.at - 1);
	p->group[p->depth].counted = true;
}

static void named_group(struct parser *p, size_t at)
{
	const char *end = memchr(p->c.s + p->c.at, '>', p->c.n - p->c.at);

	if (end)
		p->c.at = (size_t)(end - p->c.s) + 1;
	else
		graph_fail(p->g, ERR_INVALID, "at byte %zu: a group's name has no end", at);
}

static bool starts(const struct cursor *c, const char *s)
{
	return c->n - c->at >= strlen(s) && !memcmp(c->s + c->at, s, strlen(s));
}

static void enter(struct parser *p)
{
	size_t at = p->c.at - 1;

	if (starts(&p->c, "?:")) {
		p->c.at += 2;
	} else if (starts(&p->c, "?=") || starts(&p->c, "?!") || starts(&p->c, "?<=") || starts(&p->c, "?<!")) {
		graph_fail(p->g, ERR_UNSUPPORTED, "at byte %zu: look-around is not supported", at);
	} else if (starts(&p->c, "?<") || starts(&p->c, "?P<")) {
		named_group(p, at);
	} else if (starts(&p->c, "?")) {
		graph_fail(p->g, ERR_UNSUPPORTED, "at byte %zu: this kind of group is not supported", at);
	}
	if (p->depth + 1 == GROUPS) {
		graph_fail(p->g, ERR_LIMIT, "at byte %zu: groups lie more than %d deep", at, GROUPS - 1);
		return;
	}
	put_last(p);
	p->group[p->depth].last_from = p->g->n_nodes;
	p->depth++;
	open_group(p);
	p->group[p->depth].at = at;
}

static void leave(struct parser *p)
{
	struct frag f;

	if (!p->depth) {
		graph_fail(p->g, ERR_INVALID, "at byte %zu: \")\" has no \"(\"", p->c.at - 1);
		return;
	}
	f = alternatives(p);
	p->depth--;
	item(p, f, p->group[p->depth].last_from);
}

static void brace(struct parser *p)
{
	int min, max;
	size_t at = p->c.at - 1;

	if (cursor_count(&p->c, &min, &max)) {
		count(p, min, max, at);
	} else { /* a brace that counts nothing stands for itself, as it is widely used */
		p->c.at = at;
		literal(p);
	}
}

static void step(struct parser *p)
{
	struct ranges s = {.n = 0};
	size_t at = p->c.at;

	switch (p->c.s[p->c.at++]) {
	case '(':
		enter(p);
		break;
	case ')':
		leave(p);
		break;
	case '|':
		alternatives(p);
		p->group[p->depth].items = frag_empty(p->g);
		break;
	case '*':
		count(p, 0, REPEAT_ALWAYS, at);
		break;
	case '+':
		count(p, 1, REPEAT_ALWAYS, at);
		break;
	case '?':
		count(p, 0, 1, at);
		break;
	case '{':
		brace(p);
		break;
	case '.':
		any_char(p);
		break;
	case '^':
		assertion(p, NODE_BEGIN);
		break;
	case '$':
		assertion(p, NODE_END);
		break;
	case '[':
		if (regex_class(p->g, &p->c, &s))
			chars(p, &s);
		break;
	case '\\':
		if (regex_escape(p->g, &p->c, &s))
			chars(p, &s);
		break;
	default:
		p->c.at = at;
		literal(p);
	}
	if (p->g->err)
		ranges_finish(&s);
}

struct frag regex_frag(struct graph *g, const char *s, size_t n, bool expand)
{
	struct parser *p;
	struct frag f = {0, 0};
	size_t bad;

	if (!utf8_valid(s, n, &bad)) {
		graph_fail(g, ERR_INVALID, "at byte %zu: not UTF-8", bad);
		return f;
	}
	p = heap_take(1, sizeof *p);
	if (!p) {
		g->err = effort_check(&g->why);
		return f;
	}
	p->g = g, p->expand = expand, p->c = (struct cursor){s, n, 0};
	open_group(p);
	while (p->c.at < n && graph_ok(g))
		step(p);
	if (!g->err && p->depth)
		graph_fail(g, ERR_INVALID, "at byte %zu: \"(\" has no \")\"", p->group[p->depth].at);
	if (!g->err)
		f = alternatives(p);
	heap_free(p);
	return f;
}
