/* chat.c - a conversation through its format. */
#include <stdlib.h>
#include <string.h>
#include "engine/chat/inside.h"

const char *chat_name(const struct chat *c)
{
	return c->name;
}
int chat_stop_ids(const struct chat *c, const int32_t **ids)
{
	*ids = c->stop_ids;
	return c->n_stop_ids;
}
int chat_stop_strings(const struct chat *c, const char *const **strings)
{
	*strings = c->format ? c->format->stop : NULL;
	return c->n_stop;
}
void chat_close(struct chat *c)
{
	if (!c)
		return;
	template_free(c->template);
	template_free(c->tool_template);
	json_decref(c->own);
	free(c->name);
	free(c);
}

static bool has_role(const char *roles, const char *role)
{
	size_t len = strlen(role);

	for (const char *at = roles; len && (at = strstr(at, role)); at += len)
		if (at[-1] == ' ' && at[len] == ' ' && !strchr(role, ' '))
			return true;
	return false;
}

static int read_turn(const struct chat *c, const json_t *messages, size_t i, struct turn *t, struct why *why)
{
	const json_t *m = json_array_get(messages, i), *content = json_object_get(m, "content");

	*t = (struct turn){.role = json_string_value(json_object_get(m, "role")), .first = i == 0};
	if (!t->role)
		return fail(why, ERR_INVALID, "messages[%zu]: it has no role", i);
	if (!json_is_string(content))
		return fail(why, ERR_INVALID, "messages[%zu]: its content is no text", i);
	if (!has_role(c->format->roles, t->role))
		return fail(why, ERR_INVALID, "messages[%zu]: the role '%.40s' is none of the format '%s':%s", i, t->role, c->name,
			    c->format->roles);
	if (!strcmp(t->role, "system") && i)
		return fail(why, ERR_INVALID, "messages[%zu]: a system message can only be the first", i);
	t->content = json_string_value(content);
	t->len = json_string_length(content);
	return 0;
}

/* Formats that were trained on rounds take nothing else. */
static int check_order(const struct chat *c, const struct turn *t, const struct turn *before, size_t i, struct why *why)
{
	bool assistant = !strcmp(t->role, "assistant"), follows = before && strcmp(before->role, "system");

	if (assistant && !follows)
		return fail(why, ERR_INVALID, "messages[%zu]: an assistant speaks first", i);
	if (follows && !strcmp(c->name, "llama-2") && assistant == !strcmp(before->role, "assistant"))
		return fail(why, ERR_INVALID, "messages[%zu]: user and assistant must alternate", i);
	return 0;
}

static int encode_format(const struct chat *c, const struct chat_input *in, struct build *b)
{
	size_t n = json_array_size(in->messages);
	struct turn t, before;
	int err = 0;

	if (!n)
		return fail(b->why, ERR_INVALID, "messages: empty");
	if (json_array_size(in->tools) || json_array_size(in->documents))
		return fail(b->why, ERR_UNSUPPORTED, "the chat format '%s' knows neither tools nor documents", c->name);
	for (size_t i = 0; i < n && !err; i++) {
		err = read_turn(c, in->messages, i, &t, b->why);
		if (!err)
			err = check_order(c, &t, i ? &before : NULL, i, b->why);
		if (err)
			break;
		if (!i && c->format->begin)
			c->format->begin(b, &t);
		t.last = i + 1 == n && in->add_generation_prompt;
		c->format->turn(b, &t);
		before = t;
	}
	if (!err && in->add_generation_prompt && strcmp(t.role, "assistant")) {
		if (c->format->open)
			c->format->open(b, &t);
	} else if (!err && in->add_generation_prompt) {
		err = fail(b->why, ERR_INVALID, "the last message is the assistant's: there is nothing to answer");
	}
	build_cut(b);
	return err ? err : b->err;
}

static int encode_template(const struct chat *c, const struct chat_input *in, struct ids *ids, char **text, struct why *why)
{
	json_t *said = json_object();
	struct template_input input = {.own = c->own, .said = said};
	struct template_output out;
	bool tools = json_array_size(in->tools) > 0;
	int err;

	if (tools && c->no_tool_template.text[0]) {
		json_decref(said);
		return fail(why, ERR_UNSUPPORTED, "%s", c->no_tool_template.text);
	}
	if (json_is_object(in->args))
		json_object_update(said, (json_t *)(uintptr_t)in->args);
	json_object_set(said, "messages", (json_t *)(uintptr_t)in->messages);
	json_object_set_new(said, "tools", in->tools ? json_incref((json_t *)(uintptr_t)in->tools) : json_null());
	json_object_set_new(said, "documents", in->documents ? json_incref((json_t *)(uintptr_t)in->documents) : json_null());
	json_object_set_new(said, "add_generation_prompt", json_boolean(in->add_generation_prompt));
	err = template_render(tools && c->tool_template ? c->tool_template : c->template, &input, &out, why);
	if (!err)
		err = encode_pieces(c->tokenizer, out.piece, out.n, ids, why);
	if (!err && text) {
		*text = out.text;
		out.text = NULL;
	}
	template_output_free(&out);
	json_decref(said);
	return err;
}

int chat_encode(const struct chat *c, const struct chat_input *in, struct ids *ids, char **text, struct why *why)
{
	struct build b = {.chat = c, .t = c->tokenizer, .ids = ids, .why = why};
	int err;

	if (!c->format)
		return encode_template(c, in, ids, text, why);
	err = encode_format(c, in, &b);
	if (!err && text) {
		*text = xalloc(b.len + 1, 1);
		memcpy(*text, b.text, b.len);
	}
	build_finish(&b);
	return err;
}
