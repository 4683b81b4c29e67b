#include "rpc/gateway/chat.h"

#include <stdlib.h>
#include <string.h>

#include "rpc/gateway/text.h"

static const char *own(struct chat_input *in, char *s)
{
	in->owned = xgrow(in->owned, (size_t)in->n_owned + 1, sizeof *in->owned);
	return in->owned[in->n_owned++] = s;
}

/* A string without NUL, of at most `most` bytes; NULL: it is not. */
static const char *plain(const json_t *v, size_t most)
{
	const char *s = json_string_value(v);

	return s && strlen(s) == json_string_length(v) && strlen(s) <= most ? s : NULL;
}

static int add_part(struct text *all, const json_t *part, int i, struct why *why)
{
	const char *type = json_string_value(json_object_get(part, "type"));
	const char *s = json_is_string(part) ? plain(part, SIZE_MAX) : plain(json_object_get(part, "text"), SIZE_MAX);

	if (type && strcmp(type, "text"))
		return fail(why, ERR_INVALID, "messages: entry %d has a part of type %.40s; only text is supported", i, type);
	if (!s)
		return fail(why, ERR_INVALID, "messages: entry %d has a part without text", i);
	text_str(all, s);
	return 0;
}

/* A text, or a list of parts whose texts are put together; absent and null are "". */
static int read_content(struct chat_input *in, struct rpc_message *m, const json_t *v, int i, struct why *why)
{
	struct text all = {0};
	const char *s = v && !json_is_null(v) ? plain(v, SIZE_MAX) : "";
	int err = 0;

	if (s || !json_is_array(v)) {
		m->content = s;
		m->content_len = s ? strlen(s) : 0;
		return s ? 0 : fail(why, ERR_INVALID, "messages: entry %d: content is no text", i);
	}
	text_put(&all, "", 0);
	for (size_t k = 0; !err && k < json_array_size(v); k++)
		err = add_part(&all, json_array_get(v, k), i, why);
	m->content_len = all.len;
	m->content = own(in, all.data);
	return err;
}

/* What else a message has (tool calls, their ids, ...) goes to the template as it is. */
static void read_rest(struct chat_input *in, struct rpc_message *m, json_t *v)
{
	json_t *rest = json_copy(v);

	json_object_del(rest, "role");
	json_object_del(rest, "content");
	json_object_del(rest, "name");
	if (json_object_size(rest))
		m->json = own(in, json_dumps(rest, JSON_COMPACT));
	json_decref(rest);
}

static int read_message(struct chat_input *in, struct rpc_message *m, json_t *v, int i, struct why *why)
{
	const json_t *name = json_object_get(v, "name");

	*m = (struct rpc_message){.role = plain(json_object_get(v, "role"), RPC_MAX_NAME_BYTES), .name = "", .json = ""};
	if (!json_is_object(v) || !m->role || !*m->role)
		return fail(why, ERR_INVALID, "messages: entry %d is no object with a role", i);
	if (name && !json_is_null(name) && !(m->name = plain(name, RPC_MAX_NAME_BYTES)))
		return fail(why, ERR_INVALID, "messages: entry %d: name is no text of at most %d bytes", i,
			    RPC_MAX_NAME_BYTES);
	read_rest(in, m, v);
	return read_content(in, m, json_object_get(v, "content"), i, why);
}

static int read_messages(struct chat_input *in, const json_t *list, struct why *why)
{
	size_t n = json_array_size(list);
	int err = 0;

	if (!n)
		return fail(why, ERR_INVALID, "messages: a list, not empty, is wanted");
	if (n > RPC_MAX_MESSAGES)
		return fail(why, ERR_INVALID, "messages: %zu; at most %d are taken", n, RPC_MAX_MESSAGES);
	in->message = xalloc(n, sizeof *in->message);
	for (size_t i = 0; !err && i < n; i++)
		err = read_message(in, &in->message[i], json_array_get(list, i), (int)i, why);
	in->chat.messages = in->message;
	in->chat.n_messages = (int)n;
	return err;
}

/* A list or an object, as JSON text; "" where absent, null or empty. */
static int read_json(struct chat_input *in, json_t *body, const char *name, json_type type, const char **out,
		     struct why *why)
{
	const json_t *v = json_object_get(body, name);

	*out = "";
	if (!v || json_is_null(v))
		return 0;
	if (json_typeof(v) != type)
		return fail(why, ERR_INVALID, "%s: %s is wanted", name, type == JSON_ARRAY ? "a list" : "an object");
	if (json_array_size(v) || json_object_size(v))
		*out = own(in, json_dumps(v, JSON_COMPACT));
	return 0;
}

/* A template from outside would run with the server's rights: not even in disguise. */
static int check_kwargs(const json_t *body, struct why *why)
{
	if (json_object_get(json_object_get(body, "chat_template_kwargs"), "chat_template"))
		return fail(why, ERR_INVALID, "chat_template_kwargs: chat_template is not supported");
	return 0;
}

static int read_generation_prompt(struct chat_input *in, const json_t *body, struct why *why)
{
	const json_t *v = json_object_get(body, "add_generation_prompt");

	in->chat.add_generation_prompt = !json_is_false(v);
	if (v && !json_is_null(v) && !json_is_boolean(v))
		return fail(why, ERR_INVALID, "add_generation_prompt: true or false is wanted");
	return 0;
}

int chat_read(struct chat_input *in, json_t *body, const char **param, struct why *why)
{
	struct rpc_chat *c = &in->chat;
	int err;

	c->user = "";
	*param = "messages";
	err = read_messages(in, json_object_get(body, "messages"), why);
	if (!err)
		err = read_json(in, body, *param = "tools", JSON_ARRAY, &c->tools_json, why);
	if (!err)
		err = read_json(in, body, *param = "documents", JSON_ARRAY, &c->documents_json, why);
	if (!err)
		err = read_json(in, body, *param = "chat_template_kwargs", JSON_OBJECT, &c->args_json, why);
	if (!err)
		err = check_kwargs(body, why);
	if (!err) {
		*param = "add_generation_prompt";
		err = read_generation_prompt(in, body, why);
	}
	return err;
}

void chat_finish(struct chat_input *in)
{
	for (int i = 0; i < in->n_owned; i++)
		free(in->owned[i]);
	free(in->owned);
	free(in->message);
	*in = (struct chat_input){0};
}
