/* format.c - Python's format specifications, and its "..." % values. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "engine/template/inside.h"
#include "base/utf8.h"

enum { WIDTH_MAX = 100000, PRECISION_MAX = 300, NUMBER_MAX = 1024 };

/* [[fill]align][sign][#][0][width][group][.precision][type] */
struct spec {
	struct str *fill;
	char align, sign, group, type; /* 0: not given */
	bool alternate, zero;
	int width, precision; /* -1: not given */
};

static int read_count(struct rendering *r, const struct str *s, size_t *at, int most)
{
	int n = 0;

	for (; *at < s->len && char_is_digit((uint8_t)s->s[*at]); ++*at)
		if ((n = n * 10 + (s->s[*at] - '0')) > most)
			raise_error(&r->job, ERR_LIMIT, "a width or precision of more than %d", most);
	return n;
}

static bool is_one(const struct str *s, size_t at, const char *of)
{
	return at < s->len && s->s[at] && strchr(of, s->s[at]);
}

static struct spec read_spec(struct rendering *r, struct str *s)
{
	struct spec f = {.width = 0, .precision = -1, .fill = str_make(&r->job, " ", 1, ORIGIN_TEMPLATE)};
	size_t at = 0, one = 1;
	uint32_t c;

	if (s->len)
		one = (size_t)utf8_next(s->s, s->len, &c);
	if (s->len && is_one(s, one, "<>=^")) {
		f.fill = str_part(&r->job, s, 0, one);
		f.align = s->s[one];
		at = one + 1;
	} else if (is_one(s, 0, "<>=^")) {
		f.align = s->s[at++];
	}
	if (is_one(s, at, "+- "))
		f.sign = s->s[at++];
	if (is_one(s, at, "#"))
		f.alternate = true, at++;
	if (is_one(s, at, "0"))
		f.zero = true, at++;
	f.width = read_count(r, s, &at, WIDTH_MAX);
	if (is_one(s, at, ",_"))
		f.group = s->s[at++];
	if (is_one(s, at, ".")) {
		size_t first = ++at;

		f.precision = read_count(r, s, &at, PRECISION_MAX);
		if (at == first)
			bad(&r->job, "Format specifier missing precision");
	}
	if (at + 1 == s->len)
		f.type = s->s[at++];
	if (at != s->len)
		bad(&r->job, "Invalid format specifier");
	return f;
}

static void put_fill(struct tpl_text *t, const struct spec *f, int64_t n)
{
	for (; n > 0; n--)
		tpl_text_add_str(t, f->fill);
}

/* before: sign and base of a number; '=' puts the padding after them. */
static void put_padded(struct tpl_text *t, const struct spec *f, char align, struct str *before, struct str *body)
{
	int64_t missing = (int64_t)f->width - str_chars(before) - str_chars(body);
	int64_t left = align == '>' ? missing : align == '^' ? missing / 2 : 0;

	put_fill(t, f, left);
	tpl_text_add_str(t, before);
	if (align == '=')
		put_fill(t, f, missing);
	tpl_text_add_str(t, body);
	if (align == '<' || align == '^')
		put_fill(t, f, missing - (missing > 0 ? left : 0));
}

static void add_text(struct rendering *r, struct tpl_text *t, struct spec *f, struct str *s)
{
	uint32_t n = str_chars(s);

	if (f->sign || f->align == '=' || f->alternate || f->group || (f->type && f->type != 's'))
		bad(&r->job, "Invalid format specifier for a str");
	if (f->zero && !f->align)
		f->fill = str_make(&r->job, "0", 1, ORIGIN_TEMPLATE);
	if (f->precision >= 0 && (uint32_t)f->precision < n)
		s = str_part(&r->job, s, 0, str_byte(s, (uint32_t)f->precision));
	put_padded(t, f, f->align ? f->align : '<', str_make(&r->job, "", 0, ORIGIN_TEMPLATE), s);
}

