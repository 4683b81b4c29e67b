/* names.c - finds filters and tests by name, and has those that take the name of another. */
#include "engine/template/inside.h"

#define FILTER(id) static struct value f_##id(struct rendering *r, struct value on, struct args *args)
#define TEST(id) static bool t_##id(struct rendering *r, struct value on, struct args *args)
#define UNUSED (void)r, (void)args

static const struct str *name_arg(struct rendering *r, struct args *args, int i)
{
	if (args->at[i].kind != K_STR)
		bad(&r->job, "expected the name of a filter or test");
	return args->at[i].s;
}

/* map, select and the like test their input for truth before they walk over it: `none` has no items then. */
static struct list *items_or_none(struct rendering *r, struct value on)
{
	return value_truth(&r->job, on) ? value_items(&r->job, on) : list_make(&r->job, 0, FORM_LIST);
}

FILTER(map)
{
	struct value attr = arg_or(args, 1 << 20, "attribute", NONE),
		     none = arg_or(args, 1 << 20, "default", UNDEF("")), v;
	struct list *from = items_or_none(r, on), *l = list_make(&r->job, from->n, FORM_GENERATOR);
	const struct filter *f = NULL;
	struct args rest = {0};

	if (args->n) {
		rest = (struct args){args->at + 1, args->n - 1, args->kwname, args->kw, args->nkw};
		f = filter_find(name_arg(r, args, 0));
		if (!f)
			raise_error(&r->job, ERR_UNSUPPORTED, "no such filter");
	} else if (attr.kind == K_NONE) {
		bad(&r->job, "map requires a filter argument");
	}
	for (uint32_t i = 0; i < from->n; i++) {
		v = f ? filter_run(r, f, from->at[i], &rest) : attr_path(r, from->at[i], attr);
		spend(&r->job, 1);
		list_add(&r->job, l, !f && v.kind == K_UNDEF && none.kind != K_UNDEF ? none : v);
	}
	return LIST(l);
}

/* select, reject: args are a test and its arguments. selectattr, rejectattr: an attribute comes before them. */
static struct value choose(struct rendering *r, struct value on, struct args *args, bool attr, bool wanted)
{
	struct list *from = items_or_none(r, on), *l = list_make(&r->job, 0, FORM_GENERATOR);
	const struct test *t = NULL;
	struct args rest = {0};

	if (attr && !args->n)
		bad(&r->job, "Missing parameter for attribute name");
	if (args->n > attr) {
		t = test_find(name_arg(r, args, attr));
		if (!t)
			raise_error(&r->job, ERR_UNSUPPORTED, "no such test");
		rest = (struct args){args->at + attr + 1, args->n - attr - 1, args->kwname, args->kw, args->nkw};
	}
	for (uint32_t i = 0; i < from->n; i++) {
		struct value v = attr ? attr_path(r, from->at[i], args->at[0]) : from->at[i];
		spend(&r->job, 1);
		if ((t ? test_run(r, t, v, &rest) : value_truth(&r->job, v)) == wanted)
			list_add(&r->job, l, from->at[i]);
	}
	return LIST(l);
}

FILTER(select)
{
	return choose(r, on, args, false, true);
}
FILTER(reject)
{
	return choose(r, on, args, false, false);
}
FILTER(selectattr)
{
	return choose(r, on, args, true, true);
}
FILTER(rejectattr)
{
	return choose(r, on, args, true, false);
}

TEST(filter)
{
	UNUSED;
	return on.kind == K_STR && filter_find(on.s);
}
TEST(test)
{
	UNUSED;
	return on.kind == K_STR && test_find(on.s);
}

const struct filter *filter_find(const struct str *name)
{
	static const struct filter list[] = {
		{"map", f_map, -1, ""},
		{"select", f_select, -1, ""},
		{"reject", f_reject, -1, ""},
		{"selectattr", f_selectattr, -1, ""},
		{"rejectattr", f_rejectattr, -1, ""},
	};
	const struct filter *f = filter_plain_find(name);

	f = f ? f : filter_sequence_find(name);
	f = f ? f : filter_more_find(name);
	for (size_t i = 0; !f && i < sizeof list / sizeof *list; i++)
		if (str_is(name, list[i].name))
			f = &list[i];
	return f;
}

const struct test *test_find(const struct str *name)
{
	static const struct test list[] = {{"filter", t_filter, 0}, {"test", t_test, 0}};
	const struct test *t = test_plain_find(name);

	for (size_t i = 0; !t && i < sizeof list / sizeof *list; i++)
		if (str_is(name, list[i].name))
			t = &list[i];
	return t;
}
