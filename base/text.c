#include "base/text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/utf8.h"

static void make_room(struct text *t, size_t more)
{
	if (t->len + more + 1 <= t->max)
		return;
	t->max = 2 * (t->len + more) + 64;
	t->data = xgrow(t->data, t->max, 1);
}

void text_put(struct text *t, const char *bytes, size_t len)
{
	make_room(t, len);
	if (len)
		memcpy(t->data + t->len, bytes, len);
	t->len += len;
	t->data[t->len] = 0;
}

void text_str(struct text *t, const char *s)
{
	text_put(t, s, strlen(s));
}

void text_fmt(struct text *t, const char *fmt, ...)
{
	va_list args;
	int n;

	make_room(t, 128);
	va_start(args, fmt);
	n = vsnprintf(t->data + t->len, t->max - t->len, fmt, args);
	va_end(args);
	if ((size_t)n >= t->max - t->len) {
		make_room(t, (size_t)n);
		va_start(args, fmt);
		n = vsnprintf(t->data + t->len, t->max - t->len, fmt, args);
		va_end(args);
	}
	t->len += (size_t)n;
}

static void put_escaped(struct text *t, unsigned char c)
{
	switch (c) {
	case '"':
		text_put(t, "\\\"", 2);
		break;
	case '\\':
		text_put(t, "\\\\", 2);
		break;
	case '\n':
		text_put(t, "\\n", 2);
		break;
	case '\r':
		text_put(t, "\\r", 2);
		break;
	case '\t':
		text_put(t, "\\t", 2);
		break;
	default:
		text_fmt(t, "\\u%04x", c);
	}
}

void text_json(struct text *t, const char *bytes, size_t len)
{
	size_t from = 0, i = 0;

	text_put(t, "\"", 1);
	while (i < len) {
		unsigned char c = (unsigned char)bytes[i];
		int n = c < 0x80 ? 1 : utf8_char(bytes + i, len - i);

		if (n && c >= 0x20 && c != '"' && c != '\\' && c != 0x7f) {
			i += (size_t)n;
			continue;
		}
		text_put(t, bytes + from, i - from);
		if (n)
			put_escaped(t, c);
		else
			text_put(t, "\xef\xbf\xbd", 3);
		from = ++i;
	}
	text_put(t, bytes + from, i - from);
	text_put(t, "\"", 1);
}

void text_json_str(struct text *t, const char *s)
{
	text_json(t, s, strlen(s));
}

/* %g drops zeros at the end, so 6 digits are tried first. */
static void put_shortest(struct text *t, float x)
{
	char number[32];

	for (int digits = 6; digits <= 9; digits++) {
		snprintf(number, sizeof number, "%.*g", digits, (double)x);
		if (strtof(number, NULL) == x)
			break;
	}
	text_str(t, number);
}

void text_number(struct text *t, float x)
{
	if (isnan(x) || x < -9999)
		text_str(t, "-9999.0");
	else if (x > 9999)
		text_str(t, "9999.0");
	else
		put_shortest(t, x);
}

void text_finish(struct text *t)
{
	free(t->data);
	*t = (struct text){0};
}

void text_left(struct text *t, double seconds)
{
	unsigned long s = seconds < 1e9 ? (unsigned long)(seconds + 0.5) : 1000000000ul;

	if (s >= 3600)
		text_fmt(t, ", %lu:%02lu:%02lu left", s / 3600, s / 60 % 60, s % 60);
	else
		text_fmt(t, ", %lu:%02lu left", s / 60, s % 60);
}
