/* load.c - what the readers of the benchmarks share: finding files, keeping texts, making the body of a question. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/cli/eval/load.h"

struct eval_task *eval_task_add(struct eval_bench *b, const char *name)
{
	struct eval_task *t;

	b->task = xgrow(b->task, (size_t)b->n + 1, sizeof *b->task);
	t = &b->task[b->n++];
	*t = (struct eval_task){.name = eval_keep(b, name, strlen(name)), .category = -1};
	return t;
}

void eval_missing(struct eval_bench *b, const char *fmt, ...)
{
	char what[200];
	va_list args;

	va_start(args, fmt);
	vsnprintf(what, sizeof what, fmt, args);
	va_end(args);
	text_fmt(&b->missing, "  %s\n", what);
	b->n_missing++;
}

char *eval_keep(struct eval_bench *b, const char *text, size_t len)
{
	char *copy = arena_zeroed(&b->memory, len + 1, 1);

	memcpy(copy, text, len);
	return copy;
}

static bool below_one(const struct eval_file *f, const char *const *words)
{
	for (; words && *words; words++)
		if (eval_file_below(f, *words))
			return true;
	return false;
}

const struct eval_file *eval_find(const struct eval_files *f, const struct eval_place *where, const char *end)
{
	const struct eval_file *other = NULL;

	for (int i = 0; i < f->n; i++) {
		const struct eval_file *one = &f->file[i];
		if (!eval_file_is(one, end) || below_one(one, where->others))
			continue;
		if (below_one(one, where->own))
			return one;
		other = other ? other : one;
	}
	return other;
}

const struct eval_file *eval_find_form(const struct eval_files *f, const struct eval_place *where,
				       const char *const *forms, const char *name)
{
	const struct eval_file *found = NULL;

	for (; !found && *forms; forms++) {
		char end[80];
		snprintf(end, sizeof end, *forms, name);
		found = eval_find(f, where, end);
	}
	return found;
}

static void note_used(struct eval_bench *b, const char *name, const char *bytes, size_t len)
{
	struct eval_used *u;

	for (int i = 0; i < b->n_used; i++)
		if (!strcmp(b->used[i].name, name))
			return;
	b->used = xgrow(b->used, (size_t)b->n_used + 1, sizeof *b->used);
	u = &b->used[b->n_used++];
	u->name = xstrdup(name);
	u->bytes = len;
	eval_sha256(bytes, len, u->sha256);
}

int eval_read(struct eval_bench *b, const struct eval_file *f, const char *columns, struct eval_rows *rows,
	      struct why *why)
{
	char *bytes;
	size_t len;
	int err = eval_file_read(f, &bytes, &len, why);

	if (err)
		return err;
	note_used(b, f->path + 1, bytes, len);
	err = eval_rows_read(rows, f->name, bytes, len, columns, b->kind->python, why);
	free(bytes);
	if (err)
		eval_rows_free(rows);
	return err;
}

struct eval_item *eval_item_add(struct eval_item **list, int *n)
{
	struct eval_item *item;

	*list = xgrow(*list, (size_t)*n + 1, sizeof **list);
	item = &(*list)[(*n)++];
	*item = (struct eval_item){.index = *n - 1, .gold = -1};
	return item;
}

void eval_body(struct text *out, const char *stem, size_t len, const char *const *option, const size_t *option_len,
	       int n)
{
	text_put(out, stem, len);
	text_str(out, "\n");
	for (int i = 0; i < n; i++) {
		text_fmt(out, "%c. ", 'A' + i);
		text_put(out, option[i], option_len[i]);
		text_str(out, "\n");
	}
}

void eval_head_shots(struct eval_task *t, int shots)
{
	t->first = min_int(shots, t->n);
	for (int i = 0; i < t->first; i++)
		*eval_item_add(&t->shot, &t->n_shots) = t->item[i];
}

int eval_letter(const char *text)
{
	int letter;

	text += strspn(text, " \t\r\n");
	letter = *text - 'A';
	if (letter < 0 || letter >= EVAL_LETTERS || text[1 + strspn(text + 1, " \t\r\n")])
		return -1;
	return letter;
}

bool eval_wanted(const struct eval_plan *p, const char *task, bool extra)
{
	size_t n = strlen(task);

	if (!p->subjects || !*p->subjects)
		return !extra;
	for (const char *s = p->subjects; *s; s += strcspn(s, ",")) {
		s += *s == ',';
		if (!strncmp(s, task, n) && (!s[n] || s[n] == ','))
			return true;
	}
	return false;
}
