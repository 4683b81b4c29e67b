/* parse_expression.c - parses expressions, with the precedence of jinja2's parser, loosest first. */
#include "engine/template/inside.h"

static struct syntax *parse_unary(struct parser *p, bool with_filter);

static struct syntax *make2(struct parser *p, enum op op, struct syntax *a, struct syntax *b)
{
	struct syntax *n = node_make(p, op);

	n->a = a;
	n->b = b;
	return n;
}

static struct syntax *constant(struct parser *p, struct value v)
{
	struct syntax *n = node_make(p, N_CONST);

	n->value = v;
	if (v.kind == K_STR) { /* computed now, because rendering writes nothing to a template */
		str_hash(v.s);
		str_chars(v.s);
	}
	return n;
}

static struct syntax *parse_dict(struct parser *p)
{
	struct syntax *n = node_make(p, N_DICT);

	while (!skip_op(p, "}")) {
		if (n->nargs) {
			want_op(p, ",");
			if (skip_op(p, "}"))
				break;
		}
		node_add(p, &n->arg, &n->nargs, parse_expression(p));
		want_op(p, ":");
		node_add(p, &n->arg, &n->nargs, parse_expression(p));
	}
	return n;
}

static struct syntax *parse_list(struct parser *p)
{
	struct syntax *n = node_make(p, N_LIST);

	while (!skip_op(p, "]")) {
		if (n->nargs) {
			want_op(p, ",");
			if (skip_op(p, "]"))
				break;
		}
		node_add(p, &n->arg, &n->nargs, parse_expression(p));
	}
	return n;
}

static struct syntax *string_node(struct parser *p)
{
	struct str *s = str_make(p->job, p->at->s, p->at->len, false);

	for (p->at++; p->at->token == T_STRING; p->at++)
		s = str_join(p->job, s, str_make(p->job, p->at->s, p->at->len, false));
	s->grow = NULL;
	return constant(p, STR(s));
}

static struct syntax *name_node(struct parser *p)
{
	struct str *name = want_name(p);
	struct syntax *n;

	if (str_is(name, "true") || str_is(name, "True") || str_is(name, "false") || str_is(name, "False"))
		return constant(p, BOOL(name->s[0] == 't' || name->s[0] == 'T'));
	if (str_is(name, "none") || str_is(name, "None"))
		return constant(p, NONE);
	n = node_make(p, N_NAME);
	n->name = name;
	return n;
}

static struct syntax *parse_primary(struct parser *p)
{
	struct lexeme *t = p->at;
	struct syntax *n;

	switch (t->token) {
	case T_NAME:
		return name_node(p);
	case T_STRING:
		return string_node(p);
	case T_INT:
		p->at++;
		return constant(p, INT(t->i));
	case T_FLOAT:
		p->at++;
		return constant(p, FLOAT(t->f));
	default:
		break;
	}
	if (skip_op(p, "(")) {
		parse_enter(p);
		n = parse_tuple(p, true, NULL, true);
		want_op(p, ")");
	} else if (skip_op(p, "[")) {
		parse_enter(p);
		n = parse_list(p);
	} else if (skip_op(p, "{")) {
		parse_enter(p);
		n = parse_dict(p);
	} else {
		syntax_error(p, "expected an expression");
	}
	p->depth--;
	return n;
}

static struct syntax *parse_subscribed(struct parser *p, struct syntax *on)
{
	struct syntax *part[3] = {NULL, NULL, NULL};
	int i = 0;
	struct syntax *n;

	if (!at_op(p, ":"))
		part[0] = parse_expression(p);
	if (!at_op(p, ":"))
		return make2(p, N_ITEM, on, part[0]);
	while (i < 2 && skip_op(p, ":")) {
		i++;
		if (!at_op(p, ":") && !at_op(p, "]") && !at_op(p, ","))
			part[i] = parse_expression(p);
	}
	n = node_make(p, N_SLICE);
	n->a = on;
	n->arg = job_take(p->job, sizeof *n->arg * 3);
	memcpy(n->arg, part, sizeof part);
	n->nargs = 3;
	return n;
}

