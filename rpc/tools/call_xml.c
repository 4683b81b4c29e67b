/* call_xml.c - a call as <function=NAME><parameter=KEY>value</parameter></function>, which Qwen3-Coder writes. */
#include "rpc/tools/inside.h"

#include <stdlib.h>
#include <string.h>

#include "base/base.h"

enum { TAG_BYTES = 512 };
static const char end_parameter[] = "</parameter>";

void call_xml_begin(struct tools_parser *p)
{
	p->section = XML;
	p->xml.at = TAG;
	p->xml.word.len = 0;
	p->xml.n = 0;
}

static void call_end(struct tools_parser *p)
{
	tools_arguments(p, p->xml.n ? "}" : "{}", p->xml.n ? 1 : 2);
	call_over(p);
}

static void fail_here(struct tools_parser *p)
{
	if (p->named)
		call_end(p);
	else
		call_broken(p);
}

/* What the tool's schema says of the parameter, or NULL. */
static const struct json *property(const struct tools_parser *p)
{
	const struct json *f = tools_function(p, p->xml.name, strlen(p->xml.name));

	return json_get(json_get(json_get(f, "parameters"), "properties"), p->xml.key);
}

static bool is_json(const char *s, size_t n)
{
	struct json_error e;
	struct json_doc *doc = json_read(s, n, &json_of_files, &e);

	json_close(doc);
	return doc;
}

/* A value has no quotes: its schema says whether it is a text. */
static void put_value(struct text *t, const struct tools_parser *p, const char *s, size_t n)
{
	const struct json *schema = property(p);
	const char *type = json_str(json_get(schema, "type"));

	if (!schema || (type && !strcmp(type, "string")) || !is_json(s, n))
		text_json(t, s, n);
	else
		text_put(t, s, n);
}

static void parameter_end(struct tools_parser *p)
{
	struct call_xml *x = &p->xml;
	size_t n = x->word.len - (sizeof end_parameter - 1), from = n && x->word.data[0] == '\n';
	struct text t = {NULL, 0, 0};

	if (n > from && x->word.data[n - 1] == '\n')
		n--;
	text_str(&t, x->n++ ? ", " : "{");
	text_json_str(&t, x->key);
	text_str(&t, ": ");
	put_value(&t, p, x->word.data + from, n - from);
	tools_arguments(p, t.data, t.len);
	text_finish(&t);
	x->at = TAG_NEXT;
}

static char *behind(const struct text *word, const char *begin)
{
	size_t n = strlen(begin);

	return word->len > n && !memcmp(word->data, begin, n) && !memchr(word->data, 0, word->len)
		       ? xstrdup(word->data + n)
		       : NULL;
}

static void take_tag(struct tools_parser *p)
{
	struct call_xml *x = &p->xml;
	char *name = p->named ? NULL : behind(&x->word, "function="),
	     *key = p->named ? behind(&x->word, "parameter=") : NULL;

	x->at = TAG_NEXT;
	if (name) {
		free(x->name);
		x->name = name;
		tools_name(p, name, strlen(name));
	} else if (key) {
		free(x->key);
		x->key = key;
		x->at = PARAMETER;
		x->word.len = 0;
	} else {
		fail_here(p); /* </function>, or what does not belong here */
	}
}

void call_xml_next(struct tools_parser *p, char c)
{
	struct call_xml *x = &p->xml;
	size_t n = sizeof end_parameter - 1;

	if (x->at == TAG_NEXT && c == '<') {
		x->at = TAG;
		x->word.len = 0;
	} else if (x->at == TAG_NEXT) {
		if (!is_blank(c))
			fail_here(p);
	} else if (x->at == TAG && c == '>') {
		take_tag(p);
	} else if (x->at == TAG && x->word.len >= TAG_BYTES) {
		fail_here(p);
	} else {
		text_put(&x->word, &c, 1);
		if (x->at == PARAMETER && x->word.len >= n && !memcmp(x->word.data + x->word.len - n, end_parameter, n))
			parameter_end(p);
	}
}
