/* shape.c - brings messages into the shape that a format accepts: contents as strings or lists of parts, arguments as
 * objects, known roles.
 *
 * What a template accepts is found by rendering small conversations when it is opened: reading its syntax tree would
 * miss contents that pass through macros, filters and variables. */
#include <string.h>
#include "engine/chat/inside.h"

static const char *const roles[] = {"user", "system", "assistant", "tool"};
enum { USER, SYSTEM, ASSISTANT, TOOL };

static int role_of(const char *role)
{
	for (int i = 0; i < N_ROLES; i++)
		if (role && !strcmp(role, roles[i]))
			return i;
	return USER;
}

static json_t *text_part(json_t *text)
{
	return json_pack("{s:s, s:o}", "type", "text", "text", text);
}

/* ---- what a template accepts ---- */

static const char first_text[] = "4071", second_text[] = "9352";

/* form: 0 a string, 1 a list of one part, 2 a list of two. */
static json_t *trial_content(int form)
{
	if (!form)
		return json_string(first_text);
	if (form == 1)
		return json_pack("[o]", text_part(json_string(first_text)));
	return json_pack("[o, o]", text_part(json_string(first_text)), text_part(json_string(second_text)));
}

static void add_turn(json_t *list, int role, json_t *content)
{
	json_array_append_new(list, json_pack("{s:s, s:o}", "role", roles[role], "content", content));
}

static void add_tool_turns(json_t *list, json_t *content)
{
	json_array_append_new(list, json_pack("{s:s, s:s, s:[{s:s, s:s, s:{s:s, s:{s:s}}}]}", "role", "assistant",
					      "content", "", "tool_calls", "id", "call00001", "type", "function",
					      "function", "name", "f", "arguments", "a", "b"));
	json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:o}", "role", "tool", "tool_call_id", "call00001",
					      "name", "f", "content", content));
}

/* Builds a conversation in which a message of that role has the content, at place *at. Other messages have texts in the
 * form that the user's have. */
static json_t *trial(const struct shaped *s, int role, int form, bool system_first, size_t *at)
{
	bool wrap = !s->takes[USER].text && (s->takes[USER].parts || s->takes[USER].part);
	json_t *list = json_array(), *content = trial_content(form);

	if (system_first)
		add_turn(list, SYSTEM, trial_content(wrap));
	if (role != USER && role != SYSTEM)
		add_turn(list, USER, trial_content(wrap));
	if (role == TOOL)
		add_tool_turns(list, content);
	else
		add_turn(list, role, content);
	*at = json_array_size(list) - 1;
	if (role == SYSTEM || role == ASSISTANT)
		add_turn(list, USER, trial_content(wrap));
	return list;
}

static json_t *trial_tools(void)
{
	return json_pack("[{s:s, s:{s:s, s:s, s:{s:s, s:{s:{s:s, s:s}}}}}]", "type", "function", "function", "name",
			 "f", "description", "f", "parameters", "type", "object", "properties", "a", "type", "string",
			 "description", "a");
}

/* Says whether all of the content appears as text. *raised: the template refuses the conversation. */
static bool renders(const struct shaped *s, json_t *own, int role, int form, bool system_first, bool *raised)
{
	size_t at;
	json_t *messages = trial(s, role, form, system_first, &at);
	json_t *said = json_pack("{s:o, s:o, s:n, s:b}", "messages", messages, "tools",
				 s->with_tools ? trial_tools() : json_null(), "documents", "add_generation_prompt", 1);
	struct template_input in = {.own = own, .said = said};
	struct template_output out;
	struct why why;
	bool ok;

	*raised = template_render(s->template, &in, &out, &why) != 0;
	ok = !*raised && out.seen[template_content_origin(at, json_array_size(messages))] && !out.seen[ORIGIN_KEY];
	if (ok)
		ok = strstr(out.text, first_text) && (form < 2 || strstr(out.text, second_text));
	if (!*raised)
		template_output_free(&out);
	json_decref(said);
	return ok;
}

