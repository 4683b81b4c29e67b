/* text.c - a command's text: the plain argument, a file or standard input. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file/file.h"
#include "rpc/cli/cli.h"

enum { MOST_TEXT = 64 << 20 }; /* more than a request may hold: the server says how much that is */

static int read_all(struct args *a, FILE *f, const char *name, struct why *why)
{
	size_t max = 0, n;

	free(a->text);
	a->text = NULL;
	do {
		if (max - a->text_len < 4096) {
			max = 2 * max + 65536;
			a->text = xgrow(a->text, max + 1, 1);
		}
		n = fread(a->text + a->text_len, 1, max - a->text_len, f);
		a->text_len += n;
	} while (n && a->text_len <= MOST_TEXT);
	a->text[a->text_len] = 0;
	if (a->text_len > MOST_TEXT)
		return fail(why, ERR_INVALID, "%s: it has more than %d MiB, which no request holds", name,
			    MOST_TEXT >> 20);
	return ferror(f) ? fail(why, ERR_IO, "%s: %s", name, strerror(errno)) : 0;
}

/* No text was named: what is piped in. */
static int read_piped(struct args *a, struct why *why)
{
	int err = isatty(STDIN_FILENO) ? 0 : read_all(a, stdin, "standard input", why);

	if (!err && !a->text_len)
		return fail(why, ERR_INVALID,
			    "which text? Give it as an argument, - for standard input, --file or --ids");
	return err;
}

int args_text(struct args *a, struct why *why)
{
	FILE *f;
	int err;

	if (a->has_ids && (a->text || a->prompt_file))
		return fail(why, ERR_INVALID, "a text and --ids: give one of them");
	if (a->has_ids)
		return 0;
	a->has_text = true;
	if (a->prompt_file && a->text)
		return fail(why, ERR_INVALID, "a text and --file: give one of them");
	if (a->text && strcmp(a->text, "-")) {
		a->text_len = strlen(a->text);
		return 0;
	}
	if (a->text)
		return read_all(a, stdin, "standard input", why);
	if (!a->prompt_file)
		return read_piped(a, why);
	f = fopen(a->prompt_file, "rb");
	if (!f)
		return fail(why, ERR_INVALID, "--file: %s: %s", a->prompt_file, file_error(a->prompt_file, errno));
	err = read_all(a, f, a->prompt_file, why);
	fclose(f);
	return err;
}
