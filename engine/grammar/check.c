/* check.c - a graph becomes a grammar: every node that is left can be reached on the way to a whole text, so that a run
 * never meets a dead end; bytes that nothing tells apart share a class. */
#include "engine/grammar/inside.h"

#include <stdatomic.h>
#include <string.h>

/* ---- which nodes can still end their rule ---- */

/* Nodes wait for others: each has a list of those that ask again when it turns out to be alive. */
struct alive {
	const struct graph *g;
	uint8_t *node, *rule; /* (n_nodes), (n_rules) 1: alive */
	int32_t *by_node;     /* (n_nodes) first edge that leads to it, or -1 */
	int32_t *by_rule;     /* (n_rules) the same of nodes that call it */
	int32_t *edge, *from; /* (2 * n_nodes) next edge; the node that it comes from */
	int32_t *owner;       /* (n_nodes) the rule that begins there, or -1 */
	int32_t *todo;        /* (n_nodes + n_rules) */
	int n_edges, n_todo;
};

static void add_edge(struct alive *a, int32_t *list, int32_t to, int32_t from)
{
	a->from[a->n_edges] = from;
	a->edge[a->n_edges] = list[to];
	list[to] = a->n_edges++;
}

static void add_edges(struct alive *a, int32_t i)
{
	const struct node *n = &a->g->node[i];

	if (n->kind != NODE_RETURN && n->kind != NODE_FAIL && n->kind != NODE_TABLE)
		add_edge(a, a->by_node, n->next, i);
	if (n->kind == NODE_SPLIT)
		add_edge(a, a->by_node, n->other, i);
	else if (n->kind == NODE_CALL)
		add_edge(a, a->by_rule, n->other, i);
	else if (n->kind == NODE_REPEAT)
		add_edge(a, a->by_rule, a->g->repeat[n->other].rule, i);
}

static bool lives(const struct alive *a, int32_t i)
{
	const struct node *n = &a->g->node[i];
	bool next = a->node[n->next];

	switch (n->kind) {
	case NODE_FAIL:
		return false;
	case NODE_RETURN:
	case NODE_TABLE: /* its automaton was trimmed */
		return true;
	case NODE_SPLIT:
		return next || a->node[n->other];
	case NODE_CALL:
		return next && a->rule[n->other];
	case NODE_REPEAT:
		return next && (!a->g->repeat[n->other].min || a->rule[a->g->repeat[n->other].rule]);
	default:
		return next;
	}
}

static void look(struct alive *a, int32_t i)
{
	if (a->node[i] || !lives(a, i))
		return;
	a->node[i] = 1;
	a->todo[a->n_todo++] = i;
}

static void spread(struct alive *a, int32_t i)
{
	int32_t rule = a->owner[i];

	for (int32_t e = a->by_node[i]; e >= 0; e = a->edge[e])
		look(a, a->from[e]);
	if (rule < 0 || a->rule[rule])
		return;
	a->rule[rule] = 1;
	for (int32_t e = a->by_rule[rule]; e >= 0; e = a->edge[e])
		look(a, a->from[e]);
}

static bool alive_init(struct alive *a, const struct graph *g)
{
	size_t n = (size_t)g->n_nodes, rules = (size_t)g->n_rules + 1;

	*a = (struct alive){.g = g};
	a->node = heap_take(n, 1), a->rule = heap_take(rules, 1);
	a->by_node = heap_grow(NULL, n, sizeof(int32_t)), a->by_rule = heap_grow(NULL, rules, sizeof(int32_t));
	a->edge = heap_grow(NULL, 2 * n, sizeof(int32_t)), a->from = heap_grow(NULL, 2 * n, sizeof(int32_t));
	a->owner = heap_grow(NULL, n, sizeof(int32_t)), a->todo = heap_grow(NULL, n, sizeof(int32_t));
	if (!a->node || !a->rule || !a->by_node || !a->by_rule || !a->edge || !a->from || !a->owner || !a->todo)
		return false;
	memset(a->by_node, 0xff, n * sizeof(int32_t));
	memset(a->by_rule, 0xff, rules * sizeof(int32_t));
	memset(a->owner, 0xff, n * sizeof(int32_t));
	for (int32_t r = 0; r < g->n_rules; r++)
		if (g->rule[r].start)
			a->owner[g->rule[r].start] = r;
	return true;
}

static void alive_finish(struct alive *a)
{
	void *all[] = {a->node, a->rule, a->by_node, a->by_rule, a->edge, a->from, a->owner, a->todo};

	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		heap_free(all[i]);
}

