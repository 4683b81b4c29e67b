#include "base/utf8.h"

#include <string.h>

int utf8_check(const char *s, size_t len, int *more)
{
	const unsigned char *p = (const unsigned char *)s;
	unsigned char low = 0x80, high = 0xBF;
	int want, i;

	if (more)
		*more = 0;
	if (p[0] < 0x80)
		return 1;
	if (p[0] < 0xC2 || p[0] > 0xF4)
		return -1;
	want = utf8_len(p[0]);
	if (p[0] == 0xE0)
		low = 0xA0;
	else if (p[0] == 0xED)
		high = 0x9F;
	else if (p[0] == 0xF0)
		low = 0x90;
	else if (p[0] == 0xF4)
		high = 0x8F;
	for (i = 1; i < want; i++, low = 0x80, high = 0xBF) {
		if ((size_t)i == len && more)
			*more = 1;
		if ((size_t)i == len || p[i] < low || p[i] > high)
			return -i;
	}
	return want;
}

int utf8_char(const char *s, size_t len)
{
	int n = len ? utf8_check(s, len, NULL) : 0;

	return n > 0 ? n : 0;
}

bool utf8_valid(const char *s, size_t len, size_t *at)
{
	for (size_t i = 0; i < len;) {
		int n = utf8_char(s + i, len - i);

		if (!n && at)
			*at = i;
		if (!n)
			return false;
		i += (size_t)n;
	}
	return true;
}

int utf8_wrong_line(const char *s, size_t len)
{
	size_t at;
	int line = 1;

	if (utf8_valid(s, len, &at))
		return 0;
	for (size_t i = 0; i < at; i++)
		line += s[i] == '\n';
	return line;
}

size_t utf8_clean(char *s)
{
	char *out = s;

	for (const char *at = s; *at;) {
		unsigned char lead = (unsigned char)*at;
		int size = lead < 0x80 ? 1 : lead < 0xC2 || lead > 0xF4 ? 0 : utf8_len(lead), n = 1;

		while (n < size && ((unsigned char)at[n] & 0xC0) == 0x80)
			n++;
		if (size && utf8_char(at, (size_t)n) == size)
			memmove(out, at, (size_t)n), out += n;
		else if (!size || n == size)
			*out++ = '?';
		at += n;
	}
	*out = '\0';
	return (size_t)(out - s);
}
