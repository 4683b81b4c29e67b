#include "daemon/front/tools.h"

#include <stdlib.h>
#include <string.h>

#include "base/json/json.h"
#include "base/text.h"
#include "engine/grammar/grammar.h"

enum { NAME_BYTES = 128, TAIL_TOKENS = 24, CALLABLE = 256 /* tools of a constrained answer */ };
static const struct json_rules rules = {.depth = 200, .values = 1 << 20, .bytes = (size_t)64 << 20, .last = true};

/* ---- which forms ---- */

static bool ends_with(const char *s, size_t len, const char *end)
{
	size_t n = strlen(end);

	return len >= n && !memcmp(s + len - n, end, n);
}

void front_forms_begin(struct front_forms *forms, const struct tokenizer *t, const struct ids *prompt)
{
	int n = min_int(prompt->n, TAIL_TOKENS);
	size_t len;
	char *tail;

	if (!forms->reasoning)
		return;
	tail = tokenizer_decode(t, prompt->id + prompt->n - n, n, false, &len);
	while (len && strchr(" \n\t\r", tail[len - 1]))
		len--;
	forms->reasoning_open = ends_with(tail, len, forms->reasoning->mark[0]);
	if (ends_with(tail, len, forms->reasoning->mark[1]))
		forms->reasoning = NULL;
	free(tail);
}

int front_forms_marks(const struct front_forms *forms, const struct tokenizer *t, int32_t id[FRONT_MARKS])
{
	const struct chat_form *both[] = {forms->calls, forms->reasoning};
	int n = 0;

	for (int f = 0; f < 2; f++)
		for (int i = 0; both[f] && i < CHAT_MARKS; i++) {
			const char *mark = both[f]->mark[i];
			int at = mark ? tokenizer_find(t, mark, strlen(mark)) : -1;
			if (at >= 0 && tokenizer_is_special(t, at))
				id[n++] = at;
		}
	return n;
}

/* ---- tools ---- */

static const struct json *function_of(const struct json *tool)
{
	return json_get(tool, "function");
}

static const char *name_of(const struct json *tool)
{
	return json_str(json_get(function_of(tool), "name"));
}

/* Arguments are an object: programs read its members, and forms of calls have no other. */
static int check_schema(const struct json *schema, int i, struct why *why)
{
	const struct json *type = json_get(schema, "type");
	bool object = json_none(type);

	if (!json_none(schema) && !json_is(schema, JSON_IS_OBJECT) && !json_is(schema, JSON_IS_BOOL))
		return fail(why, ERR_INVALID, "tools[%d].function.parameters must be a JSON Schema, not %s", i,
			    json_kind_name(schema));
	for (size_t k = 0; !object && k < (json_is(type, JSON_IS_LIST) ? json_size(type) : 1); k++) {
		const char *s = json_str(json_is(type, JSON_IS_LIST) ? json_at(type, k) : type);
		object = s && !strcmp(s, "object");
	}
	return object ? 0
		      : fail(why, ERR_INVALID,
			     "tools[%d].function.parameters.type must be \"object\", as arguments are", i);
}

/* Names stand within quotes and tags of the forms: they hold none of their characters, and none that JSON escapes. */
static bool is_name(const char *s)
{
	for (const char *c = s; *c; c++)
		if ((unsigned char)*c <= ' ' || *c == 0x7f || strchr("\"'\\<>(){}[]|,;=", *c))
			return false;
	return *s && strlen(s) <= NAME_BYTES;
}

static int check_tool(const struct json *tool, int i, struct why *why)
{
	const char *name = name_of(tool), *type = json_str(json_get(tool, "type"));

	if (!json_is(tool, JSON_IS_OBJECT) || (!json_none(json_get(tool, "type")) && !type) ||
	    (type && strcmp(type, "function") != 0))
		return fail(why, ERR_INVALID, "tools[%d].type: only \"function\" is supported", i);
	if (!name)
		return fail(why, ERR_INVALID, "tools[%d].function.name must be a string", i);
	if (!is_name(name) || strlen(name) != json_len(json_get(function_of(tool), "name")))
		return fail(why, ERR_INVALID,
			    "tools[%d].function.name must have 1 to %d bytes, without blanks, control characters, "
			    "quotes, brackets and any of \\|,;=",
			    i, NAME_BYTES);
	return check_schema(json_get(function_of(tool), "parameters"), i, why);
}

