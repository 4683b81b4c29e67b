/* eval.c - expressions. */
#include "engine/template/inside.h"

static struct value eval_here(struct run *r, struct scope *s, const struct node *n);

static void enter(struct run *r)
{
	spend(&r->job, 1);
	if (++r->depth > EVAL_DEPTH)
		raise_error(&r->job, ERR_LIMIT, "evaluation nested deeper than %d", EVAL_DEPTH);
}

struct value eval_node(struct run *r, struct scope *s, const struct node *n)
{
	enter(r);
	r->job.line = n->line;
	struct value v = eval_here(r, s, n);
	r->job.line = n->line;
	r->depth--;
	return v;
}

static const char *quote_name(struct run *r, const char *before, const struct str *name, const char *after)
{
	return str_printf(&r->job, false, "%s'%.*s'%s", before, (int)(name->len < 80 ? name->len : 80), name->s, after)
		->s;
}

struct value eval_name(struct run *r, struct scope *s, struct str *name)
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

static void __attribute__((noreturn)) undefined(struct run *r, struct value v)
{
	bad(&r->job, "%s", v.what);
}

static struct value no_attr(struct run *r, struct value on, struct str *name)
{
	struct str *before = str_printf(&r->job, false, "'%s object' has no attribute ", value_kind_name(on));

	return UNDEF(quote_name(r, before->s, name, ""));
}

/* Only lists have all the methods of K_LIST. */
static bool list_has(const struct list *l, const struct str *name)
{
	bool both = str_is(name, "count") || str_is(name, "index");

	return l->form == FORM_LIST || (both && (l->form == FORM_TUPLE || l->form == FORM_RANGE));
}

struct value get_attr(struct run *r, struct value on, struct str *name)
{
	const struct method *m;
	struct value *v;
	bool supported;

	if (on.kind == K_UNDEF)
		undefined(r, on);
	if (on.kind == K_LOOP)
		return loop_attr(r, on.loop, name);
	m = on.kind == K_LIST && !list_has(on.l, name) ? NULL : method_find(on.kind, name);
	if (m && m->unsafe)
		return UNDEF(quote_name(r, "access to attribute ", name, " is unsafe"));
	if (m || (on.kind == K_STR && method_known(name, &supported))) {
		struct bound *b = job_take(&r->job, sizeof *b);

		*b = (struct bound){.self = on, .method = m, .name = name->s};
		return (struct value){.kind = K_METHOD, .bound = b};
	}
	if (on.kind == K_DICT || on.kind == K_SPACE)
		if ((v = dict_find(&r->job, on.d, STR(name))))
			return *v;
	if (on.kind == K_LIST && on.l->group && (str_is(name, "grouper") || str_is(name, "list")))
		return on.l->at[str_is(name, "list")];
	if (on.kind == K_MACRO && str_is(name, "name"))
		return STR(on.macro->node->name);
	return no_attr(r, on, name);
}

static struct value item_at(struct run *r, struct value on, int64_t i)
{
	int64_t n = on.kind == K_STR ? str_chars(on.s) : on.l->n;

	if (i < 0)
		i += n;
	if (i < 0 || i >= n)
		return UNDEF(
			str_printf(&r->job, false, "%s object has no element %lld", value_kind_name(on), (long long)i)
				->s);
	return on.kind == K_STR ? STR(str_at(&r->job, on.s, (uint32_t)i)) : on.l->at[i];
}

static bool hashable(struct value v)
{
	if (v.kind != K_LIST)
		return v.kind != K_DICT;
	for (uint32_t i = 0; v.l->form == FORM_TUPLE && i < v.l->n; i++)
		if (!hashable(v.l->at[i]))
			return false;
	return v.l->form == FORM_TUPLE;
}

struct value get_item(struct run *r, struct value on, struct value key)
{
	bool indexed =
		on.kind == K_STR || (on.kind == K_LIST && (on.l->form <= FORM_TUPLE || on.l->form == FORM_RANGE));
	struct value *v;

