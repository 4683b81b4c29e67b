/* parser.c - parses statements. */
#include "engine/template/inside.h"

static void block_end(struct parser *p)
{
	if (p->at->token != T_BLOCK_END)
		syntax_error(p, "expected '%%}'");
	p->at++;
}

static struct syntax *parse_body(struct parser *p, const char *const *ends);

/* Parses the body of a tag up to one of `ends`, which remains to be read (after its "{%"). */
static struct syntax *tag_body(struct parser *p, const char *const *ends)
{
	struct syntax *body;

	block_end(p);
	parse_enter(p);
	body = parse_body(p, ends);
	p->depth--;
	return body;
}

static struct syntax *parse_target(struct parser *p, bool space);

static struct syntax *target_part(struct parser *p, bool space)
{
	struct syntax *n = node_make(p, N_NAME);

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

/* Parses what an assignment fills: a name, or names joined by commas. space: an attribute of a namespace, too. */
static struct syntax *parse_target(struct parser *p, bool space)
{
	struct syntax *tuple = node_make(p, N_TUPLE);
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

static struct syntax *parse_if(struct parser *p)
{
	static const char *const ends[] = {"elif", "else", "endif", NULL}, *const last[] = {"endif", NULL};
	struct syntax *first = NULL, **link = &first, *n;

	do {
		n = node_make(p, S_IF);
		n->a = parse_tuple(p, false, NULL, false);
		n->body = tag_body(p, ends);
		n->chained = link != &first;
		*link = n;
		link = &n->other;
	} while (skip_name(p, "elif"));
	if (skip_name(p, "else"))
		*link = tag_body(p, last);
	want_name(p);
	return first;
}

static struct syntax *parse_for(struct parser *p)
{
	static const char *const ends[] = {"else", "endfor", NULL}, *const last[] = {"endfor", NULL};
	struct syntax *n = node_make(p, S_FOR);

	n->name = intern_name(p, "loop", 4);
	n->a = parse_target(p, false);
	if (!skip_name(p, "in"))
		syntax_error(p, "expected 'in'");
	n->b = parse_tuple(p, false, "recursive", false);
	if (skip_name(p, "if"))
		n->c = parse_expression(p);
	n->recursive = skip_name(p, "recursive");
	p->loops++;
	n->body = tag_body(p, ends);
	p->loops--;
	if (skip_name(p, "else"))
		n->other = tag_body(p, last);
	want_name(p);
	return n;
}

static struct syntax *parse_set(struct parser *p)
{
	static const char *const ends[] = {"endset", NULL};
	struct syntax *n = node_make(p, S_SET);

	n->a = parse_target(p, true);
	if (skip_op(p, "=")) {
		n->b = parse_tuple(p, true, NULL, false);
		return n;
	}
	n->op = S_SET_BLOCK;
	if (at_op(p, "|"))
		n->b = parse_filter_chain(p, NULL);
	n->body = tag_body(p, ends);
	want_name(p);
	return n;
}

/* Says whether the lexemes of a macro's body name a variable that only some macros have. */
static bool mentions(const struct lexeme *from, const struct lexeme *end, const char *word)
{
	for (; from < end; from++)
		if (from->token == T_NAME && from->len == strlen(word) && !memcmp(from->s, word, from->len))
			return true;
	return false;
}

/* Parses "(a, b=1)" of a macro or a call block: names go to arg, defaults to kwarg (of the last nkw names). */
static void parse_signature(struct parser *p, struct syntax *n)
{
	want_op(p, "(");
	while (!skip_op(p, ")")) {
		if (n->nargs) {
			want_op(p, ",");
			if (skip_op(p, ")"))
				break;
		}
		struct syntax *param = node_make(p, N_NAME);
		param->name = want_name(p);
		node_add(p, &n->arg, &n->nargs, param);
		if (skip_op(p, "="))
			node_add(p, &n->kwarg, &n->nkw, parse_expression(p));
		else if (n->nkw)
			syntax_error(p, "argument without default after one with a default");
	}
}

static void macro_body(struct parser *p, struct syntax *n, const char *const *ends)
{
	static const char *const extra[] = {"varargs", "kwargs", "caller"};
	struct lexeme *from = p->at;
	int loops = p->loops;

	p->loops = 0;
	n->body = tag_body(p, ends);
	p->loops = loops;
	for (int i = 0; i < 3; i++)
		if (mentions(from, p->at, extra[i]))
			n->extra[i] = intern_name(p, extra[i], strlen(extra[i]));
	want_name(p);
}

static struct syntax *parse_macro(struct parser *p)
{
	static const char *const ends[] = {"endmacro", NULL};
	struct syntax *n = node_make(p, S_MACRO);

