#include "rpc/gateway/api/chat.h"

#include <stdlib.h>
#include <string.h>

#include "rpc/gateway/api/request.h"
#include "rpc/gateway/api/tools.h"

static const char *own(struct api_chat *in, char *s, size_t len)
{
	in->owned = xgrow(in->owned, (size_t)in->n_owned + 1, sizeof *in->owned);
	in->bytes += len + sizeof *in->owned;
	return in->owned[in->n_owned++] = s;
}

static const char *own_copy(struct api_chat *in, const char *s, size_t len)
{
	char *copy = xalloc(len + 1, 1);

	memcpy(copy, s, len);
	return own(in, copy, len);
}

static const char *own_json(struct api_chat *in, const struct json *v, const char *const *without)
{
	size_t len;
	char *s = json_write(v, without, &len);

	return own(in, s, len);
}

/* Returns a copy of a short string; NULL if the value is something else, or holds a NUL. */
static const char *read_name(struct api_chat *in, const struct json *v)
{
	const char *s = json_str(v);
	size_t len = json_len(v);

	return s && strlen(s) == len && len <= RPC_MAX_NAME_BYTES ? own_copy(in, s, len) : NULL;
}

/* ---- parts ---- */

static bool is_one_of(const char *s, const char *const *list)
{
	for (; *list; list++)
		if (!strcmp(s, *list))
			return true;
	return false;
}

/* Returns the text of a part. OpenAI's clients send an assistant's refusal back, whose text is under another key. */
static const struct json *text_of(const struct json *part, const char *type)
{
	return json_get(part, !strcmp(type, "refusal") ? "refusal" : "text");
}

/* Appends a part as templates expect it: {"type": "text", "text": ...} and its other keys. */
static int add_part(struct json_doc *doc, struct json *list, const struct json *part, int i, char ignored[512],
		    struct why *why)
{
	static const char *const types[] = {"text", "input_text", "output_text", "refusal", NULL};
	static const char *const taken[] = {"type", "text", "refusal", NULL};
	const char *type = json_none(json_get(part, "type")) ? "text" : json_str(json_get(part, "type"));
	const struct json *text = json_str(part) ? part : text_of(part, type ? type : "");
	const struct json_member *m;
	struct json made = json_make_object(doc);

	if (!type || !is_one_of(type, types))
		return fail(why, ERR_INVALID, "messages: entry %d has a part of type %.40s; only text is supported", i,
			    type ? type : "?");
	if (!json_str(text))
		return fail(why, ERR_INVALID, "messages: entry %d has a part without text", i);
	json_set(doc, &made, "type", json_make_text(doc, "text", 4));
	json_set(doc, &made, "text", *text);
	for (size_t k = 0; (m = json_member(part, k)); k++) {
		if (strlen(m->key) != m->key_len || is_one_of(m->key, taken))
			continue;
		json_set(doc, &made, m->key, m->value);
		api_note_ignored(ignored, "messages.content.", m->key);
	}
	json_add(doc, list, made);
	return 0;
}

/* A list of parts stays a list, since the model's template decides what it means. It travels in the message's JSON. */
static int read_parts(struct json_doc *doc, struct json *rest, const struct json *parts, int i, char ignored[512],
		      struct why *why)
{
	struct json list = json_make_list();
	int err = 0;

	for (size_t k = 0; !err && k < json_size(parts); k++)
		err = add_part(doc, &list, json_at(parts, k), i, ignored, why);
	json_set(doc, rest, "content", list);
	return err;
}

/* ---- messages ---- */

/* Refuses keys that would change the answer if they were supported. */
static int check_message(const struct json *v, int i, char ignored[512], struct why *why)
{
	static const char *const refused[] = {"prefix", "partial", "audio", NULL};
	static const char *const known[] = {"role",         "content",
					    "name",         "tool_calls",
					    "tool_call_id", "function_call",
					    "refusal",      "reasoning_content",
					    "reasoning",    "thinking",
					    "prefix",       "partial",
					    "audio",        NULL};
	const struct json_member *m;

	for (size_t k = 0; (m = json_member(v, k)); k++) {
		if (strlen(m->key) != m->key_len)
			continue;
		if (is_one_of(m->key, refused) && !json_none(&m->value) &&
		    !(json_is(&m->value, JSON_IS_BOOL) && !json_yes(&m->value)))
			return fail(why, ERR_INVALID, "messages: entry %d: %s is not supported", i, m->key);
		if (!is_one_of(m->key, known))
			api_note_ignored(ignored, "messages.", m->key);
	}
	return api_tools_check_message(v, i, why);
}

static int read_content(struct api_chat *in, struct xv_message *m, struct json_doc *doc, struct json *rest,
			const struct json *v, int i, char ignored[512], struct why *why)
{
	if (!v)
		return 0;
	if (json_str(v)) {
		m->content = own_copy(in, json_str(v), json_len(v));
		m->content_len = json_len(v);
		return 0;
	}
	if (json_none(v)) {
		json_set(doc, rest, "content", json_make_null());
		return 0;
	}
	if (!json_is(v, JSON_IS_LIST))
		return fail(why, ERR_INVALID,
			    "messages: entry %d: content must be a string, a list of parts or null, not %s", i,
			    json_kind_name(v));
	return read_parts(doc, rest, v, i, ignored, why);
}

/* The other keys of a message (tool calls, their ids, ...) reach the template unchanged. */
static void copy_rest(struct json_doc *doc, struct json *rest, const struct json *v)
{
	static const char *const own_fields[] = {"role", "content", "name", NULL};
	const struct json_member *m;

	for (size_t k = 0; (m = json_member(v, k)); k++)
		if (strlen(m->key) == m->key_len && !is_one_of(m->key, own_fields))
			json_set(doc, rest, m->key, m->value);
}

