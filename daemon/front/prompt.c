#include "daemon/front/prompt.h"

#include "engine/template/template.h"

#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

size_t front_prompt_size(const struct xv_chat *said)
{
	size_t n = strlen(said->tools_json) + strlen(said->documents_json) + strlen(said->args_json);

	for (int i = 0; i < said->n_messages; i++)
		n += said->messages[i].content_len + strlen(said->messages[i].json) + 64;
	return n;
}

/* JSON holds UTF-8 only: each other byte becomes U+FFFD, as in the tokenizer. */
static json_t *clean_text(const char *s, size_t len)
{
	json_t *j = json_stringn(s, len);
	size_t n = 0;
	char *out;

	if (j)
		return j;
	out = heap_grow(NULL, len * 3 + 1, 1);
	if (!out)
		return NULL;
	for (size_t i = 0, k; i < len; i += k ? k : 1) {
		k = (size_t)utf8_char(s + i, len - i);
		memcpy(out + n, k ? s + i : "\xef\xbf\xbd", k ? k : 3);
		n += k ? k : 3;
	}
	j = json_stringn_nocheck(out, n);
	free(out);
	return j;
}

/* Sets *out to NULL where the text is empty. */
static int read_json(const char *text, const char *name, bool object, json_t **out, struct why *why)
{
	int err;

	*out = NULL;
	err = *text ? template_read_json(out, text, strlen(text), name, why) : 0;
	if (err || !*out)
		return err;
	if (object ? json_is_object(*out) : json_is_array(*out))
		return 0;
	json_decref(*out);
	*out = NULL;
	return fail(why, ERR_INVALID, "%s must be %s", name, object ? "an object" : "a list");
}

/* Keys of the message's own JSON come first. Role and content of the fields replace them, an empty content only where
 * the JSON has none. */
static int add_message(json_t *list, const struct xv_message *from, int i, struct why *why)
{
	char name[40];
	json_t *m;
	int err;

	snprintf(name, sizeof name, "messages[%d].json", i);
	err = read_json(from->json, name, true, &m, why);
	if (err)
		return err;
	if (!m)
		m = json_object();
	json_object_set_new(m, "role", json_string(from->role));
	if (from->content_len || (from->content && !json_object_get(m, "content")))
		json_object_set_new(m, "content", clean_text(from->content, from->content_len));
	if (*from->name)
		json_object_set_new(m, "name", json_string(from->name));
	json_array_append_new(list, m);
	return 0;
}

static bool is_object(const json_t *arguments)
{
	const char *s = json_string_value(arguments);
	struct why why;
	json_t *parsed = NULL;
	bool ok = !s || !s[strspn(s, " \t\r\n")] ||
		  (!template_read_json(&parsed, s, json_string_length(arguments), "arguments", &why) &&
		   json_is_object(parsed));

	json_decref(parsed);
	return ok;
}

/* A template that failed may have wanted the arguments of a call, which models do not always finish. */
static int blame_arguments(const json_t *messages, int err, struct why *why)
{
	struct why whole = *why;
	json_t *m, *call;
	size_t i, k;

	json_array_foreach(messages, i, m) json_array_foreach(json_object_get(m, "tool_calls"), k, call) if (
		!is_object(json_object_get(
			json_object_get(call, "function"),
			"arguments"))) return fail(why, err,
						   "messages[%zu].tool_calls[%zu].function.arguments are no JSON object, as the "
						   "chat template may need: %.300s",
						   i, k, whole.text);
	return err;
}

int front_prompt_encode(const struct chat *chat, const struct xv_chat *said, const struct chat_form *form,
			struct ids *ids, struct chat_text *text, struct why *why)
{
	json_t *messages = json_array(), *tools = NULL, *documents = NULL, *args = NULL;
	int err = 0;

	for (int i = 0; i < said->n_messages && !err; i++)
		err = add_message(messages, &said->messages[i], i, why);
	if (!err)
		err = read_json(said->tools_json, "tools_json", false, &tools, why);
	if (!err)
		err = read_json(said->documents_json, "documents_json", false, &documents, why);
	if (!err)
		err = read_json(said->args_json, "template_args_json", true, &args, why);
	if (!err)
		err = effort_check(why);
	if (!err) {
		struct chat_input in = {messages, tools, form, documents, args, said->add_generation_prompt};
		err = chat_encode(chat, &in, ids, text, why);
		if (err == ERR_INVALID)
			err = blame_arguments(messages, err, why);
	}
	json_decref(messages);
	json_decref(tools);
	json_decref(documents);
	json_decref(args);
	return err;
}
