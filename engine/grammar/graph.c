/* graph.c - fragments of an automaton, joined as Thompson (1968) does. */
#include "engine/grammar/inside.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

int graph_fail(struct graph *g, int err, const char *fmt, ...)
{
	va_list args;

	if (g->err)
		return g->err;
	va_start(args, fmt);
	vsnprintf(g->why.text, sizeof g->why.text, fmt, args);
	va_end(args);
	return g->err = err;
}

bool graph_ok(struct graph *g)
{
	if (!g->err && !effort_goes_on())
		g->err = effort_check(&g->why);
	return !g->err;
}

/* Room for one more; false: an error. */
static bool grow(struct graph *g, void **at, int n, int *room, size_t size, int most, const char *what)
{
	void *p;

	if (n < *room)
		return true;
	if (n >= most) {
		graph_fail(g, ERR_LIMIT, "the grammar needs more than %d %s", most, what);
		return false;
	}
	p = heap_grow(*at, (size_t)(*room ? 2 * *room : 64), size);
	if (!p) {
		if (!g->err)
			g->err = effort_check(&g->why);
		return false;
	}
	*at = p;
	*room = *room ? 2 * *room : 64;
	return true;
}

#define GROW(g, array, most, what) \
	grow(g, (void **)&(g)->array, (g)->n_##array##s, &(g)->room_##array##s, sizeof *(g)->array, most, what)

void graph_init(struct graph *g)
{
	*g = (struct graph){.n_nodes = 0};
	graph_node(g, NODE_FAIL, 0, 0); /* node 0 leads nowhere */
	for (unsigned b = 0; b < 256; b++) {
		struct byte_set s = {{0}};
		set_put(&s, b, b);
		if (GROW(g, set, GRAMMAR_NODES, "sets of bytes"))
			g->set[g->n_sets++] = s;
	}
}

void graph_finish(struct graph *g)
{
	for (int i = 0; i < g->n_tables; i++)
		heap_free(g->table[i].to), heap_free(g->table[i].pure);
	heap_free(g->node);
	heap_free(g->set);
	heap_free(g->repeat);
	heap_free(g->table);
	heap_free(g->rule);
	*g = (struct graph){.err = g->err, .why = g->why};
}

int32_t graph_node(struct graph *g, enum node_kind kind, int32_t next, int32_t other)
{
	if (g->err || !GROW(g, node, GRAMMAR_NODES, "nodes"))
		return 0;
	if (g->n_nodes % 256 == 0 && !graph_ok(g))
		return 0;
	g->node[g->n_nodes] = (struct node){.kind = (uint8_t)kind, .next = next, .other = other};
	return g->n_nodes++;
}

int32_t graph_set(struct graph *g, const struct byte_set *s)
{
	for (int i = g->n_sets - 1; i >= 256 && i >= g->n_sets - 64; i--)
		if (!memcmp(&g->set[i], s, sizeof *s))
			return i;
	if (!GROW(g, set, GRAMMAR_NODES, "sets of bytes"))
		return 0;
	g->set[g->n_sets] = *s;
	return g->n_sets++;
}

int32_t graph_rule(struct graph *g)
{
	if (g->err || !GROW(g, rule, GRAMMAR_NODES, "rules"))
		return 0;
	g->rule[g->n_rules] = (struct rule){0};
	return g->n_rules++;
}

void graph_define(struct graph *g, int32_t rule, struct frag f)
{
	if (g->err)
		return;
	g->node[f.end].kind = NODE_RETURN;
	g->rule[rule].start = f.start;
}

int32_t graph_table(struct graph *g, const struct table *t)
{
	if (g->err || !GROW(g, table, GRAMMAR_NODES, "tables")) {
		heap_free(t->to), heap_free(t->pure);
		return 0;
	}
	g->table[g->n_tables] = *t;
	return g->n_tables++;
}

static void set_next(struct graph *g, int32_t node, int32_t next)
{
	if (!g->err)
		g->node[node].next = next;
}

/* A node of the kind, and the end that it leads to. */
static struct frag one(struct graph *g, enum node_kind kind, int32_t other)
{
	int32_t start = graph_node(g, kind, 0, other), end = graph_node(g, NODE_JUMP, 0, 0);

	set_next(g, start, end);
	return (struct frag){start, end};
}

struct frag frag_empty(struct graph *g)
{
	int32_t end = graph_node(g, NODE_JUMP, 0, 0);

	return (struct frag){end, end};
}

struct frag frag_fail(struct graph *g)
{
	int32_t start = graph_node(g, NODE_FAIL, 0, 0);

	return (struct frag){start, graph_node(g, NODE_JUMP, 0, 0)};
}

struct frag frag_assert(struct graph *g, enum node_kind kind)
{
	return one(g, kind, 0);
}

struct frag frag_byte(struct graph *g, uint8_t b)
{
	return one(g, NODE_BYTES, b);
}

struct frag frag_bytes(struct graph *g, const struct byte_set *s)
{
	return one(g, NODE_BYTES, graph_set(g, s));
}

struct frag frag_call(struct graph *g, int32_t rule)
{
	return one(g, NODE_CALL, rule);
}

struct frag frag_text(struct graph *g, const char *s, size_t n)
{
	struct frag f = frag_empty(g);

	for (size_t i = 0; i < n && !g->err; i++)
		f = frag_cat(g, f, frag_byte(g, (uint8_t)s[i]));
	return f;
}

struct frag frag_str(struct graph *g, const char *s)
{
	return frag_text(g, s, strlen(s));
}

struct frag frag_cat(struct graph *g, struct frag a, struct frag b)
{
	set_next(g, a.end, b.start);
	return (struct frag){a.start, b.end};
}

/* The end is that of `a`: a long list of alternatives has one end, not a chain of them. */
struct frag frag_alt(struct graph *g, struct frag a, struct frag b)
{
	int32_t start = graph_node(g, NODE_SPLIT, a.start, b.start);

	set_next(g, b.end, a.end);
	return (struct frag){start, a.end};
}

struct frag frag_opt(struct graph *g, struct frag a)
{
	return frag_alt(g, a, frag_empty(g));
}

struct frag frag_star(struct graph *g, struct frag a)
{
	int32_t end = graph_node(g, NODE_JUMP, 0, 0), start = graph_node(g, NODE_SPLIT, a.start, end);

	set_next(g, a.end, start);
	return (struct frag){start, end};
}

struct frag frag_plus(struct graph *g, struct frag a)
{
	struct frag loop = frag_star(g, a);

	return (struct frag){a.start, loop.end};
}

/* ---- counts ---- */

static int32_t repeat(struct graph *g, int32_t rule, int min, int max)
{
	if (g->err || !GROW(g, repeat, GRAMMAR_NODES, "counts"))
		return 0;
	g->repeat[g->n_repeats] = (struct repeat){rule, min, max};
	return g->n_repeats++;
}

struct frag frag_times(struct graph *g, struct frag a, int min, int max)
{
	int32_t rule;

	if (max == 0)
		return frag_empty(g);
	if (min == 1 && max == 1)
		return a;
	if (min == 0 && max == 1)
		return frag_opt(g, a);
	if (max == REPEAT_ALWAYS && min < 2)
		return min ? frag_plus(g, a) : frag_star(g, a);
	rule = graph_rule(g);
	graph_define(g, rule, a);
	return one(g, NODE_REPEAT, repeat(g, rule, min, max));
}

struct frag frag_copy(struct graph *g, struct frag a, int from, int to)
{
	int32_t by = g->n_nodes - from;

	for (int i = from; i < to && !g->err; i++) {
		struct node n = g->node[i];
		bool two = n.kind == NODE_SPLIT;
		graph_node(g, n.kind, n.next ? n.next + by : 0, two ? n.other + by : n.other);
	}
	return (struct frag){a.start + by, a.end + by};
}

/* ---- characters as UTF-8 ---- */

/* Characters of one length whose bytes all lie in ranges of their own: one chain. */
static struct frag chain(struct graph *g, uint32_t lo, uint32_t hi)
{
	char a[4], b[4];
	int n = utf8_put(a, lo);
	struct frag f = frag_empty(g);

	utf8_put(b, hi);
	for (int i = 0; i < n; i++) {
		struct byte_set s = {{0}};
		set_put(&s, (uint8_t)a[i], (uint8_t)b[i]);
		f = frag_cat(g, f, frag_bytes(g, &s));
	}
	return f;
}

/* The largest end of a range from `lo` whose characters one chain can stand for. */
static uint32_t chain_end(uint32_t lo, uint32_t hi)
{
	static const uint32_t last[] = {0x7f, 0x7ff, 0xffff, CODE_MAX};

	for (int i = 0; i < 4; i++)
		if (lo <= last[i] && hi > last[i])
			hi = last[i];
	for (int bits = 6; bits < 21 && lo > 0x7f; bits += 6) {
		uint32_t m = ((uint32_t)1 << bits) - 1;
		if ((lo & ~m) == (hi & ~m))
			break;
		if (lo & m)
			return lo | m;
		if ((hi & m) != m)
			hi = (hi & ~m) - 1;
	}
	return hi;
}

struct frag frag_chars(struct graph *g, const struct ranges *s)
{
	struct byte_set ascii = {{0}};
	struct frag f = {0, 0};

	if (s->failed)
		graph_fail(g, ERR_LIMIT, "a class of characters has more than %d ranges", RANGES_MOST);
	for (int i = 0; i < s->n && s->r[i].lo < 0x80; i++)
		set_put(&ascii, s->r[i].lo, s->r[i].hi < 0x80 ? s->r[i].hi : 0x7f);
	if (s->n && s->r[0].lo < 0x80)
		f = frag_bytes(g, &ascii);
	for (int i = 0; i < s->n && !g->err; i++)
		for (uint32_t lo = s->r[i].lo < 0x80 ? 0x80 : s->r[i].lo, hi; lo <= s->r[i].hi && !g->err;
		     lo = hi + 1) {
			hi = chain_end(lo, s->r[i].hi);
			f = f.start ? frag_alt(g, f, chain(g, lo, hi)) : chain(g, lo, hi);
		}
	return f.start ? f : frag_fail(g);
}