struct named {
	const char *name;
	int tool;
};

static int by_name(const void *a, const void *b)
{
	const struct named *x = a, *y = b;
	int c = strcmp(x->name, y->name);

	return c ? c : x->tool - y->tool;
}

/* A call says the name alone. */
static int check_names(const struct json *list, struct why *why)
{
	size_t n = json_size(list);
	struct named *all = heap_grow(NULL, n + 1, sizeof *all);
	int err = all ? 0 : effort_check(why);

	for (size_t i = 0; all && i < n; i++)
		all[i] = (struct named){name_of(json_at(list, i)), (int)i};
	if (all && n > 1)
		qsort(all, n, sizeof *all, by_name);
	for (size_t i = 1; all && i < n && !err; i++)
		if (!strcmp(all[i].name, all[i - 1].name))
			err = fail(why, ERR_INVALID,
				   "tools[%d].function.name: \"%.128s\" is the name of tools[%d], too", all[i].tool,
				   all[i].name, all[i - 1].tool);
	heap_free(all);
	return err;
}

int front_tools_read(struct json_doc **out, const char *text, struct why *why)
{
	struct json_error e;
	const struct json *list;
	int err = 0;

	*out = json_read(text, strlen(text), &rules, &e);
	if (!*out) {
		err = json_why(why, &e, "tools_json");
		return err == ERR_FORMAT ? ERR_INVALID : err;
	}
	list = json_root(*out);
	if (!json_is(list, JSON_IS_LIST))
		err = fail(why, ERR_INVALID, "tools_json must be a list");
	for (size_t i = 0; !err && i < json_size(list); i++)
		err = check_tool(json_at(list, i), (int)i, why);
	if (!err)
		err = check_names(list, why);
	if (err)
		json_close(*out);
	return err;
}

static bool has_tool(const struct json *list, const char *name)
{
	for (size_t i = 0; i < json_size(list); i++)
		if (!strcmp(name_of(json_at(list, i)), name))
			return true;
	return false;
}

static bool must_call(const struct xv_chat *said)
{
	return !strcmp(said->tool_choice, "required") || *said->tool_name;
}

static bool any_strict(const struct json *list)
{
	for (size_t i = 0; i < json_size(list); i++)
		if (json_yes(json_get(function_of(json_at(list, i)), "strict")))
			return true;
	return false;
}

/* How calls that obey schemas are written. A form that is not constrained itself is written as one that its reader
 * takes, too, or as JSON, which the whole answer is then read as. */
static const struct chat_form *written(const struct chat_form *form)
{
	const struct chat_form *hermes = chat_form_tools("hermes");

	if (form->write[CHAT_BEGIN])
		return form;
	return form->mark[0] && !strcmp(form->mark[0], hermes->mark[0]) ? hermes : chat_form_tools("json");
}

int front_tools_check(struct front_forms *forms, struct xv_chat *said, bool constrained, struct why *why)
{
	const char *choice = said->tool_choice;
	struct json_doc *doc;
	int err = 0;

	if (*choice && strcmp(choice, "auto") != 0 && strcmp(choice, "none") != 0 && strcmp(choice, "required") != 0)
		return fail(why, ERR_INVALID, "tool_choice: \"%.40s\" is none of auto, none and required", choice);
	if (*said->tool_name && !strcmp(choice, "none"))
		return fail(why, ERR_INVALID, "tool_choice: none, but tool_name asks for a call");
	if (must_call(said) && !*said->tools_json)
		return fail(why, ERR_INVALID, "tool_choice: a call is required, but there are no tools");
	if (!*said->tools_json || !strcmp(choice, "none")) {
		said->tools_json = ""; /* the prompt does not show what may not be called */
		forms->calls = NULL;
		return 0;
	}
	err = front_tools_read(&doc, said->tools_json, why);
	if (err)
		return err;
	if (must_call(said) && !json_size(json_root(doc)))
		err = fail(why, ERR_INVALID, "tool_choice: a call is required, but there are no tools");
	else if (*said->tool_name && !has_tool(json_root(doc), said->tool_name))
		err = fail(why, ERR_INVALID, "tool_choice: no tool has the name \"%.64s\"", said->tool_name);
	if (!err && (constrained || must_call(said) || any_strict(json_root(doc))) && !written(forms->calls)->mark[0])
		forms->calls = written(forms->calls);
	json_close(doc);
	return err;
}