/* Ways to nodes that are not alive are cut. */
static void prune(struct graph *g, const struct alive *a)
{
	for (int32_t i = 0; i < g->n_nodes; i++) {
		struct node *n = &g->node[i];
		if (!a->node[i]) {
			*n = (struct node){.kind = NODE_FAIL};
		} else if (n->kind == NODE_SPLIT && !a->node[n->next]) {
			*n = (struct node){.kind = NODE_JUMP, .next = n->other};
		} else if (n->kind == NODE_SPLIT && !a->node[n->other]) {
			*n = (struct node){.kind = NODE_JUMP, .next = n->next};
		} else if (n->kind == NODE_REPEAT && !a->rule[g->repeat[n->other].rule]) {
			*n = (struct node){.kind = NODE_JUMP, .next = n->next};
		}
	}
}

/* False: out of memory. *root: whether the rule derives anything. */
static bool keep_alive(struct graph *g, int32_t rule, bool *root)
{
	struct alive a;
	bool ok = alive_init(&a, g);

	for (int32_t i = 0; ok && i < g->n_nodes; i++)
		add_edges(&a, i);
	for (int32_t i = 0; ok && i < g->n_nodes; i++) {
		look(&a, i);
		while (a.n_todo)
			spread(&a, a.todo[--a.n_todo]);
	}
	if (ok) {
		*root = a.rule[rule];
		prune(g, &a);
	}
	alive_finish(&a);
	return ok;
}

/* ---- left recursion ---- */

/* What a rule may begin with: calls that are reached from its start without a byte. */
struct left {
	struct graph *g;
	uint8_t *empty;        /* (n_rules) it derives the empty text */
	int32_t *mark, *stack; /* (n_nodes) */
	int32_t round;
	uint8_t *color;     /* (n_rules) 0: new, 1: on the path, 2: done */
	int32_t *path, *at; /* (n_rules + 1) rules on the path; the node after which to go on */
};

/* Visits what is reached from a rule's start without a byte. Returns whether its end is; *call, where given, gets the
 * first call of a rule of another color than 2. */
static bool visit(struct left *l, int32_t rule, int32_t *call)
{
	int depth = 0;
	bool ends = false;

	l->round++;
	l->stack[depth++] = l->g->rule[rule].start;
	while (depth) {
		const struct node *n = &l->g->node[l->stack[--depth]];
		int32_t inner = n->kind == NODE_CALL     ? n->other
				: n->kind == NODE_REPEAT ? l->g->repeat[n->other].rule
							 : -1;
		bool pass = n->kind == NODE_JUMP || n->kind == NODE_SPLIT || (inner >= 0 && l->empty[inner]) ||
			    (n->kind == NODE_REPEAT && !l->g->repeat[n->other].min);
		ends |= n->kind == NODE_RETURN || (n->kind == NODE_TABLE && n->next);
		if (call && inner >= 0 && l->color[inner] != 2 && *call < 0)
			*call = inner;
		if (pass && l->mark[n->next] != l->round)
			l->mark[n->next] = l->round, l->stack[depth++] = n->next;
		if (n->kind == NODE_SPLIT && l->mark[n->other] != l->round)
			l->mark[n->other] = l->round, l->stack[depth++] = n->other;
	}
	return ends;
}

static void find_empty(struct left *l)
{
	bool changed = true;

	while (changed && graph_ok(l->g)) {
		changed = false;
		for (int32_t r = l->g->n_rules - 1; r >= 0 && graph_ok(l->g); r--)
			if (!l->empty[r] && l->g->rule[r].start && visit(l, r, NULL))
				l->empty[r] = 1, changed = true;
	}
}

/* Depth first; a rule on the path that is met again begins with itself. Returns it, or -1. */
static int32_t find_loop(struct left *l, int32_t first)
{
	int depth = 0;

	l->path[depth++] = first;
	l->color[first] = 1;
	while (depth && graph_ok(l->g)) {
		int32_t call = -1, rule = l->path[depth - 1];
		visit(l, rule, &call);
		if (call >= 0 && l->color[call] == 1)
			return call;
		if (call >= 0) {
			l->color[call] = 1;
			l->path[depth++] = call;
		} else {
			l->color[rule] = 2;
			depth--;
		}
	}
	return -1;
}