	if (on.kind == K_UNDEF)
		undefined(r, on);
	if (indexed && (key.kind == K_INT || key.kind == K_BOOL))
		return item_at(r, on, value_integer(&r->job, key));
	if (on.kind == K_DICT && hashable(key) && (v = dict_find(&r->job, on.d, key)))
		return *v;
	if (key.kind == K_STR)
		return get_attr(r, on, key.s);
	return UNDEF(str_printf(&r->job, false, "'%s object' has no such element", value_kind_name(on))->s);
}

/* python's slice.indices() */
static int64_t slice_bound(struct run *r, struct value v, int64_t n, int64_t step, int64_t none)
{
	int64_t low = step < 0 ? -1 : 0, high = step < 0 ? n - 1 : n, i;

	if (v.kind == K_NONE)
		return none;
	i = value_integer(&r->job, v);
	if (i < 0)
		return i < -n ? low : i + n < low ? low : i + n;
	return i > high ? high : i;
}

struct value value_slice(struct run *r, struct value on, struct value first, struct value end, struct value step)
{
	int64_t by = step.kind == K_NONE ? 1 : value_integer(&r->job, step), n, a, z;

	if (on.kind == K_UNDEF)
		undefined(r, on);
	if (on.kind != K_STR && !(on.kind == K_LIST && (on.l->form <= FORM_TUPLE || on.l->form == FORM_RANGE)))
		bad(&r->job, "'%s' object is not subscriptable with a slice", value_kind_name(on));
	if (!by)
		bad(&r->job, "slice step cannot be zero");
	n = on.kind == K_STR ? str_chars(on.s) : on.l->n;
	a = slice_bound(r, first, n, by, by < 0 ? n - 1 : 0);
	z = slice_bound(r, end, n, by, by < 0 ? -1 : n);
	if (on.kind == K_STR && by == 1) {
		size_t from = a < z ? str_byte(on.s, (uint32_t)a) : 0, to = a < z ? str_byte(on.s, (uint32_t)z) : 0;
		spend(&r->job, str_chars(on.s) == on.s->len ? 0 : to / 64);
		return STR(str_part(&r->job, on.s, from, to));
	}
	struct list *items = value_items(&r->job, on),
		    *l = list_make(&r->job, 0, on.kind == K_STR ? FORM_LIST : on.l->form);
	struct text t = {.job = &r->job};
	for (int64_t i = a; by > 0 ? i < z : i > z; i += by) {
		spend(&r->job, i % 8 == 0);
		if (on.kind == K_STR)
			text_add_str(&t, items->at[i].s);
		else
			list_add(&r->job, l, items->at[i]);
		if (by > n || by < -n)
			break;
	}
	return on.kind == K_STR ? STR(text_str(&t)) : LIST(l);
}

bool value_contains(struct run *r, struct value in, struct value what)
{
	struct list *l;

	switch (in.kind) {
	case K_UNDEF:
		return false;
	case K_STR:
		if (what.kind != K_STR)
			bad(&r->job, "'in <string>' requires string as left operand, not %s", value_kind_name(what));
		spend(&r->job, in.s->len / 64);
		return memmem(in.s->s, in.s->len, what.s->s, what.s->len) != NULL;
	case K_DICT:
		return dict_find(&r->job, in.d, what) != NULL;
	case K_LIST:
		l = value_items(&r->job, in);
		for (uint32_t i = 0; i < l->n; i++)
			if (value_equal(&r->job, l->at[i], what, 0))
				return true;
		return false;
	default:
		bad(&r->job, "argument of type '%s' is not iterable", value_kind_name(in));
	}
}

static bool compare_one(struct run *r, enum op op, struct value a, struct value b)
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

static struct value eval_compare(struct run *r, struct scope *s, const struct node *n)
{
	struct value a = eval_node(r, s, n->a), b;

	for (int i = 0; i < n->nargs; i++, a = b) {
		b = eval_node(r, s, n->arg[i]->a);
		if (!compare_one(r, n->arg[i]->op, a, b))
			return BOOL(false);
	}
	return BOOL(true);
}

static struct value eval_list(struct run *r, struct scope *s, const struct node *n)
{
	struct list *l = list_make(&r->job, (uint32_t)n->nargs, n->op == N_LIST ? FORM_LIST : FORM_TUPLE);

