/* responses_input.c - items of a conversation become messages. Reasoning, text and calls of one turn of the assistant
 * are items of their own in this API, and one message in a chat. */
#include "rpc/gateway/api/responses_input.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"

struct conversation {
	struct json_doc *doc;
	struct json messages;
	struct text system;      /* what stands before the first message of others: one message */
	bool begun;              /* there is such a message */
	bool answered;           /* a turn of the assistant is being gathered: */
	struct json said, calls; /* its content, and its calls */
	struct text reasoning;   /* before it, or of it */
	struct why *why;
};

static struct json text_value(struct conversation *c, const char *s)
{
	return json_make_text(c->doc, s, strlen(s));
}

static void set_text(struct conversation *c, struct json *object, const char *key, const char *s)
{
	json_set(c->doc, object, key, text_value(c, s));
}

/* ---- content ---- */

/* Returns the text of a part, or NULL with the reason. */
static const struct json *part_text(struct conversation *c, const struct json *part, size_t item, size_t i)
{
	static const char *const types[] = {"input_text", "output_text", "text", "summary_text", "reasoning_text"};
	const char *type = json_str(json_get(part, "type"));
	const struct json *text = json_get(part, "text");

	for (size_t k = 0; type && k < sizeof types / sizeof *types; k++)
		if (!strcmp(type, types[k]) && json_str(text))
			return text;
	if (type && !strcmp(type, "refusal") && json_str(json_get(part, "refusal")))
		return json_get(part, "refusal");
	if (type && json_str(text))
		fail(c->why, ERR_INVALID, "input[%zu]: part %zu has the type \"%.40s\", but only text is supported",
		     item, i, type);
	else if (type && strstr(type, "text"))
		fail(c->why, ERR_INVALID, "input[%zu]: part %zu has no text", item, i);
	else
		fail(c->why, ERR_INVALID,
		     "input[%zu]: part %zu must be an object of type input_text or output_text, not %.40s", item, i,
		     type ? type : json_kind_name(part));
	return NULL;
}

/* A list of one part is its text, a longer one a list of parts of a chat. */
static int read_content(struct conversation *c, const struct json *v, size_t item, struct json *out)
{
	*out = json_make_list();
	if (json_str(v)) {
		*out = *v;
		return 0;
	}
	if (!json_is(v, JSON_IS_LIST))
		return fail(c->why, ERR_INVALID, "input[%zu]: its text must be a string or a list of parts, not %s",
			    item, json_kind_name(v));
	for (size_t i = 0; i < json_size(v); i++) {
		const struct json *text = part_text(c, json_at(v, i), item, i);
		struct json part;
		if (!text)
			return ERR_INVALID;
		if (json_size(v) == 1) {
			*out = *text;
			return 0;
		}
		part = json_make_object(c->doc);
		set_text(c, &part, "type", "text");
		json_set(c->doc, &part, "text", *text);
		json_add(c->doc, out, part);
	}
	if (!json_size(v))
		*out = text_value(c, "");
	return 0;
}

static void gather_text(struct text *t, const struct json *content, const char *between)
{
	if (t->len && json_len(content))
		text_str(t, between);
	if (json_str(content))
		text_put(t, json_str(content), json_len(content));
	for (size_t i = 0; i < json_size(content); i++) {
		const struct json *text = json_get(json_at(content, i), "text");
		if (t->len && !i)
			text_str(t, between);
		text_put(t, json_str(text), json_len(text));
	}
}

/* ---- turns ---- */

static void add_message(struct conversation *c, const char *role, struct json content)
{
	struct json m = json_make_object(c->doc);

	set_text(c, &m, "role", role);
	json_set(c->doc, &m, "content", content);
	json_add(c->doc, &c->messages, m);
}

/* Many templates take one system message only, at the start. */
static void end_system(struct conversation *c)
{
	if (!c->begun && c->system.len)
		add_message(c, "system", json_make_text(c->doc, c->system.data, c->system.len));
	c->begun = true;
}

/* Reasoning that no answer followed is left out: templates have no place for it. */
static void end_turn(struct conversation *c)
{
	struct json m;

	end_system(c);
	if (c->answered) {
		m = json_make_object(c->doc);
		set_text(c, &m, "role", "assistant");
		json_set(c->doc, &m, "content", c->said);
		if (c->reasoning.len)
			json_set(c->doc, &m, "reasoning_content",
				 json_make_text(c->doc, c->reasoning.data, c->reasoning.len));
		if (json_size(&c->calls))
			json_set(c->doc, &m, "tool_calls", c->calls);
		json_add(c->doc, &c->messages, m);
	}
	c->answered = false;
	c->said = json_make_null();
	c->calls = json_make_list();
	c->reasoning.len = 0;
}

static void begin_answer(struct conversation *c)
{
	end_system(c);
	c->answered = true;
}

/* ---- items ---- */

static int add_answer(struct conversation *c, struct json content)
{
	if (c->answered)
		end_turn(c);
	begin_answer(c);
	c->said = content;
	return 0;
}

