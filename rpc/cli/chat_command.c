/* chat_command.c - the commands inside of `xverse chat`. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file/file.h"
#include "base/json/json.h"
#include "base/similar.h"
#include "rpc/cli/chat_command.h"
#include "rpc/cli/options.h"

static const char help[] =
	"/reset             forget the conversation (the system text stays)\n"
	"/system [TEXT]     set the system text and begin anew; alone: without one\n"
	"/regen             another answer to the last question\n"
	"/undo              take back the last question and its answer\n"
	"/save FILE         write the conversation as JSON\n"
	"/load FILE         go on with one that was saved\n"
	"/set [NAME VALUE]  an option such as temperature 0.5 (or default); alone: those set\n"
	"/show [prompt]     the conversation; prompt: the text and tokens that the model would get\n"
	"/tool TEXT         the result of a call that the model asked for; the last one has it answer\n"
	"/stats             tokens and speed of the last answer\n"
	"/exit              end (also Ctrl-D)\n";

static void say(const char *text)
{
	cli_say("%s\n", text);
}

static void reset(struct talk *t, const char *rest)
{
	json_t *first = json_array_get(t->messages, 0);
	const char *role = json_string_value(json_object_get(first, "role"));
	bool system = role && !strcmp(role, "system");

	(void)rest;
	while (json_array_size(t->messages) > system)
		talk_drop(t);
	say("[a new conversation]");
}

static void set_system(struct talk *t, const char *rest)
{
	json_array_clear(t->messages);
	if (*rest)
		talk_add(t, "system", rest, strlen(rest));
	say(*rest ? "[system text set, a new conversation]" : "[no system text, a new conversation]");
}

static void regenerate(struct talk *t, const char *rest)
{
	struct why why = {""};
	json_t *before = NULL;
	int err;

	(void)rest;
	if (!strcmp(talk_last_role(t), "assistant")) {
		before = json_incref(json_array_get(t->messages, json_array_size(t->messages) - 1));
		talk_drop(t);
	}
	if (strcmp(talk_last_role(t), "user")) {
		say("[there is no question yet]");
		json_decref(before);
		return;
	}
	t->again++;
	err = talk_answer(t, &why);
	if (err)
		say(why.text);
	if (err && before && !strcmp(talk_last_role(t), "user"))
		json_array_append(t->messages, before); /* the answer there was */
	json_decref(before);
}

static void result(struct talk *t, const char *rest)
{
	struct why why = {""};

	if (!talk_result(t, rest))
		say("[no call waits for a result]");
	else if (!json_array_size(t->open) && talk_answer(t, &why))
		say(why.text);
}

static void undo(struct talk *t, const char *rest)
{
	bool some = false;

	(void)rest;
	while (!strcmp(talk_last_role(t), "assistant"))
		talk_drop(t);
	if (!strcmp(talk_last_role(t), "user")) {
		talk_drop(t);
		some = true;
	}
	say(some ? "[the last question is taken back]" : "[there is nothing to take back]");
}

static void save(struct talk *t, const char *rest)
{
	json_t *j = json_pack("{s:O}", "messages", t->messages);

	if (!*rest)
		say("[not saved: /save needs a file]");
	else if (json_dump_file(j, rest, JSON_INDENT(1)))
		cli_say("[not saved: %s: %s]\n", rest, file_error(rest, errno));
	else
		cli_say("[saved to %s]\n", rest);
	json_decref(j);
}

/* NULL: not the messages of a conversation. Text with a NUL cannot be sent. */
static json_t *conversation_of(const struct json *messages)
{
	json_t *all = json_is(messages, JSON_IS_LIST) ? json_array() : NULL;
	const struct json *m;

	for (size_t i = 0; all && (m = json_at(messages, i)); i++) {
		const struct json *role = json_get(m, "role"), *content = json_get(m, "content");

		if (json_str(role) && json_str(content) && strlen(json_str(role)) == json_len(role) &&
		    strlen(json_str(content)) == json_len(content)) {
			json_array_append_new(
				all, json_pack("{s:s, s:s}", "role", json_str(role), "content", json_str(content)));
			continue;
		}
		json_decref(all);
		all = NULL;
	}
	return all;
}

static void load(struct talk *t, const char *rest)
{
	struct why why = {"/load needs a file"};
	struct json_doc *doc = NULL;
	int err = *rest ? json_read_file(&doc, rest, FILE_CONFIG, &why) : ERR_INVALID;
	json_t *messages = conversation_of(json_get(json_root(doc), "messages"));

	if (!err && !messages)
		fail(&why, ERR_FORMAT, "the messages are not those of a conversation");
	json_close(doc);
	if (!messages) {
		cli_say("[not loaded: %s]\n", why.text);
		return;
	}
	json_decref(t->messages);
	t->messages = messages;
	cli_say("[%zu messages]\n", json_array_size(messages));
}