static struct syntax *parse_subscript(struct parser *p, struct syntax *on)
{
	struct syntax *n;

	if (skip_op(p, ".")) {
		if (p->at->token == T_INT) {
			n = make2(p, N_ITEM, on, constant(p, INT(p->at->i)));
			p->at++;
			return n;
		}
		n = node_make(p, N_ATTR);
		n->a = on;
		n->name = want_name(p);
		return n;
	}
	want_op(p, "[");
	n = parse_subscribed(p, on);
	if (at_op(p, ","))
		syntax_error(p, "a subscript of several parts is not supported");
	want_op(p, "]");
	return n;
}

void parse_call_args(struct parser *p, struct syntax *call)
{
	want_op(p, "(");
	while (!skip_op(p, ")")) {
		if (call->nargs || call->nkw || call->star || call->star2) {
			want_op(p, ",");
			if (skip_op(p, ")"))
				break;
		}
		if (skip_op(p, "**")) {
			call->star2 = parse_expression(p);
		} else if (skip_op(p, "*")) {
			call->star = parse_expression(p);
		} else if (p->at->token == T_NAME && p->at[1].token == T_OP && p->at[1].len == 1 &&
			   *p->at[1].s == '=') {
			struct str *name = want_name(p),
				   **names = job_take(p->job, sizeof *names * (size_t)(call->nkw + 1));

			want_op(p, "=");
			if (call->nkw)
				memcpy(names, call->kwname, sizeof *names * (size_t)call->nkw);
			names[call->nkw] = name;
			call->kwname = names;
			node_add(p, &call->kwarg, &call->nkw, parse_expression(p));
		} else {
			if (call->nkw || call->star || call->star2)
				syntax_error(p, "positional argument after a keyword argument");
			node_add(p, &call->arg, &call->nargs, parse_expression(p));
		}
	}
}

/* Refuses methods that Python has and this engine lacks now, rather than in the middle of a conversation. */
static void check_method(struct parser *p, const struct syntax *f)
{
	bool supported;

	if (f->op == N_ATTR && method_known(f->name, &supported) && !supported)
		raise_error(p->job, ERR_UNSUPPORTED, "the method '%.*s' is not supported", (int)f->name->len,
			    f->name->s);
	if (f->op == N_NAME && func_unsupported(f->name))
		raise_error(p->job, ERR_UNSUPPORTED, "the function '%.*s' is not supported", (int)f->name->len,
			    f->name->s);
}

static struct syntax *parse_call(struct parser *p, struct syntax *f)
{
	struct syntax *n = node_make(p, N_CALL);

	p->job->line = n->line;
	check_method(p, f);
	n->a = f;
	parse_enter(p);
	parse_call_args(p, n);
	p->depth--;
	return n;
}

static struct syntax *parse_postfix(struct parser *p, struct syntax *n)
{
	for (int turns = 0;; turns++) {
		if (turns == TEMPLATE_DEPTH)
			syntax_error(p, "a chain of more than %d parts", TEMPLATE_DEPTH);
		if (at_op(p, ".") || at_op(p, "["))
			n = parse_subscript(p, n);
		else if (at_op(p, "("))
			n = parse_call(p, n);
		else
			return n;
	}
}

/* Checks the arguments of filters that take the name of another filter or of a test. */
static void check_named(struct parser *p, const struct syntax *n)
{
	static const struct {
		const char *filter;
		int arg;
	} list[] = {{"select", 0}, {"reject", 0}, {"selectattr", 1}, {"rejectattr", 1}, {"map", 0}};

	for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
		const struct syntax *arg =
			str_is(n->name, list[i].filter) && list[i].arg < n->nargs ? n->arg[list[i].arg] : NULL;
		if (!arg || arg->op != N_CONST || arg->value.kind != K_STR)
			continue;
		bool map = i == 4;
		if (map ? !filter_find(arg->value.s) : !test_find(arg->value.s))
			raise_error(p->job, ERR_UNSUPPORTED, "the %s '%.*s' is not supported", map ? "filter" : "test",
				    (int)arg->value.s->len, arg->value.s->s);
	}
}

