/* eval.c - evaluates expressions. */
#include "engine/template/inside.h"

static struct value eval_here(struct rendering *r, struct scope *s, const struct syntax *n);

static void enter(struct rendering *r)
{
	spend(&r->job, 1);
	if (++r->depth > EVAL_DEPTH)
		raise_error(&r->job, ERR_LIMIT, "evaluation nested deeper than %d", EVAL_DEPTH);
}

struct value eval_node(struct rendering *r, struct scope *s, const struct syntax *n)
{
	enter(r);
	r->job.line = n->line;
	struct value v = eval_here(r, s, n);
	r->job.line = n->line;
	r->depth--;
	return v;
}

struct value eval_name(struct rendering *r, struct scope *s, struct str *name)
{
	struct value *v;
	const struct func *f;

	for (; s; s = s->up)
		for (int i = 0; i < s->n; i++)
			if (s->at[i].name == name)
				return s->at[i].value;
	if ((v = dict_find(&r->job, r->own, STR(name))) || (v = dict_find(&r->job, r->said, STR(name))))
		return *v;
	if ((f = func_find(name)))
		return (struct value){.kind = K_FUNC, .func = f};
	return UNDEF(quote_name(r, "", name, " is undefined"));
}

static bool compare_one(struct rendering *r, enum op op, struct value a, struct value b)
{
	int c;

	switch (op) {
	case N_EQ:
		return value_equal(&r->job, a, b, 0);
	case N_NE:
		return !value_equal(&r->job, a, b, 0);
	case N_IN:
		return value_contains(r, b, a);
	case N_NOT_IN:
		return !value_contains(r, b, a);
	default:
		break;
	}
	c = value_compare(&r->job, a, b, 0);
	if (c == 2) /* a NaN */
		return false;
	return op == N_LT ? c < 0 : op == N_LE ? c <= 0 : op == N_GT ? c > 0 : c >= 0;
}

static struct value eval_compare(struct rendering *r, struct scope *s, const struct syntax *n)
{
	struct value a = eval_node(r, s, n->a), b;

	for (int i = 0; i < n->nargs; i++, a = b) {
		b = eval_node(r, s, n->arg[i]->a);
		if (!compare_one(r, n->arg[i]->op, a, b))
			return BOOL(false);
	}
	return BOOL(true);
}

static struct value eval_list(struct rendering *r, struct scope *s, const struct syntax *n)
{
	struct list *l = list_make(&r->job, (uint32_t)n->nargs, n->op == N_LIST ? FORM_LIST : FORM_TUPLE);

	for (int i = 0; i < n->nargs; i++)
		list_add(&r->job, l, eval_node(r, s, n->arg[i]));
	return LIST(l);
}

static struct value eval_dict(struct rendering *r, struct scope *s, const struct syntax *n)
{
	struct dict *d = dict_make(&r->job, (uint32_t)n->nargs / 2);

	for (int i = 0; i < n->nargs; i += 2) {
		struct value key = eval_node(r, s, n->arg[i]);
		dict_set(&r->job, d, key, eval_node(r, s, n->arg[i + 1]));
	}
	return DICT(d);
}

static struct value eval_slice(struct rendering *r, struct scope *s, const struct syntax *n)
{
	struct value on = eval_node(r, s, n->a), part[3];

	for (int i = 0; i < 3; i++)
		part[i] = n->arg[i] ? eval_node(r, s, n->arg[i]) : NONE;
	return value_slice(r, on, part[0], part[1], part[2]);
}

static struct value eval_logic(struct rendering *r, struct scope *s, const struct syntax *n)
{
	struct value v = NONE;

	for (int i = 0; i < n->nargs; i++) {
		v = eval_node(r, s, n->arg[i]);
		if (value_truth(&r->job, v) == (n->op == N_OR))
			break;
	}
	return v;
}

static void args_extra(struct rendering *r, struct scope *s, const struct syntax *n, struct args *args)
{
	struct value v;

	if (n->star) {
		v = eval_node(r, s, n->star);
		struct list *l = value_items(&r->job, v);
		struct value *at = job_take(&r->job, sizeof *at * ((size_t)args->n + l->n + 1));
		if (args->n)
			memcpy(at, args->at, sizeof *at * (size_t)args->n);
		if (l->n)
			memcpy(at + args->n, l->at, sizeof *at * l->n);
		args->at = at;
		args->n += (int)l->n;
	}
	if (n->star2) {
		v = eval_node(r, s, n->star2);
		if (v.kind != K_DICT)
			bad(&r->job, "argument after ** must be a mapping");
		struct str **name = job_take(&r->job, sizeof *name * ((size_t)args->nkw + v.d->n + 1));
		struct value *kw = job_take(&r->job, sizeof *kw * ((size_t)args->nkw + v.d->n + 1));
		for (int i = 0; i < args->nkw; i++)
			name[i] = args->kwname[i], kw[i] = args->kw[i];
		for (uint32_t i = 0; i < v.d->n; i++, args->nkw++) {
			if (v.d->at[i].key.kind != K_STR)
				bad(&r->job, "keywords must be strings");
			name[args->nkw] = v.d->at[i].key.s, kw[args->nkw] = v.d->at[i].val;
		}
		args->kwname = name;
		args->kw = kw;
	}
}

