/* chat.c - `xverse chat`: a conversation at a terminal, or one answer for a script (--once). */
#include "rpc/cli/chat_command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int once(struct talk *t)
{
	struct why why = {""};
	int err;

	talk_add(t, "user", t->args->text, t->args->text_len);
	err = talk_answer(t, &why);
	if (err == ERR_GONE && !why.text[0])
		return 0; /* the reader of our output has closed it */
	if (err)
		cli_say("xverse: %s\n", why.text);
	return err == ERR_CANCELLED ? EXIT_INTERRUPTED : cli_exit_code(err);
}

static void append(char **text, const char *more)
{
	char *joined = *text ? xprintf("%s\n%s", *text, more) : xstrdup(more);

	free(*text);
	*text = joined;
}

static bool ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), k = strlen(end);

	return n >= k && !strcmp(s + n - k, end);
}

/* One message: a line; lines that end with a backslash go on; all between """ and """. NULL with *got other than LINE.
 */
static char *read_message(struct talk *t, enum terminal_got *got)
{
	char *text = NULL, *line;
	bool quoted = false;

	while ((*got = terminal_read(t->terminal, text || quoted ? "... " : ">>> ", &line)) == TERMINAL_LINE) {
		char *part = line;
		bool more;

		terminal_remember(t->terminal, line);
		if (!text && !quoted && !strncmp(part, "\"\"\"", 3)) {
			quoted = true;
			part += 3;
		}
		more = quoted ? !ends_with(part, "\"\"\"") : ends_with(part, "\\");
		if (!more && quoted)
			part[strlen(part) - 3] = 0;
		if (more && !quoted)
			part[strlen(part) - 1] = 0;
		if (*part || (text && (more || !quoted)))
			append(&text, part);
		free(line);
		if (!more)
			return text ? text : xstrdup("");
	}
	free(text);
	return NULL;
}

static int turn(struct talk *t, const char *text)
{
	struct why why = {""};
	int err;

	t->again = 0;
	talk_add(t, "user", text, strlen(text));
	err = talk_answer(t, &why);
	if (!err)
		return 0;
	cli_say(err == ERR_CANCELLED ? "[%s]\n" : "xverse: %s\n", why.text);
	if (!strcmp(talk_last_role(t), "user"))
		talk_drop(t); /* it got no answer */
	return err == ERR_CANCELLED ? 0 : err;
}

/* Without a terminal the first error ends it, so that a script sees it. */
static int converse(struct talk *t)
{
	int err = 0;

	if (t->person)
		cli_print("%s. /help lists the commands; \"\"\" begins a text of several lines; Ctrl-D ends.\n",
			  xv_server(t->client)->served_model);
	fflush(stdout);
	while (!t->over && (t->person || !err)) {
		enum terminal_got got;
		char *text = read_message(t, &got);

		if (got == TERMINAL_INTERRUPT) {
			cli_write("\n", 1);
			talk_forget_interrupt();
			continue;
		}
		if (!text)
			break;
		err = 0;
		if (!talk_command(t, text) && text[strspn(text, " \t")])
			err = turn(t, text);
		free(text);
		if (err == ERR_GONE)
			break;
	}
	if (t->person)
		cli_write("\n", 1);
	return cli_exit_code(err);
}

int run_chat(struct args *a, struct xv_client *c)
{
	struct talk t = {.args = a, .client = c, .messages = json_array()};
	int code;

	talk_catch_interrupt();
	if (a->system)
		talk_add(&t, "system", a->system, strlen(a->system));
	if (a->once) {
		code = once(&t);
	} else {
		t.terminal = terminal_open(talk_complete);
		t.person = terminal_is_tty(t.terminal);
		code = a->text && a->text_len ? cli_exit_code(turn(&t, a->text)) : 0;
		if (!code)
			code = converse(&t);
		terminal_close(t.terminal);
	}
	json_decref(t.messages);
	json_decref(t.open);
	return code;
}
