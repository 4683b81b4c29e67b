#include "rpc/cli/wrap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/utf8.h"
#include "rpc/cli/cli.h"

enum { NARROWEST = 20, TAB = 8 };

struct wrap wrap_open(bool wanted)
{
	const char *term = getenv("TERM");
	int columns = cli_columns(STDOUT_FILENO);
	bool can = wanted && isatty(STDOUT_FILENO) && term && strcmp(term, "dumb") && columns >= NARROWEST;

	return (struct wrap){.edge = can ? columns - 1 : 0}; /* in the last column terminals differ */
}

void wrap_close(struct wrap *w)
{
	text_finish(&w->word);
}

static void forget_word(struct wrap *w)
{
	w->word.len = 0;
	w->width = 0;
}

static int flush(struct text *out)
{
	int err = out->len ? cli_write(out->data, out->len) : 0;

	out->len = 0;
	return err;
}

/* The cursor goes to the next line; the word, if the line has something else, with it. */
static int break_line(struct wrap *w, struct text *out, bool with_word)
{
	int err = flush(out);

	if (with_word && w->width && w->width < w->at) {
		fprintf(stdout, "\033[%dD\033[K\n", w->width);
		fflush(stdout);
		text_put(out, w->word.data, w->word.len);
		w->at = w->width;
	} else {
		text_str(out, "\n");
		w->at = 0;
		forget_word(w);
	}
	return err;
}

/* Marks that may not begin a line: they stay with what is before them. */
static bool closes(const char *s, size_t len)
{
	static const char *const marks[] = {"，", "。", "、", "；", "：", "？", "！",
					    "）", "》", "」", "』", "”",  "’",  "】"};

	for (size_t i = 0; i < sizeof marks / sizeof *marks; i++)
		if (strlen(marks[i]) == len && !memcmp(marks[i], s, len))
			return true;
	return false;
}

static int put_character(struct wrap *w, struct text *out, const char *s, size_t len)
{
	int width = cli_width(s, len), err = 0;
	bool alone = width == 2 && !closes(s, len); /* a line may break before it */

	if (*s == ' ' && w->at >= w->edge)
		return break_line(w, out, false);
	if (*s == '\n' || *s == ' ' || *s == '\t') {
		w->at = *s == '\n' ? 0 : *s == ' ' ? w->at + 1 : (w->at / TAB + 1) * TAB;
		forget_word(w);
		text_put(out, s, len);
		return 0;
	}
	if (w->at + width > w->edge)
		err = break_line(w, out, !alone);
	if (alone)
		forget_word(w);
	text_put(&w->word, s, len);
	w->width += width;
	w->at += width;
	text_put(out, s, len);
	return err;
}

int wrap_write(struct wrap *w, const char *text, size_t len)
{
	struct text out = {0};
	int err = 0;

	if (!w->edge)
		return cli_write(text, len);
	for (size_t i = 0; i < len && !err;) {
		int n = utf8_char(text + i, len - i);

		err = put_character(w, &out, text + i, n ? (size_t)n : 1);
		i += n ? (size_t)n : 1;
	}
	if (!err)
		err = flush(&out);
	text_finish(&out);
	return err;
}