/* Puts separators between groups of the whole part, which is padded with zeros to `least` characters. */
static struct str *grouped(struct rendering *r, const char *digits, char mark, int every, int64_t least)
{
	size_t whole = strspn(digits, every == 3 ? "0123456789" : "0123456789abcdefABCDEF"),
	       rest = strlen(digits) - whole;
	struct tpl_text t = {.job = &r->job};
	int64_t n = (int64_t)whole, size;

	for (;; n++) { /* the width with n digits */
		size = n + (mark ? (n - 1) / every : 0) + (int64_t)rest;
		if (size >= least)
			break;
	}
	for (int64_t i = n; i > 0; i--) {
		tpl_text_put(&t, i > (int64_t)whole ? "0" : digits + (whole - (size_t)i), 1, ORIGIN_TEMPLATE);
		if (mark && i > 1 && (i - 1) % every == 0)
			tpl_text_put(&t, &mark, 1, ORIGIN_TEMPLATE);
	}
	tpl_text_put(&t, digits + whole, rest, ORIGIN_TEMPLATE);
	return tpl_text_str(&t);
}

static void add_digits(struct rendering *r, struct tpl_text *t, struct spec *f, bool minus, const char *base,
		       const char *digits, int every)
{
	struct str *before = str_printf(&r->job, ORIGIN_TEMPLATE, "%s%s",
					minus            ? "-"
					: f->sign == '+' ? "+"
					: f->sign == ' ' ? " "
							 : "",
					base);
	bool zeros = f->zero && (!f->align || f->align == '=');

	if (f->zero && f->align != 0 && f->align != '=' && str_is(f->fill, " "))
		f->fill = str_make(&r->job, "0", 1, ORIGIN_TEMPLATE);
	put_padded(t, f, f->align ? f->align : '>', before,
		   grouped(r, digits, f->group, every, zeros ? f->width - (int64_t)str_chars(before) : 0));
}

/* Without a type, a number is formatted as with 'g', but has a digit after the point and so gets its exponent one digit
 * earlier. */
static void untyped_digits(char *out, double size, int precision)
{
	char *e;

	snprintf(out, NUMBER_MAX, "%.*e", max_int(precision, 1) - 1, size);
	e = strchr(out, 'e');
	if (e && atoi(e + 1) >= -4 && atoi(e + 1) + 1 < max_int(precision, 1)) {
		snprintf(out, NUMBER_MAX, "%.*g", precision, size);
		if (!strchr(out, '.'))
			strcat(out, ".0");
		return;
	}
	for (char *zero = e; e && strchr(out, '.') && (zero[-1] == '0' || zero[-1] == '.');) {
		bool point = *--zero == '.';

		memmove(zero, e, strlen(e) + 1);
		e = zero;
		if (point)
			break;
	}
}

static void add_float(struct rendering *r, struct tpl_text *t, struct spec *f, double v)
{
	char digits[NUMBER_MAX], form[16];
	double size = fabs(v);

	if (f->type && !strchr("eEfFgGn%", f->type))
		bad(&r->job, "Unknown format code '%c' for object of type 'float'", f->type);
	if (!f->type && f->precision < 0) {
		float_text(digits, size);
	} else if (!f->type) {
		untyped_digits(digits, size, f->precision);
	} else {
		snprintf(form, sizeof form, "%%%s.*%c", f->alternate ? "#" : "",
			 f->type == '%'   ? 'f'
			 : f->type == 'n' ? 'g'
					  : f->type);
		snprintf(digits, sizeof digits - 1, form, f->precision < 0 ? 6 : f->precision,
			 f->type == '%' ? size * 100 : size);
		if (f->type == '%')
			strcat(digits, "%");
	}
	add_digits(r, t, f, signbit(v) && !isnan(v), "", digits, 3);
}

