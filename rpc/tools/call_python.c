/* call_python.c - calls as a list of Python's: [name(key=value, ...), ...]. Values become JSON as they arrive. */
#include "rpc/tools/inside.h"

#include <ctype.h>
#include <string.h>

enum { WORD_BYTES = 512 };

void call_python_begin(struct tools_parser *p)
{
	struct text word = p->python.word;

	word.len = 0;
	p->section = PYTHON;
	p->python = (struct call_python){.at = PY_NAME, .word = word};
}

static void put(struct tools_parser *p, const char *s)
{
	tools_arguments(p, s, strlen(s));
}

static bool in_word(char c)
{
	return isalnum((unsigned char)c) || strchr("_.+-", c) || (unsigned char)c >= 0x80;
}

/* Before an item: the comma behind the one before it, which a closing bracket would leave out. */
static void item(struct tools_parser *p)
{
	if (p->python.comma)
		put(p, ", ");
	p->python.comma = false;
}

static void call_end(struct tools_parser *p)
{
	put(p, "}");
	p->named = false;
	p->raw.len = 0;
	p->python.at = PY_NEXT;
}

static void name_next(struct tools_parser *p, char c)
{
	struct call_python *y = &p->python;

	if (c == '(' && y->word.len && (!p->how.tools || tools_function(p, y->word.data, y->word.len))) {
		tools_name(p, y->word.data, y->word.len);
		put(p, "{");
		y->at = PY_KEY;
		y->word.len = 0;
		y->n = 0;
	} else if (in_word(c) && c && y->word.len < WORD_BYTES) {
		text_put(&y->word, &c, 1);
	} else if (!is_blank(c)) {
		call_broken(p);
	}
}

static void key_next(struct tools_parser *p, char c)
{
	struct call_python *y = &p->python;
	struct text t = {NULL, 0, 0};

	if (c == ')' && !y->word.len) {
		call_end(p);
	} else if (c == '=' && y->word.len) {
		text_str(&t, y->n++ ? ", " : "");
		text_json(&t, y->word.data, y->word.len);
		text_str(&t, ": ");
		tools_arguments(p, t.data, t.len);
		text_finish(&t);
		y->at = PY_VALUE;
		y->word.len = 0;
		y->depth = 0;
		y->comma = false;
	} else if (in_word(c) && c && y->word.len < WORD_BYTES) {
		text_put(&y->word, &c, 1);
	} else if (!is_blank(c) && c != ',') {
		call_broken(p);
	}
}

static bool is_number(const char *s, size_t n)
{
	static const struct json_rules rules = {.depth = 1, .values = 1, .bytes = 1 << 16};
	struct json_error e;
	struct json_doc *doc = json_read(s, n, &rules, &e);
	bool ok = json_is_num(json_root(doc));

	json_close(doc);
	return ok;
}

static void word_end(struct tools_parser *p)
{
	static const char *const names[][2] = {{"True", "true"}, {"False", "false"}, {"None", "null"},
					       {"true", "true"}, {"false", "false"}, {"null", "null"}};
	struct text *w = &p->python.word, t = {NULL, 0, 0};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (w->len == strlen(names[i][0]) && !memcmp(w->data, names[i][0], w->len))
			text_str(&t, names[i][1]);
	if (!t.len && is_number(w->data, w->len))
		text_put(&t, w->data, w->len);
	if (!t.len)
		text_json(&t, w->data, w->len);
	tools_arguments(p, t.data, t.len);
	text_finish(&t);
	w->len = 0;
	p->python.at = PY_VALUE;
}

static void close_bracket(struct tools_parser *p, char c)
{
	p->python.comma = false;
	if (p->python.depth) {
		p->python.depth--;
		put(p, c == '}' ? "}" : "]");
	} else if (c == ')') {
		call_end(p);
	} else {
		call_broken(p);
	}
}

static void value_next_byte(struct tools_parser *p, char c)
{
	struct call_python *y = &p->python;

	if (is_blank(c))
		return;
	if (strchr(")]}", c)) {
		close_bracket(p, c);
	} else if (c == ',' && y->depth) {
		y->comma = true;
	} else if (c == ',') {
		y->at = PY_KEY;
		y->word.len = 0;
	} else if (c == ':') {
		put(p, ": ");
	} else {
		item(p);
		if (c == '\'' || c == '"')
			put(p, "\""), y->quote = c, y->escaped = false, y->at = PY_TEXT;
		else if (strchr("([{", c))
			y->depth++, put(p, c == '{' ? "{" : "[");
		else
			text_put(&y->word, &c, 1), y->at = PY_WORD;
	}
}

/* What Python writes with a backslash, as JSON writes it. */
static void escape(struct tools_parser *p, char c)
{
	char two[3] = {'\\', c, 0};

	if (c == '\'')
		put(p, "'");
	else if (c == 'x')
		put(p, "\\u00");
	else if (strchr("\"\\/bfnrtu", c))
		put(p, two);
	else if (c != '\n') {
		put(p, "\\\\");
		tools_arguments(p, &c, 1);
	}
}

static void text_byte(struct tools_parser *p, char c)
{
	static const char hex[] = "0123456789abcdef";
	char code[7] = {'\\', 'u', '0', '0', hex[(unsigned char)c >> 4], hex[c & 15], 0};
	struct call_python *y = &p->python;

	if (y->escaped) {
		y->escaped = false;
		escape(p, c);
	} else if (c == '\\') {
		y->escaped = true;
	} else if (c == y->quote) {
		put(p, "\"");
		y->at = PY_VALUE;
	} else if (c == '"') {
		put(p, "\\\"");
	} else if ((unsigned char)c < 0x20) {
		put(p, code);
	} else {
		tools_arguments(p, &c, 1);
	}
}

void call_python_next(struct tools_parser *p, char c)
{
	struct call_python *y = &p->python;

	switch (y->at) {
	case PY_NAME:
		name_next(p, c);
		break;
	case PY_KEY:
		key_next(p, c);
		break;
	case PY_VALUE:
		value_next_byte(p, c);
		break;
	case PY_TEXT:
		text_byte(p, c);
		break;
	case PY_WORD:
		if (in_word(c)) {
			if (c && y->word.len < WORD_BYTES)
				text_put(&y->word, &c, 1);
			break;
		}
		word_end(p);
		value_next_byte(p, c);
		break;
	case PY_NEXT:
		if (c == ',')
			y->at = PY_NAME, y->word.len = 0;
		else if (c == ']')
			call_over(p), p->list = false;
		else if (!is_blank(c))
			call_broken(p);
		break;
	}
}