/* ---- as a structural tag ---- */

/* A schema without a type, as many are written, would be one of any value. */
static void put_schema(struct text *t, const struct json *function, bool obeyed)
{
	static const char *const type[] = {"type", NULL};
	const struct json *schema = json_get(function, "parameters");
	char *s;

	if (!obeyed || (json_is(schema, JSON_IS_BOOL) && json_yes(schema))) {
		text_str(t, "{\"type\": \"object\"}");
	} else if (json_none(schema)) {
		text_str(t, "{\"type\": \"object\", \"properties\": {}, \"additionalProperties\": false}");
	} else {
		s = json_write(schema, json_is(schema, JSON_IS_OBJECT) ? type : NULL, NULL);
		if (!json_is(schema, JSON_IS_OBJECT))
			text_str(t, s);
		else
			text_fmt(t, "{\"type\": \"object\"%s%s", strcmp(s, "{}") != 0 ? ", " : "", s + 1);
		free(s);
	}
}

static void put_begin(struct text *t, const struct chat_form *form, const char *name)
{
	struct text begin = {0};

	text_fmt(&begin, "%s%s%s", form->write[CHAT_BEGIN], name, form->write[CHAT_MIDDLE]);
	text_json(t, begin.data, begin.len);
	text_finish(&begin);
}

/* strict: only such tools' schemas are obeyed. */
static void put_tags(struct text *t, const struct chat_form *form, const struct xv_chat *said, const struct json *list,
		     bool strict)
{
	const char *comma = "";

	text_str(t, "[");
	for (size_t i = 0; i < json_size(list); i++) {
		const struct json *f = function_of(json_at(list, i));
		if (*said->tool_name && strcmp(said->tool_name, name_of(json_at(list, i))) != 0)
			continue;
		text_fmt(t, "%s{\"type\": \"tag\", \"begin\": ", comma);
		put_begin(t, form, name_of(json_at(list, i)));
		text_str(t, ", \"content\": {\"type\": \"json_schema\", \"json_schema\": ");
		put_schema(t, f, !strict || json_yes(json_get(f, "strict")));
		text_str(t, "}, \"end\": ");
		text_json_str(t, form->write[CHAT_CLOSE_CALL]);
		text_str(t, "}");
		comma = ", ";
	}
	text_str(t, "]");
}

/* One call or more, and nothing else. */
static void put_calls(struct text *t, const struct chat_form *form, const struct xv_chat *said, const struct json *list,
		      bool strict)
{
	bool wrapped = *form->write[CHAT_OPEN];

	if (wrapped) {
		text_str(t, "{\"type\": \"tag\", \"begin\": ");
		text_json_str(t, form->write[CHAT_OPEN]);
		text_str(t, ", \"content\": ");
	}
	text_str(t, "{\"type\": \"tags_with_separator\", \"at_least_one\": true, \"separator\": ");
	text_json_str(t, form->write[CHAT_BETWEEN]);
	text_fmt(t, ", \"stop_after_first\": %s, \"tags\": ", said->one_call || *said->tool_name ? "true" : "false");
	put_tags(t, form, said, list, strict);
	text_str(t, "}");
	if (wrapped) {
		text_str(t, ", \"end\": ");
		text_json_str(t, form->write[CHAT_CLOSE]);
		text_str(t, "}");
	}
}

/* Text, in which calls keep to the form where the model begins one. other: a mark that calls may not begin with. */
static void put_text_with_calls(struct text *t, const struct chat_form *form, const char *other,
				const struct xv_chat *said, const struct json *list)
{
	bool wrapped = *form->write[CHAT_OPEN];

	text_str(t, "{\"type\": \"triggered_tags\", \"triggers\": [");
	text_json_str(t, form->mark[0]);
	text_str(t, "], \"excludes\": [");
	if (other)
		text_json_str(t, other);
	text_fmt(t, "], \"stop_after_first\": %s, \"tags\": ", wrapped || said->one_call ? "true" : "false");
	if (wrapped) {
		text_str(t, "[");
		put_calls(t, form, said, list, true);
		text_str(t, "]}");
	} else {
		put_tags(t, form, said, list, true);
		text_str(t, "}");
	}
}

