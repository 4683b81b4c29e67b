/* forms.c - how a model writes calls of tools and reasoning, and tools for formats that know none. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "engine/chat/forms.h"

static const struct chat_form forms[] = {
#define TOOLS(NAME, name, others, sign, mark, mark2, end, end2, sep, ...) \
	{name, others, sign, mark2, {mark, mark2, end, end2, sep}, {__VA_ARGS__}},
#define REASONING(NAME, name, others, begin, end) {name, others, end, NULL, {begin, end}, {NULL}},
#include "proto/tools.def"
};
enum {
#define TOOLS(...) +1
	N_TOOLS = 0
#include "proto/tools.def"
	,
	N_FORMS = sizeof forms / sizeof *forms
};

static const struct chat_form *by_name(const char *name, int from, int to)
{
	char key[48];

	snprintf(key, sizeof key, " %.40s ", name);
	for (int i = from; i < to; i++)
		if (!strcmp(forms[i].name, name) || (!strchr(name, ' ') && strstr(forms[i].others, key)))
			return &forms[i];
	return NULL;
}

static const struct chat_form *by_source(const char *source, int from, int to)
{
	for (int i = from; source && i < to; i++)
		if (forms[i].sign && strstr(source, forms[i].sign) &&
		    (!forms[i].sign2 || strstr(source, forms[i].sign2)))
			return &forms[i];
	return NULL;
}

const struct chat_form *chat_form_tools(const char *name)
{
	return by_name(name, 0, N_TOOLS);
}

const struct chat_form *chat_form_reasoning(const char *name)
{
	return by_name(name, N_TOOLS, N_FORMS);
}

const struct chat_form *form_of_calls(const char *source)
{
	return by_source(source, 0, N_TOOLS);
}

const struct chat_form *form_of_reasoning(const char *source)
{
	return by_source(source, N_TOOLS, N_FORMS);
}

/* ---- tools in words, for formats that know none ---- */

static const struct chat_form *spelled(const struct chat_form *form)
{
	return form && form->write[CHAT_BEGIN] ? form : chat_form_tools("hermes");
}

static void put_json(struct text *t, const json_t *v)
{
	char *s = json_dumps(v, JSON_ENCODE_ANY);

	text_str(t, s ? s : "");
	free(s);
}

/* The words are those that Hermes and Qwen models were trained with, around the form's own way to write a call. */
static void put_tools(struct text *t, const struct chat_form *form, const json_t *tools)
{
	text_str(t, "# Tools\n\nYou may call one or more functions to assist with the user query.\n\n"
		    "You are provided with function signatures within <tools></tools> XML tags:\n<tools>");
	for (size_t i = 0; i < json_array_size(tools); i++) {
		text_str(t, "\n");
		put_json(t, json_array_get(tools, i));
	}
	text_str(t, "\n</tools>\n\nFor each function call, answer with the function's name and its arguments, a JSON "
		    "object, in this form:\n");
	text_fmt(t, "%s%s<function-name>%s<args-json-object>%s%s", form->write[CHAT_OPEN], form->write[CHAT_BEGIN],
		 form->write[CHAT_MIDDLE], form->write[CHAT_CLOSE_CALL], form->write[CHAT_CLOSE]);
}

static void put_content(struct text *t, const json_t *content)
{
	if (json_is_string(content))
		text_put(t, json_string_value(content), json_string_length(content));
	for (size_t i = 0; i < json_array_size(content); i++) {
		const json_t *part = json_array_get(content, i),
			     *s = json_is_string(part) ? part : json_object_get(part, "text");
		if (i)
			text_str(t, "\n");
		text_put(t, json_is_string(s) ? json_string_value(s) : "", json_string_length(s));
	}
}

static void put_calls(struct text *t, const struct chat_form *form, const json_t *calls)
{
	for (size_t i = 0; i < json_array_size(calls); i++) {
		const json_t *call = json_array_get(calls, i), *f = json_object_get(call, "function"), *args;
		const char *name = json_string_value(json_object_get(f ? f : call, "name"));

		text_str(t, i ? form->write[CHAT_BETWEEN] : t->len ? "\n" : "");
		text_fmt(t, "%s%s%s%s", i ? "" : form->write[CHAT_OPEN], form->write[CHAT_BEGIN], name ? name : "",
			 form->write[CHAT_MIDDLE]);
		args = json_object_get(f ? f : call, "arguments");
		if (json_is_string(args))
			text_str(t, json_string_length(args) ? json_string_value(args) : "{}");
		else
			put_json(t, args);
		text_str(t, form->write[CHAT_CLOSE_CALL]);
	}
	text_str(t, json_array_size(calls) ? form->write[CHAT_CLOSE] : "");
}

static json_t *message_of(const char *role, struct text *t)
{
	json_t *m = json_pack("{s:s, s:o}", "role", role, "content", json_stringn(t->data ? t->data : "", t->len));

	text_finish(t);
	return m;
}

static bool has_role(const json_t *m, const char *role)
{
	const char *s = json_string_value(json_object_get(m, "role"));

	return s && !strcmp(s, role);
}

/* Calls and results become texts of assistant and user. */
static json_t *in_words(const struct chat_form *form, json_t *m)
{
	struct text t = {0};

	if (has_role(m, "tool")) {
		text_str(&t, "<tool_response>\n");
		put_content(&t, json_object_get(m, "content"));
		text_str(&t, "\n</tool_response>");
		return message_of("user", &t);
	}
	if (!has_role(m, "assistant") || !json_array_size(json_object_get(m, "tool_calls")))
		return json_incref(m);
	put_content(&t, json_object_get(m, "content"));
	put_calls(&t, form, json_object_get(m, "tool_calls"));
	return message_of("assistant", &t);
}

/* Results that follow each other are one message: many formats want user and assistant to take turns. */
static void append_turn(json_t *list, json_t *m, bool result, bool after_result)
{
	json_t *last = json_array_get(list, json_array_size(list) - 1);
	struct text t = {0};

	if (!result || !after_result) {
		json_array_append_new(list, m);
		return;
	}
	put_content(&t, json_object_get(last, "content"));
	text_str(&t, "\n");
	put_content(&t, json_object_get(m, "content"));
	json_object_set_new(last, "content", json_stringn(t.data, t.len));
	text_finish(&t);
	json_decref(m);
}

json_t *form_messages(const struct chat_form *form, const json_t *messages, const json_t *tools)
{
	json_t *list = json_array(), *first = json_array_get(messages, 0), *m;
	bool system = has_role(first, "system") || has_role(first, "developer"), after = false;
	struct text t = {0};

	form = spelled(form);
	if (system)
		put_content(&t, json_object_get(first, "content"));
	text_str(&t, t.len ? "\n\n" : "");
	put_tools(&t, form, tools);
	json_array_append_new(list, message_of("system", &t));
	for (size_t i = system; i < json_array_size(messages); i++) {
		m = json_array_get(messages, i);
		append_turn(list, in_words(form, m), has_role(m, "tool"), after);
		after = has_role(m, "tool");
	}
	return list;
}