static struct syntax *one_filter(struct parser *p, struct syntax *on)
{
	struct syntax *n = node_make(p, N_FILTER);

	n->a = on;
	n->name = want_name(p);
	p->job->line = n->line;
	if (at_op(p, "."))
		syntax_error(p, "the filter's name has a dot");
	n->impl = filter_find(n->name);
	if (!n->impl)
		raise_error(p->job, ERR_UNSUPPORTED, "the filter '%.*s' is not supported", (int)n->name->len,
			    n->name->s);
	if (at_op(p, "("))
		parse_call_args(p, n);
	check_named(p, n);
	return n;
}

struct syntax *parse_filter_chain(struct parser *p, struct syntax *on)
{
	struct syntax *n = on || at_op(p, "|") ? on : one_filter(p, NULL);
	int turns = 0;

	while (skip_op(p, "|")) {
		if (turns++ == TEMPLATE_DEPTH)
			syntax_error(p, "a chain of more than %d filters", TEMPLATE_DEPTH);
		n = one_filter(p, n);
	}
	return n;
}

static bool starts_argument(struct parser *p)
{
	switch (p->at->token) {
	case T_NAME:
		return !at_name(p, "else") && !at_name(p, "or") && !at_name(p, "and");
	case T_STRING:
	case T_INT:
	case T_FLOAT:
		return true;
	default:
		return at_op(p, "[") || at_op(p, "{");
	}
}

static struct syntax *parse_test(struct parser *p, struct syntax *on)
{
	bool negated = skip_name(p, "not");
	struct syntax *n = node_make(p, N_TEST);

	n->a = on;
	n->name = want_name(p);
	p->job->line = n->line;
	n->impl = test_find(n->name);
	if (!n->impl)
		raise_error(p->job, ERR_UNSUPPORTED, "the test '%.*s' is not supported", (int)n->name->len, n->name->s);
	if (at_op(p, "(")) {
		parse_call_args(p, n);
	} else if (starts_argument(p)) {
		if (at_name(p, "is"))
			syntax_error(p, "tests with 'is' cannot be chained");
		node_add(p, &n->arg, &n->nargs, parse_postfix(p, parse_primary(p)));
	}
	return negated ? make2(p, N_NOT, n, NULL) : n;
}

static struct syntax *parse_filter_expr(struct parser *p, struct syntax *n)
{
	for (int turns = 0;; turns++) {
		if (turns == TEMPLATE_DEPTH)
			syntax_error(p, "a chain of more than %d parts", TEMPLATE_DEPTH);
		if (at_op(p, "|"))
			n = parse_filter_chain(p, n);
		else if (skip_name(p, "is"))
			n = parse_test(p, n);
		else if (at_op(p, "("))
			n = parse_call(p, n);
		else
			return n;
	}
}

static struct syntax *parse_unary(struct parser *p, bool with_filter)
{
	struct syntax *n;

	parse_enter(p);
	if (skip_op(p, "-"))
		n = make2(p, N_NEG, parse_unary(p, false), NULL);
	else if (skip_op(p, "+"))
		n = make2(p, N_POS, parse_unary(p, false), NULL);
	else
		n = parse_primary(p);
	n = parse_postfix(p, n);
	if (with_filter)
		n = parse_filter_expr(p, n);
	p->depth--;
	return n;
}

/* Parses a chain of equal precedence from the left. The tree grows to the left, so its depth is bounded too. */
struct level {
	const char *op[4];
	enum op node[4];
	int n;
};
static const struct level levels[] = {
	{{"+", "-"}, {N_ADD, N_SUB}, 2},
	{{"~"}, {N_CONCAT}, 1},
	{{"*", "/", "//", "%"}, {N_MUL, N_DIV, N_FLOORDIV, N_MOD}, 4},
	{{"**"}, {N_POW}, 1},
};

