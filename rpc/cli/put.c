/* put.c - all that is written. Texts come from models and servers: what would steer a terminal does not reach one. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rpc/cli/cli.h"
#include "base/utf8.h"

static int write_all(int fd, const char *text, size_t len)
{
	while (len) {
		ssize_t n = write(fd, text, len);
		if (n < 0 && errno == EAGAIN)
			poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, -1);
		else if (n < 0 && errno != EINTR)
			return ERR_GONE;
		if (n > 0) {
			text += n;
			len -= (size_t)n;
		}
	}
	return 0;
}

static bool is_terminal(int fd)
{
	static int known[3]; /* 0: not asked yet, 1: no, 2: yes */

	if (!known[fd])
		known[fd] = 1 + isatty(fd);
	return known[fd] == 2;
}

/* U+0080 to U+009F: the control characters of eight bits. */
static bool is_c1(const unsigned char *s, int n)
{
	return n == 2 && s[0] == 0xc2 && s[1] < 0xa0;
}

/* U+202A to U+202E and U+2066 to U+2069 turn the direction of what follows, U+2028 and U+2029 end lines. */
static bool turns_text(const unsigned char *s, int n)
{
	return n == 3 && s[0] == 0xe2 &&
	       ((s[1] == 0x80 && s[2] >= 0xa8 && s[2] <= 0xae) || (s[1] == 0x81 && s[2] >= 0xa6 && s[2] <= 0xa9));
}

/* Bytes of the character at s that may pass, 0: it may not, nor may a byte that is no part of one. */
static int harmless(const char *s, size_t len)
{
	const unsigned char *u = (const unsigned char *)s;
	int n = utf8_char(s, len);

	if (n == 1 && (*u < 0x20 || *u == 0x7f))
		return *u == '\n' || *u == '\t';
	return is_c1(u, n) || turns_text(u, n) ? 0 : n;
}

int cli_put(int fd, const char *text, size_t len)
{
	static const char instead[] = "\xef\xbf\xbd";
	char *out, *to;
	int err;

	if (!is_terminal(fd))
		return write_all(fd, text, len);
	out = to = xalloc(3 * len + 1, 1);
	for (size_t i = 0; i < len;) {
		int n = harmless(text + i, len - i), skip = n ? n : max_int(1, utf8_char(text + i, len - i));
		memcpy(to, n ? text + i : instead, n ? (size_t)n : 3);
		to += n ? n : 3;
		i += (size_t)skip;
	}
	err = write_all(fd, out, (size_t)(to - out));
	free(out);
	return err;
}

static int put_formatted(int fd, const char *fmt, va_list args)
{
	char *text;
	int n = vasprintf(&text, fmt, args), err;

	if (n < 0)
		die("out of memory for a line of output");
	err = cli_put(fd, text, (size_t)n);
	free(text);
	return err;
}

int cli_write(const char *text, size_t len)
{
	return cli_put(STDOUT_FILENO, text, len);
}

void cli_print(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	put_formatted(STDOUT_FILENO, fmt, args);
	va_end(args);
}

void cli_say(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	put_formatted(STDERR_FILENO, fmt, args);
	va_end(args);
}
