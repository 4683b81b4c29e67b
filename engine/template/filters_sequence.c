/* filters_sequence.c - filters on lists, dicts and other iterable values. */
#include "engine/template/inside.h"

#define FILTER(id) static struct value f_##id(struct rendering *r, struct value on, struct args *args)
#define UNUSED (void)r, (void)args

static struct list *copy_items(struct rendering *r, struct value on, enum form form)
{
	struct list *from = value_items(&r->job, on), *l = list_make(&r->job, from->n, form);

	for (uint32_t i = 0; i < from->n; i++)
		list_add(&r->job, l, from->at[i]);
	return l;
}

FILTER(list)
{
	UNUSED;
	return LIST(copy_items(r, on, FORM_LIST));
}

FILTER(first)
{
	struct list *l = value_items(&r->job, on);

	UNUSED;
	return l->n ? l->at[0] : UNDEF("No first item, sequence was empty.");
}

FILTER(last)
{
	struct list *l;

	UNUSED;
	if (on.kind == K_LIST && on.l->form == FORM_GENERATOR)
		bad(&r->job, "'generator' object is not reversible");
	l = value_items(&r->job, on);
	return l->n ? l->at[l->n - 1] : UNDEF("No last item, sequence was empty.");
}

FILTER(join)
{
	struct value between = arg_or(args, 0, "d", STR(str_make(&r->job, "", 0, false)));
	struct value attr = arg_or(args, 1, "attribute", NONE);
	struct list *l = value_items(&r->job, on);
	struct tpl_text t = {.job = &r->job};
	struct str *d = value_to_str(&r->job, between);

	for (uint32_t i = 0; i < l->n; i++) {
		if (i)
			tpl_text_add_str(&t, d);
		spend(&r->job, i % 4 == 0);
		tpl_text_add_str(&t,
				 value_to_str(&r->job, attr.kind == K_NONE ? l->at[i] : attr_path(r, l->at[i], attr)));
	}
	return STR(tpl_text_str(&t));
}

static struct value pair(struct rendering *r, struct value a, struct value b)
{
	struct list *l = list_make(&r->job, 2, FORM_TUPLE);

	list_add(&r->job, l, a);
	list_add(&r->job, l, b);
	return LIST(l);
}

static struct list *pairs(struct rendering *r, const struct dict *d, enum form form)
{
	struct list *l = list_make(&r->job, d->n, form);

	spend(&r->job, d->n / 8);
	for (uint32_t i = 0; i < d->n; i++)
		list_add(&r->job, l, pair(r, d->at[i].key, d->at[i].val));
	return l;
}

FILTER(items)
{
	UNUSED;
	if (on.kind == K_UNDEF)
		return LIST(list_make(&r->job, 0, FORM_GENERATOR));
	if (on.kind != K_DICT)
		bad(&r->job, "Can only get item pairs from a mapping.");
	return LIST(pairs(r, on.d, FORM_GENERATOR));
}

/* An item with the key that sorts it. */
struct keyed {
	struct value item, key;
};
struct order {
	bool reverse;
};

static int by_key(struct job *job, const void *a, const void *b, const void *how)
{
	const struct order *o = how;
	int c = value_compare(job, ((const struct keyed *)a)->key, ((const struct keyed *)b)->key, 0);

	spend(job, 1);
	return c == 2 ? 0 : o->reverse ? -c : c;
}

static struct value fold(struct rendering *r, struct value v, bool sensitive)
{
	return v.kind == K_STR && !sensitive ? STR(text_case(r, v.s, 'l')) : v;
}

/* The key of an attribute list "a,b" is a list. */
static struct value sort_key(struct rendering *r, struct value item, struct value attr, bool sensitive)
{
	struct list *l;