static void set(struct talk *t, const char *rest)
{
	char name[64] = "";
	const char *value = rest + strcspn(rest, " ");
	struct why why = {""};

	if (!*rest) {
		args_show(t->args, stderr);
		return;
	}
	snprintf(name, sizeof name, "%.*s", (int)(value - rest), rest);
	value += strspn(value, " ");
	if (!strcmp(value, "default") ? args_unset(t->args, "chat", name, &why)
				      : args_set(t->args, "chat", name, value, &why))
		say(why.text);
}

static void say_ids(const int32_t *ids, int n)
{
	size_t len;
	char *all = NULL;
	FILE *out = open_memstream(&all, &len);

	if (!out)
		die("out of memory for a list of tokens");
	fprintf(out, "\n[%d tokens:", n);
	for (int i = 0; i < n; i++)
		fprintf(out, " %d", ids[i]);
	fprintf(out, "]\n");
	fclose(out);
	cli_put(STDERR_FILENO, all, len);
	free(all);
}

static void show_prompt(struct talk *t)
{
	struct xv_request r = {.kind = XV_TEMPLATE, .chat = talk_request(t)};
	struct xv_reply reply;
	struct why why = {""};

	r.chat.sampling = (struct xv_sampling){0};
	r.chat.add_generation_prompt = !strcmp(talk_last_role(t), "user");
	if (cli_ask(t->client, &r, &reply, &why)) {
		say(why.text);
	} else {
		cli_write(reply.rendered.text, reply.rendered.text_len);
		say_ids(reply.rendered.ids, reply.rendered.n_ids);
	}
	free((void *)(uintptr_t)r.chat.messages);
}

static void show(struct talk *t, const char *rest)
{
	json_t *m;
	size_t i;

	if (!strcmp(rest, "prompt")) {
		show_prompt(t);
		return;
	}
	json_array_foreach(t->messages, i, m) cli_print("%s: %s\n", json_string_value(json_object_get(m, "role")),
							json_string_value(json_object_get(m, "content")));
	fflush(stdout);
}

static void stats(struct talk *t, const char *rest)
{
	(void)rest;
	if (t->last.reason)
		talk_say_end(&t->last);
	else
		say("[there is no answer yet]");
}

static void leave(struct talk *t, const char *rest)
{
	(void)rest;
	t->over = true;
}
static void tell(struct talk *t, const char *rest)
{
	(void)t, (void)rest;
	fputs(help, stderr);
}

static const struct chat_command {
	const char *name;
	void (*run)(struct talk *t, const char *rest);
} commands[] = {{"/reset", reset}, {"/system", set_system}, {"/regen", regenerate}, {"/undo", undo}, {"/tool", result},
		{"/save", save},   {"/load", load},         {"/set", set},          {"/show", show}, {"/stats", stats},
		{"/exit", leave},  {"/quit", leave},        {"/help", tell}};
enum { N_COMMANDS = sizeof commands / sizeof *commands };

static void unknown(const char *name)
{
	struct similar like = {.given = name};
	const char *best;

	for (int i = 0; i < N_COMMANDS; i++)
		similar_try(&like, commands[i].name);
	best = similar_name(&like);
	cli_say("[there is no command %s%s%s%s; /help lists them]\n", name, best ? "; did you mean " : "",
		best ? best : "", best ? "?" : "");
}

bool talk_command(struct talk *t, const char *line)
{
	size_t len = strcspn(line, " \n");
	const char *rest = line + len + strspn(line + len, " \n");
	char name[64];

	if (line[0] != '/')
		return false;
	snprintf(name, sizeof name, "%.*s", (int)len, line);
	for (int i = 0; i < N_COMMANDS; i++)
		if (!strcmp(commands[i].name, name)) {
			commands[i].run(t, rest);
			return true;
		}
	unknown(name);
	return true;
}

/* The i-th option that /set takes. */
static const char *settable(int i)
{
	const struct command *chat = command_find("chat");
	const struct option *o;

	for (int k = 0; (o = option_at(k)); k++)
		if ((o->of & chat->bit) && (o->field >= 0 || o->kind == STOPS || o->kind == BIASES || o->kind == IDS) &&
		    !i--)
			return o->name;
	return NULL;
}

/* The line begins with `command`, and nothing but blanks follows up to `at`. */
static bool is_first_word(const char *line, const char *command, size_t at)
{
	size_t len = strlen(command);

	return !strncmp(line, command, len) && len + strspn(line + len, " ") >= at;
}

const char *talk_complete(const char *line, size_t len, int i, size_t *from)
{
	*from = len;
	while (*from && line[*from - 1] != ' ')
		--*from;
	if (!len || line[0] != '/')
		return NULL;
	if (!*from)
		return i < N_COMMANDS ? commands[i].name : NULL;
	if (is_first_word(line, "/set ", *from))
		return settable(i);
	return is_first_word(line, "/show ", *from) && !i ? "prompt" : NULL;
}
