/* dfa.c - deterministic automata: the subset construction (Rabin and Scott 1959), products and differences. */
#include "engine/grammar/inside.h"

#include <stdlib.h>
#include <string.h>

struct dfa dfa_make(struct graph *g, int n, int classes)
{
	struct dfa a = {.n = n, .classes = classes};

	if (!graph_ok(g))
		return a;
	a.to = heap_grow(NULL, (size_t)n * (size_t)classes + 1, sizeof *a.to);
	a.accept = heap_take((size_t)n + 1, sizeof *a.accept);
	if (!a.to || !a.accept) {
		dfa_finish(&a);
		g->err = effort_check(&g->why);
		return a;
	}
	memset(a.to, 0xff, (size_t)n * (size_t)classes * sizeof *a.to);
	return a;
}

void dfa_finish(struct dfa *a)
{
	heap_free(a->to);
	heap_free(a->accept);
	a->to = NULL, a->accept = NULL;
}

bool dfa_accepts(const struct dfa *a, const char *s, size_t n)
{
	int32_t at = 0;

	for (size_t i = 0; a->to && i < n && at >= 0; i++)
		at = a->to[(size_t)at * (size_t)a->classes + a->class_of[(uint8_t)s[i]]];
	return a->to && at >= 0 && a->accept[at];
}

/* ---- sets of numbers, each with a number of its own ---- */

/* Sets of nodes, or pairs of states, in the order in which they were found. */
struct found {
	int32_t *item;     /* (used) */
	size_t used, room; /* of item */
	int32_t *first;    /* (n + 1) */
	int n, room_sets;
	int32_t *slot; /* (n_slots) 1 + the number of a set; 0: free */
	int n_slots;
};

static bool more(void **at, size_t need, size_t size, size_t *room)
{
	size_t to = *room ? *room : 256;
	void *p;

	if (need <= *room)
		return true;
	while (to < need)
		to *= 2;
	p = heap_grow(*at, to, size);
	if (!p)
		return false;
	*at = p;
	*room = to;
	return true;
}

static uint32_t hash_of(const int32_t *item, int n)
{
	uint32_t h = 2166136261u;

	for (int i = 0; i < n; i++)
		h = (h ^ (uint32_t)item[i]) * 16777619u, h ^= h >> 15;
	return h;
}

static bool rehash(struct found *f)
{
	int n = f->n_slots ? 4 * f->n_slots : 1024;
	int32_t *slot = heap_take((size_t)n, sizeof *slot);

	if (!slot)
		return false;
	for (int i = 0; i < f->n; i++) {
		uint32_t h = hash_of(f->item + f->first[i], f->first[i + 1] - f->first[i]);
		while (slot[h & (unsigned)(n - 1)])
			h++;
		slot[h & (unsigned)(n - 1)] = i + 1;
	}
	heap_free(f->slot);
	f->slot = slot, f->n_slots = n;
	return true;
}

/* The number of the set, or -1: an error. */
static int32_t find(struct graph *g, struct found *f, const int32_t *item, int n)
{
	uint32_t h = hash_of(item, n);
	size_t room = (size_t)f->room_sets;

	if (f->n * 2 >= f->n_slots && !rehash(f))
		goto starved;
	for (;; h++) {
		int32_t at = f->slot[h & (unsigned)(f->n_slots - 1)] - 1;
		if (at < 0)
			break;
		if (f->first[at + 1] - f->first[at] == n &&
		    (!n || !memcmp(f->item + f->first[at], item, (size_t)n * sizeof *item)))
			return at;
	}
	if (f->n >= DFA_STATES) {
		graph_fail(g, ERR_LIMIT, "a pattern needs more than %d states", DFA_STATES);
		return -1;
	}
	if (!more((void **)&f->item, f->used + (size_t)n + 1, sizeof *f->item, &f->room) ||
	    !more((void **)&f->first, (size_t)f->n + 2, sizeof *f->first, &room))
		goto starved;
	f->room_sets = (int)room;
	f->first[0] = 0;
	if (n)
		memcpy(f->item + f->used, item, (size_t)n * sizeof *item);
	f->used += (size_t)n;
	f->slot[h & (unsigned)(f->n_slots - 1)] = f->n + 1;
	f->first[++f->n] = (int32_t)f->used;
	return f->n - 1;
starved:
	if (!g->err)
		g->err = effort_check(&g->why);
	return -1;
}