static void to_base(char *out, uint64_t v, unsigned base, bool upper)
{
	char turned[70];
	int n = 0;

	do
		turned[n++] = (upper ? "0123456789ABCDEF" : "0123456789abcdef")[v % base];
	while (v /= base);
	while (n)
		*out++ = turned[--n];
	*out = 0;
}

static void add_integer(struct rendering *r, struct tpl_text *t, struct spec *f, int64_t v)
{
	unsigned base = f->type == 'b' ? 2 : f->type == 'o' ? 8 : f->type == 'x' || f->type == 'X' ? 16 : 10;
	char digits[80], name[3] = {'0', f->type, 0}, one[4];

	if (f->type && strchr("eEfFgG%", f->type)) {
		add_float(r, t, f, (double)v);
		return;
	}
	if (f->precision >= 0 || (f->type && !strchr("bcdoxXn", f->type)))
		bad(&r->job, "Invalid format specifier for an int");
	if (f->type == 'c') { /* it may be any character, so it does not count as the template's */
		if (v < 0 || v > 0x10ffff || (v >= 0xd800 && v < 0xe000))
			bad(&r->job, "%%c arg not in range(0x110000)");
		put_padded(t, f, f->align ? f->align : '<', str_make(&r->job, "", 0, ORIGIN_TEMPLATE),
			   str_copy(&r->job, one, (size_t)utf8_put(one, (uint32_t)v), ORIGIN_SAID));
		return;
	}
	to_base(digits, v < 0 ? -(uint64_t)v : (uint64_t)v, base, f->type == 'X');
	add_digits(r, t, f, v < 0, f->alternate && base != 10 ? name : "", digits, base == 10 ? 3 : 4);
}

void text_add_formatted(struct rendering *r, struct tpl_text *t, struct value v, struct str *how)
{
	struct spec f = read_spec(r, how);

	if (!how->len)
		tpl_text_add_str(t, value_to_str(&r->job, v));
	else if (v.kind == K_STR)
		add_text(r, t, &f, v.s);
	else if (v.kind == K_FLOAT)
		add_float(r, t, &f, v.f);
	else if (v.kind == K_INT || v.kind == K_BOOL)
		add_integer(r, t, &f, value_integer(&r->job, v));
	else
		bad(&r->job, "unsupported format string passed to %s.__format__", value_kind_name(v));
}

/* ---- "..." % values ---- */

/* %[(key)][flags][width][.precision]conversion */
static size_t read_conversion(struct rendering *r, const struct str *s, size_t at, struct str **key, struct spec *f)
{
	size_t end = at;

	*key = NULL;
	if (is_one(s, at, "(")) {
		for (end = at; end < s->len && s->s[end] != ')';)
			end++;
		if (end == s->len)
			bad(&r->job, "incomplete format key");
		*key = str_part(&r->job, s, at + 1, end);
		at = end + 1;
	}
	for (; is_one(s, at, "#0- +"); at++) {
		f->alternate |= s->s[at] == '#';
		f->zero |= s->s[at] == '0';
		f->align = s->s[at] == '-' ? '<' : f->align;
		f->sign = s->s[at] == '+' || (s->s[at] == ' ' && !f->sign) ? s->s[at] : f->sign;
	}
	f->width = read_count(r, s, &at, WIDTH_MAX);
	if (is_one(s, at, ".")) {
		at++;
		f->precision = read_count(r, s, &at, PRECISION_MAX);
	}
	if (at == s->len)
		bad(&r->job, "incomplete format");
	f->type = s->s[at];
	return at + 1;
}