	if (attr.kind == K_NONE)
		return fold(r, item, sensitive);
	if (attr.kind != K_STR || !memchr(attr.s->s, ',', attr.s->len))
		return fold(r, attr_path(r, item, attr), sensitive);
	l = list_make(&r->job, 0, FORM_LIST);
	for (size_t first = 0, end; first <= attr.s->len; first = end + 1) {
		for (end = first; end < attr.s->len && attr.s->s[end] != ',';)
			end++;
		list_add(&r->job, l,
			 fold(r, attr_path(r, item, STR(str_part(&r->job, attr.s, first, end))), sensitive));
	}
	return LIST(l);
}

static struct list *sorted(struct rendering *r, struct list *from, struct value attr, bool sensitive, bool reverse)
{
	void **at = job_take(&r->job, sizeof *at * (from->n + 1));
	struct list *l = list_make(&r->job, from->n, FORM_LIST);
	struct order how = {reverse};

	for (uint32_t i = 0; i < from->n; i++) {
		struct keyed *k = at[i] = job_take(&r->job, sizeof *k);
		*k = (struct keyed){from->at[i], sort_key(r, from->at[i], attr, sensitive)};
	}
	merge_sort(&r->job, at, from->n, by_key, &how);
	for (uint32_t i = 0; i < from->n; i++)
		list_add(&r->job, l, ((struct keyed *)at[i])->item);
	return l;
}

FILTER(sort)
{
	bool reverse = value_truth(&r->job, arg_or(args, 0, "reverse", BOOL(false)));
	bool sensitive = value_truth(&r->job, arg_or(args, 1, "case_sensitive", BOOL(false)));

	return LIST(sorted(r, value_items(&r->job, on), arg_or(args, 2, "attribute", NONE), sensitive, reverse));
}

FILTER(dictsort)
{
	bool sensitive = value_truth(&r->job, arg_or(args, 0, "case_sensitive", BOOL(false)));
	struct value by = arg_or(args, 1, "by", STR(str_make(&r->job, "key", 3, false)));
	bool reverse = value_truth(&r->job, arg_or(args, 2, "reverse", BOOL(false)));
	bool value = by.kind == K_STR && str_is(by.s, "value");

	if (on.kind != K_DICT)
		bad(&r->job, "%s", on.kind == K_UNDEF ? on.what : "the filter 'dictsort' needs a mapping");
	if (!value && !(by.kind == K_STR && str_is(by.s, "key")))
		bad(&r->job, "You can only sort by either \"key\" or \"value\"");
	return LIST(sorted(r, pairs(r, on.d, FORM_LIST), INT(value), sensitive, reverse));
}

FILTER(unique)
{
	bool sensitive = value_truth(&r->job, arg_or(args, 0, "case_sensitive", BOOL(false)));
	struct value attr = arg_or(args, 1, "attribute", NONE);
	struct list *from = value_items(&r->job, on), *l = list_make(&r->job, 0, FORM_GENERATOR);
	struct dict *seen = dict_make(&r->job, 0);

	for (uint32_t i = 0; i < from->n; i++) {
		struct value key =
			fold(r, attr.kind == K_NONE ? from->at[i] : attr_path(r, from->at[i], attr), sensitive);
		spend(&r->job, 1);
		if (dict_find(&r->job, seen, key))
			continue;
		dict_set(&r->job, seen, key, NONE);
		list_add(&r->job, l, from->at[i]);
	}
	return LIST(l);
}

static struct value or_default(struct value v, struct value none)
{
	return v.kind == K_UNDEF && none.kind != K_NONE ? none : v;
}

