/* call_json.c - a call as an object with its name and its arguments. */
#include "rpc/tools/inside.h"

#include <string.h>

enum { KEY_BYTES = 64, NAME_BYTES = 256 };

bool value_next(struct value *v, char c)
{
	if (v->text) {
		bool quote = !v->escaped && c == '"';
		v->escaped = !v->escaped && c == '\\';
		v->text = !quote;
		return quote && !v->depth;
	}
	if (c == '"')
		v->text = true;
	else if (c == '{' || c == '[')
		v->depth++;
	else if (c == '}' || c == ']')
		return --v->depth <= 0;
	return false;
}

bool json_unquote(struct text *out, const char *s, size_t n)
{
	struct json_error e;
	struct json_doc *doc = json_read(s, n, &json_of_files, &e);
	const struct json *v = json_root(doc);
	bool ok = json_is(v, JSON_IS_TEXT);

	if (ok)
		text_put(out, json_str(v), json_len(v));
	json_close(doc);
	return ok;
}

/* ---- the arguments alone ---- */

void call_args_begin(struct tools_parser *p)
{
	p->json.value = (struct value){0};
}

void call_args_next(struct tools_parser *p, char c)
{
	tools_arguments(p, &c, 1);
	if (value_next(&p->json.value, c))
		call_over(p);
}

/* ---- the object ---- */

void call_json_begin(struct tools_parser *p)
{
	struct text word = p->json.word, early = p->json.early;

	word.len = early.len = 0;
	p->section = JSON;
	p->json = (struct call_json){.at = KEY_NEXT, .level = 1, .word = word, .early = early};
}

static void put_arguments(struct tools_parser *p, const char *s, size_t n)
{
	p->json.any = true;
	if (p->named)
		tools_arguments(p, s, n);
	else
		text_put(&p->json.early, s, n);
}

static void take_name(struct tools_parser *p)
{
	struct text name = {NULL, 0, 0};
	bool ok = json_unquote(&name, p->json.word.data, p->json.word.len) && name.len && name.len <= NAME_BYTES;

	if (!ok || p->named || (p->section_bare && p->how.tools && !tools_function(p, name.data, name.len))) {
		call_broken(p);
	} else {
		tools_name(p, name.data, name.len);
		tools_arguments(p, p->json.early.data, p->json.early.len);
	}
	text_finish(&name);
}

/* Arguments that are a text hold JSON once more; null is none. */
static void take_arguments(struct tools_parser *p)
{
	const struct text *w = &p->json.word;
	struct text inner = {NULL, 0, 0};

	if (w->len == 4 && !memcmp(w->data, "null", 4))
		put_arguments(p, "{}", 2);
	else if (json_unquote(&inner, w->data, w->len))
		put_arguments(p, inner.len ? inner.data : "{}", inner.len ? inner.len : 2);
	else
		put_arguments(p, w->data, w->len);
	text_finish(&inner);
}

static void value_done(struct tools_parser *p)
{
	p->json.at = KEY_NEXT;
	if (p->json.key == NAME || p->json.key == FUNCTION)
		take_name(p);
	else if (p->json.key == ARGUMENTS && !p->json.streams)
		take_arguments(p);
}

static void value_byte(struct tools_parser *p, char c)
{
	struct call_json *j = &p->json;

	if (j->scalar && (is_blank(c) || strchr(",}]", c))) {
		value_done(p);
		if (p->state == CALL_GOES_ON)
			call_json_next(p, c);
		return;
	}
	if (j->streams)
		put_arguments(p, &c, 1);
	else if (j->key != OTHER && (j->key == ARGUMENTS || j->word.len < NAME_BYTES))
		text_put(&j->word, &c, 1);
	if (!j->scalar && value_next(&j->value, c))
		value_done(p);
}

static void value_begin(struct tools_parser *p, char c)
{
	struct call_json *j = &p->json;

	if (is_blank(c))
		return;
	if (j->key == FUNCTION && c == '{' && j->level == 1) {
		j->level = 2;
		j->at = KEY_NEXT;
		return;
	}
	if ((j->key == NAME || j->key == FUNCTION) && c != '"') {
		call_broken(p);
		return;
	}
	j->at = VALUE;
	j->word.len = 0;
	j->value = (struct value){0};
	j->scalar = !strchr("{[\"", c);
	j->streams = j->key == ARGUMENTS && c == '{';
	value_byte(p, c);
}

static void take_key(struct tools_parser *p)
{
	static const struct {
		const char *key;
		int is;
	} keys[] = {{"name", NAME},
		    {"api_name", NAME},
		    {"arguments", ARGUMENTS},
		    {"parameters", ARGUMENTS},
		    {"function", FUNCTION}};
	struct call_json *j = &p->json;

	j->key = OTHER;
	j->at = COLON;
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
		if (j->word.len == strlen(keys[i].key) && !memcmp(j->word.data, keys[i].key, j->word.len))
			j->key = keys[i].is;
	if (j->key == ARGUMENTS && j->any)
		j->key = OTHER; /* they are reported already */
}

static void key_byte(struct tools_parser *p, char c)
{
	struct call_json *j = &p->json;

	if (value_next(&j->value, c))
		take_key(p);
	else if (j->word.len < KEY_BYTES)
		text_put(&j->word, &c, 1);
}

static void object_end(struct tools_parser *p)
{
	if (p->json.level == 2) {
		p->json.level = 1;
		return;
	}
	if (!p->named) {
		call_broken(p);
		return;
	}
	if (!p->json.any)
		tools_arguments(p, "{}", 2);
	call_over(p);
}

static void key_next(struct tools_parser *p, char c)
{
	if (is_blank(c) || c == ',')
		return;
	if (c == '}') {
		object_end(p);
	} else if (c == '"') {
		p->json.at = KEY;
		p->json.word.len = 0;
		p->json.value = (struct value){.text = true};
	} else {
		call_broken(p);
	}
}

void call_json_next(struct tools_parser *p, char c)
{
	switch (p->json.at) {
	case KEY_NEXT:
		key_next(p, c);
		break;
	case KEY:
		key_byte(p, c);
		break;
	case COLON:
		if (c == ':')
			p->json.at = VALUE_NEXT;
		else if (!is_blank(c))
			call_broken(p);
		break;
	case VALUE_NEXT:
		value_begin(p, c);
		break;
	case VALUE:
		value_byte(p, c);
		break;
	}
}
