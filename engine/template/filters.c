/* filters.c - filters on one value. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "engine/template/inside.h"

#define FILTER(id) static struct value f_##id(struct rendering *r, struct value on, struct args *args)
#define UNUSED (void)r, (void)args

FILTER(trim)
{
	return STR(text_strip(r, value_to_str(&r->job, on), arg_or(args, 0, "chars", NONE), true, true));
}
FILTER(lower)
{
	UNUSED;
	return STR(text_case(r, value_to_str(&r->job, on), 'l'));
}
FILTER(upper)
{
	UNUSED;
	return STR(text_case(r, value_to_str(&r->job, on), 'u'));
}
FILTER(capitalize)
{
	UNUSED;
	return STR(text_case(r, value_to_str(&r->job, on), 'c'));
}
FILTER(title)
{
	UNUSED;
	return STR(text_case(r, value_to_str(&r->job, on), 'w'));
}
FILTER(string)
{
	UNUSED;
	return STR(value_to_str(&r->job, on));
}
FILTER(length)
{
	UNUSED;
	return INT(value_length(&r->job, on));
}

static struct value as_markup(struct rendering *r, struct str *s)
{
	struct str *copy = str_part(&r->job, s, 0, s->len);

	copy->markup = true;
	return STR(copy);
}
FILTER(safe)
{
	UNUSED;
	return as_markup(r, value_to_str(&r->job, on));
}
FILTER(escape)
{
	UNUSED;
	return STR(str_escape(&r->job, value_to_str(&r->job, on)));
}
FILTER(forceescape)
{
	struct str *s = value_to_str(&r->job, on);

	UNUSED;
	s = str_part(&r->job, s, 0, s->len);
	s->markup = false;
	return STR(str_escape(&r->job, s));
}

FILTER(replace)
{
	struct str *from = value_to_str(&r->job, arg_need(r, args, 0, "old", "replace"));
	struct str *to = value_to_str(&r->job, arg_need(r, args, 1, "new", "replace"));
	struct value count = arg_or(args, 2, "count", NONE);

	return STR(text_replace(r, value_to_str(&r->job, on), from, to,
				count.kind == K_NONE ? -1 : value_integer(&r->job, count)));
}

FILTER(default)
{
	bool loose = value_truth(&r->job, arg_or(args, 1, "boolean", BOOL(false)));

	if (on.kind == K_UNDEF || (loose && !value_truth(&r->job, on)))
		return arg_or(args, 0, "default_value", STR(str_make(&r->job, "", 0, false)));
	return on;
}

static struct str *spaces(struct rendering *r, struct value width)
{
	struct str *one = str_make(&r->job, " ", 1, false);

	return width.kind == K_STR ? width.s : value_binary(r, N_MUL, STR(one), width).s;
}

FILTER(indent)
{
	struct str *by = spaces(r, arg_or(args, 0, "width", INT(4))), *s = on.s;
	bool first = value_truth(&r->job, arg_or(args, 1, "first", BOOL(false)));
	bool blank = value_truth(&r->job, arg_or(args, 2, "blank", BOOL(false)));
	struct tpl_text t = {.job = &r->job};

	if (on.kind != K_STR)
		bad(&r->job, "%s", on.kind == K_UNDEF ? on.what : "the filter 'indent' needs a str");
	s = str_join(&r->job, str_part(&r->job, s, 0, s->len), str_make(&r->job, "\n", 1, false));
	struct list *lines = text_lines(r, s, false);
	for (uint32_t i = 0; i < lines->n; i++) {
		if (i)
			tpl_text_word(&t, "\n", false);
		if (i ? blank || lines->at[i].s->len : first)
			tpl_text_add_str(&t, by);
		tpl_text_add_str(&t, lines->at[i].s);
	}
	s = tpl_text_str(&t);
	s->markup = on.s->markup;
	return STR(s);
}

/* Reads an integer as Python's int("...") does: with spaces around it, a sign, and single underscores between
 * digits. */