static void found_finish(struct found *f)
{
	heap_free(f->item);
	heap_free(f->first);
	heap_free(f->slot);
}

/* A row of -1 for one more state. */
static bool dfa_row(struct graph *g, struct dfa *a, size_t *room, size_t *room_accept)
{
	size_t k = (size_t)a->classes;

	if (!more((void **)&a->to, ((size_t)a->n + 1) * k, sizeof *a->to, room) ||
	    !more((void **)&a->accept, (size_t)a->n + 1, sizeof *a->accept, room_accept)) {
		if (!g->err)
			g->err = effort_check(&g->why);
		return false;
	}
	memset(a->to + (size_t)a->n * k, 0xff, k * sizeof *a->to);
	a->accept[a->n++] = 0;
	return true;
}

/* ---- of a fragment ---- */

struct subset {
	struct graph *g;
	struct frag f;
	int32_t low;   /* nodes of the fragment are not before it */
	int32_t *mark; /* (n_nodes) the last closure that met the node */
	int32_t round;
	int32_t *list, *stack; /* (n_nodes) */
	int n;
	/* Sets of nodes that a byte leads to, before what they reach without one, and the state of each: many bytes
	 * lead to one such set, as all that end a character do. */
	struct found ahead;
	int32_t *state; /* (room) */
	size_t room;
};

static void meet(struct subset *s, int *depth, int32_t node)
{
	if (s->mark[node] == s->round)
		return;
	s->mark[node] = s->round;
	s->stack[(*depth)++] = node;
}

/* What is reached without a byte from the nodes on the stack; the list gets those that matter. True: the end is. */
static bool close_over(struct subset *s, int depth, bool begin, bool end)
{
	bool whole = false;

	while (depth) {
		int32_t at = s->stack[--depth];
		const struct node *n = &s->g->node[at];
		whole |= at == s->f.end;
		if (n->kind == NODE_BYTES || n->kind == NODE_END || at == s->f.end)
			s->list[s->n++] = at;
		if (n->kind == NODE_JUMP || n->kind == NODE_SPLIT || (n->kind == NODE_BEGIN && begin) ||
		    (n->kind == NODE_END && end))
			if (at != s->f.end)
				meet(s, &depth, n->next);
		if (n->kind == NODE_SPLIT)
			meet(s, &depth, n->other);
	}
	return whole;
}

static int by_number(const void *a, const void *b)
{
	int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;

	return (x > y) - (x < y);
}

static int32_t intern(struct subset *s, struct found *f)
{
	if (s->n > 1)
		qsort(s->list, (size_t)s->n, sizeof *s->list, by_number);
	return find(s->g, f, s->list, s->n);
}

static bool ends_at(struct subset *s, const int32_t *item, int n)
{
	int depth = 0;

	s->round++;
	s->n = 0;
	for (int i = 0; i < n; i++)
		meet(s, &depth, item[i]);
	return close_over(s, depth, false, true);
}

/* Bytes that no set of the fragment tells apart get one class. */
static int split_classes(const struct byte_set *set, uint8_t class_of[256], int classes)
{
	int16_t to[256];
	int n = classes;

	memset(to, 0xff, sizeof to);
	for (int b = 0; b < 256; b++) {
		uint8_t old = class_of[b];
		bool in = set_has(set, (unsigned)b), same = true;
		if (!in)
			continue;
		if (to[old] < 0) {
			for (int c = 0; c < 256 && same; c++)
				same = class_of[c] != old || set_has(set, (unsigned)c);
			to[old] = same ? old : (int16_t)n++;
		}
		class_of[b] = (uint8_t)to[old];
	}
	return n;
}

static int fragment_classes(const struct graph *g, int32_t low, uint8_t class_of[256])
{
	int classes = 1, last = -1;

	memset(class_of, 0, 256);
	for (int i = low; i < g->n_nodes; i++)
		if (g->node[i].kind == NODE_BYTES && g->node[i].other != last && classes < 256) {
			last = g->node[i].other;
			classes = split_classes(&g->set[last], class_of, classes);
		}
	return classes;
}

