#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

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

int fail(struct why *why, int err, const char *fmt, ...)
{
	va_list args;

	if (why) {
		va_start(args, fmt);
		vsnprintf(why->text, sizeof why->text, fmt, args);
		va_end(args);
		utf8_clean(why->text); /* it may quote foreign texts, cut at a byte limit */
	}
	return err;
}