static int read_message(struct conversation *c, const struct json *v, size_t item)
{
	const char *role = json_str(json_get(v, "role"));
	struct json content;
	int err;

	if (!role ||
	    (strcmp(role, "user") && strcmp(role, "assistant") && strcmp(role, "system") && strcmp(role, "developer")))
		return fail(c->why, ERR_INVALID,
			    "input[%zu].role must be user, assistant, system or developer, not %.40s", item,
			    role ? role : json_kind_name(json_get(v, "role")));
	err = read_content(c, json_get(v, "content"), item, &content);
	if (err)
		return err;
	if (!strcmp(role, "assistant"))
		return add_answer(c, content);
	if (!c->begun && strcmp(role, "user") != 0) {
		gather_text(&c->system, &content, "\n\n");
		return 0;
	}
	end_turn(c);
	add_message(c, role, content);
	return 0;
}

/* Returns a member that must be a string; NULL with the reason. */
static const struct json *member_text(struct conversation *c, const struct json *v, size_t item, const char *name)
{
	const struct json *s = json_get(v, name);

	if (json_str(s))
		return s;
	fail(c->why, ERR_INVALID, "input[%zu].%s must be a string, not %s", item, name, json_kind_name(s));
	return NULL;
}

static int read_call(struct conversation *c, const struct json *v, size_t item)
{
	const struct json *id = member_text(c, v, item, "call_id"), *name = id ? member_text(c, v, item, "name") : NULL,
			  *arguments = name ? member_text(c, v, item, "arguments") : NULL;
	struct json call, f;

	if (!arguments)
		return ERR_INVALID;
	if (!c->answered)
		begin_answer(c);
	f = json_make_object(c->doc);
	json_set(c->doc, &f, "name", *name);
	json_set(c->doc, &f, "arguments", *arguments);
	call = json_make_object(c->doc);
	json_set(c->doc, &call, "id", *id);
	set_text(c, &call, "type", "function");
	json_set(c->doc, &call, "function", f);
	json_add(c->doc, &c->calls, call);
	return 0;
}

static int read_result(struct conversation *c, const struct json *v, size_t item)
{
	const struct json *id = member_text(c, v, item, "call_id");
	struct json content, m;
	int err = id ? read_content(c, json_get(v, "output"), item, &content) : ERR_INVALID;

	if (err)
		return err;
	end_turn(c);
	m = json_make_object(c->doc);
	set_text(c, &m, "role", "tool");
	json_set(c->doc, &m, "tool_call_id", *id);
	json_set(c->doc, &m, "content", content);
	json_add(c->doc, &c->messages, m);
	return 0;
}

/* A summary is not what the model thought. Encrypted reasoning is another server's. */
static int read_reasoning(struct conversation *c, const struct json *v, size_t item)
{
	const struct json *content = json_get(v, "content");
	struct json text;
	int err = json_none(content) ? 0 : read_content(c, content, item, &text);

	if (err)
		return err;
	if (c->answered)
		end_turn(c);
	if (!json_none(content))
		gather_text(&c->reasoning, &text, "\n");
	return 0;
}

static int refuse_item(struct conversation *c, const struct json *v, const char *type, size_t item)
{
	if (!json_is(v, JSON_IS_OBJECT))
		return fail(c->why, ERR_INVALID, "input[%zu] must be an object, not %s", item, json_kind_name(v));
	if (!strcmp(type, "item_reference"))
		return fail(c->why, ERR_INVALID,
			    "input[%zu]: item_reference is not supported: no response is stored; send the item itself",
			    item);
	return fail(c->why, ERR_INVALID, "input[%zu]: items of the type \"%.40s\" are not supported", item, type);
}

static int read_item(struct conversation *c, const struct json *v, size_t item)
{
	const char *type = json_str(json_get(v, "type"));

	if (!type && !json_none(json_get(v, "type")))
		return fail(c->why, ERR_INVALID, "input[%zu].type must be a string, not %s", item,
			    json_kind_name(json_get(v, "type")));
	type = type ? type : "message";
	if (json_is(v, JSON_IS_OBJECT) && !strcmp(type, "message"))
		return read_message(c, v, item);
	if (!strcmp(type, "function_call"))
		return read_call(c, v, item);
	if (!strcmp(type, "function_call_output"))
		return read_result(c, v, item);
	if (!strcmp(type, "reasoning"))
		return read_reasoning(c, v, item);
	return refuse_item(c, v, type, item);
}

static int read_input(struct conversation *c, const struct json *body, const char **param)
{
	const struct json *instructions = json_get(body, "instructions"), *input = json_get(body, "input");
	int err = 0;

	*param = "instructions";
	if (!json_none(instructions) && !json_str(instructions))
		return fail(c->why, ERR_INVALID, "instructions must be a string, not %s", json_kind_name(instructions));
	if (json_str(instructions))
		gather_text(&c->system, instructions, "");
	*param = "input";
	if (json_str(input)) {
		end_turn(c);
		add_message(c, "user", *input);
		return 0;
	}
	if (!json_is(input, JSON_IS_LIST) || !json_size(input))
		return fail(c->why, ERR_INVALID, "input must be a string or a non-empty list of items, not %s",
			    json_is(input, JSON_IS_LIST) ? "an empty list" : json_kind_name(input));
	for (size_t i = 0; !err && i < json_size(input); i++)
		err = read_item(c, json_at(input, i), i);
	if (!err)
		end_turn(c);
	return err;
}