int graph_left_recursion(struct graph *g, const char *(*name)(void *arg, int32_t rule), void *arg)
{
	size_t n = (size_t)g->n_nodes, rules = (size_t)g->n_rules + 1;
	struct left l = {.g = g,
			 .empty = heap_take(rules, 1),
			 .mark = heap_take(n, sizeof(int32_t)),
			 .stack = heap_take(n + 1, sizeof(int32_t)),
			 .color = heap_take(rules, 1),
			 .path = heap_take(rules, sizeof(int32_t))};
	int32_t loop = -1;

	if (l.empty && l.mark && l.stack && l.color && l.path) {
		find_empty(&l);
		for (int32_t r = 0; r < g->n_rules && loop < 0 && graph_ok(g); r++)
			if (!l.color[r] && g->rule[r].start)
				loop = find_loop(&l, r);
	} else if (!g->err) {
		g->err = effort_check(&g->why);
	}
	if (loop >= 0)
		graph_fail(g, ERR_UNSUPPORTED,
			   "the rule \"%s\" begins with itself (left recursion): write it as a repetition",
			   name(arg, loop));
	heap_free(l.empty), heap_free(l.mark), heap_free(l.stack), heap_free(l.color), heap_free(l.path);
	return g->err;
}

/* ---- classes of bytes ---- */

static void split_by(uint8_t class_of[256], int *classes, const uint8_t other[256])
{
	uint8_t out[256];
	int16_t first[256][256];
	int n = 0;

	memset(first, 0xff, sizeof first);
	for (int b = 0; b < 256; b++) {
		int16_t *to = &first[class_of[b]][other[b]];
		if (*to < 0)
			*to = (int16_t)n++;
		out[b] = (uint8_t)*to;
	}
	memcpy(class_of, out, sizeof out);
	*classes = n;
}

static void find_classes(struct grammar *out, uint8_t *used)
{
	const struct graph *g = &out->g;

	out->classes = 1;
	for (int i = 0; i < g->n_nodes; i++)
		if (g->node[i].kind == NODE_BYTES && !used[g->node[i].other] && out->classes < 256) {
			const struct byte_set *s = &g->set[g->node[i].other];
			uint8_t in[256];
			used[g->node[i].other] = 1;
			for (unsigned b = 0; b < 256; b++)
				in[b] = set_has(s, b);
			split_by(out->class_of, &out->classes, in);
		}
	for (int i = 0; i < g->n_tables && out->classes < 256; i++)
		split_by(out->class_of, &out->classes, g->table[i].class_of);
	for (int b = 255; b >= 0; b--)
		out->byte_of[out->class_of[b]] = (uint8_t)b;
}

/* ---- the grammar ---- */

static int make(struct grammar **out, struct graph *g, int32_t root)
{
	static _Atomic uint64_t last;
	bool any = false;
	uint8_t *used;

	if (!graph_ok(g))
		return g->err;
	if (!keep_alive(g, root, &any))
		return g->err = effort_check(&g->why);
	if (!any)
		return graph_fail(g, ERR_INVALID, "nothing satisfies it");
	*out = heap_take(1, sizeof **out);
	used = heap_take((size_t)g->n_sets, 1);
	if (!*out || !used) {
		heap_free(used);
		return g->err = effort_check(&g->why);
	}
	(*out)->g = *g;
	(*out)->start = g->rule[root].start;
	(*out)->number = atomic_fetch_add(&last, 1) + 1;
	find_classes(*out, used);
	heap_free(used);
	return 0;
}

int grammar_of(struct grammar **out, struct graph *g, int32_t root, struct why *why)
{
	int err;

	*out = NULL;
	err = make(out, g, root);
	if (!err)
		return 0;
	*why = g->why;
	heap_free(*out);
	*out = NULL;
	graph_finish(g);
	return err;
}

struct grammar *grammar_share(struct grammar *g)
{
	atomic_fetch_add(&g->owners, 1);
	return g;
}

void grammar_destroy(struct grammar *g)
{
	if (!g || atomic_fetch_sub(&g->owners, 1))
		return;
	graph_finish(&g->g);
	heap_free(g);
}

size_t grammar_bytes(const struct grammar *g)
{
	const struct graph *a = &g->g;
	size_t n = sizeof *g + (size_t)a->room_nodes * sizeof *a->node + (size_t)a->room_sets * sizeof *a->set +
		   (size_t)a->room_repeats * sizeof *a->repeat + (size_t)a->room_tables * sizeof *a->table +
		   (size_t)a->room_rules * sizeof *a->rule;

	for (int i = 0; i < a->n_tables; i++)
		n += (size_t)a->table[i].n *
		     ((size_t)a->table[i].classes * sizeof *a->table[i].to + sizeof *a->table[i].pure);
	return n;
}
