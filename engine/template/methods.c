/* methods.c - methods of lists, dicts and loops, and the lookup of all methods. */
#include <stdio.h>
#include "engine/template/inside.h"
#include "engine/template/methods.h"

#define METHOD(id) static struct value m_##id(struct rendering *r, struct value self, struct args *args)
#define UNUSED (void)r, (void)args

METHOD(dict_get)
{
	struct value key = arg_need(r, args, 0, NULL, "get"), *v = dict_find(&r->job, self.d, key);

	return v ? *v : arg_or(args, 1, NULL, NONE);
}

static struct value view(struct rendering *r, struct value self, enum form form)
{
	struct list *l = list_make(&r->job, self.d->n, form);

	spend(&r->job, self.d->n / 8);
	for (uint32_t i = 0; i < self.d->n; i++) {
		const struct entry *e = &self.d->at[i];
		struct list *pair;

		if (form == FORM_ITEMS) {
			pair = list_make(&r->job, 2, FORM_TUPLE);
			list_add(&r->job, pair, e->key);
			list_add(&r->job, pair, e->val);
			list_add(&r->job, l, LIST(pair));
		} else {
			list_add(&r->job, l, form == FORM_KEYS ? e->key : e->val);
		}
	}
	return LIST(l);
}
METHOD(dict_items)
{
	UNUSED;
	return view(r, self, FORM_ITEMS);
}
METHOD(dict_keys)
{
	UNUSED;
	return view(r, self, FORM_KEYS);
}
METHOD(dict_values)
{
	UNUSED;
	return view(r, self, FORM_VALUES);
}
METHOD(dict_copy)
{
	UNUSED;
	return self;
}

METHOD(list_count)
{
	struct value v = arg_need(r, args, 0, NULL, "count");
	int64_t n = 0;

	spend(&r->job, self.l->n);
	for (uint32_t i = 0; i < self.l->n; i++)
		n += value_equal(&r->job, self.l->at[i], v, 0);
	return INT(n);
}
METHOD(list_index)
{
	struct value v = arg_need(r, args, 0, NULL, "index");
	int64_t n = self.l->n, first = bound_arg(r, args, 1, 0, n), end = bound_arg(r, args, 2, n, n);

	spend(&r->job, self.l->n);
	for (int64_t i = first; i < end && i < n; i++)
		if (value_equal(&r->job, self.l->at[i], v, 0))
			return INT(i);
	bad(&r->job, "the value is not in the list");
}
METHOD(list_copy)
{
	UNUSED;
	return self;
}

METHOD(loop_cycle)
{
	if (!args->n)
		bad(&r->job, "no items for cycling given");
	return args->at[self.loop->turn % args->n];
}
METHOD(loop_changed)
{
	struct list *l = list_make(&r->job, (uint32_t)args->n, FORM_TUPLE);
	bool same;

	for (int i = 0; i < args->n; i++)
		list_add(&r->job, l, args->at[i]);
	same = self.loop->has_changed && value_equal(&r->job, self.loop->changed, LIST(l), 0);
	self.loop->changed = LIST(l);
	self.loop->has_changed = true;
	return BOOL(!same);
}

static const struct method methods[] = {
	{"get", K_DICT, m_dict_get, 2, "", false},
	{"items", K_DICT, m_dict_items, 0, "", false},
	{"keys", K_DICT, m_dict_keys, 0, "", false},
	{"values", K_DICT, m_dict_values, 0, "", false},
	{"copy", K_DICT, m_dict_copy, 0, "", false},
	{"clear", K_DICT, NULL, 0, "", true},
	{"pop", K_DICT, NULL, 0, "", true},
	{"popitem", K_DICT, NULL, 0, "", true},
	{"setdefault", K_DICT, NULL, 0, "", true},
	{"update", K_DICT, NULL, 0, "", true},
	{"count", K_LIST, m_list_count, 1, "", false},
	{"index", K_LIST, m_list_index, 3, "", false},
	{"copy", K_LIST, m_list_copy, 0, "", false},
	{"append", K_LIST, NULL, 0, "", true},
	{"extend", K_LIST, NULL, 0, "", true},
	{"insert", K_LIST, NULL, 0, "", true},
	{"pop", K_LIST, NULL, 0, "", true},
	{"remove", K_LIST, NULL, 0, "", true},
	{"reverse", K_LIST, NULL, 0, "", true},
	{"sort", K_LIST, NULL, 0, "", true},
	{"clear", K_LIST, NULL, 0, "", true},
	{"cycle", K_LOOP, m_loop_cycle, -1, "", false},
	{"changed", K_LOOP, m_loop_changed, -1, "", false},
};

static const struct method *any_str_method_find(const struct str *name)
{
	const struct method *m = str_method_find(name);

	return m ? m : format_method_find(name);
}

const struct method *method_find(enum kind kind, const struct str *name)
{
	if (kind == K_STR)
		return any_str_method_find(name);
	for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
		if (methods[i].kind == kind && str_is(name, methods[i].name))
			return &methods[i];
	return NULL;
}

bool method_known(const struct str *name, bool *supported)
{
	static const char *const absent[] = {"casefold",  "encode",    "isidentifier", "isnumeric",
					     "maketrans", "translate", "fromkeys"};

	for (size_t i = 0; i < sizeof absent / sizeof *absent; i++)
		if (str_is(name, absent[i]))
			return *supported = false, true;
	*supported = true;
	return any_str_method_find(name) != NULL;
}
