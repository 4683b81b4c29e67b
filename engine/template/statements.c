/* statements.c - executes the tags: output, branches, loops, variables, macros. */
#include "engine/template/inside.h"

static struct scope *scope_make(struct rendering *r, struct scope *up)
{
	struct scope *s = job_take(&r->job, sizeof *s);

	s->up = up;
	return s;
}

void scope_set(struct rendering *r, struct scope *s, struct str *name, struct value v)
{
	for (int i = 0; i < s->n; i++)
		if (s->at[i].name == name) {
			s->at[i].value = v;
			return;
		}
	if (s->n == s->max) {
		int max = s->max ? s->max * 2 : 4;
		struct variable *at = job_take(&r->job, sizeof *at * (size_t)max);
		if (s->n)
			memcpy(at, s->at, sizeof *at * (size_t)s->n);
		s->at = at;
		s->max = max;
	}
	s->at[s->n++] = (struct variable){name, v};
}

static void assign(struct rendering *r, struct scope *s, const struct syntax *target, struct value v)
{
	struct value on;

	if (target->op == N_NAME) {
		scope_set(r, s, target->name, v);
	} else if (target->op == N_ATTR) {
		on = eval_name(r, s, target->a->name);
		if (on.kind == K_UNDEF)
			bad(&r->job, "%s", on.what);
		if (on.kind != K_SPACE)
			bad(&r->job, "cannot assign attribute on non-namespace object");
		dict_set(&r->job, on.d, STR(target->name), v);
	} else {
		struct list *items = value_items(&r->job, v);
		if (items->n != (uint32_t)target->nargs)
			bad(&r->job, "%u values to unpack into %d names", items->n, target->nargs);
		for (int i = 0; i < target->nargs; i++)
			assign(r, s, target->arg[i], items->at[i]);
	}
}

/* Redirects output into a text of its own, until capture_end(). */
static struct tpl_text *capture(struct rendering *r, struct tpl_text *t)
{
	struct tpl_text *before = r->out;

	*t = (struct tpl_text){.job = &r->job, .limit = TEMPLATE_OUTPUT};
	r->out = t;
	return before;
}
static struct str *capture_end(struct rendering *r, struct tpl_text *before)
{
	struct str *s = tpl_text_str(r->out);

	r->out = before;
	return s;
}

static void print(struct rendering *r, struct scope *s, const struct syntax *n)
{
	struct value v = eval_node(r, s, n->a);

	if (v.kind == K_STR)
		tpl_text_add_str(r->out, v.s);
	else if (v.kind != K_UNDEF)
		add_repr(r->out, v, 0);
}

static enum flow exec_if(struct rendering *r, struct scope *s, const struct syntax *n)
{
	for (;;) {
		if (value_truth(&r->job, eval_node(r, s, n->a)))
			return exec_body(r, s, n->body);
		if (!n->other || n->other->op != S_IF || !n->other->chained)
			return exec_body(r, s, n->other);
		n = n->other;
	}
}

/* --- loops --- */

static bool passes(struct loop *l, uint32_t i)
{
	struct rendering *r = l->run;
	struct scope s = {.up = l->scope, .held = true};

	if (!l->filtered)
		return true;
	assign(r, &s, l->node->a, l->items->at[i]);
	return value_truth(&r->job, eval_node(r, &s, l->node->c));
}

static int64_t find_next(struct loop *l, int64_t from)
{
	for (; from < l->items->n; from++)
		if (passes(l, (uint32_t)from))
			return from;
	return -1;
}

int64_t loop_next(struct loop *l)
{
	if (l->next == -2)
		l->next = find_next(l, (int64_t)l->at + 1);
	return l->next;
}

/* Returns how many turns the loop takes; filters the remaining items now. */
static int64_t loop_length(struct loop *l)
{
	struct list *rest;

	if (l->filtered) {
		rest = list_make(&l->run->job, 0, FORM_LIST);
		for (int64_t i = loop_next(l); i >= 0; i = find_next(l, i + 1))
			list_add(&l->run->job, rest, l->items->at[i]);
		/* The current item comes first, then the rest. */
		struct list *all = list_make(&l->run->job, rest->n + 1, FORM_LIST);
		list_add(&l->run->job, all, l->current);
		for (uint32_t i = 0; i < rest->n; i++)
			list_add(&l->run->job, all, rest->at[i]);
		l->items = all;
		l->at = 0;
		l->next = -2;
		l->filtered = false;
	}
	return l->turn + l->items->n - l->at;
}

static struct value loop_method(struct rendering *r, struct loop *loop, struct str *name)
{
	const struct method *m = method_find(K_LOOP, name);
	struct bound *b = job_take(&r->job, sizeof *b);

	if (!m)
		return UNDEF("'loop' has no such attribute");
	*b = (struct bound){.self = {.kind = K_LOOP, .loop = loop}, .method = m, .name = name->s};
	return (struct value){.kind = K_METHOD, .bound = b};
}

struct value loop_attr(struct rendering *r, struct loop *l, struct str *name)
{
	int64_t next;

