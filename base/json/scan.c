/* scan.c - strings and numbers of JSON. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json/inside.h"

bool json_refuse(struct json_parse *p, int err, const char *text)
{
	if (!p->e->err) {
		p->e->err = err;
		snprintf(p->e->text, sizeof p->e->text, "%s", text);
	}
	return false;
}

bool json_refuse_memory(struct json_parse *p)
{
	char text[120];

	snprintf(text, sizeof text, "its values take more than %zu KiB of memory", p->rules->bytes >> 10);
	return json_refuse(p, ERR_LIMIT, text);
}

void *json_take_for(struct json_parse *p, size_t n)
{
	void *m = json_take(p->doc, n);

	if (!m)
		json_refuse_memory(p);
	return m;
}

/* Bytes of the character at s; 0: none. As RFC 3629: no overlong forms, no surrogates. */
size_t json_utf8_size(const unsigned char *s, size_t n)
{
	size_t size = s[0] < 0x80                   ? 1
		      : s[0] >= 0xc2 && s[0] < 0xe0 ? 2
		      : (s[0] & 0xf0) == 0xe0       ? 3
		      : s[0] >= 0xf0 && s[0] < 0xf5 ? 4
						    : 0;

	if (!size || size > n)
		return 0;
	for (size_t i = 1; i < size; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf0 && s[1] < 0x90) ||
	    (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return size;
}

static char *put_utf8(char *out, uint32_t c)
{
	if (c < 0x80) {
		*out++ = (char)c;
	} else if (c < 0x800) {
		*out++ = (char)(0xc0 | c >> 6);
		*out++ = (char)(0x80 | (c & 0x3f));
	} else if (c < 0x10000) {
		*out++ = (char)(0xe0 | c >> 12);
		*out++ = (char)(0x80 | (c >> 6 & 0x3f));
		*out++ = (char)(0x80 | (c & 0x3f));
	} else {
		*out++ = (char)(0xf0 | c >> 18);
		*out++ = (char)(0x80 | (c >> 12 & 0x3f));
		*out++ = (char)(0x80 | (c >> 6 & 0x3f));
		*out++ = (char)(0x80 | (c & 0x3f));
	}
	return out;
}

/* Four hexadecimal digits at p->at; -1: they are not. */
static int32_t hex4(struct json_parse *p)
{
	int32_t c = 0;

	if (p->end - p->at < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		char h = p->at[i];
		int d = h >= '0' && h <= '9'   ? h - '0'
			: h >= 'a' && h <= 'f' ? h - 'a' + 10
			: h >= 'A' && h <= 'F' ? h - 'A' + 10
					       : -1;

		if (d < 0)
			return -1;
		c = c << 4 | d;
	}
	p->at += 4;
	return c;
}

/* After "\u". NULL: refused. */
static char *read_unicode(struct json_parse *p, char *out)
{
	int32_t c = hex4(p);

	if (c < 0) {
		json_refuse(p, ERR_FORMAT, "\\u needs four hexadecimal digits");
		return NULL;
	}
	if (c >= 0xd800 && c < 0xdc00 && p->end - p->at >= 6 && p->at[0] == '\\' && p->at[1] == 'u') {
		const char *before = p->at;
		int32_t low;

		p->at += 2;
		low = hex4(p);
		if (low >= 0xdc00 && low < 0xe000)
			return put_utf8(out, 0x10000 + ((uint32_t)c - 0xd800) * 0x400 + (uint32_t)low - 0xdc00);
		p->at = before;
	}
	if (c >= 0xd800 && c < 0xe000) {
		if (!p->rules->lone) {
			json_refuse(p, ERR_FORMAT, "half of a surrogate pair is no character");
			return NULL;
		}
		c = 0xfffd;
	}
	return put_utf8(out, (uint32_t)c);
}

/* After the backslash. NULL: refused. */
static char *read_escape(struct json_parse *p, char *out)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	const char *which;

	if (p->at < p->end && *p->at == 'u') {
		p->at++;
		return read_unicode(p, out);
	}
	which = p->at < p->end && *p->at ? strchr(from, *p->at) : NULL;
	if (!which) {
		json_refuse(p, ERR_FORMAT, "a backslash needs one of \" \\ / b f n r t u after it");
		return NULL;
	}
	p->at++;
	*out++ = to[which - from];
	return out;
}

