#include "rpc/gateway/api/constraint.h"

#include <stdlib.h>
#include <string.h>

/* Where a value stands: in a field, or in a member of one. */
struct at {
	struct api_request *a;
	const char *name;
	struct why *why;
};

static int only_one(const struct at *at, enum xv_constraint_kind kind)
{
	struct xv_constraint *c = &at->a->sampling.constraint;

	if (c->kind != XV_FREE)
		return fail(at->why, ERR_INVALID,
			    "%s: the answer is constrained by another field already; set only one of them", at->name);
	c->kind = kind; /* structured_outputs may have said already how much white space there is */
	c->text = "";
	return 0;
}

static int take_text(const struct at *at, enum xv_constraint_kind kind, char *text)
{
	int err = only_one(at, kind);

	if (err) {
		free(text);
		return err;
	}
	at->a->constraint_text = text;
	at->a->sampling.constraint.text = text;
	return 0;
}

static int read_text(const struct at *at, enum xv_constraint_kind kind, const struct json *v)
{
	const char *s = json_str(v);

	if (!s)
		return fail(at->why, ERR_INVALID, "%s must be a string, not %s", at->name, json_kind_name(v));
	if (!*s || strlen(s) != json_len(v))
		return fail(at->why, ERR_INVALID, "%s must be a non-empty string without U+0000", at->name);
	return take_text(at, kind, xstrdup(s));
}

/* A schema, or its text. */
static int read_schema(const struct at *at, const struct json *v)
{
	if (json_is(v, JSON_IS_TEXT))
		return read_text(at, XV_JSON_SCHEMA, v);
	if (!json_is(v, JSON_IS_OBJECT) && !json_is(v, JSON_IS_BOOL))
		return fail(at->why, ERR_INVALID, "%s must be a JSON Schema, not %s", at->name, json_kind_name(v));
	return take_text(at, XV_JSON_SCHEMA, json_write(v, NULL, NULL));
}

/* XGrammar's and vLLM's structural tag, or its text. */
static int read_tag(const struct at *at, const struct json *v)
{
	if (json_is(v, JSON_IS_TEXT))
		return read_text(at, XV_STRUCTURAL_TAG, v);
	if (!json_is(v, JSON_IS_OBJECT))
		return fail(at->why, ERR_INVALID, "%s must be a structural tag, not %s", at->name, json_kind_name(v));
	return take_text(at, XV_STRUCTURAL_TAG, json_write(v, NULL, NULL));
}

static int read_object(const struct at *at, const struct json *v)
{
	if (!json_is(v, JSON_IS_BOOL))
		return fail(at->why, ERR_INVALID, "%s must be true or false, not %s", at->name, json_kind_name(v));
	return json_yes(v) ? only_one(at, XV_JSON_OBJECT) : 0;
}

static int read_choice(const struct at *at, const struct json *v)
{
	struct api_request *a = at->a;
	size_t n = json_size(v);
	int err;

	if (!json_is(v, JSON_IS_LIST) || !n)
		return fail(at->why, ERR_INVALID, "%s must be a list of strings that is not empty", at->name);
	for (size_t i = 0; i < n; i++) {
		const char *s = json_str(json_at(v, i));
		if (!s || !*s || strlen(s) != json_len(json_at(v, i)))
			return fail(at->why, ERR_INVALID, "%s: entry %zu must be a non-empty string without U+0000",
				    at->name, i);
	}
	err = only_one(at, XV_CHOICE);
	if (err)
		return err;
	a->choice = xalloc(n + 1, sizeof *a->choice);
	for (size_t i = 0; i < n; i++)
		a->choice[i] = xstrdup(json_str(json_at(v, i)));
	a->sampling.constraint.choice = (const char *const *)a->choice;
	a->sampling.constraint.n_choice = (int)n;
	return 0;
}

/* OpenAI's {"type": "json_schema", "json_schema": {"name", "schema"}}; llama-server's {"type": "json_object",
 * "schema"}; TGI's
 * {"type": "json" or "regex", "value"}. */
static int read_format(const struct at *at, const struct json *v)
{
	const char *type = json_str(json_get(v, "type"));
	const struct json *schema = json_get(json_get(v, "json_schema"), "schema");

	if (!type)
		return fail(at->why, ERR_INVALID, "%s must be an object with a type", at->name);
	if (!strcmp(type, "text"))
		return 0;
	schema = schema ? schema : json_get(v, "schema");
	schema = schema ? schema : json_get(v, "value");
	if (!strcmp(type, "json_object") && json_none(schema))
		return only_one(at, XV_JSON_OBJECT);
	if (!strcmp(type, "regex"))
		return read_text(at, XV_REGEX, json_get(v, "pattern") ? json_get(v, "pattern") : schema);
	if (!strcmp(type, "grammar"))
		return read_text(at, XV_GRAMMAR, json_get(v, "grammar"));
	if (!strcmp(type, "structural_tag"))
		return read_tag(at, v);
	if (strcmp(type, "json_schema") != 0 && strcmp(type, "json_object") != 0 && strcmp(type, "json") != 0)
		return fail(
			at->why, ERR_INVALID,
			"%s: the type \"%.40s\" is not supported: use text, json_object, json_schema, structural_tag, regex or grammar",
			at->name, type);
	if (json_none(schema))
		return fail(at->why, ERR_INVALID, "%s: json_schema.schema is missing", at->name);
	return read_schema(at, schema);
}

