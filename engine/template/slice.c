/* slice.c - slices of sequences, and membership. */
#include "engine/template/inside.h"

/* Computes a bound as Python's slice.indices() does. */
static int64_t slice_bound(struct rendering *r, struct value v, int64_t n, int64_t step, int64_t none)
{
	int64_t low = step < 0 ? -1 : 0, high = step < 0 ? n - 1 : n, i;

	if (v.kind == K_NONE)
		return none;
	i = value_integer(&r->job, v);
	if (i < 0)
		return i < -n ? low : i + n < low ? low : i + n;
	return i > high ? high : i;
}

struct value value_slice(struct rendering *r, struct value on, struct value first, struct value end, struct value step)
{
	int64_t by = step.kind == K_NONE ? 1 : value_integer(&r->job, step), n, a, z;

	if (on.kind == K_UNDEF)
		value_undefined(&r->job, on);
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
	struct tpl_text t = {.job = &r->job};
	for (int64_t i = a; by > 0 ? i < z : i > z; i += by) {
		spend(&r->job, i % 8 == 0);
		if (on.kind == K_STR)
			tpl_text_add_str(&t, items->at[i].s);
		else
			list_add(&r->job, l, items->at[i]);
		if (by > n || by < -n)
			break;
	}
	return on.kind == K_STR ? STR(tpl_text_str(&t)) : LIST(l);
}

bool value_contains(struct rendering *r, struct value in, struct value what)
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
