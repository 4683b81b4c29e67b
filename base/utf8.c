#include "base/utf8.h"

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
