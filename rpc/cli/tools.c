#include "rpc/cli/tools.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file/file.h"
#include "base/json/json.h"

int tools_read(struct args *a, const char *path, struct why *why)
{
	struct why inner;
	struct json_error e;
	struct json_doc *doc;
	bool list;
	size_t len;
	int err = file_read(path, FILE_CONFIG, &a->tools_json, &len, &inner);

	if (err)
		return fail(why, ERR_INVALID, "--tools: %.400s", inner.text);
	doc = json_read(a->tools_json, len, &json_of_files, &e);
	if (!doc) {
		json_why(&inner, &e, path);
		return fail(why, ERR_INVALID, "--tools: %.400s", inner.text);
	}
	list = json_is(json_root(doc), JSON_IS_LIST) && strlen(a->tools_json) == len;
	json_close(doc);
	return list ? 0 : fail(why, ERR_INVALID, "--tools: %s must hold a list of tools", path);
}

void tools_finish(struct args *a)
{
	free(a->tools_json);
}

void tools_ask(const struct args *a, struct xv_chat *chat)
{
	static const char *const words[] = {"auto", "none", "required"};

	chat->tools_json = a->tools_json ? a->tools_json : "";
	chat->tool_choice = chat->tool_name = "";
	if (!a->tool_choice)
		return;
	for (int i = 0; i < 3; i++)
		if (!strcmp(a->tool_choice, words[i])) {
			chat->tool_choice = words[i];
			return;
		}
	chat->tool_name = a->tool_choice;
}

/* ---- an answer ---- */

static void close_call(struct tools_answer *t)
{
	size_t n = json_array_size(t->calls);

	if (n)
		json_object_set_new(json_array_get(t->calls, n - 1), "arguments",
				    json_text(t->arguments.data ? t->arguments.data : "", t->arguments.len));
	t->arguments.len = 0;
}

static void sink(void *arg, enum tools_kind kind, int call, const char *s, size_t n)
{
	struct tools_answer *t = arg;

	(void)call;
	switch (kind) {
	case TOOLS_CONTENT:
		text_put(&t->text, s, n);
		break;
	case TOOLS_REASONING:
		text_put(&t->reasoning, s, n);
		break;
	case TOOLS_CALL:
		close_call(t);
		if (!t->calls)
			t->calls = json_array();
		json_array_append_new(t->calls, json_pack("{s:o}", "name", json_text(s, n)));
		break;
	case TOOLS_ARGUMENTS:
		text_put(&t->arguments, s, n);
		break;
	}
}

void tools_answer_begin(struct tools_answer *t, const struct args *a, const struct xv_started *s)
{
	struct json_error e;
	struct tools_how how = {
		.calls = s->tool_parser, .reasoning = s->reasoning_parser, .reasoning_open = s->reasoning_open};

	if (t->parser)
		return; /* a resumed answer starts once more */
	if (a->tools_json && !t->doc)
		t->doc = json_read(a->tools_json, strlen(a->tools_json), &json_of_files, &e);
	how.tools = json_root(t->doc);
	t->parser = tools_create(&how, sink, t);
}

void tools_answer_take(struct tools_answer *t, const char *s, size_t n)
{
	if (t->parser)
		tools_feed(t->parser, s, n);
	else
		text_put(&t->text, s, n);
}

void tools_answer_end(struct tools_answer *t)
{
	if (t->parser)
		tools_end(t->parser);
	close_call(t);
}

void tools_answer_finish(struct tools_answer *t)
{
	tools_destroy(t->parser);
	json_close(t->doc);
	json_decref(t->calls);
	text_finish(&t->text);
	text_finish(&t->reasoning);
	text_finish(&t->arguments);
}

json_t *tools_answer_calls(const struct tools_answer *t)
{
	json_t *all = json_array(), *call;
	size_t i;
	char id[16];

	json_array_foreach(t->calls, i, call)
	{
		snprintf(id, sizeof id, "call%05zu",
			 i % 100000); /* nine characters, which Mistral's templates ask for */
		json_array_append_new(all,
				      json_pack("{s:s, s:s, s:O}", "id", id, "type", "function", "function", call));
	}
	return all;
}
