#include "rpc/gateway/api/tools.h"

#include <string.h>

#include "base/base.h"

static int check_function(const struct json *f, size_t i, struct why *why)
{
	const struct json *name = json_get(f, "name"), *text = json_get(f, "description"),
			  *schema = json_get(f, "parameters"), *strict = json_get(f, "strict");

	if (!json_is(f, JSON_IS_OBJECT))
		return fail(why, ERR_INVALID, "tools[%zu].function must be an object, not %s", i, json_kind_name(f));
	if (!json_str(name))
		return fail(why, ERR_INVALID, "tools[%zu].function.name must be a string, not %s", i,
			    json_kind_name(name));
	if (!json_none(text) && !json_str(text))
		return fail(why, ERR_INVALID, "tools[%zu].function.description must be a string, not %s", i,
			    json_kind_name(text));
	if (!json_none(schema) && !json_is(schema, JSON_IS_OBJECT))
		return fail(why, ERR_INVALID, "tools[%zu].function.parameters must be a JSON Schema, not %s", i,
			    json_kind_name(schema));
	if (!json_none(strict) && !json_is(strict, JSON_IS_BOOL))
		return fail(why, ERR_INVALID, "tools[%zu].function.strict must be true or false, not %s", i,
			    json_kind_name(strict));
	return 0;
}

static int check_tools(const struct json *tools, struct why *why)
{
	int err = 0;

	if (json_none(tools))
		return 0;
	if (!json_is(tools, JSON_IS_LIST))
		return fail(why, ERR_INVALID, "tools must be a list, not %s", json_kind_name(tools));
	for (size_t i = 0; !err && i < json_size(tools); i++) {
		const struct json *tool = json_at(tools, i);
		const char *type = json_str(json_get(tool, "type"));
		if (!json_is(tool, JSON_IS_OBJECT))
			return fail(why, ERR_INVALID, "tools[%zu] must be an object, not %s", i, json_kind_name(tool));
		if (!type || strcmp(type, "function") != 0)
			return fail(why, ERR_INVALID, "tools[%zu].type: \"%.40s\" is not supported: only function is",
				    i, type ? type : "");
		err = check_function(json_get(tool, "function"), i, why);
	}
	return err;
}

static int read_named(struct xv_chat *c, char **name, const struct json *v, struct why *why)
{
	const char *type = json_str(json_get(v, "type"));
	const struct json *s = json_get(json_get(v, "function"), "name");

	if (!type || strcmp(type, "function") != 0)
		return fail(
			why, ERR_INVALID,
			"tool_choice: the type \"%.40s\" is not supported: use {\"type\": \"function\", \"function\": {\"name\": ...}}",
			type ? type : "");
	if (!json_str(s) || !json_len(s) || strlen(json_str(s)) != json_len(s))
		return fail(why, ERR_INVALID, "tool_choice.function.name must be the name of a tool, not %s",
			    json_kind_name(s));
	*name = xstrdup(json_str(s));
	c->tool_name = *name;
	return 0;
}

static int read_choice(struct xv_chat *c, char **name, const struct json *v, struct why *why)
{
	static const char *const all[] = {"none", "auto", "required"};
	const char *s = json_str(v);

	if (json_is(v, JSON_IS_OBJECT))
		return read_named(c, name, v, why);
	for (int i = 0; s && i < 3; i++)
		if (!strcmp(s, all[i])) {
			c->tool_choice = all[i];
			return 0;
		}
	return fail(why, ERR_INVALID,
		    "tool_choice must be none, auto, required or an object that names a function, not %.40s",
		    s ? *s ? s : "an empty text" : json_kind_name(v));
}

int api_tools_read(struct xv_chat *c, char **name, const struct json *body, const char **param, struct why *why)
{
	const struct json *tools = json_get(body, "tools"), *choice = json_get(body, "tool_choice"),
			  *parallel = json_get(body, "parallel_tool_calls");
	int err = check_tools(tools, why);

	*name = NULL;
	*param = "tools";
	if (err)
		return err;
	c->tool_choice = c->tool_name = "";
	*param = "tool_choice";
	err = json_none(choice) ? 0 : read_choice(c, name, choice, why);
	if (!err && !json_size(tools) && (*c->tool_name || !strcmp(c->tool_choice, "required")))
		err = fail(why, ERR_INVALID, "tool_choice asks for a call, but there are no tools");
	if (err)
		return err;
	*param = "parallel_tool_calls";
	if (!json_none(parallel) && !json_is(parallel, JSON_IS_BOOL))
		return fail(why, ERR_INVALID, "parallel_tool_calls must be true or false, not %s",
			    json_kind_name(parallel));
	c->one_call = json_is(parallel, JSON_IS_BOOL) && !json_yes(parallel);
	return 0;
}

/* ---- calls in messages ---- */

static int check_call(const struct json *call, int i, size_t k, struct why *why)
{
	const struct json *f = json_get(call, "function"), *args = json_get(f, "arguments");

	if (!json_is(call, JSON_IS_OBJECT) || !json_is(f, JSON_IS_OBJECT))
		return fail(why, ERR_INVALID, "messages[%d].tool_calls[%zu] must be an object with a function, not %s",
			    i, k, json_kind_name(json_is(call, JSON_IS_OBJECT) ? f : call));
	if (!json_str(json_get(f, "name")))
		return fail(why, ERR_INVALID, "messages[%d].tool_calls[%zu].function.name must be a string, not %s", i,
			    k, json_kind_name(json_get(f, "name")));
	if (!json_none(args) && !json_str(args) && !json_is(args, JSON_IS_OBJECT))
		return fail(
			why, ERR_INVALID,
			"messages[%d].tool_calls[%zu].function.arguments must be a string with a JSON object, not %s",
			i, k, json_kind_name(args));
	return 0;
}

int api_tools_check_message(const struct json *message, int i, struct why *why)
{
	static const char *const texts[] = {"tool_call_id", "reasoning_content", "reasoning"};
	const struct json *calls = json_get(message, "tool_calls");
	int err = 0;

	for (size_t k = 0; k < sizeof texts / sizeof *texts; k++) {
		const struct json *v = json_get(message, texts[k]);
		if (!json_none(v) && !json_str(v))
			return fail(why, ERR_INVALID, "messages[%d].%s must be a string, not %s", i, texts[k],
				    json_kind_name(v));
	}
	if (!json_none(calls) && !json_is(calls, JSON_IS_LIST))
		return fail(why, ERR_INVALID, "messages[%d].tool_calls must be a list, not %s", i,
			    json_kind_name(calls));
	for (size_t k = 0; !err && k < json_size(calls); k++)
		err = check_call(json_at(calls, k), i, k, why);
	return err;
}