static void learn_role(struct shaped *s, json_t *own, int role)
{
	struct takes *t = &s->takes[role];
	bool answered = false, raised;

	for (int system_first = 0; system_first < (role == SYSTEM ? 1 : 2) && !answered; system_first++) {
		bool *form[] = {&t->text, &t->part, &t->parts};

		for (int i = 0; i < 3; i++) {
			*form[i] = renders(s, own, role, i, system_first, &raised);
			answered |= *form[i];
		}
	}
	if (!answered)
		*t = role == USER ? (struct takes){.text = true} : s->takes[USER];
}

/* Renders a conversation with a tool; false: the template refuses it. */
static bool render_trial(const struct shaped *s, json_t *own, json_t *messages, json_t *tools,
			 struct template_output *out)
{
	json_t *said = json_pack("{s:o, s:o, s:n, s:b}", "messages", messages, "tools", tools, "documents",
				 "add_generation_prompt", 1);
	struct template_input in = {.own = own, .said = said};
	struct why why;
	bool ok = !template_render(s->template, &in, out, &why);

	json_decref(said);
	return ok;
}

/* Whether a tool's name is shown, with a system message or without. */
static void learn_tools(struct shaped *s, json_t *own)
{
	for (int system_first = 0; system_first < 2 && !s->renders_tools; system_first++) {
		json_t *tools = trial_tools();
		struct template_output out;
		size_t at;

		json_object_set_new(json_object_get(json_array_get(tools, 0), "function"), "name",
				    json_string(second_text));
		if (!render_trial(s, own, trial(s, USER, 0, system_first, &at), tools, &out))
			continue;
		s->renders_tools = strstr(out.text, second_text);
		template_output_free(&out);
	}
}

/* Most templates iterate over the arguments of a call, or print them as JSON; some join them as a text. */
static void learn_arguments(struct shaped *s, json_t *own)
{
	bool ok[2] = {false, false};

	for (int text = 0; text < 2; text++) {
		size_t at;
		json_t *messages = trial(s, TOOL, 0, false, &at), *call;
		struct template_output out;

		call = json_array_get(json_object_get(json_array_get(messages, at - 1), "tool_calls"), 0);
		if (text)
			json_object_set_new(json_object_get(call, "function"), "arguments", json_string("{}"));
		ok[text] = render_trial(s, own, messages, json_null(), &out);
		if (ok[text])
			template_output_free(&out);
	}
	s->text_arguments = !ok[0] && ok[1];
}

void shape_learn(struct shaped *s, json_t *own)
{
	if (s->template)
		learn_tools(s, own);
	if (s->template)
		learn_arguments(s, own);
	for (int role = 0; s->template && role < N_ROLES; role++)
		learn_role(s, own, role);
}

/* ---- messages ---- */

/* A string that does not stand for a number. */
static bool is_text(const json_t *v)
{
	return json_is_string(v) && *json_string_value(v) != TEMPLATE_NUMBER;
}

/* Returns the text of a part; NULL if it has none. */
static json_t *part_text(const json_t *part)
{
	const json_t *type = json_object_get(part, "type"),
		     *text = is_text(part) ? part : json_object_get(part, "text");

	if (type && !(json_is_string(type) && !strcmp(json_string_value(type), "text")))
		return NULL;
	return is_text(text) ? (json_t *)(uintptr_t)text : NULL;
}

static int check_parts(const json_t *list, size_t i, struct why *why)
{
	for (size_t k = 0; k < json_array_size(list); k++) {
		const json_t *part = json_array_get(list, k);
		const char *type = json_string_value(json_object_get(part, "type"));

		if (!part_text(part) && type && strcmp(type, "text"))
			return fail(why, ERR_INVALID, "messages[%zu]: a part of type %.40s; only text is supported", i,
				    type);
		if (!part_text(part))
			return fail(why, ERR_INVALID, "messages[%zu]: part %zu of its content has no text", i, k);
	}
	return 0;
}