void eval_args(struct rendering *r, struct scope *s, const struct syntax *n, struct args *args)
{
	*args = (struct args){.n = n->nargs, .nkw = n->nkw, .kwname = n->kwname};
	if (n->nargs)
		args->at = job_take(&r->job, sizeof *args->at * (size_t)n->nargs);
	if (n->nkw)
		args->kw = job_take(&r->job, sizeof *args->kw * (size_t)n->nkw);
	for (int i = 0; i < n->nargs; i++)
		args->at[i] = eval_node(r, s, n->arg[i]);
	for (int i = 0; i < n->nkw; i++)
		args->kw[i] = eval_node(r, s, n->kwarg[i]);
	if (n->star || n->star2)
		args_extra(r, s, n, args);
}

struct value value_call(struct rendering *r, struct scope *s, struct value f, struct args *args)
{
	(void)s;
	switch (f.kind) {
	case K_FUNC:
		return f.func->run(r, args);
	case K_METHOD:
		if (!f.bound->method)
			raise_error(&r->job, ERR_UNSUPPORTED, "the method '%.60s' is not supported", f.bound->name);
		args_check(r, args, f.bound->method->name, f.bound->method->max, f.bound->method->names);
		return f.bound->method->run(r, f.bound->self, args);
	case K_MACRO:
		return call_macro(r, f.macro, args);
	case K_LOOP:
		return loop_recurse(r, f.loop, args);
	case K_UNDEF:
		value_undefined(&r->job, f);
	default:
		bad(&r->job, "'%s' object is not callable", value_kind_name(f));
	}
}

static struct value eval_call(struct rendering *r, struct scope *s, const struct syntax *n)
{
	struct value f = eval_node(r, s, n->a);
	struct args args;

	eval_args(r, s, n, &args);
	r->job.line = n->line;
	return value_call(r, s, f, &args);
}

struct value apply_filter(struct rendering *r, struct scope *s, const struct syntax *n, struct value on)
{
	const struct filter *f = n->impl;
	struct args args;

	eval_args(r, s, n, &args);
	r->job.line = n->line;
	return filter_run(r, f, on, &args);
}

static struct value eval_test(struct rendering *r, struct scope *s, const struct syntax *n)
{
	const struct test *t = n->impl;
	struct value on = eval_node(r, s, n->a);
	struct args args;

	eval_args(r, s, n, &args);
	r->job.line = n->line;
	return BOOL(test_run(r, t, on, &args));
}

static struct value eval_sign(struct rendering *r, struct value v, bool minus)
{
	if (v.kind == K_UNDEF)
		value_undefined(&r->job, v);
	if (!value_is_number(v))
		bad(&r->job, "bad operand type for unary %c: '%s'", minus ? '-' : '+', value_kind_name(v));
	if (v.kind == K_FLOAT)
		return FLOAT(minus ? -v.f : v.f);
	int64_t i = value_integer(&r->job, v);
	if (minus && i == INT64_MIN)
		bad(&r->job, "an integer out of range");
	return INT(minus ? -i : i);
}

static struct value eval_concat(struct rendering *r, struct value a, struct value b)
{
	struct str *s = str_join(&r->job, value_to_str(&r->job, a), value_to_str(&r->job, b));

	s->markup = false;
	return STR(s);
}

static struct value eval_cond(struct rendering *r, struct scope *s, const struct syntax *n)
{
	if (value_truth(&r->job, eval_node(r, s, n->a)))
		return eval_node(r, s, n->b);
	return n->c ? eval_node(r, s, n->c)
		    : UNDEF("the inline if-expression evaluated to false and no else section was defined");
}

static struct value eval_two(struct rendering *r, struct scope *s, const struct syntax *n)
{
	struct value a = eval_node(r, s, n->a), b = eval_node(r, s, n->b);

	r->job.line = n->line;
	return n->op == N_CONCAT ? eval_concat(r, a, b)
	       : n->op == N_ITEM ? get_item(r, a, b)
				 : value_binary(r, n->op, a, b);
}

static struct value eval_here(struct rendering *r, struct scope *s, const struct syntax *n)
{
	switch (n->op) {
	case N_CONST:
		return n->value;
	case N_NAME:
		return eval_name(r, s, n->name);
	case N_LIST:
	case N_TUPLE:
		return eval_list(r, s, n);
	case N_DICT:
		return eval_dict(r, s, n);
	case N_ATTR:
		return get_attr(r, eval_node(r, s, n->a), n->name);
	case N_SLICE:
		return eval_slice(r, s, n);
	case N_CALL:
		return eval_call(r, s, n);
	case N_FILTER:
		return apply_filter(r, s, n, n->a ? eval_node(r, s, n->a) : r->captured);
	case N_TEST:
		return eval_test(r, s, n);
	case N_COND:
		return eval_cond(r, s, n);
	case N_AND:
	case N_OR:
		return eval_logic(r, s, n);
	case N_NOT:
		return BOOL(!value_truth(&r->job, eval_node(r, s, n->a)));
	case N_NEG:
	case N_POS:
		return eval_sign(r, eval_node(r, s, n->a), n->op == N_NEG);
	case N_COMPARE:
		return eval_compare(r, s, n);
	default:
		return eval_two(r, s, n);
	}
}