/* Calls, or a text that begins with no bracket: a form without a mark is read at the answer's first byte only. Behind
 * its first character the text may not hold the rest of the mark that such a form may have. */
static void put_text_or_calls(struct text *t, const struct chat_form *form, const struct xv_chat *said,
			      const struct json *list)
{
	static const char first[] =
		"{\"type\": \"regex\", \"pattern\": \"[ \\\\n\\\\r\\\\t]{0,8}[^ \\\\n\\\\r\\\\t{\\\\[]\"}";

	text_str(t, "{\"type\": \"or\", \"elements\": [{\"type\": \"const_string\", \"value\": \"\"}, "
		    "{\"type\": \"sequence\", \"elements\": [{\"type\": \"optional\", \"content\": "
		    "{\"type\": \"const_string\", \"value\": ");
	text_json_str(t, form->mark[0] ? form->mark[0] : "");
	text_str(t, "}}, ");
	put_calls(t, form, said, list, true);
	text_fmt(t, "]}, {\"type\": \"sequence\", \"elements\": [%s, {\"type\": \"any_text\", \"excludes\": [", first);
	if (form->mark[0])
		text_json_str(t, form->mark[0] + 1);
	text_str(t, "]}]}]}");
}

static void put_value(struct text *t, const char *type, const char *key, const char *value)
{
	text_fmt(t, "{\"type\": \"%s\", \"%s\": ", type, key);
	text_json_str(t, value);
	text_str(t, "}");
}

static bool is_json(const char *s)
{
	struct json_error e;
	struct json_doc *doc = json_read(s, strlen(s), &rules, &e);

	json_close(doc);
	return doc;
}

/* The request's own constraint as a format. False: its source is no JSON, which its own compiler reports. */
static bool put_constraint(struct text *t, const struct xv_constraint *c)
{
	switch (c->kind) {
	case XV_JSON_SCHEMA:
		text_fmt(t, "{\"type\": \"json_schema\", \"json_schema\": %s}", c->text);
		return is_json(c->text);
	case XV_STRUCTURAL_TAG: /* a format of its own is a format here, too */
		text_str(t, c->text);
		return is_json(c->text);
	case XV_JSON_OBJECT:
		text_str(t, "{\"type\": \"json_schema\", \"json_schema\": {\"type\": \"object\"}}");
		return true;
	case XV_REGEX:
		put_value(t, "regex", "pattern", c->text);
		return true;
	case XV_GRAMMAR:
		put_value(t, "grammar", "grammar", c->text);
		return true;
	default:
		text_str(t, "{\"type\": \"or\", \"elements\": [");
		for (int i = 0; i < c->n_choice; i++) {
			text_str(t, i ? ", " : "");
			put_value(t, "const_string", "value", c->choice[i]);
		}
		text_str(t, "]}");
		return c->n_choice > 0;
	}
}

/* What the answer begins with before its form counts. */
static void put_reasoning(struct text *t, const struct front_forms *forms)
{
	static const char blanks[] = "{\"type\": \"regex\", \"pattern\": \"[ \\\\n]{0,4}\"}";

	text_str(t, "{\"type\": \"sequence\", \"elements\": [");
	if (!forms->reasoning_open)
		text_str(t, "{\"type\": \"optional\", \"content\": {\"type\": \"sequence\", \"elements\": [");
	text_str(t, "{\"type\": \"tag\", \"begin\": ");
	text_json_str(t, forms->reasoning_open ? "" : forms->reasoning->mark[0]);
	text_str(t, ", \"content\": {\"type\": \"any_text\"}, \"end\": ");
	text_json_str(t, forms->reasoning->mark[1]);
	text_fmt(t, "}, %s", blanks);
	text_str(t, forms->reasoning_open ? ", " : "]}}, ");
}

/* Whether free text and calls can be told apart by where a call begins. */
static bool has_trigger(const struct chat_form *form)
{
	const char *first =
		form->write[CHAT_BEGIN] && *form->write[CHAT_OPEN] ? form->write[CHAT_OPEN] : form->write[CHAT_BEGIN];

	return form->mark[0] && first && !strncmp(first, form->mark[0], strlen(form->mark[0]));
}

