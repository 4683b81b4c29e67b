/* section.c - what follows a mark: calls, in whatever way they are written. */
#include "rpc/tools/inside.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { FENCE_BYTES = 64, HEAD_BYTES = 512, NAME_BYTES = 256 };
static const char xml_mark[] = "<function=";

void section_begin(struct tools_parser *p, const char *mark, size_t n, bool bare)
{
	p->where = IN_SECTION;
	p->section = SEEK;
	p->section_bare = bare;
	p->list = p->named = false;
	p->calls_before = p->n_calls;
	p->raw.len = 0;
	text_put(&p->raw, mark, n);
	if (!strcmp(mark, xml_mark)) {
		call_xml_begin(p);
		for (const char *s = mark + 1; *s; s++)
			call_xml_next(p, *s);
	}
}

static void section_after(struct tools_parser *p)
{
	p->section = AFTER;
	p->raw.len = 0;
	p->named = false;
	finder_set(&p->finder, p->calls->mark, 4);
}

/* It is no call: its text is content, or with a name it ends here. */
static void section_fail(struct tools_parser *p)
{
	if (p->named) {
		section_after(p);
		return;
	}
	p->where = IN_TEXT; /* of which tools_content() makes content; marks within it are text as well */
	for (size_t i = 0; i < p->raw.len; i++)
		tools_content(p, p->raw.data[i]);
	p->raw.len = 0;
	finder_set(&p->finder, p->calls->mark, 2);
}

/* ---- the name outside of an object ---- */

static const char *behind_last(const char *s, const char *mark)
{
	for (const char *at; mark && (at = strstr(s, mark));)
		s = at + strlen(mark);
	return s;
}

static size_t trimmed(const char **s, size_t n)
{
	while (n && is_blank(**s))
		++*s, n--;
	while (n && is_blank((*s)[n - 1]))
		n--;
	return n;
}

/* "NAME sep {", or "function sep NAME newline fence {". */
static void take_head(struct tools_parser *p)
{
	const struct form *f = p->calls;
	const char *s = behind_last(behind_last(p->json.word.data, f->mark[0]), f->mark[1]),
		   *sep = strstr(s, f->mark[FORM_SEP]), *name = s, *second = sep ? sep + strlen(f->mark[FORM_SEP]) : "";
	size_t n = sep ? (size_t)(sep - s) : strlen(s), m = strcspn(second, "\n`");
	const char *id = memmem(s, n, "[CALL_ID]", strlen("[CALL_ID]"));

	m = trimmed(&second, m);
	n = trimmed(&name, id ? (size_t)(id - s) : n);
	if (m)
		name = second, n = m;
	if (!n || n > NAME_BYTES) {
		section_fail(p);
		return;
	}
	tools_name(p, name, n);
	p->section = ARGS;
	call_args_begin(p);
	call_args_next(p, '{');
}

static void head_next(struct tools_parser *p, char c)
{
	if (c == '{')
		take_head(p);
	else if (p->json.word.len >= HEAD_BYTES || !c)
		section_fail(p);
	else
		text_put(&p->json.word, &c, 1);
}

/* ---- before a call ---- */

static void seek_list(struct tools_parser *p)
{
	p->list = true;
	if (!strcmp(p->calls->name, "pythonic"))
		call_python_begin(p);
}

static void seek_other(struct tools_parser *p, char c)
{
	const char *sep = p->calls->mark[FORM_SEP];

	if (sep && !p->list && !p->section_bare) {
		p->section = HEAD;
		p->json.word.len = 0;
		head_next(p, c);
	} else if (c == '<' && !p->section_bare && p->calls->mark[0][0] == '<') {
		call_xml_begin(p);
	} else if (p->raw.len > FENCE_BYTES || !(c == '`' || isalpha((unsigned char)c))) {
		section_fail(p); /* a fence and its language may stand before an object, nothing else */
	}
}

static void seek_next(struct tools_parser *p, char c)
{
	if (is_blank(c))
		return;
	if (c == '{')
		call_json_begin(p);
	else if (c == '[' && !p->list)
		seek_list(p);
	else if (c == ',' && p->list && p->n_calls > p->calls_before)
		return;
	else if (c == ']' && p->list && p->n_calls > p->calls_before)
		section_after(p);
	else
		seek_other(p, c);
}

/* ---- behind a call ---- */

/* Whether the byte is left out; otherwise something else begins with it. */
static bool drops(struct tools_parser *p, char c)
{
	if (is_blank(c) || (c == ',' && p->list))
		return true;
	if (c == ']' && p->list) {
		p->list = false;
		return true;
	}
	if (p->calls->mark[FORM_ENDS] && strchr("}]`", c))
		return true;
	return p->bare && !p->list && (c == ';' || c == ',');
}

static void begin_other(struct tools_parser *p, char c)
{
	bool call = c == '{' && (p->list || p->bare);

	if (call) {
		p->section = SEEK;
		p->raw.len = 0;
		return;
	}
	p->list = false;
	tools_text(p);
	p->where = IN_TEXT;
}

static void after_mark(struct tools_parser *p, const char *mark)
{
	for (int i = FORM_ENDS; i < FORM_SEP; i++)
		if (p->calls->mark[i] && !strcmp(mark, p->calls->mark[i]))
			return;
	section_begin(p, mark, strlen(mark), false);
}

static void after_next(struct tools_parser *p, char c)
{
	char free[65], rest[128];
	int n, which, n_rest = 0;
	enum found found = finder_next(&p->finder, c, free, &n, &which);
	const char *mark = found == FOUND_MARK ? p->finder.mark[which] : NULL;

	for (int i = 0; i < n; i++) {
		if (drops(p, free[i]))
			continue;
		memcpy(rest, free + i, (size_t)(n - i));
		n_rest = n - i;
		memcpy(rest + n_rest, mark ? mark : p->finder.held, mark ? strlen(mark) : (size_t)p->finder.n_held);
		n_rest += mark ? (int)strlen(mark) : p->finder.n_held;
		begin_other(p, free[i]);
		text_put(&p->again, rest, (size_t)n_rest);
		return;
	}
	if (mark)
		after_mark(p, mark);
}

/* ---- all ---- */

void section_next(struct tools_parser *p, char c)
{
	if (!p->named && p->section != AFTER)
		text_put(&p->raw, &c, 1);
	switch (p->section) {
	case SEEK:
		seek_next(p, c);
		break;
	case HEAD:
		head_next(p, c);
		break;
	case JSON:
		call_json_next(p, c);
		break;
	case ARGS:
		call_args_next(p, c);
		break;
	case XML:
		call_xml_next(p, c);
		break;
	case PYTHON:
		call_python_next(p, c);
		break;
	case AFTER:
		after_next(p, c);
		break;
	}
	if (p->state == CALL_OVER)
		section_after(p);
	else if (p->state == CALL_BROKEN)
		section_fail(p);
	p->state = CALL_GOES_ON;
}

void section_end(struct tools_parser *p)
{
	if (!p->named && p->section != AFTER)
		section_fail(p);
	if (!p->n_calls)
		tools_report(p, TOOLS_CONTENT, p->blank.data, p->blank.len);
}

void section_finish(struct tools_parser *p)
{
	text_finish(&p->json.word), text_finish(&p->json.early);
	text_finish(&p->xml.word), text_finish(&p->python.word), text_finish(&p->again);
	free(p->xml.name), free(p->xml.key);
}
