/* chat.c - encodes a conversation through its format. */
#include <stdlib.h>
#include <string.h>
#include "engine/chat/inside.h"
#include "base/utf8.h"

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
const struct chat_form *chat_tools(const struct chat *c)
{
	bool shown = c->tools.renders_tools || c->all.renders_tools;

	return c->calls ? c->calls : chat_form_tools(shown ? "json" : "hermes");
}
const struct chat_form *chat_reasoning(const struct chat *c)
{
	return c->reasoning;
}
void chat_close(struct chat *c)
{
	if (!c)
		return;
	template_free(c->all.template);
	template_free(c->tools.template);
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

static int read_turn(const struct chat *c, const json_t *messages, size_t i, struct chat_turn *t, struct why *why)
{
	const json_t *m = json_array_get(messages, i), *content = json_object_get(m, "content");

	*t = (struct chat_turn){.role = json_string_value(json_object_get(m, "role")), .first = i == 0};
	if (!has_role(c->format->roles, t->role))
		return fail(why, ERR_INVALID, "messages[%zu]: the role '%.40s' is not one of the format '%s':%s", i,
			    t->role, c->name, c->format->roles);
	if (!strcmp(t->role, "system") && i && !c->format->system_later)
		return fail(why, ERR_INVALID,
			    "messages[%zu]: in the format '%s' a system message can only be the first", i, c->name);
	t->content = json_is_string(content) ? json_string_value(content) : "";
	t->len = json_string_length(content);
	return 0;
}

/* Formats that were trained on rounds accept nothing else. before: the last turn that is not the system's, or NULL. */
static int check_order(const struct chat *c, const struct chat_turn *t, const struct chat_turn *before, size_t i,
		       struct why *why)
{
	bool assistant = !strcmp(t->role, "assistant");

	if (assistant && !before)
		return fail(why, ERR_INVALID, "messages[%zu]: an assistant message cannot come first", i);
	if (before && !strcmp(c->name, "llama-2") && assistant == !strcmp(before->role, "assistant"))
		return fail(why, ERR_INVALID, "messages[%zu]: user and assistant must alternate", i);
	return 0;
}

static int encode_format(const struct chat *c, const struct chat_input *in, const json_t *messages, struct build *b)
{
	size_t n = json_array_size(messages);
	struct chat_turn t, before = {0};
	int err = 0;

	if (!n)
		return fail(b->why, ERR_INVALID, "messages must not be empty");
	if (json_array_size(in->documents))
		return fail(b->why, ERR_UNSUPPORTED, "the chat format '%s' supports no documents", c->name);
	for (size_t i = 0; i < n && !err; i++) {
		err = read_turn(c, messages, i, &t, b->why);
		if (!err)
			err = check_order(c, &t, before.role ? &before : NULL, i, b->why);
		if (err)
			break;
		if (!i && c->format->begin)
			c->format->begin(b, &t);
		t.last = i + 1 == n && in->add_generation_prompt;
		c->format->turn(b, &t);
		if (strcmp(t.role, "system"))
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

static bool is_blank(const json_t *text)
{
	const char *s = json_string_value(text);
	size_t len = json_string_length(text);
	int n;

	for (size_t i = 0; i < len; i += (size_t)n)
		if (!char_is_space(utf8_get(s + i, &n)))
			return false;
	return true;
}

static bool says_nothing(const json_t *content)
{
	for (size_t i = 0; i < json_array_size(content); i++)
		if (!is_blank(json_object_get(json_array_get(content, i), "text")))
			return false;
	return is_blank(content);
}

static bool is_role(const json_t *messages, size_t i, const char *role)
{
	return !strcmp(json_string_value(json_object_get(json_array_get(messages, i), "role")), role);
}

/* Says whether a template may leave out message i. It may forget what assistants and tools said, and earlier questions.
 * A system message belongs to a question in last place, and some templates show it only then. */
static bool may_leave_out(const json_t *messages, size_t i)
{
	size_t n = json_array_size(messages), last = n;

	while (last && !is_role(messages, last - 1, "user"))
		last--;
	if (is_role(messages, i, "system") || is_role(messages, i, "developer"))
		return last < n;
	return is_role(messages, i, "assistant") || is_role(messages, i, "tool") ||
	       (is_role(messages, i, "user") && i + 1 < last);
}

/* Refuses a rendering that lacks the question or the rules to follow: the answer would be a wrong one. */
static int check_rendered(const json_t *messages, const struct template_output *out, struct why *why)
{
	size_t n = json_array_size(messages), lost = n;
	bool any = false;

	for (size_t i = 0; i < n; i++) {
		uint8_t origin = template_content_origin(i, n);

		any |= out->seen[origin] || origin == ORIGIN_SAID;
		if (out->seen[origin] || origin == ORIGIN_SAID ||
		    says_nothing(json_object_get(json_array_get(messages, i), "content")))
			continue;
		lost = i;
		if (!may_leave_out(messages, i))
			break;
	}
	if (lost == n || (any && may_leave_out(messages, lost)))
		return 0;
	return fail(why, ERR_INVALID, "messages[%zu]: the chat template does not render what the role '%.40s' says",
		    lost, json_string_value(json_object_get(json_array_get(messages, lost), "role")));
}

static json_t *variables(const struct chat_input *in, json_t *messages)
{
	json_t *said = json_object();

	if (json_is_object(in->args))
		json_object_update(said, (json_t *)(uintptr_t)in->args);
	json_object_set(said, "messages", messages);
	json_object_set_new(said, "tools", in->tools ? json_incref((json_t *)(uintptr_t)in->tools) : json_null());
	json_object_set_new(said, "documents",
			    in->documents ? json_incref((json_t *)(uintptr_t)in->documents) : json_null());
	json_object_set_new(said, "add_generation_prompt", json_boolean(in->add_generation_prompt));
	return said;
}

static int render(const struct chat *c, const struct shaped *with, const struct chat_input *in,
		  struct template_output *out, struct why *why)
{
	json_t *messages, *said;
	struct template_input input = {.own = c->own};
	int err = shape_messages(with, in->messages, &messages, why);

	if (!err) {
		input.said = said = variables(in, messages);
		err = template_render(with->template, &input, out, why);
		json_decref(said);
	}
	if (!err && (err = check_rendered(messages, out, why)))
		template_output_free(out);
	json_decref(messages);
	return err;
}

static const struct shaped *with_template(const struct chat *c, const struct chat_input *in)
{
	return json_array_size(in->tools) && c->tools.template ? &c->tools : &c->all;
}

static int encode_template(const struct chat *c, const struct chat_input *in, struct ids *ids, struct chat_text *text,
			   struct why *why)
{
	struct template_output out;
	int err;

	if (json_array_size(in->tools) && c->no_tool_template.text[0])
		return fail(why, ERR_UNSUPPORTED, "%s", c->no_tool_template.text);
	err = render(c, with_template(c, in), in, &out, why);
	if (err)
		return err;
	err = encode_pieces(c->tokenizer, out.piece, out.n, ids, why);
	if (!err && text) {
		*text = (struct chat_text){out.text, out.len};
		out.text = NULL;
	}
	template_output_free(&out);
	return err;
}

static int encode(const struct chat *c, const struct chat_input *in, struct ids *ids, struct chat_text *text,
		  struct why *why)
{
	struct build b = {.chat = c, .t = c->tokenizer, .ids = ids, .why = why};
	json_t *messages;
	int err;

	if (!c->format)
		return encode_template(c, in, ids, text, why);
	err = shape_messages(&c->all, in->messages, &messages, why);
	if (!err)
		err = encode_format(c, in, messages, &b);
	json_decref(messages);
	if (!err && text) {
		*text = (struct chat_text){heap_take(b.len + 1, 1), b.len};
		if (text->s)
			memcpy(text->s, b.text, b.len);
		else
			err = effort_check(why);
	}
	build_finish(&b);
	return err;
}

/* Each must be an object; what a function lacks beyond its name the words leave out. */
static int check_tools(const json_t *tools, struct why *why)
{
	for (size_t i = 0; i < json_array_size(tools); i++)
		if (!json_is_object(json_array_get(tools, i)))
			return fail(why, ERR_INVALID, "tools[%zu] must be an object", i);
	return 0;
}

static int check_messages(const json_t *messages, struct why *why)
{
	for (size_t i = 0; i < json_array_size(messages); i++)
		if (!json_is_object(json_array_get(messages, i)))
			return fail(why, ERR_INVALID, "messages[%zu] must be an object", i);
	return 0;
}

int chat_encode(const struct chat *c, const struct chat_input *in, struct ids *ids, struct chat_text *text,
		struct why *why)
{
	struct chat_input words = *in;
	json_t *messages;
	int err;

	if (!json_array_size(in->tools) || with_template(c, in)->renders_tools || c->no_tool_template.text[0])
		return encode(c, in, ids, text, why);
	err = check_tools(in->tools, why);
	if (!err)
		err = check_messages(in->messages, why);
	if (err)
		return err;
	messages = form_messages(in->form ? in->form : chat_tools(c), in->messages, in->tools);
	words.messages = messages;
	words.tools = NULL;
	err = encode(c, &words, ids, text, why);
	json_decref(messages);
	return err;
}