/* Joins the texts with newlines, as other servers do. */
static json_t *joined(const json_t *list)
{
	size_t len = 0, n = json_array_size(list);
	json_t *all;
	char *text;

	for (size_t k = 0; k < n; k++)
		len += json_string_length(part_text(json_array_get(list, k))) + 1;
	text = heap_grow(NULL, len + 1, 1);
	if (!text)
		return NULL;
	len = 0;
	for (size_t k = 0; k < n; k++) {
		const json_t *one = part_text(json_array_get(list, k));

		if (k)
			text[len++] = '\n';
		memcpy(text + len, json_string_value(one), json_string_length(one));
		len += json_string_length(one);
	}
	all = json_stringn(text, len);
	free(text);
	return all;
}

/* Makes a list whose parts are all objects. */
static json_t *as_parts(const json_t *list)
{
	json_t *all = json_array();

	for (size_t k = 0; k < json_array_size(list); k++) {
		json_t *part = json_array_get(list, k);

		if (json_is_string(part))
			json_array_append_new(all, text_part(json_incref(part)));
		else
			json_array_append(all, part);
	}
	return all;
}

static json_t *shape_text(const struct takes *t, json_t *text)
{
	return t->text || !(t->parts || t->part) ? json_incref(text) : json_pack("[o]", text_part(json_incref(text)));
}

static json_t *shape_list(const struct takes *t, const json_t *list)
{
	if (t->parts || (t->part && json_array_size(list) == 1))
		return as_parts(list);
	return t->part ? json_pack("[o]", text_part(joined(list))) : joined(list);
}

/* OpenAI's clients send arguments as a string; templates iterate over an object. Calls without arguments have an empty
 * string, which becomes an empty object. Any other string that is not an object stays as it is. */
static void parse_arguments(json_t *of)
{
	const json_t *text = json_object_get(of, "arguments");
	json_t *parsed = NULL;
	struct why why;

	if (json_is_string(text) && strspn(json_string_value(text), " \t\r\n") == json_string_length(text))
		parsed = json_object();
	else if (json_is_string(text) &&
		 template_read_json(&parsed, json_string_value(text), json_string_length(text), "arguments", &why))
		return;
	if (json_is_object(parsed))
		json_object_set(of, "arguments", parsed);
	json_decref(parsed);
}

static void shape_calls(json_t *message)
{
	const json_t *calls = json_object_get(message, "tool_calls");
	json_t *copy = json_deep_copy(json_object_get(message, "function_call")), *call;
	size_t i;

	parse_arguments(copy);
	if (copy)
		json_object_set_new(message, "function_call", copy);
	if (!json_array_size(calls))
		return;
	copy = json_deep_copy(calls);
	json_array_foreach(copy, i, call)
	{
		parse_arguments(call);
		parse_arguments(json_object_get(call, "function"));
	}
	json_object_set_new(message, "tool_calls", copy);
}

static int shape_message(const struct shaped *s, json_t *m, size_t i, struct why *why)
{
	const char *role = json_string_value(json_object_get(m, "role"));
	json_t *content = json_object_get(m, "content");
	const struct takes *t;
	int err;

	if (!role)
		return fail(why, ERR_INVALID, "messages[%zu] has no role", i);
	if (!strcmp(role, "developer") && !s->developer) {
		json_object_set_new(m, "role", json_string("system"));
		role = "system";
	}
	t = &s->takes[role_of(role)];
	if (s->template && !s->text_arguments)
		shape_calls(m);
	if (is_text(content)) {
		json_object_set_new(m, "content", shape_text(t, content));
	} else if (json_is_array(content)) {
		err = check_parts(content, i, why);
		if (err)
			return err;
		json_object_set_new(m, "content", shape_list(t, content));
	} else if (content && !json_is_null(content)) {
		return fail(why, ERR_INVALID, "messages[%zu]: content must be a string or a list of parts", i);
	}
	return 0;
}

int shape_messages(const struct shaped *s, const json_t *messages, json_t **out, struct why *why)
{
	int err = 0;

	*out = json_array();
	for (size_t i = 0; i < json_array_size(messages) && !err; i++) {
		json_t *m = json_copy(json_array_get(messages, i));

		err = json_is_object(m) ? shape_message(s, m, i, why)
					: fail(why, ERR_INVALID, "messages[%zu] must be an object", i);
		json_array_append_new(*out, m);
	}
	return err;
}