/* Puts the nodes that the byte leads to on the stack; returns their number. */
static int look_ahead(struct subset *s, const struct found *f, int32_t state, unsigned byte)
{
	int depth = 0;

	s->round++;
	for (int i = f->first[state]; i < f->first[state + 1]; i++) {
		const struct node *n = &s->g->node[f->item[i]];
		int32_t to = n->next;
		if (n->kind != NODE_BYTES || !set_has(&s->g->set[n->other], byte))
			continue;
		for (int hops = 0; hops < 8 && s->g->node[to].kind == NODE_JUMP && to != s->f.end; hops++)
			to = s->g->node[to].next;
		meet(s, &depth, to);
	}
	return depth;
}

/* The place of what lies on the stack among all that was met; -1: there is no room to remember it. */
static int32_t remember(struct subset *s, int depth)
{
	int before = s->ahead.n;
	int32_t at;

	if (before == DFA_STATES)
		return -1;
	if (depth > 1)
		qsort(s->stack, (size_t)depth, sizeof *s->stack, by_number);
	at = find(s->g, &s->ahead, s->stack, depth);
	if (at != before)
		return at;
	if (!more((void **)&s->state, (size_t)at + 1, sizeof *s->state, &s->room)) {
		s->g->err = effort_check(&s->g->why);
		return -1;
	}
	s->state[at] = -1;
	return at;
}

static int32_t step_of(struct subset *s, struct found *f, int32_t state, unsigned byte)
{
	int depth = look_ahead(s, f, state, byte);
	int32_t at = depth ? remember(s, depth) : -1, to;

	if (!depth || s->g->err)
		return -1;
	if (at >= 0 && s->state[at] >= 0)
		return s->state[at];
	s->n = 0;
	close_over(s, depth, false, false);
	to = s->n ? intern(s, f) : -1;
	if (at >= 0)
		s->state[at] = to;
	return to;
}

static void build(struct subset *s, struct dfa *a)
{
	struct found f = {.item = NULL};
	uint8_t byte_of[256];
	size_t room = 0, room_accept = 0;
	int depth = 0;

	for (int b = 255; b >= 0; b--)
		byte_of[a->class_of[b]] = (uint8_t)b;
	s->round = 1;
	meet(s, &depth, s->f.start);
	close_over(s, depth, true, false);
	intern(s, &f);
	for (int32_t i = 0; i < f.n && graph_ok(s->g); i++) {
		if (!dfa_row(s->g, a, &room, &room_accept))
			break;
		a->accept[i] = ends_at(s, f.item + f.first[i], f.first[i + 1] - f.first[i]);
		for (int c = 0; c < a->classes && !s->g->err; c++)
			a->to[(size_t)i * (size_t)a->classes + (size_t)c] = step_of(s, &f, i, byte_of[c]);
	}
	found_finish(&f);
}

/* The nodes of the fragment may lie anywhere behind the first of the graph's last rule, so all are looked at. */
struct dfa dfa_of(struct graph *g, struct frag f)
{
	struct dfa a = {.n = 0};
	struct subset s = {.g = g, .f = f};
	size_t n = (size_t)g->n_nodes;

	if (!graph_ok(g))
		return a;
	s.low = f.start < f.end ? f.start : f.end;
	s.mark = heap_take(n, sizeof *s.mark);
	s.list = heap_grow(NULL, n, sizeof *s.list);
	s.stack = heap_grow(NULL, n, sizeof *s.stack);
	if (s.mark && s.list && s.stack) {
		a.classes = fragment_classes(g, 0, a.class_of);
		build(&s, &a);
	} else if (!g->err) {
		g->err = effort_check(&g->why);
	}
	heap_free(s.mark);
	heap_free(s.list);
	heap_free(s.stack);
	heap_free(s.state);
	found_finish(&s.ahead);
	if (g->err)
		dfa_finish(&a);
	return a;
}

/* ---- products ---- */

/* Classes that neither automaton tells apart. */
static int join_classes(struct dfa *out, const struct dfa *a, const struct dfa *b, uint8_t byte_of[256])
{
	int n = 0;

	for (int x = 0; x < 256; x++) {
		int y = 0;
		while (y < x && !(a->class_of[y] == a->class_of[x] && b->class_of[y] == b->class_of[x]))
			y++;
		out->class_of[x] = y < x ? out->class_of[y] : (uint8_t)n++;
		byte_of[out->class_of[x]] = (uint8_t)y;
	}
	return n;
}

static int32_t next_of(const struct dfa *a, int32_t state, uint8_t byte)
{
	return state < 0 ? -1 : a->to[(size_t)state * (size_t)a->classes + a->class_of[byte]];
}