static int read_ollama(const struct at *at, const struct json *v)
{
	if (json_str(v) && !strcmp(json_str(v), ""))
		return 0;
	if (json_str(v) && !strcmp(json_str(v), "json"))
		return only_one(at, XV_JSON_OBJECT);
	return read_schema(at, v);
}

enum form { FORMAT, SCHEMA, OBJECT, REGEX, GRAMMAR, CHOICE, TAGS, OUTPUTS, OLLAMA };
struct name {
	const char *name;
	enum form form;
};

static int read_one(const struct at *at, enum form form, const struct json *v)
{
	switch (form) {
	case FORMAT:
		return read_format(at, v);
	case SCHEMA:
		return read_schema(at, v);
	case OBJECT:
		return read_object(at, v);
	case REGEX:
		return read_text(at, XV_REGEX, v);
	case GRAMMAR: /* TGI's is an object */
		if (json_is(v, JSON_IS_OBJECT))
			return read_format(at, v);
		return json_str(v) && !json_len(v) ? 0 : read_text(at, XV_GRAMMAR, v);
	case CHOICE:
		return read_choice(at, v);
	case TAGS:
		return read_tag(at, v);
	default:
		return read_ollama(at, v);
	}
}

/* Members of vLLM's structured_outputs. */
static int read_outputs(const struct at *at, const struct json *v)
{
	static const struct name names[] = {{"json", SCHEMA},   {"json_object", OBJECT}, {"regex", REGEX},
					    {"choice", CHOICE}, {"grammar", GRAMMAR},    {"structural_tag", TAGS}};
	bool compact = false;
	int err = 0;

	if (!json_is(v, JSON_IS_OBJECT))
		return fail(at->why, ERR_INVALID, "%s must be an object, not %s", at->name, json_kind_name(v));
	for (size_t i = 0; !err && i < json_size(v); i++) {
		const struct json_member *m = json_member(v, i);
		const struct name *n = NULL;
		for (size_t k = 0; k < sizeof names / sizeof *names; k++)
			n = !strcmp(names[k].name, m->key) ? &names[k] : n;
		if (json_none(&m->value))
			continue;
		if (n)
			err = read_one(at, n->form, &m->value);
		else if (!strcmp(m->key, "disable_any_whitespace") && json_is(&m->value, JSON_IS_BOOL))
			compact = json_yes(&m->value);
		else if (strcmp(m->key, "disable_fallback") != 0)
			err = fail(at->why, ERR_INVALID, "%s.%.40s is not supported", at->name, m->key);
	}
	if (compact)
		at->a->sampling.constraint.has_compact = at->a->sampling.constraint.compact = true;
	return err;
}

static const struct name names[] = {
	{"response_format", FORMAT}, {"guided_json", SCHEMA},     {"guided_regex", REGEX},
	{"guided_choice", CHOICE},   {"guided_grammar", GRAMMAR}, {"structured_outputs", OUTPUTS},
	{"grammar", GRAMMAR},        {"json_schema", SCHEMA},     {"regex", REGEX},
	{"ebnf", GRAMMAR},           {"format", OLLAMA},          {"structural_tag", TAGS}};

int api_constraint_read(struct api_request *a, const struct json *body, const char **param, struct why *why)
{
	int err = 0;

	for (size_t i = 0; !err && i < sizeof names / sizeof *names; i++) {
		const struct json *v = json_get(body, names[i].name);
		struct at at = {a, names[i].name, why};
		if (json_none(v))
			continue;
		*param = names[i].name;
		err = names[i].form == OUTPUTS ? read_outputs(&at, v) : read_one(&at, names[i].form, v);
	}
	return err;
}

int api_constraint_read_format(struct api_request *a, const char *name, const struct json *v, struct why *why)
{
	struct at at = {a, name, why};

	return json_none(v) ? 0 : read_format(&at, v);
}

void api_constraint_finish(struct api_request *a)
{
	for (int i = 0; a->choice && a->choice[i]; i++)
		free(a->choice[i]);
	free(a->choice);
	free(a->constraint_text);
}

size_t api_constraint_bytes(const struct api_request *a)
{
	size_t n = a->constraint_text ? strlen(a->constraint_text) : 0;

	for (int i = 0; a->choice && a->choice[i]; i++)
		n += strlen(a->choice[i]) + sizeof *a->choice;
	return n;
}