static bool read_int(struct rendering *r, const struct str *s, int base, int64_t *out)
{
	struct str *t = text_strip(r, str_part(&r->job, s, 0, s->len), NONE, true, true);
	char digits[80], *end;
	size_t n = 0;

	for (size_t i = 0; i < t->len && n < sizeof digits - 1; i++) {
		if (t->s[i] == '_' && i && i + 1 < t->len && t->s[i - 1] != '_' && t->s[i + 1] != '_')
			continue;
		digits[n++] = t->s[i];
	}
	digits[n] = 0;
	if (!n || n == sizeof digits - 1 || char_is_space((uint8_t)digits[0]))
		return false;
	if ((base == 2 || base == 8) && digits[0] == '0' && strchr(base == 2 ? "bB" : "oO", digits[1]) && digits[1])
		memmove(digits, digits + 2, n - 1);
	errno = 0;
	*out = strtoll(digits, &end, base);
	if (errno)
		bad(&r->job, "an integer out of range");
	return !*end && end != digits;
}

static bool read_float(struct rendering *r, const struct str *s, double *out)
{
	struct str *t = text_strip(r, str_part(&r->job, s, 0, s->len), NONE, true, true);
	char text[400], *end;

	if (!t->len || t->len >= sizeof text || memchr(t->s, 'x', t->len) || memchr(t->s, 'X', t->len))
		return false;
	memcpy(text, t->s, t->len);
	text[t->len] = 0;
	*out = strtod(text, &end);
	return end == text + t->len;
}

static bool to_float(struct rendering *r, struct value v, double *out)
{
	if (v.kind == K_UNDEF)
		bad(&r->job, "%s", v.what);
	if (v.kind == K_STR || v.kind == K_BIG)
		return read_float(r, v.s, out);
	*out = value_is_number(v) ? value_number(v) : 0;
	return value_is_number(v);
}

FILTER(int)
{
	struct value none = arg_or(args, 0, "default", INT(0));
	int64_t base = value_integer(&r->job, arg_or(args, 1, "base", INT(10))), i;
	double f;

	if (base < 2 || base > 36)
		bad(&r->job, "a base between 2 and 36 is needed");
	if (on.kind == K_INT || on.kind == K_BOOL)
		return INT(value_integer(&r->job, on));
	if (on.kind == K_BIG)
		return on;
	if (on.kind == K_STR && read_int(r, on.s, (int)base, &i))
		return INT(i);
	if (!to_float(r, on, &f) || isnan(f))
		return none;
	if (isinf(f) || fabs(f) >= 9.2e18)
		bad(&r->job, "an integer out of range");
	return INT((int64_t)f);
}

FILTER(float)
{
	double f;

	return to_float(r, on, &f) ? FLOAT(f) : arg_or(args, 0, "default", FLOAT(0));
}

FILTER(abs)
{
	UNUSED;
	if (!value_is_number(on))
		bad(&r->job, "%s", on.kind == K_UNDEF ? on.what : "the filter 'abs' needs a number");
	if (on.kind == K_FLOAT)
		return FLOAT(fabs(on.f));
	return value_integer(&r->job, on) < 0 ? value_binary(r, N_SUB, INT(0), on) : INT(value_integer(&r->job, on));
}

/* Rounds the decimal digits of a number to even at halves, as Python's round() does. */
static double round_decimal(double f, int places)
{
	char text[400];

	if (!isfinite(f) || places > 300)
		return f;
	if (places < 0) {
		double unit = pow(10, -places);
		return rint(f / unit) * unit;
	}
	snprintf(text, sizeof text, "%.*f", places, f);
	return strtod(text, NULL);
}