/* minus: what a accepts and b does not; otherwise what both do. */
static struct dfa product(struct graph *g, struct dfa a, struct dfa b, bool minus)
{
	struct dfa out = {.n = 0};
	struct found f = {.item = NULL};
	uint8_t byte_of[256];
	size_t room = 0, room_accept = 0;

	if (a.to && b.to) {
		out.classes = join_classes(&out, &a, &b, byte_of);
		find(g, &f, (int32_t[]){0, 0}, 2);
	}
	for (int32_t i = 0; i < f.n && graph_ok(g); i++) {
		int32_t x = f.item[2 * i], y = f.item[2 * i + 1];
		if (!dfa_row(g, &out, &room, &room_accept))
			break;
		out.accept[i] = a.accept[x] && (minus ? y < 0 || !b.accept[y] : b.accept[y]);
		for (int c = 0; c < out.classes && !g->err; c++) {
			int32_t pair[2] = {next_of(&a, x, byte_of[c]), next_of(&b, y, byte_of[c])};
			if (pair[0] >= 0 && (minus || pair[1] >= 0))
				out.to[(size_t)i * (size_t)out.classes + (size_t)c] = find(g, &f, pair, 2);
		}
	}
	found_finish(&f);
	dfa_finish(&a);
	dfa_finish(&b);
	if (g->err)
		dfa_finish(&out);
	return out;
}

struct dfa dfa_and(struct graph *g, struct dfa a, struct dfa b)
{
	return product(g, a, b, false);
}

struct dfa dfa_minus(struct graph *g, struct dfa a, struct dfa b)
{
	return product(g, a, b, true);
}

/* ---- as a rule ---- */

/* Marks the states from which the text can still become whole, and cuts the ways to the others. */
static void trim(struct dfa *a, uint8_t *alive)
{
	bool changed = true;

	memcpy(alive, a->accept, (size_t)a->n);
	while (changed) { /* backwards, since most ways lead to later states */
		changed = false;
		for (int i = a->n - 1; i >= 0; i--)
			for (int c = 0; c < a->classes && !alive[i]; c++) {
				int32_t to = a->to[(size_t)i * (size_t)a->classes + (size_t)c];
				if (to >= 0 && alive[to])
					alive[i] = 1, changed = true;
			}
	}
	for (size_t i = 0; i < (size_t)a->n * (size_t)a->classes; i++)
		if (a->to[i] >= 0 && !alive[a->to[i]])
			a->to[i] = -1;
}

bool dfa_empty(const struct dfa *a)
{
	for (int i = 0; a->to && i < a->n; i++) /* each state of a product or subset is reachable */
		if (a->accept[i])
			return false;
	return true;
}

static bool is_leaf(const struct dfa *a, int32_t state)
{
	for (int k = 0; k < a->classes; k++)
		if (a->to[(size_t)state * (size_t)a->classes + (size_t)k] >= 0)
			return false;
	return true;
}

struct frag dfa_frag(struct graph *g, struct dfa a)
{
	int32_t rule, out, first, number;
	uint8_t *alive = a.to ? heap_take((size_t)a.n, 1) : NULL;

	if (!alive || g->err) {
		if (!g->err)
			g->err = effort_check(&g->why);
		heap_free(alive);
		dfa_finish(&a);
		return frag_fail(g);
	}
	trim(&a, alive);
	if (!alive[0]) {
		heap_free(alive);
		dfa_finish(&a);
		return frag_fail(g);
	}
	heap_free(alive);
	rule = graph_rule(g);
	out = graph_node(g, NODE_RETURN, 0, 0);
	first = g->n_nodes;
	number = g->n_tables;
	for (int i = 0; i < a.n && !g->err; i++)
		if (a.accept[i] && is_leaf(&a, i)) /* so that a state there is seen to be at its end */
			graph_node(g, NODE_JUMP, out, 0);
		else
			graph_node(g, NODE_TABLE, a.accept[i] ? out : 0, number);
	struct table t = {.first = first, .n = a.n, .classes = a.classes, .to = a.to};
	memcpy(t.class_of, a.class_of, 256);
	t.pure = pure_follow(&t, a.accept);
	if (!t.pure && !g->err)
		g->err = effort_check(&g->why);
	graph_table(g, &t);
	heap_free(a.accept);
	if (!g->err)
		g->rule[rule].start = first;
	return frag_call(g, rule);
}
