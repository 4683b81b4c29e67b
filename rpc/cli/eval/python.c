/* python.c - reads literals of Python, by descent. */
#include "rpc/cli/eval/python.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "base/utf8.h"

enum { DEEPEST = 100 };

struct python {
	const char *start, *at, *end;
	struct json_doc *doc;
	struct json_error *e;
	int depth;
};

static bool refuse(struct python *p, const char *text)
{
	if (p->e->err)
		return false;
	*p->e = (struct json_error){.err = ERR_FORMAT, .line = 1, .column = 1};
	for (const char *c = p->start; c < p->at; c++) {
		if (*c == '\n') {
			p->e->line++;
			p->e->column = 1;
		} else if ((*c & 0xc0) != 0x80)
			p->e->column++;
	}
	snprintf(p->e->text, sizeof p->e->text, "%s", text);
	return false;
}

static void skip_space(struct python *p)
{
	while (p->at < p->end && strchr(" \t\r\n\f", *p->at) && *p->at)
		p->at++;
}

static bool next_is(struct python *p, char c)
{
	skip_space(p);
	if (p->at == p->end || *p->at != c)
		return false;
	p->at++;
	return true;
}

static bool value(struct python *p, struct json *v);

/* \x41, é, \U0001F600: `digits` of base 16. */
static bool code_point(struct python *p, int digits, struct text *out)
{
	uint32_t cp = 0;
	char utf8[4];

	for (int i = 0; i < digits; i++, p->at++) {
		int c = p->at < p->end ? (unsigned char)*p->at : 0;
		if (!isxdigit(c))
			return refuse(p, "a digit of base 16 is missing after the backslash");
		cp = cp * 16 + (uint32_t)(isdigit(c) ? c - '0' : tolower(c) - 'a' + 10);
	}
	if (cp > 0x10ffff || (cp >= 0xd800 && cp < 0xe000))
		cp = 0xfffd;
	text_put(out, utf8, (size_t)utf8_put(utf8, cp));
	return true;
}

static bool octal(struct python *p, struct text *out)
{
	uint32_t cp = 0;
	char utf8[4];

	for (int i = 0; i < 3 && p->at < p->end && *p->at >= '0' && *p->at <= '7'; i++)
		cp = cp * 8 + (uint32_t)(*p->at++ - '0');
	text_put(out, utf8, (size_t)utf8_put(utf8, cp));
	return true;
}

/* After the backslash. An unknown escape stays as it is, as in Python. */
static bool escape(struct python *p, struct text *out)
{
	static const char names[] = "abfnrtv\\'\"", values[] = "\a\b\f\n\r\t\v\\'\"";
	const char *known;

	if (p->at == p->end)
		return refuse(p, "the text ends after a backslash");
	if (*p->at >= '0' && *p->at <= '7')
		return octal(p, out);
	if (*p->at == '\r' || *p->at == '\n') { /* the line goes on */
		p->at += *p->at == '\r' && p->at + 1 < p->end && p->at[1] == '\n' ? 2 : 1;
		return true;
	}
	switch (*p->at++) {
	case 'x':
		return code_point(p, 2, out);
	case 'u':
		return code_point(p, 4, out);
	case 'U':
		return code_point(p, 8, out);
	case 'N':
		return refuse(p, "characters by name (\\N{...}) are not read");
	}
	known = p->at[-1] ? strchr(names, p->at[-1]) : NULL;
	if (known)
		text_put(out, &values[known - names], 1);
	else
		text_put(out, p->at - 2, 2);
	return true;
}

static bool closes(const struct python *p, char quote, int n)
{
	for (int i = 0; i < n; i++)
		if (p->at + i >= p->end || p->at[i] != quote)
			return false;
	return true;
}

/* One text, its prefix (r, u) included; appends to out. */
static bool one_text(struct python *p, struct text *out)
{
	bool raw = false;
	int quotes = 1;
	char quote;

	for (; *p->at != '\'' && *p->at != '"'; p->at++)
		raw |= *p->at == 'r' || *p->at == 'R';
	quote = *p->at;
	if (closes(p, quote, 3))
		quotes = 3;
	p->at += quotes;
	while (!closes(p, quote, quotes)) {
		if (p->at == p->end || (quotes == 1 && *p->at == '\n'))
			return refuse(p, "the text has no closing quote");
		if (*p->at == '\\' && raw && p->at + 1 < p->end) {
			text_put(out, p->at, 2);
			p->at += 2;
		} else if (*p->at == '\\') {
			p->at++;
			if (!escape(p, out))
				return false;
		} else
			text_put(out, p->at++, 1);
	}
	p->at += quotes;
	return true;
}