/* False: the answer is free. */
static bool put_answer(struct text *t, const struct front_forms *forms, const struct xv_chat *said,
		       const struct json *list, const struct xv_constraint *c)
{
	const struct chat_form *form = forms->calls ? written(forms->calls) : NULL;

	if (form && must_call(said)) {
		put_calls(t, form, said, list, false);
		return true;
	}
	if (form && !c && any_strict(list)) {
		if (has_trigger(form))
			put_text_with_calls(t, form, forms->calls->mark[1], said, list);
		else
			put_text_or_calls(t, form, said, list);
		return true;
	}
	if (!c)
		return false;
	if (!form)
		return put_constraint(t, c);
	text_str(t, "{\"type\": \"or\", \"elements\": [");
	put_calls(t, form, said, list, false);
	text_str(t, ", ");
	if (!put_constraint(t, c))
		return false;
	text_str(t, "]}");
	return true;
}

int front_tools_constraint(char **out, const struct front_forms *forms, const struct xv_chat *said,
			   const struct xv_constraint *c, struct why *why)
{
	struct json_doc *doc = NULL;
	struct text t = {0};
	int err = 0;

	*out = NULL;
	if (forms->calls && must_call(said) && c)
		return fail(why, ERR_INVALID,
			    "tool_choice: a call is required, so that the answer cannot be constrained otherwise");
	if (!forms->calls && (!forms->reasoning || !c))
		return 0;
	if (forms->calls)
		err = front_tools_read(&doc, said->tools_json, why);
	if (err)
		return err;
	if (forms->reasoning)
		put_reasoning(&t, forms);
	if (!put_answer(&t, forms, said, json_root(doc), c)) {
		text_finish(&t);
	} else if (!*said->tool_name && json_size(json_root(doc)) > CALLABLE) {
		text_finish(&t);
		err = fail(why, ERR_LIMIT, "tools: %zu, but answers that have to obey their schemas may choose from %d",
			   json_size(json_root(doc)), CALLABLE);
	} else {
		text_str(&t, forms->reasoning ? "]}" : "");
		*out = t.data;
	}
	json_close(doc);
	return err;
}

static int compile_schema(const struct json *schema, struct why *why)
{
	char *text = json_write(schema, NULL, NULL);
	struct grammar_source src = {.kind = GRAMMAR_SCHEMA, .text = {text, strlen(text)}};
	struct grammar *g;
	int err = grammar_compile(&g, &src, why);

	grammar_destroy(g);
	free(text);
	return err;
}

/* The first tool from *at on whose schema is refused is *at then. All of them may cost what one constraint may. */
static int refused_schema(const struct json *list, size_t *at, struct why *why)
{
	struct effort effort = {.bytes = GRAMMAR_MEMORY, .cpu_ns = GRAMMAR_COMPILE_MS * NS_PER_MS};
	int err = 0;

	effort_begin(&effort);
	for (; *at < json_size(list); ++*at) {
		const struct json *schema = json_get(function_of(json_at(list, *at)), "parameters");
		err = json_none(schema) ? 0 : compile_schema(schema, why);
		if (err)
			break;
	}
	effort_end();
	return err;
}

int front_tools_blame(const struct xv_chat *said, int err, struct why *why)
{
	struct json_error e;
	struct json_doc *doc = json_read(said->tools_json, strlen(said->tools_json), &rules, &e);
	struct why inner = {""}, whole = *why;
	size_t i = 0, first;
	int of_tool = refused_schema(json_root(doc), &i, &inner);

	first = i;
	if (of_tool == ERR_LIMIT && first) /* the sum is too much, unless this one is by itself */
		of_tool = refused_schema(json_root(doc), &i, &inner);
	if (of_tool && i == first)
		err = fail(why, of_tool, "tools[%zu].function.parameters: %.400s", i, inner.text);
	else if (json_size(json_root(doc)))
		fail(why, err, "tools: as the form of the answer: %.400s", whole.text);
	json_close(doc);
	return err == ERR_UNSUPPORTED ? ERR_INVALID : err;
}
