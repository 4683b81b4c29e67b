#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
	int err;
	const char *name, *text;
} errors[] = {
#define ERROR(name, value, text) {value, #name, text},
#include "base/error.def"
};

const char *err_text(int err)
{
	for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
		if (errors[i].err == err)
			return errors[i].text;
	return err ? "unknown error" : "success";
}

const char *err_name(int err)
{
	for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
		if (errors[i].err == err)
			return errors[i].name;
	return err ? "ERR_?" : "OK";
}

/* Messages quote foreign texts cut at a byte limit. Removes partial characters and replaces bytes that are not UTF-8 by
 * '?'. */
static void whole_characters(char *s)
{
	char *out = s;

	while (*s) {
		unsigned char c = (unsigned char)*s;
		int size = c < 0x80                ? 1
			   : c >= 0xc2 && c < 0xe0 ? 2
			   : c >= 0xe0 && c < 0xf0 ? 3
			   : c >= 0xf0 && c < 0xf5 ? 4
						   : 0,
		    n = 1;

		while (n < size && ((unsigned char)s[n] & 0xc0) == 0x80)
			n++;
		if (n == size)
			memmove(out, s, (size_t)n), out += n;
		else if (!size)
			*out++ = '?';
		s += n;
	}
	*out = '\0';
}

int fail(struct why *why, int err, const char *fmt, ...)
{
	va_list args;

	if (why) {
		va_start(args, fmt);
		vsnprintf(why->text, sizeof why->text, fmt, args);
		va_end(args);
		whole_characters(why->text);
	}
	return err;
}