	if (str_is(name, "index"))
		return INT(l->turn + 1);
	if (str_is(name, "index0"))
		return INT(l->turn);
	if (str_is(name, "first"))
		return BOOL(l->turn == 0);
	if (str_is(name, "last"))
		return BOOL(loop_next(l) < 0);
	if (str_is(name, "length"))
		return INT(loop_length(l));
	if (str_is(name, "revindex"))
		return INT(loop_length(l) - l->turn);
	if (str_is(name, "revindex0"))
		return INT(loop_length(l) - l->turn - 1);
	if (str_is(name, "depth") || str_is(name, "depth0"))
		return INT(l->depth0 + (name->len == 5));
	if (str_is(name, "previtem"))
		return l->turn ? l->before : UNDEF("there is no previous item");
	if (str_is(name, "nextitem")) {
		next = loop_next(l);
		return next < 0 ? UNDEF("there is no next item") : l->items->at[next];
	}
	return loop_method(r, l, name);
}

static enum flow run_loop(struct rendering *r, struct loop *l)
{
	const struct syntax *n = l->node;
	struct scope *s = NULL;
	int64_t i = find_next(l, 0);
	enum flow flow;

	if (i < 0)
		return exec_body(r, scope_make(r, l->scope), n->other);
	for (; i >= 0; i = loop_next(l), l->turn++) {
		spend(&r->job, 1);
		l->at = (uint32_t)i;
		l->next = -2;
		l->before = l->current;
		l->current = l->items->at[i];
		if (!s || s->held)
			s = scope_make(r, l->scope);
		s->n = 0;
		assign(r, s, n->a, l->current);
		scope_set(r, s, n->name, (struct value){.kind = K_LOOP, .loop = l});
		flow = exec_body(r, s, n->body);
		if (flow == FLOW_BREAK)
			break;
	}
	return FLOW_ON;
}

static struct loop *loop_make(struct rendering *r, struct scope *s, const struct syntax *n, struct value over)
{
	struct loop *l = job_take(&r->job, sizeof *l);

	*l = (struct loop){.run = r, .node = n, .scope = s, .next = -2, .filtered = n->c != NULL};
	l->items = value_items(&r->job, over);
	return l;
}

struct value loop_recurse(struct rendering *r, struct loop *loop, struct args *args)
{
	struct tpl_text t, *before;
	struct loop *l;

	if (!loop->node->recursive)
		bad(&r->job, "the loop must have the 'recursive' marker to be called recursively");
	if (args->n != 1 || args->nkw)
		bad(&r->job, "loop() takes one argument");
	if (++r->calls > TEMPLATE_DEPTH)
		raise_error(&r->job, ERR_LIMIT, "calls nested deeper than %d", TEMPLATE_DEPTH);
	before = capture(r, &t);
	l = loop_make(r, loop->scope, loop->node, args->at[0]);
	l->depth0 = loop->depth0 + 1;
	run_loop(r, l);
	r->calls--;
	return STR(capture_end(r, before));
}

/* --- macros --- */

static struct value macro_make(struct rendering *r, struct scope *s, const struct syntax *n)
{
	struct macro *m = job_take(&r->job, sizeof *m);

	*m = (struct macro){n, s};
	for (; s && !s->held; s = s->up)
		s->held = true;
	return (struct value){.kind = K_MACRO, .macro = m};
}

static struct value *keyword(struct args *args, const struct str *name)
{
	for (int i = 0; i < args->nkw; i++)
		if (str_equal(args->kwname[i], name))
			return &args->kw[i];
	return NULL;
}

static bool is_param(const struct syntax *n, const struct str *name)
{
	for (int i = 0; i < n->nargs; i++)
		if (str_equal(n->arg[i]->name, name))
			return true;
	return false;
}

/* Binds the variables "varargs", "kwargs" and "caller". Other extra arguments are an error. */
static void bind_extra(struct rendering *r, struct macro *m, struct scope *s, struct args *args)
{
	const struct syntax *n = m->node;
	struct list *rest = list_make(&r->job, 0, FORM_TUPLE);
	struct dict *named = dict_make(&r->job, 0);
	struct value caller = UNDEF("'caller' is undefined");

	for (int i = n->nargs; i < args->n; i++)
		list_add(&r->job, rest, args->at[i]);
	for (int i = 0; i < args->nkw; i++) {
		if (n->extra[2] && str_is(args->kwname[i], "caller") && !is_param(n, args->kwname[i]))
			caller = args->kw[i];
		else if (!is_param(n, args->kwname[i]))
			dict_set(&r->job, named, STR(args->kwname[i]), args->kw[i]);
	}
	if (rest->n && !n->extra[0])
		bad(&r->job, "macro '%.*s' takes not more than %d argument(s)", (int)n->name->len, n->name->s,
		    n->nargs);
	if (named->n && !n->extra[1])
		bad(&r->job, "macro '%.*s' takes no such keyword argument", (int)n->name->len, n->name->s);
	struct value v[3] = {LIST(rest), DICT(named), caller};
	for (int i = 0; i < 3; i++)
		if (n->extra[i] && !is_param(n, n->extra[i]))
			scope_set(r, s, n->extra[i], v[i]);
}