static void convert_integer(struct rendering *r, struct tpl_text *t, struct spec *f, struct value v)
{
	unsigned base = f->type == 'o' ? 8 : f->type == 'x' || f->type == 'X' ? 16 : 10;
	char digits[PRECISION_MAX + 80], plain[80], name[3] = {'0', f->type, 0};
	int64_t i;

	if (!value_is_number(v) || (v.kind == K_FLOAT && base != 10))
		bad(&r->job, "%%%c format: a number is required, not %s", f->type, value_kind_name(v));
	if (v.kind == K_FLOAT && !(fabs(v.f) < 9.2e18))
		bad(&r->job, "an integer out of range");
	i = v.kind == K_FLOAT ? (int64_t)v.f : value_integer(&r->job, v);
	to_base(plain, i < 0 ? -(uint64_t)i : (uint64_t)i, base, f->type == 'X');
	snprintf(digits, sizeof digits, "%.*s%s", max_int(f->precision - (int)strlen(plain), 0),
		 "0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000",
		 plain);
	if (f->precision > 100)
		raise_error(&r->job, ERR_LIMIT, "a precision of more than 100 digits of an integer");
	f->zero &= !f->align;
	add_digits(r, t, f, i < 0, f->alternate && base != 10 ? name : "", digits, 3);
}

static void convert_float(struct rendering *r, struct tpl_text *t, struct spec *f, struct value v)
{
	if (!value_is_number(v))
		bad(&r->job, "must be real number, not %s", value_kind_name(v));
	f->zero &= !f->align;
	add_float(r, t, f, value_number(v));
}

static void convert_text(struct rendering *r, struct tpl_text *t, struct spec *f, struct value v)
{
	struct tpl_text quoted = {.job = &r->job};

	if (f->type == 'r')
		add_repr(&quoted, v, 0);
	*f = (struct spec){.fill = f->fill,
			   .align = f->align ? f->align : '>',
			   .width = f->width,
			   .precision = f->precision,
			   .type = f->type};
	v = STR(f->type == 'r' ? tpl_text_str(&quoted) : value_to_str(&r->job, v));
	f->type = 's';
	add_text(r, t, f, v.s);
}

static void convert(struct rendering *r, struct tpl_text *t, struct spec *f, struct value v)
{
	if (f->type == 's' || f->type == 'r')
		convert_text(r, t, f, v);
	else if (strchr("diuoxX", f->type))
		convert_integer(r, t, f, v);
	else if (strchr("eEfFgG", f->type))
		convert_float(r, t, f, v);
	else
		raise_error(&r->job, ERR_UNSUPPORTED, "the conversion '%%%c' is not supported", f->type);
}

static struct value named_value(struct rendering *r, struct value names, struct str *key)
{
	struct value *v = names.kind == K_DICT ? dict_find(&r->job, names.d, STR(key)) : NULL;

	if (names.kind != K_DICT)
		bad(&r->job, "format requires a mapping");
	if (!v)
		bad(&r->job, "no value for the key '%.*s'", min_int((int)key->len, 80), key->s);
	return *v;
}

struct str *text_format(struct rendering *r, struct str *s, struct value v)
{
	struct value one[1] = {v};
	struct list single = {.at = one, .n = 1}, *args = v.kind == K_LIST && v.l->form == FORM_TUPLE ? v.l : &single;
	struct tpl_text t = {.job = &r->job};
	bool named = false;
	uint32_t used = 0;

	for (size_t i = 0, end; i < s->len; i = end) {
		struct spec f = {.precision = -1, .fill = str_make(&r->job, " ", 1, ORIGIN_TEMPLATE)};
		struct str *key;

		end = i + 1;
		if (s->s[i] != '%' || (end < s->len && s->s[end] == '%')) {
			tpl_text_add_part(&t, s, i, end);
			end += s->s[i] == '%';
			continue;
		}
		end = read_conversion(r, s, end, &key, &f);
		named |= key != NULL;
		if (!key && used == args->n)
			bad(&r->job, "not enough arguments for format string");
		spend(&r->job, 1);
		convert(r, &t, &f, key ? named_value(r, v, key) : args->at[used++]);
	}
	if (!named && used < args->n && (args != &single || v.kind < K_LIST) && v.kind != K_UNDEF)
		bad(&r->job, "not all arguments converted during string formatting");
	return tpl_text_str(&t);
}