/* Makes pairs of a key and its items, sorted by key. The key is spelled as in its first item. */
FILTER(groupby)
{
	struct value attr = arg_need(r, args, 0, "attribute", "groupby"), none = arg_or(args, 1, "default", NONE),
		     key = NONE;
	bool sensitive = value_truth(&r->job, arg_or(args, 2, "case_sensitive", BOOL(false)));
	struct list *from = value_items(&r->job, on), *keyed = list_make(&r->job, from->n, FORM_LIST), *sorted_keys;
	struct list *l = list_make(&r->job, 0, FORM_LIST), *group = NULL;

	for (uint32_t i = 0; i < from->n; i++) {
		struct value k = or_default(attr_path(r, from->at[i], attr), none);
		struct value both = pair(r, fold(r, k, sensitive), from->at[i]);

		list_add(&r->job, both.l, k);
		list_add(&r->job, keyed, both);
	}
	sorted_keys = sorted(r, keyed, INT(0), true, false);
	for (uint32_t i = 0; i < sorted_keys->n; i++) {
		const struct value *at = sorted_keys->at[i].l->at;

		spend(&r->job, 1);
		if (!group || !value_equal(&r->job, key, at[0], 0)) {
			struct value one = pair(r, at[2], LIST(group = list_make(&r->job, 0, FORM_LIST)));

			one.l->group = true;
			list_add(&r->job, l, one);
		}
		key = at[0];
		list_add(&r->job, group, at[1]);
	}
	return LIST(l);
}

static struct value extreme(struct rendering *r, struct value on, struct args *args, int sign)
{
	bool sensitive = value_truth(&r->job, arg_or(args, 0, "case_sensitive", BOOL(false)));
	struct value attr = arg_or(args, 1, "attribute", NONE), best, key;
	struct list *l = value_items(&r->job, on);

	if (!l->n)
		return UNDEF("No aggregated item, sequence was empty.");
	best = l->at[0];
	key = sort_key(r, best, attr, sensitive);
	for (uint32_t i = 1; i < l->n; i++) {
		struct value k = sort_key(r, l->at[i], attr, sensitive);
		int c = value_compare(&r->job, k, key, 0);
		spend(&r->job, 1);
		if (c != 2 && c * sign > 0)
			best = l->at[i], key = k;
	}
	return best;
}
FILTER(max)
{
	return extreme(r, on, args, 1);
}
FILTER(min)
{
	return extreme(r, on, args, -1);
}

FILTER(sum)
{
	struct value attr = arg_or(args, 0, "attribute", NONE), total = arg_or(args, 1, "start", INT(0));
	struct list *l = value_items(&r->job, on);

	if (total.kind == K_STR)
		bad(&r->job, "sum() can't sum strings [use ''.join(seq) instead]");
	for (uint32_t i = 0; i < l->n; i++) {
		spend(&r->job, 1);
		total = value_binary(r, N_ADD, total, attr.kind == K_NONE ? l->at[i] : attr_path(r, l->at[i], attr));
	}
	return total;
}

FILTER(reverse)
{
	struct list *l, *out;

	UNUSED;
	if (on.kind == K_STR)
		return value_slice(r, on, NONE, NONE, INT(-1));
	l = value_items(&r->job, on);
	out = list_make(&r->job, l->n, on.kind == K_LIST && on.l->form == FORM_GENERATOR ? FORM_LIST : FORM_GENERATOR);
	for (uint32_t i = l->n; i--;)
		list_add(&r->job, out, l->at[i]);
	return LIST(out);
}

const struct filter *filter_sequence_find(const struct str *name)
{
	static const struct filter list[] = {
		{"list", f_list, 0, ""},
		{"first", f_first, 0, ""},
		{"last", f_last, 0, ""},
		{"join", f_join, 2, "d attribute"},
		{"items", f_items, 0, ""},
		{"sort", f_sort, 3, "reverse case_sensitive attribute"},
		{"dictsort", f_dictsort, 3, "case_sensitive by reverse"},
		{"unique", f_unique, 2, "case_sensitive attribute"},
		{"groupby", f_groupby, 3, "attribute default case_sensitive"},
		{"max", f_max, 2, "case_sensitive attribute"},
		{"min", f_min, 2, "case_sensitive attribute"},
		{"sum", f_sum, 2, "attribute start"},
		{"reverse", f_reverse, 0, ""},
	};

	for (size_t i = 0; i < sizeof list / sizeof *list; i++)
		if (str_is(name, list[i].name))
			return &list[i];
	return NULL;
}
