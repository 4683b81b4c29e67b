/* parse_tuple.c - what commas join: tuples, and the targets of assignments. */
#include "engine/template/inside.h"

static bool tuple_end(struct parser *p, const char *end_word)
{
	return p->at->token == T_PRINT_END || p->at->token == T_BLOCK_END || at_op(p, ")") ||
	       (end_word && at_name(p, end_word));
}

struct node *parse_tuple(struct parser *p, bool cond, const char *end_word, bool explicit_paren)
{
	struct node *tuple = node_make(p, N_TUPLE);
	bool comma = false;

	for (;;) {
		if (tuple->nargs)
			want_op(p, ",");
		if (tuple_end(p, end_word))
			break;
		node_add(p, &tuple->arg, &tuple->nargs, cond ? parse_expression(p) : parse_no_cond(p));
		if (!at_op(p, ","))
			break;
		comma = true;
	}
	if (!comma && tuple->nargs)
		return tuple->arg[0];
	if (!comma && !explicit_paren)
		syntax_error(p, "an expression was expected");
	return tuple;
}

static struct node *target_part(struct parser *p, bool space)
{
	struct node *n = node_make(p, N_NAME);

	if (skip_op(p, "(")) {
		parse_enter(p);
		n = parse_target(p, space);
		p->depth--;
		want_op(p, ")");
		return n;
	}
	n->name = want_name(p);
	if (space && skip_op(p, ".")) {
		n->op = N_ATTR;
		n->a = node_make(p, N_NAME);
		n->a->name = n->name;
		n->name = want_name(p);
	}
	return n;
}

struct node *parse_target(struct parser *p, bool space)
{
	struct node *tuple = node_make(p, N_TUPLE);
	bool comma = false;

	for (;;) {
		if (tuple->nargs && !at_name(p, "in") && !at_op(p, "="))
			want_op(p, ",");
		if (tuple->nargs && (at_name(p, "in") || at_op(p, "=") || at_op(p, ")")))
			break;
		node_add(p, &tuple->arg, &tuple->nargs, target_part(p, space));
		if (!at_op(p, ","))
			break;
		comma = true;
	}
	return comma ? tuple : tuple->arg[0];
}
