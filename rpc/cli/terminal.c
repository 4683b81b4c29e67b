#include "rpc/cli/terminal.h"

#include <errno.h>
#include <histedit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"

struct terminal {
	EditLine *edit; /* NULL: no terminal */
	History *history;
	char *file;
	const char *prompt;
	terminal_words *complete;
};

static char *prompt_of(EditLine *edit)
{
	struct terminal *t;

	el_get(edit, EL_CLIENTDATA, (void **)&t);
	return (char *)(uintptr_t)t->prompt;
}

static char *history_file(void)
{
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");

	if (state && *state)
		return xprintf("%s/xverse_history", state);
	return home && *home ? xprintf("%s/.xverse_history", home) : NULL;
}

/* What all words that begin with `word` have in common; *n is how many there are. */
static size_t common(const struct terminal *t, const char *line, size_t len, const char **word, int *n)
{
	size_t from, same = 0;
	const char *w;

	*n = 0;
	for (int i = 0; (w = t->complete(line, len, i, &from)); i++) {
		size_t k = 0;

		if (strncmp(w, line + from, len - from))
			continue;
		for (k = 0; *n && k < same && w[k] == (*word)[k];)
			k++;
		same = *n ? k : strlen(w);
		*word = w;
		++*n;
	}
	return same;
}

static void list_words(const struct terminal *t, const char *line, size_t len)
{
	size_t from;
	const char *w;

	fputc('\n', stdout);
	for (int i = 0; (w = t->complete(line, len, i, &from)); i++)
		if (!strncmp(w, line + from, len - from))
			printf("%s  ", w);
	fputc('\n', stdout);
}

static unsigned char complete(EditLine *edit, int key)
{
	const LineInfo *l = el_line(edit);
	size_t len = (size_t)(l->cursor - l->buffer), from, same;
	const char *word = NULL;
	struct terminal *t;
	char line[512], more[128];
	int n;

	(void)key;
	el_get(edit, EL_CLIENTDATA, (void **)&t);
	if (!t->complete || len >= sizeof line)
		return CC_ERROR;
	memcpy(line, l->buffer, len);
	line[len] = 0;
	same = common(t, line, len, &word, &n);
	if (!n)
		return CC_ERROR;
	t->complete(line, len, 0, &from);
	if (same == len - from && n > 1) {
		list_words(t, line, len);
		return CC_REDISPLAY;
	}
	snprintf(more, sizeof more, "%.*s%s", (int)(same - (len - from)), word + (len - from), n == 1 ? " " : "");
	return el_insertstr(edit, more) ? CC_ERROR : CC_REFRESH;
}

struct terminal *terminal_open(terminal_words *words)
{
	struct terminal *t = xalloc(1, sizeof *t);
	HistEvent event;

	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
		return t;
	t->edit = el_init("xverse", stdin, stdout, stderr);
	t->history = history_init();
	if (!t->edit || !t->history)
		die("the line editor does not start: TERM is \"%s\"", getenv("TERM") ? getenv("TERM") : "");
	t->complete = words;
	t->file = history_file();
	history(t->history, &event, H_SETSIZE, 1000);
	history(t->history, &event, H_SETUNIQUE, 1);
	if (t->file)
		history(t->history, &event, H_LOAD, t->file);
	el_set(t->edit, EL_CLIENTDATA, t);
	el_set(t->edit, EL_PROMPT, prompt_of);
	el_set(t->edit, EL_EDITOR, "emacs");
	el_set(t->edit, EL_HIST, history, t->history);
	el_set(t->edit, EL_ADDFN, "xverse-complete", "complete a command", complete);
	el_set(t->edit, EL_BIND, "^I", "xverse-complete", NULL);
	el_set(t->edit, EL_BIND, "^R", "em-inc-search-prev", NULL);
	el_source(t->edit, NULL);
	return t;
}

void terminal_close(struct terminal *t)
{
	if (t->edit)
		el_end(t->edit);
	if (t->history)
		history_end(t->history);
	free(t->file);
	free(t);
}

bool terminal_is_tty(const struct terminal *t)
{
	return t->edit != NULL;
}

static enum terminal_got read_plain(char **line)
{
	size_t max = 0;
	ssize_t n;

	*line = NULL;
	errno = 0;
	n = getline(line, &max, stdin);
	if (n < 0) {
		free(*line);
		*line = NULL;
		return errno == EINTR ? TERMINAL_INTERRUPT : TERMINAL_END;
	}
	if (n && (*line)[n - 1] == '\n')
		(*line)[n - 1] = 0;
	return TERMINAL_LINE;
}

enum terminal_got terminal_read(struct terminal *t, const char *prompt, char **line)
{
	const char *got;
	int n = 0;

	if (!t->edit)
		return read_plain(line);
	t->prompt = prompt;
	errno = 0;
	got = el_gets(t->edit, &n);
	if (got && n > 0) {
		*line = xstrdup(got);
		(*line)[strcspn(*line, "\n")] = 0;
		return TERMINAL_LINE;
	}
	*line = NULL;
	if (errno != EINTR)
		return TERMINAL_END;
	el_reset(t->edit);
	clearerr(stdin);
	return TERMINAL_INTERRUPT;
}

/* Other users must not read what was typed. */
void terminal_remember(struct terminal *t, const char *line)
{
	HistEvent event;
	mode_t before;

	if (!t->history || !*line)
		return;
	history(t->history, &event, H_ENTER, line);
	if (!t->file)
		return;
	before = umask(077);
	history(t->history, &event, H_SAVE, t->file);
	umask(before);
}