FILTER(round)
{
	int64_t places = value_integer(&r->job, arg_or(args, 0, "precision", INT(0)));
	struct value how = arg_or(args, 1, "method", STR(str_make(&r->job, "common", 6, false)));
	bool common = how.kind == K_STR && str_is(how.s, "common"),
	     ceiling = how.kind == K_STR && str_is(how.s, "ceil");

	if (!common && !ceiling && !(how.kind == K_STR && str_is(how.s, "floor")))
		bad(&r->job, "method must be common, ceil or floor");
	if (!value_is_number(on) || places < -300 || places > 300)
		bad(&r->job, "%s", on.kind == K_UNDEF ? on.what : "the filter 'round' needs a number");
	if (common && on.kind != K_FLOAT && places >= 0)
		return INT(value_integer(&r->job, on));
	if (common)
		return on.kind == K_FLOAT ? FLOAT(round_decimal(on.f, (int)places))
					  : INT((int64_t)round_decimal(value_number(on), (int)places));
	double unit = pow(10, (double)places), f = value_number(on) * unit;
	return FLOAT((ceiling ? ceil(f) : floor(f)) / unit);
}

FILTER(format)
{
	struct list *l = list_make(&r->job, (uint32_t)args->n, FORM_TUPLE);
	struct dict *d = dict_make(&r->job, (uint32_t)args->nkw);

	for (int i = 0; i < args->n; i++)
		list_add(&r->job, l, args->at[i]);
	for (int i = 0; i < args->nkw; i++)
		dict_set(&r->job, d, STR(args->kwname[i]), args->kw[i]);
	if (args->n && args->nkw)
		bad(&r->job, "can't handle positional and keyword arguments at the same time");
	return STR(text_format(r, value_to_str(&r->job, on), args->nkw ? DICT(d) : LIST(l)));
}

FILTER(tojson)
{
	struct value indent = arg_or(args, 1, "indent", NONE), sep = arg_or(args, 2, "separators", NONE);
	struct tpl_text t = {.job = &r->job};
	struct json_form form = {
		.ascii = value_truth(&r->job, arg_or(args, 0, "ensure_ascii", BOOL(false))),
		.sorted = value_truth(&r->job, arg_or(args, 3, "sort_keys", BOOL(false))),
		.indent = indent.kind == K_NONE ? NULL : spaces(r, indent),
		.item = str_make(&r->job, indent.kind == K_NONE ? ", " : ",", indent.kind == K_NONE ? 2 : 1, false),
		.colon = str_make(&r->job, ": ", 2, false),
	};

	if (sep.kind != K_NONE) {
		if (sep.kind != K_LIST || sep.l->n != 2 || sep.l->at[0].kind != K_STR || sep.l->at[1].kind != K_STR)
			bad(&r->job, "separators must be a pair of strings");
		form.item = sep.l->at[0].s;
		form.colon = sep.l->at[1].s;
	}
	add_json(&t, &form, on, 0);
	return STR(tpl_text_str(&t));
}

const struct filter *filter_plain_find(const struct str *name)
{
	static const struct filter list[] = {
		{"trim", f_trim, 1, " chars "},
		{"lower", f_lower, 0, ""},
		{"upper", f_upper, 0, ""},
		{"capitalize", f_capitalize, 0, ""},
		{"title", f_title, 0, ""},
		{"string", f_string, 0, ""},
		{"length", f_length, 0, ""},
		{"count", f_length, 0, ""},
		{"safe", f_safe, 0, ""},
		{"escape", f_escape, 0, ""},
		{"e", f_escape, 0, ""},
		{"forceescape", f_forceescape, 0, ""},
		{"replace", f_replace, 3, "old new count"},
		{"default", f_default, 2, "default_value boolean"},
		{"d", f_default, 2, "default_value boolean"},
		{"indent", f_indent, 3, "width first blank"},
		{"int", f_int, 2, "default base"},
		{"float", f_float, 1, "default"},
		{"abs", f_abs, 0, ""},
		{"round", f_round, 2, "precision method"},
		{"format", f_format, -1, ""},
		{"tojson", f_tojson, 4, "ensure_ascii indent separators sort_keys"},
	};

	for (size_t i = 0; i < sizeof list / sizeof *list; i++)
		if (str_is(name, list[i].name))
			return &list[i];
	return NULL;
}
