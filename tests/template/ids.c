/* ids.c FOLDER [FORMAT] - what a conversation becomes: one JSON object a line on standard input, {"messages": [...],
 * "tools": [...], "args": {...}, "open": add_generation_prompt}, one a line on standard output: {"ids": [...], "text":
 * ...} or {"error": code name, "why": ...}. The first line of the output names the format, or says why there is none.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/chat/chat.h"

static json_t *refusal(int err, const struct why *why)
{
	return json_pack("{s:s, s:s}", "error", err_name(err), "why", why->text);
}

static json_t *answer(const struct chat *chat, const json_t *in)
{
	struct chat_input how = {.messages = json_object_get(in, "messages"),
				 .tools = json_object_get(in, "tools"),
				 .args = json_object_get(in, "args"),
				 .add_generation_prompt = json_is_true(json_object_get(in, "open"))};
	struct ids ids = {0};
	struct chat_text text = {NULL, 0};
	struct why why = {""};
	int err = chat_encode(chat, &how, &ids, &text, &why);
	json_t *list = json_array(), *reply;

	for (int i = 0; !err && i < ids.n; i++)
		json_array_append_new(list, json_integer(ids.id[i]));
	reply = err ? refusal(err, &why) : json_pack("{s:O, s:o}", "ids", list, "text", json_stringn(text.s, text.len));
	json_decref(list);
	ids_finish(&ids);
	free(text.s);
	return reply;
}

static void put(json_t *j)
{
	json_dumpf(j, stdout, JSON_COMPACT);
	putchar('\n');
	fflush(stdout);
	json_decref(j);
}

int main(int argc, char **argv)
{
	struct tokenizer *t = NULL;
	struct chat *chat = NULL;
	struct why why = {""};
	char *line = NULL;
	size_t max = 0;
	int err = argc < 2 ? ERR_INVALID : tokenizer_open(&t, argv[1], &why);

	if (!err)
		err = chat_open(&chat, argv[1], argc > 2 ? argv[2] : NULL, t, &why);
	put(err ? refusal(err, &why) : json_pack("{s:s}", "format", chat_name(chat)));
	while (!err && getline(&line, &max, stdin) > 0) {
		json_t *in = json_loads(line, JSON_ALLOW_NUL, NULL);
		put(answer(chat, in));
		json_decref(in);
	}
	free(line);
	chat_close(chat);
	tokenizer_close(t);
	return err != 0;
}