/* Bytes up to the closing quote, for the size of the copy: escapes only shrink. */
static size_t string_size(const struct json_parse *p)
{
	const char *s = p->at;

	while (s < p->end && *s != '"')
		s += *s == '\\' && s + 1 < p->end ? 2 : 1;
	return (size_t)(s - p->at);
}

/* After the opening quote. */
bool json_scan_string(struct json_parse *p, const char **text, uint32_t *len)
{
	char *out = json_take_for(p, string_size(p) + 1), *start = out;

	if (!out)
		return false;
	for (;;) {
		size_t n;

		if (p->at == p->end)
			return json_refuse(p, ERR_FORMAT, "a string has no end");
		if (*p->at == '"')
			break;
		if (*p->at == '\\') {
			p->at++;
			out = read_escape(p, out);
			if (!out)
				return false;
			continue;
		}
		if ((unsigned char)*p->at < 0x20)
			return json_refuse(p, ERR_FORMAT, "a control character in a string; write \\n, \\t or \\u00XX");
		n = json_utf8_size((const unsigned char *)p->at, (size_t)(p->end - p->at));
		if (!n)
			return json_refuse(p, ERR_FORMAT, "bytes that are not UTF-8");
		memcpy(out, p->at, n);
		out += n;
		p->at += n;
	}
	p->at++;
	*out = '\0';
	*text = start;
	*len = (uint32_t)(out - start);
	return true;
}

static size_t digits(const struct json_parse *p, const char *s)
{
	const char *from = s;

	while (s < p->end && *s >= '0' && *s <= '9')
		s++;
	return (size_t)(s - from);
}

static bool set_integer(struct json_parse *p, struct json *v, const char *literal, size_t n)
{
	bool minus = *literal == '-';
	uint64_t x = 0;
	bool fits = true;
	char *copy;

	for (size_t i = minus; i < n; i++)
		fits = fits && !__builtin_mul_overflow(x, 10u, &x) &&
		       !__builtin_add_overflow(x, (uint64_t)(literal[i] - '0'), &x);
	if (fits && x <= (uint64_t)INT64_MAX + minus) {
		*v = json_make_int(minus ? (int64_t)(0 - x) : (int64_t)x);
		return true;
	}
	copy = json_take_for(p, n + 1);
	if (!copy)
		return false;
	memcpy(copy, literal, n);
	copy[n] = '\0';
	*v = (struct json){.kind = JSON_IS_BIG, .n = (uint32_t)n, .text = copy};
	return true;
}

static bool set_real(struct json_parse *p, struct json *v, const char *literal, size_t n)
{
	char few[64], *copy = n < sizeof few ? few : json_take_for(p, n + 1);

	if (!copy)
		return false;
	memcpy(copy, literal, n);
	copy[n] = '\0';
	*v = json_make_real(strtod(copy, NULL));
	return true;
}

bool json_scan_number(struct json_parse *p, struct json *v)
{
	const char *s = p->at + (*p->at == '-');
	size_t n = digits(p, s);
	bool real = false;

	if (!n)
		return json_refuse(p, ERR_FORMAT, "a number has no digits");
	if (*s == '0' && n > 1)
		return json_refuse(p, ERR_FORMAT, "a number begins with a needless 0");
	s += n;
	if (s < p->end && *s == '.') {
		n = digits(p, s + 1);
		if (!n)
			return json_refuse(p, ERR_FORMAT, "a number has no digits after its point");
		s += 1 + n;
		real = true;
	}
	if (s < p->end && (*s == 'e' || *s == 'E')) {
		const char *x = s + 1;

		x += x < p->end && (*x == '+' || *x == '-');
		n = digits(p, x);
		if (!n)
			return json_refuse(p, ERR_FORMAT, "a number has no digits in its exponent");
		s = x + n;
		real = true;
	}
	n = (size_t)(s - p->at);
	if (!(real ? set_real : set_integer)(p, v, p->at, n))
		return false;
	p->at = s;
	return true;
}
