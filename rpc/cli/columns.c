/* columns.c - how wide texts and terminals are, and tables that fit them. */
#include <langinfo.h>
#include <limits.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#include "base/utf8.h"
#include "rpc/cli/cli.h"

/* Everything that the server says and gets is UTF-8, so characters are read and measured as such in any locale:
 * in the locale C the line editor would drop what is not ASCII. glibc has C.UTF-8 built in. */
void cli_locale(void)
{
	static const char *const others[] = {"C.UTF-8", "C.utf8", "en_US.UTF-8"};

	if (setlocale(LC_CTYPE, "") && !strcmp(nl_langinfo(CODESET), "UTF-8"))
		return;
	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		if (setlocale(LC_CTYPE, others[i]))
			return;
}

int cli_columns(int fd)
{
	struct winsize w = {0};

	if (!isatty(fd))
		return INT_MAX / 2;
	return ioctl(fd, TIOCGWINSZ, &w) || !w.ws_col ? 80 : w.ws_col;
}

/* Columns of one character; what no terminal shows as it is counts 1. */
static int character_width(const char *s, int len)
{
	int n, width;
	uint32_t cp = utf8_get(s, &n);

	if (len != n)
		return 1;
	width = wcwidth((wchar_t)cp);
	return width < 0 ? 1 : width;
}

int cli_width(const char *text, size_t len)
{
	int width = 0;

	for (size_t i = 0; i < len;) {
		int n = utf8_char(text + i, len - i);

		width += n ? character_width(text + i, n) : 1;
		i += n ? (size_t)n : 1;
	}
	return width;
}

/* The text broken at blanks, so that no number is. `at`: columns that are taken; `indent`: before each further line. */
static void put_wrapped(const char *text, int at, int indent, int columns)
{
	while (*text) {
		size_t blanks = strspn(text, " "), n = strcspn(text + blanks, " ");
		int width = cli_width(text + blanks, n);

		if (at > indent && at + (int)blanks + width > columns) {
			cli_print("\n%*s", indent, "");
			at = indent;
			blanks = 0;
			text += strspn(text, " ");
		}
		cli_write(text, blanks + n);
		at += (int)blanks + width;
		text += blanks + n;
	}
	cli_print("\n");
}

void cli_row(const char *name, int left, const char *fmt, ...)
{
	int columns = cli_columns(STDOUT_FILENO), width = cli_width(name, strlen(name)), at = max_int(left, width + 1);
	va_list args;
	char *text;

	va_start(args, fmt);
	if (vasprintf(&text, fmt, args) < 0)
		die("out of memory for a line of output");
	va_end(args);
	cli_print("%s", name);
	if (columns < 3 * left && at + cli_width(text, strlen(text)) > columns) { /* narrow: the text below the name */
		cli_print("\n  ");
		put_wrapped(text, 2, 2, columns);
	} else {
		cli_print("%*s", at - width, "");
		put_wrapped(text, at, left, columns);
	}
	free(text);
}
