/* args.c - arguments of filters, tests, methods and functions. */
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

struct value arg_need(struct run *r, const struct args *args, int i, const char *name, const char *of)
{
	struct value v;

	if (!arg_get(args, i, name, &v))
		bad(&r->job, "%s() misses an argument", of);
	return v;
}

/* Is `word` one of `names` (" a b "), and at which place. */
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

void args_check(struct run *r, const struct args *args, const char *of, int max, const char *names)
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

/* "a.b.0", or an index: as the filters' attribute= looks it up. */
struct value attr_path(struct run *r, struct value on, struct value path)
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