/* ---- tools ---- */

/* In this API what says a function stands beside its type. */
static int add_tool(struct json_doc *doc, struct json *list, const struct json *v, size_t i, struct why *why)
{
	static const char *const keys[] = {"name", "description", "parameters", "strict"};
	const char *type = json_str(json_get(v, "type"));
	struct json tool = json_make_object(doc), f = json_make_object(doc);

	if (!json_is(v, JSON_IS_OBJECT))
		return fail(why, ERR_INVALID, "tools[%zu] must be an object, not %s", i, json_kind_name(v));
	if (!type || strcmp(type, "function") != 0)
		return fail(why, ERR_INVALID, "tools[%zu].type: \"%.40s\" is not supported: only function is", i,
			    type ? type : "");
	if (!json_str(json_get(v, "name")))
		return fail(why, ERR_INVALID, "tools[%zu].name must be a string beside type, not %s", i,
			    json_kind_name(json_get(v, "name")));
	for (size_t k = 0; k < sizeof keys / sizeof *keys; k++)
		if (!json_none(json_get(v, keys[k])))
			json_set(doc, &f, keys[k], *json_get(v, keys[k]));
	json_set(doc, &tool, "type", json_make_text(doc, "function", 8));
	json_set(doc, &tool, "function", f);
	json_add(doc, list, tool);
	return 0;
}

static int read_tools(struct json_doc *doc, struct json *chat, const struct json *tools, struct why *why)
{
	struct json list = json_make_list();
	int err = 0;

	if (json_none(tools))
		return 0;
	if (!json_is(tools, JSON_IS_LIST))
		return fail(why, ERR_INVALID, "tools must be a list, not %s", json_kind_name(tools));
	for (size_t i = 0; !err && i < json_size(tools); i++)
		err = add_tool(doc, &list, json_at(tools, i), i, why);
	json_set(doc, chat, "tools", list);
	return err;
}

static int read_tool_choice(struct json_doc *doc, struct json *chat, const struct json *v, struct why *why)
{
	const char *type = json_str(json_get(v, "type"));
	struct json choice, f;

	if (json_none(v))
		return 0;
	if (!json_is(v, JSON_IS_OBJECT)) {
		json_set(doc, chat, "tool_choice", *v);
		return 0;
	}
	if (!type || strcmp(type, "function") != 0 || !json_str(json_get(v, "name")))
		return fail(
			why, ERR_INVALID,
			"tool_choice: the type \"%.40s\" is not supported: use {\"type\": \"function\", \"name\": ...}",
			type ? type : "");
	f = json_make_object(doc);
	json_set(doc, &f, "name", *json_get(v, "name"));
	choice = json_make_object(doc);
	json_set(doc, &choice, "type", json_make_text(doc, "function", 8));
	json_set(doc, &choice, "function", f);
	json_set(doc, chat, "tool_choice", choice);
	return 0;
}

static int read_effort(struct json_doc *doc, struct json *chat, const struct json *reasoning, struct why *why)
{
	const struct json *effort = json_get(reasoning, "effort");

	if (!json_none(reasoning) && !json_is(reasoning, JSON_IS_OBJECT))
		return fail(why, ERR_INVALID, "reasoning must be an object, not %s", json_kind_name(reasoning));
	if (!json_none(effort) && !json_str(effort))
		return fail(why, ERR_INVALID, "reasoning.effort must be a string, not %s", json_kind_name(effort));
	if (effort)
		json_set(doc, chat, "reasoning_effort", *effort);
	return 0;
}

static int read_all(struct conversation *c, struct json *chat, const struct json *body, const char **param)
{
	static const char *const same[] = {"parallel_tool_calls", "documents", "chat_template_kwargs"};
	int err = read_input(c, body, param);

	if (err)
		return err;
	json_set(c->doc, chat, "messages", c->messages);
	err = read_tools(c->doc, chat, json_get(body, *param = "tools"), c->why);
	if (!err)
		err = read_tool_choice(c->doc, chat, json_get(body, *param = "tool_choice"), c->why);
	if (!err)
		err = read_effort(c->doc, chat, json_get(body, *param = "reasoning"), c->why);
	for (size_t i = 0; i < sizeof same / sizeof *same; i++)
		if (json_get(body, same[i]))
			json_set(c->doc, chat, same[i], *json_get(body, same[i]));
	return err;
}

int api_responses_to_chat(struct json_doc **out, const struct json *body, const char **param, struct why *why)
{
	struct conversation c = {.doc = json_new(),
				 .messages = json_make_list(),
				 .said = json_make_null(),
				 .calls = json_make_list(),
				 .why = why};
	struct json chat = json_make_object(c.doc);
	int err = read_all(&c, &chat, body, param);

	json_set_root(c.doc, chat);
	text_finish(&c.system);
	text_finish(&c.reasoning);
	*out = c.doc;
	return err;
}
