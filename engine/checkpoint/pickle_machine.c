/* pickle_machine.c - the machine that runs a pickle's opcodes. */
#include <stdlib.h>

#include "engine/checkpoint/pickle_machine.h"

enum { MAX_NODES = 1 << 21, MAX_STACK = 1 << 20 };

int pickle_wrong(const struct pickle_machine *x, const char *what)
{
	return fail(x->why, ERR_FORMAT, "pickle, before byte %zu: %s", (size_t)(x->at - x->begin), what);
}

int pickle_over(const struct pickle_machine *x, const char *what, int max)
{
	return fail(x->why, ERR_LIMIT, "pickle, before byte %zu: %s; the most is %d", (size_t)(x->at - x->begin), what,
		    max);
}

const uint8_t *pickle_take(struct pickle_machine *x, size_t n)
{
	const uint8_t *p = x->at;

	if (n > (size_t)(x->end - x->at)) {
		pickle_wrong(x, "it ends too early");
		return NULL;
	}
	x->at += n;
	return p;
}

int pickle_take_number(struct pickle_machine *x, int bytes, uint64_t *n)
{
	const uint8_t *p = pickle_take(x, (size_t)bytes);

	if (!p)
		return ERR_FORMAT;
	for (*n = 0; bytes--;)
		*n = *n << 8 | p[bytes];
	return 0;
}

int pickle_push(struct pickle_machine *x, int node)
{
	if (x->depth == MAX_STACK)
		return pickle_over(x, "too much on the stack", MAX_STACK);
	if (x->depth == x->max_depth) {
		x->max_depth = x->max_depth ? 2 * x->max_depth : 256;
		x->stack = xgrow(x->stack, (size_t)x->max_depth, sizeof *x->stack);
	}
	x->stack[x->depth++] = node;
	return 0;
}

int pickle_pop(struct pickle_machine *x, int *node)
{
	if (!x->depth || x->stack[x->depth - 1] == PICKLE_MARK)
		return pickle_wrong(x, "nothing on the stack to take");
	*node = x->stack[--x->depth];
	return 0;
}

int pickle_top(const struct pickle_machine *x, int *node)
{
	if (!x->depth || x->stack[x->depth - 1] == PICKLE_MARK)
		return pickle_wrong(x, "nothing on the stack to work on");
	*node = x->stack[x->depth - 1];
	return 0;
}

int pickle_new(struct pickle_machine *x, struct pickle_node n, int *node)
{
	struct pickle *p = &x->p;

	if (p->n_nodes == MAX_NODES)
		return pickle_over(x, "too many values", MAX_NODES);
	if (p->n_nodes == p->max_nodes) {
		p->max_nodes = p->max_nodes ? 2 * p->max_nodes : 256;
		p->node = xgrow(p->node, (size_t)p->max_nodes, sizeof *p->node);
	}
	if (n.kind >= PK_TUPLE)
		n.first = n.last = -1;
	*node = p->n_nodes;
	p->node[p->n_nodes++] = n;
	return 0;
}

int pickle_push_new(struct pickle_machine *x, struct pickle_node n)
{
	int node = 0, err = pickle_new(x, n, &node);

	return err ? err : pickle_push(x, node);
}

/* Every cell was once pushed, so the length of the pickle bounds their number. */
static void add_cell(struct pickle *p, int list, int value)
{
	if (p->n_cells == p->max_cells) {
		p->max_cells = p->max_cells ? 2 * p->max_cells : 256;
		p->cell = xgrow(p->cell, (size_t)p->max_cells, sizeof *p->cell);
	}
	p->cell[p->n_cells] = (struct pickle_cell){value, -1};
	if (p->node[list].last < 0)
		p->node[list].first = p->n_cells;
	else
		p->cell[p->node[list].last].next = p->n_cells;
	p->node[list].last = p->n_cells++;
	p->node[list].n++;
}

int pickle_find_mark(const struct pickle_machine *x, int *first)
{
	int i = x->depth - 1;

	while (i >= 0 && x->stack[i] != PICKLE_MARK)
		i--;
	*first = i + 1;
	return i < 0 ? pickle_wrong(x, "no mark on the stack") : 0;
}

void pickle_move(struct pickle_machine *x, int list, int first)
{
	for (int i = first; i < x->depth; i++)
		add_cell(&x->p, list, x->stack[i]);
	x->depth = first;
}