	n->name = want_name(p);
	parse_signature(p, n);
	macro_body(p, n, ends);
	return n;
}

static struct syntax *parse_call_block(struct parser *p)
{
	static const char *const ends[] = {"endcall", NULL};
	struct syntax *n = node_make(p, S_CALL);

	if (at_op(p, "("))
		parse_signature(p, n);
	n->a = parse_expression(p);
	if (n->a->op != N_CALL)
		syntax_error(p, "a call block needs a call");
	n->name = intern_name(p, "caller", 6);
	macro_body(p, n, ends);
	return n;
}

static struct syntax *parse_filter_block(struct parser *p)
{
	static const char *const ends[] = {"endfilter", NULL};
	struct syntax *n = node_make(p, S_FILTER);

	n->a = parse_filter_chain(p, NULL);
	n->body = tag_body(p, ends);
	want_name(p);
	return n;
}

static struct syntax *parse_with(struct parser *p)
{
	static const char *const ends[] = {"endwith", NULL};
	struct syntax *n = node_make(p, S_WITH);

	while (p->at->token != T_BLOCK_END) {
		if (n->nargs)
			want_op(p, ",");
		node_add(p, &n->arg, &n->nargs, parse_target(p, false));
		want_op(p, "=");
		node_add(p, &n->kwarg, &n->nkw, parse_expression(p));
	}
	n->body = tag_body(p, ends);
	want_name(p);
	return n;
}

/* {% generation %} marks the model's text for training; its body is rendered as it is. */
static struct syntax *parse_generation(struct parser *p)
{
	static const char *const ends[] = {"endgeneration", NULL};
	struct syntax *n = node_make(p, S_SCOPE);

	n->body = tag_body(p, ends);
	want_name(p);
	return n;
}

static struct syntax *parse_jump(struct parser *p, enum op op)
{
	if (!p->loops)
		syntax_error(p, "break or continue outside of a loop");
	return node_make(p, op);
}

static struct syntax *parse_tag(struct parser *p)
{
	struct lexeme *t = p->at;

	if (t->token != T_NAME)
		syntax_error(p, "expected the name of a tag");
	p->job->line = t->line;
	if (skip_name(p, "if"))
		return parse_if(p);
	if (skip_name(p, "for"))
		return parse_for(p);
	if (skip_name(p, "set"))
		return parse_set(p);
	if (skip_name(p, "macro"))
		return parse_macro(p);
	if (skip_name(p, "call"))
		return parse_call_block(p);
	if (skip_name(p, "filter"))
		return parse_filter_block(p);
	if (skip_name(p, "with"))
		return parse_with(p);
	if (skip_name(p, "generation"))
		return parse_generation(p);
	if (skip_name(p, "break"))
		return parse_jump(p, S_BREAK);
	if (skip_name(p, "continue"))
		return parse_jump(p, S_CONTINUE);
	raise_error(p->job, ERR_UNSUPPORTED, "the tag '%.*s' is not supported here", (int)t->len, t->s);
}

static struct syntax *parse_print(struct parser *p)
{
	struct syntax *n = node_make(p, S_PRINT);

	n->a = parse_tuple(p, true, NULL, false);
	if (p->at->token != T_PRINT_END)
		syntax_error(p, "expected '}}'");
	p->at++;
	return n;
}

static bool at_one_of(struct parser *p, const char *const *names)
{
	for (; *names; names++)
		if (at_name(p, *names))
			return true;
	return false;
}

/* Parses statements up to a tag of `ends` (NULL: up to the end of the template). */
static struct syntax *parse_body(struct parser *p, const char *const *ends)
{
	struct syntax *first = NULL, **link = &first, *n;

	for (;;) {
		struct lexeme *t = p->at;

		if (t->token == T_END) {
			if (ends)
				syntax_error(p, "the tag '%s' is missing", ends[0]);
			return first;
		}
		p->at++;
		if (t->token == T_TEXT) {
			n = node_make(p, S_TEXT);
			n->value = STR(str_make(p->job, t->s, t->len, false));
		} else if (t->token == T_PRINT) {
			n = parse_print(p);
		} else {
			if (ends && at_one_of(p, ends))
				return first;
			n = parse_tag(p);
			block_end(p);
		}
		*link = n;
		link = &n->next;
	}
}

struct syntax *parse_template(struct job *job, struct lexemes *lexemes)
{
	struct parser p = {.job = job, .at = lexemes->at};

	return parse_body(&p, NULL);
}
