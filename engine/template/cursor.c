/* cursor.c - checks and takes the next lexeme, and makes nodes. */
#include <stdio.h>
#include "engine/template/inside.h"

void syntax_error(struct parser *p, const char *fmt, ...)
{
	char text[300], near[64];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	p->job->line = p->at->line;
	snprintf(near, sizeof near, "%.*s", (int)(p->at->len < 40 ? p->at->len : 40), p->at->s);
	if (p->at->token == T_END)
		raise_error(p->job, ERR_FORMAT, "%s, at the end of the template", text);
	raise_error(p->job, ERR_FORMAT, "%s, at '%s'", text, near);
}

struct syntax *node_make(struct parser *p, enum op op)
{
	struct syntax *n = job_take(p->job, sizeof *n);

	n->op = op;
	n->line = p->at->line;
	return n;
}

void node_add(struct parser *p, struct syntax ***list, int *n, struct syntax *one)
{
	if ((*n & (*n - 1)) == 0) {
		struct syntax **grown = job_take(p->job, sizeof *grown * (size_t)(*n ? *n * 2 : 1));
		if (*n)
			memcpy(grown, *list, sizeof *grown * (size_t)*n);
		*list = grown;
	}
	(*list)[(*n)++] = one;
}

void parse_enter(struct parser *p)
{
	if (++p->depth > TEMPLATE_DEPTH)
		syntax_error(p, "nested deeper than %d", TEMPLATE_DEPTH);
}

struct str *intern_name(struct parser *p, const char *s, size_t len)
{
	spend(p->job, 1 + (size_t)p->nnames / 32);
	for (int i = 0; i < p->nnames; i++)
		if (p->name[i]->len == len && !memcmp(p->name[i]->s, s, len))
			return p->name[i];
	if (p->nnames == p->maxnames) {
		int max = p->maxnames ? p->maxnames * 2 : 64;
		struct str **grown = job_take(p->job, sizeof *grown * (size_t)max);
		if (p->nnames)
			memcpy(grown, p->name, sizeof *grown * (size_t)p->nnames);
		p->name = grown;
		p->maxnames = max;
	}
	struct str *name = str_make(p->job, s, len, false);
	str_hash(name);
	str_chars(name);
	return p->name[p->nnames++] = name;
}

bool at_op(struct parser *p, const char *op)
{
	return p->at->token == T_OP && p->at->len == strlen(op) && !memcmp(p->at->s, op, p->at->len);
}

bool at_name(struct parser *p, const char *name)
{
	return p->at->token == T_NAME && p->at->len == strlen(name) && !memcmp(p->at->s, name, p->at->len);
}

bool skip_op(struct parser *p, const char *op)
{
	bool yes = at_op(p, op);

	p->at += yes;
	return yes;
}

bool skip_name(struct parser *p, const char *name)
{
	bool yes = at_name(p, name);

	p->at += yes;
	return yes;
}

void want_op(struct parser *p, const char *op)
{
	if (!skip_op(p, op))
		syntax_error(p, "expected '%s'", op);
}

struct str *want_name(struct parser *p)
{
	struct lexeme *t = p->at;

	if (t->token != T_NAME)
		syntax_error(p, "expected a name");
	p->at++;
	return intern_name(p, t->s, t->len);
}