static bool begins_text(const struct python *p)
{
	const char *c = p->at;

	while (c < p->end && c < p->at + 2 && strchr("rRuU", *c) && *c)
		c++;
	return c < p->end && (*c == '\'' || *c == '"');
}

/* Texts behind each other are one, except in a list. */
static bool texts(struct python *p, struct json *v, bool join)
{
	struct text t = {0};
	bool fine;

	do {
		fine = one_text(p, &t);
		skip_space(p);
	} while (fine && join && begins_text(p));
	if (fine && !utf8_valid(t.data ? t.data : "", t.len, NULL))
		fine = refuse(p, "bytes that are not UTF-8");
	if (fine)
		*v = json_make_text(p->doc, t.data ? t.data : "", t.len);
	text_finish(&t);
	return fine;
}

static bool number(struct python *p, struct json *v)
{
	char copy[64], *end;
	size_t n = strspn(p->at, "+-0123456789.eE_"), m = 0;
	bool real = false;

	if (n >= sizeof copy)
		return refuse(p, "the number is too long");
	for (size_t i = 0; i < n; i++) {
		real |= strchr(".eE", p->at[i]) != NULL;
		if (p->at[i] != '_')
			copy[m++] = p->at[i];
	}
	copy[m] = 0;
	*v = real ? json_make_real(strtod(copy, &end)) : json_make_int(strtoll(copy, &end, 10));
	if (!m || *end)
		return refuse(p, "no value begins like this");
	p->at += n;
	return true;
}

static bool word(struct python *p, struct json *v)
{
	static const char *const names[] = {"None", "True", "False", "null", "true", "false", "NaN", "nan"};
	const struct json values[] = {json_make_null(),    json_make_bool(true), json_make_bool(false),
				      json_make_null(),    json_make_bool(true), json_make_bool(false),
				      json_make_real(NAN), json_make_real(NAN)};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		size_t n = strlen(names[i]);
		if ((size_t)(p->end - p->at) >= n && !memcmp(p->at, names[i], n)) {
			p->at += n;
			*v = values[i];
			return true;
		}
	}
	return refuse(p, "no value begins like this");
}

static bool list(struct python *p, struct json *v, char close)
{
	*v = json_make_list();
	while (!next_is(p, close)) {
		struct json item;
		if (p->at == p->end)
			return refuse(p, close == ']' ? "the list has no ]" : "the tuple has no )");
		if (begins_text(p) ? !texts(p, &item, false) : !value(p, &item))
			return false;
		json_add(p->doc, v, item);
		if (!next_is(p, ',') && !begins_text(p) && (p->at == p->end || *p->at != close))
			return refuse(p, "a comma is missing");
	}
	return true;
}

static bool dict(struct python *p, struct json *v)
{
	*v = json_make_object(p->doc);
	while (!next_is(p, '}')) {
		struct json key, item;
		if (p->at == p->end || !begins_text(p))
			return refuse(p, "a key in quotes is missing");
		if (!texts(p, &key, true))
			return false;
		if (!next_is(p, ':'))
			return refuse(p, "a colon is missing after the key");
		if (!value(p, &item))
			return false;
		json_set(p->doc, v, key.text, item);
		if (!next_is(p, ',') && (p->at == p->end || *p->at != '}'))
			return refuse(p, "a comma is missing");
	}
	return true;
}

static bool value(struct python *p, struct json *v)
{
	bool fine;

	skip_space(p);
	if (p->at == p->end)
		return refuse(p, "a value is missing");
	if (++p->depth > DEEPEST)
		return refuse(p, "nested too deep");
	if (begins_text(p))
		fine = texts(p, v, true);
	else if (*p->at == '[' || *p->at == '(')
		fine = list(p, v, *p->at++ == '[' ? ']' : ')');
	else if (*p->at == '{')
		fine = p->at++, dict(p, v);
	else if (strchr("+-.0123456789", *p->at) && *p->at)
		fine = number(p, v);
	else
		fine = word(p, v);
	p->depth--;
	return fine;
}

struct json_doc *python_read(const char *text, size_t len, struct json_error *e)
{
	struct python p = {.start = text, .at = text, .end = text + len, .doc = json_new(), .e = e};
	struct json v;

	*e = (struct json_error){0};
	if (value(&p, &v)) {
		skip_space(&p);
		if (p.at == p.end) {
			json_set_root(p.doc, v);
			return p.doc;
		}
		refuse(&p, "something follows the value");
	}
	json_close(p.doc);
	return NULL;
}
