/* item.c - looks up attributes and items of values. */
#include "engine/template/inside.h"

const char *quote_name(struct rendering *r, const char *before, const struct str *name, const char *after)
{
	return str_printf(&r->job, false, "%s'%.*s'%s", before, (int)(name->len < 80 ? name->len : 80), name->s, after)
		->s;
}

static struct value no_attr(struct rendering *r, struct value on, struct str *name)
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

struct value get_attr(struct rendering *r, struct value on, struct str *name)
{
	const struct method *m;
	struct value *v;
	bool supported;

	if (on.kind == K_UNDEF)
		value_undefined(&r->job, on);
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

static struct value item_at(struct rendering *r, struct value on, int64_t i)
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

struct value get_item(struct rendering *r, struct value on, struct value key)
{
	bool indexed =
		on.kind == K_STR || (on.kind == K_LIST && (on.l->form <= FORM_TUPLE || on.l->form == FORM_RANGE));
	struct value *v;

	if (on.kind == K_UNDEF)
		value_undefined(&r->job, on);
	if (indexed && (key.kind == K_INT || key.kind == K_BOOL))
		return item_at(r, on, value_integer(&r->job, key));
	if (on.kind == K_DICT && hashable(key) && (v = dict_find(&r->job, on.d, key)))
		return *v;
	if (key.kind == K_STR)
		return get_attr(r, on, key.s);
	return UNDEF(str_printf(&r->job, false, "'%s object' has no such element", value_kind_name(on))->s);
}

/* Evaluates "a.b.0" or an index, as attribute= of filters does. */
struct value attr_path(struct rendering *r, struct value on, struct value path)
{
	if (path.kind != K_STR)
		return get_item(r, on, path);
	for (size_t first = 0, end; first <= path.s->len; first = end + 1) {
		bool digits = true;
		int64_t i = 0;

		for (end = first; end < path.s->len && path.s->s[end] != '.'; end++) {
			digits &= path.s->s[end] >= '0' && path.s->s[end] <= '9' && end - first < 9;
			i = digits ? i * 10 + (path.s->s[end] - '0') : 0;
		}
		on = get_item(r, on, digits && end > first ? INT(i) : STR(str_part(&r->job, path.s, first, end)));
	}
	return on;
}