static int read_message(struct api_chat *in, struct xv_message *m, const struct json *v, int i, char ignored[512],
			struct why *why)
{
	const struct json *name = json_get(v, "name");
	struct json_doc *doc;
	struct json rest;
	int err;

	*m = (struct xv_message){.role = read_name(in, json_get(v, "role")), .name = "", .json = ""};
	if (!json_is(v, JSON_IS_OBJECT) || !m->role || !*m->role)
		return fail(why, ERR_INVALID, "messages: entry %d must be an object with a role", i);
	if (!json_none(name) && !(m->name = read_name(in, name)))
		return fail(why, ERR_INVALID, "messages: entry %d: name must be a string of at most %d bytes", i,
			    RPC_MAX_NAME_BYTES);
	err = check_message(v, i, ignored, why);
	if (err)
		return err;
	doc = json_new();
	rest = json_make_object(doc);
	copy_rest(doc, &rest, v);
	err = read_content(in, m, doc, &rest, json_get(v, "content"), i, ignored, why);
	if (!err && json_size(&rest))
		m->json = own_json(in, &rest, NULL);
	json_close(doc);
	return err;
}

static int read_messages(struct api_chat *in, const struct json *list, char ignored[512], struct why *why)
{
	size_t n = json_size(list);
	int err = 0;

	if (!n || !json_is(list, JSON_IS_LIST))
		return fail(why, ERR_INVALID, "messages must be a non-empty list");
	if (n > RPC_MAX_MESSAGES)
		return fail(why, ERR_INVALID, "messages: %zu entries, at most %d are allowed", n, RPC_MAX_MESSAGES);
	in->message = xalloc(n, sizeof *in->message);
	in->bytes += n * sizeof *in->message;
	for (size_t i = 0; !err && i < n; i++)
		err = read_message(in, &in->message[i], json_at(list, i), (int)i, ignored, why);
	in->chat.messages = in->message;
	in->chat.n_messages = (int)n;
	return err;
}

/* Writes a list or an object as JSON text; "" if it is absent, null or empty. */
static int read_json(struct api_chat *in, const struct json *body, const char *name, enum json_kind kind,
		     const char **out, struct why *why)
{
	const struct json *v = json_get(body, name);

	*out = "";
	if (json_none(v))
		return 0;
	if (!json_is(v, kind))
		return fail(why, ERR_INVALID, "%s must be %s, not %s", name,
			    kind == JSON_IS_LIST ? "a list" : "an object", json_kind_name(v));
	if (json_size(v))
		*out = own_json(in, v, NULL);
	return 0;
}

/* An effort reaches templates under the name that they know, unless the arguments have it themselves. */
static void add_effort(struct api_chat *in, const struct json *given, const struct json *effort)
{
	struct json_doc *doc = json_new();
	struct json all = json_make_object(doc);
	const struct json_member *m;

	json_set(doc, &all, "reasoning_effort", *effort);
	for (size_t k = 0; (m = json_member(given, k)); k++)
		if (strlen(m->key) == m->key_len)
			json_set(doc, &all, m->key, m->value);
	in->chat.args_json = own_json(in, &all, NULL);
	json_close(doc);
}

/* A client's template would run in the daemon: it is refused among the arguments as well. */
static int read_arguments(struct api_chat *in, const struct json *body, const char **param, struct why *why)
{
	const struct json *given = json_get(body, "chat_template_kwargs"), *effort = json_get(body, "reasoning_effort");
	int err = read_json(in, body, *param = "chat_template_kwargs", JSON_IS_OBJECT, &in->chat.args_json, why);

	if (!err && json_get(given, "chat_template"))
		err = fail(why, ERR_INVALID, "chat_template_kwargs: chat_template is not supported");
	if (err || json_none(effort))
		return err;
	*param = "reasoning_effort";
	if (!json_str(effort))
		return fail(why, ERR_INVALID, "reasoning_effort must be a string, not %s", json_kind_name(effort));
	add_effort(in, given, effort);
	return 0;
}

static int read_generation_prompt(struct api_chat *in, const struct json *body, struct why *why)
{
	const struct json *v = json_get(body, "add_generation_prompt");

	in->chat.add_generation_prompt = json_none(v) || json_yes(v);
	if (!json_none(v) && !json_is(v, JSON_IS_BOOL))
		return fail(why, ERR_INVALID, "add_generation_prompt must be true or false, not %s", json_kind_name(v));
	return 0;
}

static int read_tools(struct api_chat *in, const struct json *body, const char **param, struct why *why)
{
	char *name;
	int err = api_tools_read(&in->chat, &name, body, param, why);

	if (name)
		own(in, name, strlen(name));
	if (err)
		return err;
	return read_json(in, body, *param = "tools", JSON_IS_LIST, &in->chat.tools_json, why);
}

int api_chat_read(struct api_chat *in, const struct json *body, char ignored[512], const char **param, struct why *why)
{
	struct xv_chat *c = &in->chat;
	int err;

	c->user = "";
	*param = "messages";
	err = read_messages(in, json_get(body, "messages"), ignored, why);
	if (!err)
		err = read_tools(in, body, param, why);
	if (!err)
		err = read_json(in, body, *param = "documents", JSON_IS_LIST, &c->documents_json, why);
	if (!err)
		err = read_arguments(in, body, param, why);
	if (!err) {
		*param = "add_generation_prompt";
		err = read_generation_prompt(in, body, why);
	}
	return err;
}

void api_chat_finish(struct api_chat *in)
{
	for (int i = 0; i < in->n_owned; i++)
		free(in->owned[i]);
	free(in->owned);
	free(in->message);
	*in = (struct api_chat){0};
}
