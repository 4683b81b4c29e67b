/* args.c - reads and checks arguments of filters, tests, methods and functions, and calls filters and tests. */
#include "engine/template/inside.h"

bool arg_get(const struct args *args, int i, const char *name, struct value *out)
{
	if (i < args->n) {
		*out = args->at[i];
		return true;
	}
	for (int k = 0; name && k < args->nkw; k++)
		if (str_is(args->kwname[k], name)) {
			*out = args->kw[k];
			return true;
		}
	return false;
}

struct value arg_or(const struct args *args, int i, const char *name, struct value or)
{
	struct value v;

	return arg_get(args, i, name, &v) ? v : or ;
}

struct value arg_need(struct rendering *r, const struct args *args, int i, const char *name, const char *of)
{
	struct value v;

	if (!arg_get(args, i, name, &v))
		bad(&r->job, "%s() lacks an argument", of);
	return v;
}

/* Returns the position of `word` among `names` (" a b "), or -1. */
static int place(const char *names, const struct str *word)
{
	int n = 0;

	for (const char *c = names; c && *c;) {
		size_t len = strcspn(c, " ");
		if (len == word->len && len && !memcmp(c, word->s, len))
			return n;
		n += len > 0;
		c += len + (c[len] == ' ');
	}
	return -1;
}

void args_check(struct rendering *r, const struct args *args, const char *of, int max, const char *names)
{
	if (max < 0)
		return;
	if (args->n > max)
		bad(&r->job, "%s() takes at most %d argument(s), %d were given", of, max, args->n);
	for (int i = 0; i < args->nkw; i++) {
		int at = place(names, args->kwname[i]);
		if (at < 0)
			bad(&r->job, "%s() got an unexpected keyword argument '%.*s'", of,
			    (int)min_int((int)args->kwname[i]->len, 60), args->kwname[i]->s);
		if (at < args->n)
			bad(&r->job, "%s() got two values for '%.*s'", of, (int)args->kwname[i]->len,
			    args->kwname[i]->s);
	}
}

struct value filter_run(struct rendering *r, const struct filter *f, struct value on, struct args *args)
{
	spend(&r->job, 1);
	args_check(r, args, f->name, f->max, f->names);
	return f->run(r, on, args);
}

bool test_run(struct rendering *r, const struct test *t, struct value on, struct args *args)
{
	args_check(r, args, t->name, t->max, "num");
	return t->run(r, on, args);
}