struct value call_macro(struct rendering *r, struct macro *m, struct args *args)
{
	const struct syntax *n = m->node;
	struct scope *s = scope_make(r, m->scope);
	struct tpl_text t, *before;

	if (++r->calls > TEMPLATE_DEPTH)
		raise_error(&r->job, ERR_LIMIT, "calls nested deeper than %d", TEMPLATE_DEPTH);
	for (int i = 0; i < n->nargs; i++) {
		struct str *name = n->arg[i]->name;
		struct value *kw = keyword(args, name);
		int def = i - (n->nargs - n->nkw);

		if (kw && i < args->n)
			bad(&r->job, "macro got two values for one argument");
		if (i < args->n)
			scope_set(r, s, name, args->at[i]);
		else if (kw)
			scope_set(r, s, name, *kw);
		else if (def >= 0)
			scope_set(r, s, name, eval_node(r, s, n->kwarg[def]));
		else
			scope_set(r, s, name, UNDEF("a parameter of the macro was not provided"));
	}
	bind_extra(r, m, s, args);
	before = capture(r, &t);
	exec_body(r, s, n->body);
	r->calls--;
	return STR(capture_end(r, before));
}

static void exec_call_block(struct rendering *r, struct scope *s, const struct syntax *n)
{
	struct value f = eval_node(r, s, n->a->a), v;
	struct args args;

	eval_args(r, s, n->a, &args);
	struct str **name = job_take(&r->job, sizeof *name * (size_t)(args.nkw + 1));
	struct value *kw = job_take(&r->job, sizeof *kw * (size_t)(args.nkw + 1));
	for (int i = 0; i < args.nkw; i++)
		name[i] = args.kwname[i], kw[i] = args.kw[i];
	name[args.nkw] = n->name;
	kw[args.nkw++] = macro_make(r, s, n);
	args.kwname = name;
	args.kw = kw;
	v = value_call(r, s, f, &args);
	tpl_text_add_str(r->out, value_to_str(&r->job, v));
}

/* --- the rest --- */

static enum flow exec_set_block(struct rendering *r, struct scope *s, const struct syntax *n)
{
	struct tpl_text t, *before = capture(r, &t);
	enum flow flow = exec_body(r, scope_make(r, s), n->body);
	struct value v = STR(capture_end(r, before));

	if (flow != FLOW_ON)
		return flow;
	r->captured = v;
	if (n->op == S_FILTER) {
		v = eval_node(r, s, n->a);
		if (v.kind != K_STR)
			bad(&r->job, "a filter block yields a '%s' instead of a str", value_kind_name(v));
		tpl_text_add_str(r->out, v.s);
	} else {
		assign(r, s, n->a, n->b ? eval_node(r, s, n->b) : v);
	}
	return FLOW_ON;
}

static enum flow exec_with(struct rendering *r, struct scope *s, const struct syntax *n)
{
	struct scope *inner = scope_make(r, s);

	for (int i = 0; i < n->nargs; i++)
		assign(r, inner, n->arg[i], eval_node(r, s, n->kwarg[i]));
	return exec_body(r, inner, n->body);
}

static enum flow exec(struct rendering *r, struct scope *s, const struct syntax *n)
{
	switch (n->op) {
	case S_TEXT:
		tpl_text_add_str(r->out, n->value.s);
		return FLOW_ON;
	case S_PRINT:
		print(r, s, n);
		return FLOW_ON;
	case S_IF:
		return exec_if(r, s, n);
	case S_FOR:
		return run_loop(r, loop_make(r, s, n, eval_node(r, s, n->b)));
	case S_SET:
		assign(r, s, n->a, eval_node(r, s, n->b));
		return FLOW_ON;
	case S_SET_BLOCK:
	case S_FILTER:
		return exec_set_block(r, s, n);
	case S_MACRO:
		scope_set(r, s, n->name, macro_make(r, s, n));
		return FLOW_ON;
	case S_CALL:
		exec_call_block(r, s, n);
		return FLOW_ON;
	case S_SCOPE:
		return exec_body(r, scope_make(r, s), n->body);
	case S_WITH:
		return exec_with(r, s, n);
	case S_BREAK:
		return FLOW_BREAK;
	default:
		return FLOW_CONTINUE;
	}
}

enum flow exec_body(struct rendering *r, struct scope *s, const struct syntax *n)
{
	enum flow flow = FLOW_ON;

	if (++r->depth > EVAL_DEPTH)
		raise_error(&r->job, ERR_LIMIT, "evaluation nested deeper than %d", EVAL_DEPTH);
	for (; n && flow == FLOW_ON; n = n->next) {
		spend(&r->job, 1);
		r->job.line = n->line;
		flow = exec(r, s, n);
	}
	r->depth--;
	return flow;
}
