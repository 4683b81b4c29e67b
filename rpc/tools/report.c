/* report.c - what a parser reports, and marks that are looked for in a stream. */
#include "rpc/tools/inside.h"

#include <string.h>

/* ---- what goes out ---- */

void tools_flush(struct tools_parser *p)
{
	if (p->out.len)
		p->sink(p->arg, p->kind, p->n_calls - 1, p->out.data, p->out.len);
	p->out.len = 0;
}

void tools_report(struct tools_parser *p, enum tools_kind kind, const char *s, size_t n)
{
	if (!n || (p->how.one_call && p->n_calls > 1 && kind >= TOOLS_CALL))
		return;
	if (kind != p->kind || kind == TOOLS_CALL)
		tools_flush(p);
	p->kind = kind;
	text_put(&p->out, s, n);
}

/* White space before a call, and at the end of reasoning, belongs to neither. */
void tools_content(struct tools_parser *p, char c)
{
	enum tools_kind kind = p->where == IN_REASONING ? TOOLS_REASONING : TOOLS_CONTENT;

	if (is_blank(c) && (p->calls || kind == TOOLS_REASONING)) {
		text_put(&p->blank, &c, 1);
		return;
	}
	if (p->blank.len)
		tools_report(p, kind, p->blank.data, p->blank.len);
	p->blank.len = 0;
	tools_report(p, kind, &c, 1);
	p->any_content |= kind == TOOLS_CONTENT;
}

void tools_name(struct tools_parser *p, const char *name, size_t n)
{
	tools_flush(p);
	p->n_calls++;
	p->named = true;
	p->raw.len = 0;
	p->blank.len = 0;
	tools_report(p, TOOLS_CALL, name, n);
	tools_flush(p);
}

void tools_arguments(struct tools_parser *p, const char *s, size_t n)
{
	tools_report(p, TOOLS_ARGUMENTS, s, n);
}

const struct json *tools_function(const struct tools_parser *p, const char *name, size_t n)
{
	return json_getn(json_root(p->functions), name, n);
}

struct json_doc *tools_index(const struct json *tools)
{
	struct json_doc *doc = json_new();
	struct json all = json_make_object(doc);

	for (size_t i = 0; i < json_size(tools); i++) {
		const struct json *f = json_get(json_at(tools, i), "function"), *s = json_get(f, "name");
		const char *name = json_str(s);
		if (name && strlen(name) == json_len(s) && !json_get(&all, name))
			json_set(doc, &all, name, *f);
	}
	json_set_root(doc, all);
	return doc;
}

/* ---- marks ---- */

void finder_set(struct finder *f, const char *const *mark, int n)
{
	*f = (struct finder){.n = 0};
	for (int i = 0; i < n; i++)
		if (mark[i])
			f->mark[f->n++] = mark[i];
}

static bool begins(const struct finder *f, const char *s, int n, int *whole)
{
	*whole = -1;
	for (int i = 0; i < f->n; i++)
		if (!strncmp(f->mark[i], s, (size_t)n)) {
			*whole = f->mark[i][n] ? -1 : i;
			return true;
		}
	return false;
}

enum found finder_next(struct finder *f, char c, char free[65], int *out, int *which)
{
	int skip = 0, n = f->n_held + 1;

	memcpy(free, f->held, (size_t)f->n_held);
	free[n - 1] = c;
	while (skip < n && !begins(f, free + skip, n - skip, which))
		skip++;
	*out = skip;
	f->n_held = *which >= 0 && skip < n ? 0 : n - skip;
	memcpy(f->held, free + skip, (size_t)f->n_held);
	return skip == n ? FOUND_NONE : *which >= 0 ? FOUND_MARK : FOUND_PART;
}

void tools_text(struct tools_parser *p)
{
	p->where = p->bare && !p->any_content ? IN_START : IN_TEXT;
	p->blank.len = 0;
	finder_set(&p->finder, p->calls ? p->calls->mark : NULL, p->calls ? 2 : 0);
}