static struct syntax *parse_level(struct parser *p, size_t level)
{
	enum { CHAIN = 200 };

	if (level == sizeof levels / sizeof *levels)
		return parse_unary(p, true);
	struct syntax *n = parse_level(p, level + 1);
	for (int turns = 0; turns < CHAIN; turns++) {
		const struct level *l = &levels[level];
		int i = 0;
		while (i < l->n && !skip_op(p, l->op[i]))
			i++;
		if (i == l->n)
			return n;
		n = make2(p, l->node[i], n, parse_level(p, level + 1));
	}
	syntax_error(p, "a chain of more than %d operators", CHAIN);
}

static bool comparison(struct parser *p, enum op *op)
{
	static const struct {
		const char *text;
		enum op op;
	} list[] = {{"==", N_EQ}, {"!=", N_NE}, {"<", N_LT}, {"<=", N_LE}, {">", N_GT}, {">=", N_GE}};

	for (size_t i = 0; i < sizeof list / sizeof *list; i++)
		if (skip_op(p, list[i].text))
			return *op = list[i].op, true;
	if (skip_name(p, "in"))
		return *op = N_IN, true;
	if (at_name(p, "not") && p->at[1].token == T_NAME && p->at[1].len == 2 && !memcmp(p->at[1].s, "in", 2)) {
		p->at += 2;
		return *op = N_NOT_IN, true;
	}
	return false;
}

static struct syntax *parse_compare(struct parser *p)
{
	struct syntax *n = parse_level(p, 0), *chain = NULL;
	enum op op;

	while (comparison(p, &op)) {
		if (!chain)
			chain = make2(p, N_COMPARE, n, NULL);
		node_add(p, &chain->arg, &chain->nargs, make2(p, op, parse_level(p, 0), NULL));
	}
	return chain ? chain : n;
}

static struct syntax *parse_not(struct parser *p)
{
	struct syntax *n;

	if (!skip_name(p, "not"))
		return parse_compare(p);
	parse_enter(p);
	n = make2(p, N_NOT, parse_not(p), NULL);
	p->depth--;
	return n;
}

/* Parses "and" and "or". Long chains become lists, evaluated from the left. */
static struct syntax *parse_logic(struct parser *p, bool is_or)
{
	struct syntax *n = is_or ? parse_logic(p, false) : parse_not(p), *chain = NULL;

	while (skip_name(p, is_or ? "or" : "and")) {
		if (!chain) {
			chain = node_make(p, is_or ? N_OR : N_AND);
			node_add(p, &chain->arg, &chain->nargs, n);
		}
		node_add(p, &chain->arg, &chain->nargs, is_or ? parse_logic(p, false) : parse_not(p));
	}
	return chain ? chain : n;
}

struct syntax *parse_no_cond(struct parser *p)
{
	return parse_logic(p, true);
}

struct syntax *parse_expression(struct parser *p)
{
	struct syntax *n, *c;

	parse_enter(p);
	n = parse_no_cond(p);
	while (skip_name(p, "if")) {
		c = node_make(p, N_COND);
		c->b = n;
		c->a = parse_no_cond(p);
		if (skip_name(p, "else"))
			c->c = parse_expression(p);
		n = c;
	}
	p->depth--;
	return n;
}

static bool tuple_end(struct parser *p, const char *end_word)
{
	return p->at->token == T_PRINT_END || p->at->token == T_BLOCK_END || at_op(p, ")") ||
	       (end_word && at_name(p, end_word));
}

struct syntax *parse_tuple(struct parser *p, bool cond, const char *end_word, bool explicit_paren)
{
	struct syntax *tuple = node_make(p, N_TUPLE);
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
		syntax_error(p, "expected an expression");
	return tuple;
}
