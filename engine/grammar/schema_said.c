/* schema_said.c - patterns, formats and bounds, as automata. */
#include "engine/grammar/schema_parts.h"

#include <stdlib.h>
#include <string.h>

/* ---- strings ---- */

/* An expression in a graph of its own, whose automaton it becomes. search: anything may be around a match. */
struct dfa schema_pattern(struct schema *s, const char *text, size_t n, bool search, int32_t place, const char *keyword)
{
	struct graph g;
	struct frag f;
	struct dfa a = {.n = 0};

	graph_init(&g);
	f = regex_frag(&g, text, n, true);
	if (search && !g.err) {
		struct ranges all = {.n = 0}, again = {.n = 0};
		ranges_invert(&all);
		ranges_invert(&again);
		f = frag_cat(&g, frag_star(&g, frag_chars(&g, &all)), f);
		f = frag_cat(&g, f, frag_star(&g, frag_chars(&g, &again)));
		ranges_finish(&all);
		ranges_finish(&again);
	}
	a = dfa_of(&g, f);
	if (g.err)
		schema_fail(s, g.err, place, keyword, g.why.text);
	graph_finish(&g);
	return a;
}

static void narrow(struct schema *s, struct dfa *all, struct dfa one, bool *any)
{
	*all = *any ? dfa_and(s->g, *all, one) : one;
	*any = true;
}

struct dfa schema_said_texts(struct schema *s, const struct parts *p, bool *any)
{
	struct dfa all = {.n = 0};

	for (int i = 0; i < p->n && !s->g->err; i++) {
		const struct json *pattern = json_get(p->part[i].schema, "pattern"),
				  *format = json_get(p->part[i].schema, "format");
		if (pattern)
			narrow(s, &all,
			       schema_pattern(s, json_str(pattern), json_len(pattern), true, p->part[i].place,
					      "pattern"),
			       any);
		if (format) {
			const char *regex = format_regex(json_str(format));
			narrow(s, &all, schema_pattern(s, regex, strlen(regex), false, p->part[i].place, "format"),
			       any);
		}
	}
	return all;
}

/* ---- numbers ---- */

static bool number_of(struct schema *s, const struct part *part, const char *key, struct decimal *out)
{
	size_t len;
	char *text = json_write(json_get(part->schema, key), NULL, &len);
	bool ok = decimal_read(out, text, len);

	free(text);
	if (!ok)
		schema_fail(s, ERR_UNSUPPORTED, part->place, key, "a number of so many digits is not supported");
	return ok;
}

static void multiple(struct schema *s, const struct part *part, const struct decimal *d, struct dfa *all, bool *any)
{
	struct dfa one = {.n = 0};

	if (d->minus || !(d->n_whole + d->n_part)) {
		schema_fail(s, ERR_INVALID, part->place, "multipleOf", "must be above 0");
		return;
	}
	one = dfa_multiple(s->g, d);
	if (!one.to)
		schema_fail(s, ERR_UNSUPPORTED, part->place, "multipleOf",
			    "a number with more than four digits is not supported");
	narrow(s, all, one, any);
}

static void bound(struct schema *s, const struct part *part, const char *key, struct dfa *all, bool *any)
{
	struct decimal d;

	if (s->g->err || !json_get(part->schema, key) || !number_of(s, part, key, &d))
		return;
	if (!strcmp(key, "multipleOf")) {
		multiple(s, part, &d, all, any);
	} else {
		narrow(s, all, dfa_bound(s->g, &d, strstr(key, "inimum") != NULL, key[0] == 'e'), any);
	}
	decimal_finish(&d);
}

struct dfa schema_said_numbers(struct schema *s, const struct parts *p, bool *any)
{
	static const char *const keys[] = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"};
	struct dfa all = {.n = 0};

	for (int i = 0; i < p->n; i++)
		for (int k = 0; k < 5; k++)
			bound(s, &p->part[i], keys[k], &all, any);
	return all;
}
