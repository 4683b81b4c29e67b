/* functions.c - the functions of a template's environment. */
#include <stdio.h>
#include "engine/template/inside.h"

#define FUNC(id) static struct value fn_##id(struct rendering *r, struct args *args)

FUNC(range)
{
	int64_t first = 0, end, step = 1;
	struct list *l = list_make(&r->job, 0, FORM_RANGE);

	if (args->n < 1 || args->n > 3 || args->nkw)
		bad(&r->job, "range() takes one to three arguments");
	end = value_integer(&r->job, args->at[args->n > 1]);
	if (args->n > 1)
		first = value_integer(&r->job, args->at[0]);
	if (args->n > 2)
		step = value_integer(&r->job, args->at[2]);
	if (!step)
		bad(&r->job, "range() arg 3 must not be zero");
	for (int64_t i = first; step > 0 ? i < end : i > end;) {
		if (l->n == TEMPLATE_RANGE)
			raise_error(&r->job, ERR_LIMIT, "a range of more than %d items", TEMPLATE_RANGE);
		list_add(&r->job, l, INT(i));
		if (__builtin_add_overflow(i, step, &i))
			break;
	}
	spend(&r->job, l->n / 8);
	return LIST(l);
}

static struct dict *named(struct rendering *r, struct args *args)
{
	struct dict *d = dict_make(&r->job, 0);

	if (args->n > 1 || (args->n == 1 && args->at[0].kind != K_DICT))
		bad(&r->job, "expected one mapping and keywords");
	for (uint32_t i = 0; args->n && i < args->at[0].d->n; i++)
		dict_set(&r->job, d, args->at[0].d->at[i].key, args->at[0].d->at[i].val);
	for (int i = 0; i < args->nkw; i++)
		dict_set(&r->job, d, STR(args->kwname[i]), args->kw[i]);
	return d;
}

FUNC(namespace)
{
	return (struct value){.kind = K_SPACE, .d = named(r, args)};
}
FUNC(dict)
{
	return DICT(named(r, args));
}

/* The template refuses the conversation: its message is reported as it is. */
FUNC(raise_exception)
{
	struct str *s = value_to_str(&r->job, arg_need(r, args, 0, "message", "raise_exception"));

	r->job.err = fail(r->job.why, ERR_INVALID, "%.*s", (int)(s->len < 400 ? s->len : 400), s->s);
	longjmp(r->job.out, 1);
}

FUNC(strftime_now)
{
	struct value f = arg_need(r, args, 0, "format", "strftime_now");
	time_t now = r->now ? r->now : time(NULL);
	char text[256], form[128];
	struct tm tm;

	if (f.kind != K_STR || f.s->len >= sizeof form)
		bad(&r->job, "strftime_now() needs a short format");
	memcpy(form, f.s->s, f.s->len);
	form[f.s->len] = 0;
	localtime_r(&now, &tm);
	return STR(str_copy(&r->job, text, strftime(text, sizeof text, form, &tm), value_has_user(f)));
}

const struct func *func_find(const struct str *name)
{
	static const struct func list[] = {
		{"range", fn_range},
		{"namespace", fn_namespace},
		{"dict", fn_dict},
		{"raise_exception", fn_raise_exception},
		{"strftime_now", fn_strftime_now},
	};

	for (size_t i = 0; i < sizeof list / sizeof *list; i++)
		if (str_is(name, list[i].name))
			return &list[i];
	return NULL;
}

/* jinja2 has these too; this engine does not. */
bool func_unsupported(const struct str *name)
{
	return str_is(name, "cycler") || str_is(name, "joiner") || str_is(name, "lipsum");
}
