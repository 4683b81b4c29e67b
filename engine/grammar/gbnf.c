/* gbnf.c - grammars as llama.cpp's users write them (GBNF): rules `name ::= alternatives`, of literals, classes,
 * groups, rules and counts. A line ends a rule, except inside a group, after "::=" and after "|". */
#include "engine/grammar/inside.h"

#include <string.h>

#include "base/utf8.h"

enum { GROUPS = 200, NAMES = 10000 };

struct name {
	const char *s;
	size_t n, at; /* at: where it is used first */
	int32_t rule;
	bool defined;
};

struct group {
	struct frag alternatives, items, last;
	bool has_alternatives, has_last;
	size_t at;
};

struct parser {
	struct graph *g;
	struct cursor c;
	struct name *name; /* (n_names) */
	int n_names, room;
	int32_t *slot; /* (2 * NAMES) 1 + index of a name by hash */
	struct group group[GROUPS];
	int depth;
};

/* ---- names ---- */

static bool in_name(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

static bool at_name(const struct parser *p)
{
	return p->c.at < p->c.n && in_name(p->c.s[p->c.at]);
}

static struct name *add_name(struct parser *p, const char *s, size_t n, int32_t *slot)
{
	if (p->n_names == p->room) {
		int room = p->room ? 2 * p->room : 32;
		struct name *all = heap_grow(p->name, (size_t)room, sizeof *all);
		if (!all)
			return NULL;
		p->name = all, p->room = room;
	}
	p->name[p->n_names] = (struct name){s, n, p->c.at - n, graph_rule(p->g), false};
	*slot = ++p->n_names;
	return &p->name[p->n_names - 1];
}

/* The name at the cursor; NULL: an error. */
static struct name *take_name(struct parser *p)
{
	const char *s = p->c.s + p->c.at;
	size_t n = 0;
	uint32_t h = 2166136261u;

	while (at_name(p))
		h = (h ^ (uint8_t)p->c.s[p->c.at++]) * 16777619u, n++;
	for (;; h++) {
		int32_t *slot = &p->slot[h % (2 * NAMES)];
		if (*slot && p->name[*slot - 1].n == n && !memcmp(p->name[*slot - 1].s, s, n))
			return &p->name[*slot - 1];
		if (*slot)
			continue;
		if (p->n_names == NAMES) {
			graph_fail(p->g, ERR_LIMIT, "at byte %zu: more than %d rules", p->c.at, NAMES);
			return NULL;
		}
		return add_name(p, s, n, slot);
	}
}

static const char *name_of(void *arg, int32_t rule)
{
	static _Thread_local char text[64];
	const struct parser *p = arg;

	text[0] = 0;
	for (int i = 0; i < p->n_names; i++)
		if (p->name[i].rule == rule && p->name[i].n < sizeof text) {
			memcpy(text, p->name[i].s, p->name[i].n);
			text[p->name[i].n] = 0;
		}
	return text;
}

/* ---- space ---- */

static void skip(struct parser *p, bool lines)
{
	for (; p->c.at < p->c.n; p->c.at++) {
		char c = p->c.s[p->c.at];
		if (c == '#')
			while (p->c.at + 1 < p->c.n && p->c.s[p->c.at + 1] != '\n')
				p->c.at++;
		else if (!(c == ' ' || c == '\t' || c == '\r' || (lines && c == '\n')))
			return;
	}
}

/* ---- items ---- */

static void open_group(struct parser *p)
{
	p->group[p->depth] = (struct group){.items = frag_empty(p->g), .at = p->c.at};
}

static void put_last(struct parser *p)
{
	struct group *g = &p->group[p->depth];

	if (g->has_last)
		g->items = frag_cat(p->g, g->items, g->last);
	g->has_last = false;
}

static void item(struct parser *p, struct frag f)
{
	put_last(p);
	p->group[p->depth].last = f;
	p->group[p->depth].has_last = true;
}

static struct frag alternatives(struct parser *p)
{
	struct group *g = &p->group[p->depth];

	put_last(p);
	g->alternatives = g->has_alternatives ? frag_alt(p->g, g->alternatives, g->items) : g->items;
	g->has_alternatives = true;
	return g->alternatives;
}

static int hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

/* After a backslash. */
static uint32_t escape(struct parser *p)
{
	static const char plain[] = "n\nr\rt\t\\\\\"\"[[]]--^^";
	size_t at = p->c.at - 1;
	char c = p->c.at < p->c.n ? p->c.s[p->c.at++] : 0;
	int digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
	uint32_t cp = 0;

	for (const char *s = plain; *s && c; s += 2)
		if (*s == c)
			return (uint32_t)s[1];
	for (int i = 0; i < digits; i++, p->c.at++) {
		int d = p->c.at < p->c.n ? hex_digit(p->c.s[p->c.at]) : -1;
		if (d < 0)
			digits = 0;
		cp = cp << 4 | (uint32_t)(d & 15);
	}
	if (!digits || cp > CODE_MAX || (cp >= 0xd800 && cp < 0xe000))
		graph_fail(p->g, ERR_INVALID, "at byte %zu: no such escape", at);
	return p->g->err ? 0 : cp;
}

static uint32_t one_char(struct parser *p)
{
	uint32_t cp = cursor_char(&p->c);

	return cp == '\\' ? escape(p) : cp;
}

static void literal(struct parser *p)
{
	struct frag f = frag_empty(p->g);
	size_t at = p->c.at - 1;

	while (p->c.at < p->c.n && p->c.s[p->c.at] != '"' && graph_ok(p->g)) {
		char bytes[4];
		int n = utf8_put(bytes, one_char(p));
		f = frag_cat(p->g, f, frag_text(p->g, bytes, (size_t)n));
	}
	if (p->c.at >= p->c.n)
		graph_fail(p->g, ERR_INVALID, "at byte %zu: a literal has no end", at);
	p->c.at++;
	item(p, f);
}

static void bracket(struct parser *p)
{
	struct ranges s = {.n = 0};
	size_t at = p->c.at - 1;
	bool invert = p->c.at < p->c.n && p->c.s[p->c.at] == '^';

	p->c.at += invert;
	while (p->c.at < p->c.n && p->c.s[p->c.at] != ']' && !p->g->err) {
		uint32_t lo = one_char(p), hi = lo;
		if (p->c.n - p->c.at >= 2 && p->c.at < p->c.n && p->c.s[p->c.at] == '-' && p->c.s[p->c.at + 1] != ']') {
			p->c.at++;
			hi = one_char(p);
		}
		if (hi < lo)
			graph_fail(p->g, ERR_INVALID, "at byte %zu: no range of characters", p->c.at);
		ranges_add(&s, lo, hi);
	}
	if (p->c.at >= p->c.n)
		graph_fail(p->g, ERR_INVALID, "at byte %zu: \"[\" has no \"]\"", at);
	p->c.at++;
	ranges_sort(&s);
	if (invert)
		ranges_invert(&s);
	item(p, frag_chars(p->g, &s));
	ranges_finish(&s);
}

static void any_char(struct parser *p)
{
	struct ranges s = {.n = 0};

	ranges_invert(&s);
	item(p, frag_chars(p->g, &s));
	ranges_finish(&s);
}

static void count(struct parser *p, int min, int max)
{
	struct group *g = &p->group[p->depth];

	if (!g->has_last)
		graph_fail(p->g, ERR_INVALID, "at byte %zu: nothing to repeat", p->c.at - 1);
	else if (max < min || min > REPEAT_MOST || (max != REPEAT_ALWAYS && max > REPEAT_MOST))
		graph_fail(p->g, max < min ? ERR_INVALID : ERR_LIMIT, "at byte %zu: no count from 0 to %d", p->c.at - 1,
			   REPEAT_MOST);
	else
		g->last = frag_times(p->g, g->last, min, max);
}

static void enter(struct parser *p)
{
	if (p->depth + 1 == GROUPS) {
		graph_fail(p->g, ERR_LIMIT, "at byte %zu: groups lie more than %d deep", p->c.at, GROUPS - 1);
		return;
	}
	put_last(p);
	p->depth++;
	open_group(p);
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
	item(p, f);
}

static void reference(struct parser *p)
{
	struct name *name = take_name(p);

	if (name)
		item(p, frag_call(p->g, name->rule));
}

static void step(struct parser *p)
{
	int min, max;

	if (at_name(p)) {
		reference(p);
		return;
	}
	switch (p->c.s[p->c.at++]) {
	case '"':
		literal(p);
		break;
	case '[':
		bracket(p);
		break;
	case '.':
		any_char(p);
		break;
	case '(':
		enter(p);
		break;
	case ')':
		leave(p);
		break;
	case '|':
		alternatives(p);
		p->group[p->depth].items = frag_empty(p->g);
		skip(p, true);
		break;
	case '*':
		count(p, 0, REPEAT_ALWAYS);
		break;
	case '+':
		count(p, 1, REPEAT_ALWAYS);
		break;
	case '?':
		count(p, 0, 1);
		break;
	case '{':
		if (cursor_count(&p->c, &min, &max))
			count(p, min, max);
		else
			graph_fail(p->g, ERR_INVALID, "at byte %zu: no count", p->c.at - 1);
		break;
	default:
		graph_fail(p->g,
			   p->c.s[p->c.at - 1] == '<' || p->c.s[p->c.at - 1] == '!' ? ERR_UNSUPPORTED : ERR_INVALID,
			   "at byte %zu: \"%.*s\" is not part of a rule", p->c.at - 1,
			   utf8_len((unsigned char)p->c.s[p->c.at - 1]), p->c.s + p->c.at - 1);
	}
}

/* ---- rules ---- */

static void rule(struct parser *p)
{
	struct name *name = at_name(p) ? take_name(p) : NULL;
	int index;

	if (!name) {
		graph_fail(p->g, ERR_INVALID, "at byte %zu: a rule's name is missing", p->c.at);
		return;
	}
	index = (int)(name - p->name);
	if (name->defined)
		graph_fail(p->g, ERR_INVALID, "at byte %zu: the rule is defined twice", p->c.at);
	name->defined = true;
	skip(p, false);
	if (p->c.n - p->c.at < 3 || memcmp(p->c.s + p->c.at, "::=", 3) != 0) {
		graph_fail(p->g, ERR_INVALID, "at byte %zu: \"::=\" is missing", p->c.at);
		return;
	}
	p->c.at += 3;
	skip(p, true);
	p->depth = 0;
	open_group(p);
	while (p->c.at < p->c.n && (p->depth || p->c.s[p->c.at] != '\n') && graph_ok(p->g)) {
		step(p);
		skip(p, p->depth > 0);
	}
	if (!p->g->err && p->depth)
		graph_fail(p->g, ERR_INVALID, "at byte %zu: \"(\" has no \")\"", p->group[p->depth].at);
	if (!p->g->err)
		graph_define(p->g, p->name[index].rule, alternatives(p));
}

static int32_t root_of(struct parser *p)
{
	for (int i = 0; i < p->n_names && !p->g->err; i++)
		if (!p->name[i].defined)
			graph_fail(p->g, ERR_INVALID, "at byte %zu: there is no rule \"%.*s\"", p->name[i].at,
				   (int)min_int((int)p->name[i].n, 40), p->name[i].s);
	for (int i = 0; i < p->n_names && !p->g->err; i++)
		if (p->name[i].n == 4 && !memcmp(p->name[i].s, "root", 4))
			return p->name[i].rule;
	graph_fail(p->g, ERR_INVALID, "there is no rule \"root\"");
	return 0;
}

int32_t gbnf_rules(struct graph *g, const char *s, size_t n)
{
	struct parser *p;
	int32_t root = 0;
	size_t bad;

	if (!utf8_valid(s, n, &bad)) {
		graph_fail(g, ERR_INVALID, "at byte %zu: not UTF-8", bad);
		return 0;
	}
	p = heap_take(1, sizeof *p);
	if (p)
		p->slot = heap_take(2 * NAMES, sizeof *p->slot);
	if (p && p->slot) {
		p->g = g, p->c = (struct cursor){s, n, 0};
		for (skip(p, true); p->c.at < n && graph_ok(g); skip(p, true))
			rule(p);
		if (!g->err)
			root = root_of(p);
		if (!g->err)
			graph_left_recursion(g, name_of, p);
		heap_free(p->slot);
		heap_free(p->name);
	} else if (!g->err) {
		g->err = effort_check(&g->why);
	}
	heap_free(p);
	return root;
}
