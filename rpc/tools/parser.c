#include "rpc/tools/inside.h"

#include <stdlib.h>
#include <string.h>

#include "base/base.h"

static const struct form forms[] = {
#define TOOLS(NAME, name, others, sign, mark, mark2, end, end2, sep, ...) {name, {mark, mark2, end, end2, sep}},
#include "proto/tools.def"
};
static const struct form reasonings[] = {
#define REASONING(NAME, name, others, begin, end) {name, {begin, end}},
#include "proto/tools.def"
};

static const struct form *find_form(const struct form *list, size_t n, const char *name)
{
	for (size_t i = 0; name && i < n; i++)
		if (!strcmp(list[i].name, name))
			return &list[i];
	return NULL;
}

/* ---- where the text is ---- */

static void go_reasoning(struct tools_parser *p)
{
	p->where = IN_REASONING;
	p->blank.len = 0;
	p->any_content = false;
	finder_set(&p->finder, p->reasoning->mark + 1, 1);
}

static void text_next(struct tools_parser *p, char c)
{
	char free[65];
	int n, which;
	enum found found = finder_next(&p->finder, c, free, &n, &which);

	for (int i = 0; i < n; i++)
		tools_content(p, free[i]);
	if (found == FOUND_MARK)
		section_begin(p, p->finder.mark[which], strlen(p->finder.mark[which]), false);
}

/* The answer's first byte that is not white space may begin a call without a mark. */
static void start_next(struct tools_parser *p, char c)
{
	if (is_blank(c)) {
		tools_content(p, c);
		return;
	}
	p->where = IN_TEXT;
	if (c != '{' && c != '[') {
		text_next(p, c);
		return;
	}
	section_begin(p, "", 0, true);
	section_next(p, c);
}

static void reasoning_next(struct tools_parser *p, char c)
{
	char free[65];
	int n, which;
	enum found found = finder_next(&p->finder, c, free, &n, &which);

	for (int i = 0; i < n; i++) {
		if (is_blank(free[i]) && !p->any_content)
			continue; /* white space after the opening mark */
		p->any_content = true;
		tools_content(p, free[i]);
		p->any_content = true;
	}
	if (found == FOUND_MARK) {
		p->where = AFTER_REASONING;
		p->any_content = false;
		p->blank.len = 0;
	}
}

static void next(struct tools_parser *p, char c);

/* The answer may begin with white space and the mark of reasoning. */
static void lead_next(struct tools_parser *p, char c)
{
	char free[65];
	int n, which;
	enum found found;
	struct text before;

	if (is_blank(c) && !p->finder.n_held) {
		text_put(&p->blank, &c, 1);
		return;
	}
	found = finder_next(&p->finder, c, free, &n, &which);
	if (found == FOUND_MARK && !n) {
		go_reasoning(p);
		return;
	}
	if (found == FOUND_PART && !n)
		return;
	/* no reasoning: what was held back is read again as content */
	n += p->finder.n_held;
	before = p->blank;
	p->blank = (struct text){NULL, 0, 0};
	tools_text(p);
	for (size_t i = 0; i < before.len; i++)
		next(p, before.data[i]);
	for (int i = 0; i < n; i++)
		next(p, free[i]);
	text_finish(&before);
}

/* What came behind a call is read as what it turned out to be. */
static void reread(struct tools_parser *p)
{
	struct text t = p->again;

	p->again = (struct text){NULL, 0, 0};
	for (size_t i = 0; i < t.len; i++)
		next(p, t.data[i]);
	text_finish(&t);
}

static void next(struct tools_parser *p, char c)
{
	switch (p->where) {
	case IN_LEAD:
		lead_next(p, c);
		break;
	case IN_REASONING:
		reasoning_next(p, c);
		break;
	case AFTER_REASONING:
		if (is_blank(c))
			break;
		tools_text(p);
		next(p, c);
		break;
	case IN_START:
		start_next(p, c);
		break;
	case IN_TEXT:
		text_next(p, c);
		break;
	case IN_SECTION:
		section_next(p, c);
		reread(p);
		break;
	}
}

/* ---- the parser ---- */

struct tools_parser *tools_create(struct tools_how *how, tools_sink *sink, void *arg)
{
	const struct form *calls = find_form(forms, sizeof forms / sizeof *forms, how->calls),
			  *reasoning = find_form(reasonings, sizeof reasonings / sizeof *reasonings, how->reasoning);
	struct tools_parser *p;

	how->short_ids = calls && !strcmp(calls->name, "mistral");
	if (!calls && !reasoning)
		return NULL;
	p = xalloc(1, sizeof *p);
	*p = (struct tools_parser){.how = *how, .calls = calls, .reasoning = reasoning, .sink = sink, .arg = arg};
	p->functions = tools_index(how->tools);
	p->bare = calls && (!calls->mark[0] || !strcmp(calls->mark[0], "<|python_tag|>"));
	if (reasoning && how->reasoning_open) {
		go_reasoning(p);
	} else if (reasoning) {
		p->where = IN_LEAD;
		finder_set(&p->finder, reasoning->mark, 1);
	} else {
		tools_text(p);
	}
	return p;
}

void tools_feed(struct tools_parser *p, const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		next(p, s[i]);
	tools_flush(p);
}

/* A mark that did not become whole is text. White space that follows nothing is content; behind a call it is none. */
void tools_end(struct tools_parser *p)
{
	enum tools_kind kind = p->where == IN_REASONING ? TOOLS_REASONING : TOOLS_CONTENT;

	if (p->where == IN_SECTION) {
		section_end(p);
	} else if (p->where == IN_LEAD) {
		tools_report(p, kind, p->blank.data, p->blank.len);
		tools_report(p, kind, p->finder.held, (size_t)p->finder.n_held);
	} else {
		for (int i = 0; i < p->finder.n_held && p->where != AFTER_REASONING; i++)
			tools_content(p, p->finder.held[i]);
		if (!p->n_calls && kind == TOOLS_CONTENT)
			tools_report(p, kind, p->blank.data, p->blank.len);
	}
	p->finder.n_held = 0;
	p->blank.len = 0;
	tools_flush(p);
}

int tools_calls(const struct tools_parser *p)
{
	return !p ? 0 : p->how.one_call && p->n_calls > 1 ? 1 : p->n_calls;
}

bool tools_whole(const struct tools_parser *p)
{
	bool open = p && p->where == IN_SECTION && p->named,
	     object_open = open && p->section == JSON && p->json.any && p->json.at == KEY_NEXT;

	return tools_calls(p) && (!open || object_open || (p->how.one_call && p->n_calls > 1));
}

size_t tools_bytes(const struct tools_parser *p)
{
	return !p ? 0
		  : sizeof *p + p->out.max + p->blank.max + p->raw.max + p->json.word.max + p->json.early.max +
			       p->xml.word.max + p->python.word.max;
}

void tools_destroy(struct tools_parser *p)
{
	if (!p)
		return;
	section_finish(p);
	json_close(p->functions);
	text_finish(&p->out), text_finish(&p->blank), text_finish(&p->raw);
	free(p);
}