	for (int i = 0; i < n->nargs; i++)
		list_add(&r->job, l, eval_node(r, s, n->arg[i]));
	return LIST(l);
}

static struct value eval_dict(struct run *r, struct scope *s, const struct node *n)
{
	struct dict *d = dict_make(&r->job, (uint32_t)n->nargs / 2);

	for (int i = 0; i < n->nargs; i += 2) {
		struct value key = eval_node(r, s, n->arg[i]);
		dict_set(&r->job, d, key, eval_node(r, s, n->arg[i + 1]));
	}
	return DICT(d);
}

static struct value eval_slice(struct run *r, struct scope *s, const struct node *n)
{
	struct value on = eval_node(r, s, n->a), part[3];

	for (int i = 0; i < 3; i++)
		part[i] = n->arg[i] ? eval_node(r, s, n->arg[i]) : NONE;
	return value_slice(r, on, part[0], part[1], part[2]);
}

static struct value eval_logic(struct run *r, struct scope *s, const struct node *n)
{
	struct value v = NONE;

	for (int i = 0; i < n->nargs; i++) {
		v = eval_node(r, s, n->arg[i]);
		if (value_truth(&r->job, v) == (n->op == N_OR))
			break;
	}
	return v;
}

static void args_extra(struct run *r, struct scope *s, const struct node *n, struct args *args)
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

void eval_args(struct run *r, struct scope *s, const struct node *n, struct args *args)
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

struct value value_call(struct run *r, struct scope *s, struct value f, struct args *args)
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
		undefined(r, f);
	default:
		bad(&r->job, "'%s' object is not callable", value_kind_name(f));
	}
}

static struct value eval_call(struct run *r, struct scope *s, const struct node *n)
{
	struct value f = eval_node(r, s, n->a);
	struct args args;

	eval_args(r, s, n, &args);
	r->job.line = n->line;
	return value_call(r, s, f, &args);
}

struct value apply_filter(struct run *r, struct scope *s, const struct node *n, struct value on)
{
	const struct filter *f = n->impl;
	struct args args;

	eval_args(r, s, n, &args);
	r->job.line = n->line;
	return filter_run(r, f, on, &args);
}

static struct value eval_test(struct run *r, struct scope *s, const struct node *n)
{
	const struct test *t = n->impl;
	struct value on = eval_node(r, s, n->a);
	struct args args;

	eval_args(r, s, n, &args);
	r->job.line = n->line;
	return BOOL(test_run(r, t, on, &args));
}

static struct value eval_sign(struct run *r, struct value v, bool minus)
{
	if (v.kind == K_UNDEF)
		undefined(r, v);
	if (!value_is_number(v))
		bad(&r->job, "bad operand type for unary %c: '%s'", minus ? '-' : '+', value_kind_name(v));
	if (v.kind == K_FLOAT)
		return FLOAT(minus ? -v.f : v.f);
	int64_t i = value_integer(&r->job, v);
	if (minus && i == INT64_MIN)
		bad(&r->job, "an integer out of range");
	return INT(minus ? -i : i);
}

static struct value eval_concat(struct run *r, struct value a, struct value b)
{
	struct str *s = str_join(&r->job, value_to_str(&r->job, a), value_to_str(&r->job, b));

	s->markup = false;
	return STR(s);
}

static struct value eval_cond(struct run *r, struct scope *s, const struct node *n)
{
	if (value_truth(&r->job, eval_node(r, s, n->a)))
		return eval_node(r, s, n->b);
	return n->c ? eval_node(r, s, n->c)
		    : UNDEF("the inline if-expression evaluated to false and no else section was defined");
}

static struct value eval_two(struct run *r, struct scope *s, const struct node *n)
{
	struct value a = eval_node(r, s, n->a), b = eval_node(r, s, n->b);

	r->job.line = n->line;
	return n->op == N_CONCAT ? eval_concat(r, a, b)
	       : n->op == N_ITEM ? get_item(r, a, b)
				 : value_binary(r, n->op, a, b);
}

static struct value eval_here(struct run *r, struct scope *s, const struct node *n)
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
