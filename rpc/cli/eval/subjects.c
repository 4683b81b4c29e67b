/* subjects.c - benchmarks with a file for each subject and split, in the forms in which people keep them:
 *   test/anatomy_test.csv      as published
 *   anatomy/test.jsonl         a hub's export, a folder for each subject
 *   test/anatomy.csv           the same the other way round
 *   test.jsonl                 one file for all, with a column `subject`
 * Rows have question, A, B, C, D, answer; or question, choices, answer; or input, A, B, C, D, target. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "rpc/cli/eval/load.h"

static const char *const endings[] = {"csv", "jsonl", "json"};
enum { ENDINGS = sizeof endings / sizeof *endings };

/* A hub calls the split of 1,531 questions validation. */
static const char *other_name(const char *split)
{
	return !strcmp(split, "val") ? "validation" : split;
}

static const struct eval_file *find_form(const struct eval_files *f, const struct eval_place *where, const char *form,
					 const char *a, const char *b)
{
	for (int i = 0; i < ENDINGS; i++) {
		char stem[256], end[272];
		const struct eval_file *found;

		snprintf(stem, sizeof stem, form, a, b);
		snprintf(end, sizeof end, "%s.%s", stem, endings[i]);
		found = eval_find(f, where, end);
		if (found)
			return found;
	}
	return NULL;
}

static const struct eval_file *find_subject(const struct eval_files *f, const struct eval_place *where,
					    const char *subject, const char *split)
{
	const char *names[] = {split, other_name(split)};
	const struct eval_file *found = NULL;

	for (int i = 0; !found && i < 1 + (names[1] != split); i++) {
		found = find_form(f, where, "%s_%s", subject, names[i]);
		if (!found)
			found = find_form(f, where, "%s/%s", subject, names[i]);
		if (!found)
			found = find_form(f, where, "%s/%s-00000-of-00001", subject, names[i]);
		if (!found)
			found = find_form(f, where, "%2$s/%1$s", subject, names[i]);
	}
	return found;
}

static const struct eval_file *find_pool(const struct eval_files *f, const struct eval_place *where, const char *split)
{
	const struct eval_file *found = find_form(f, where, "%s", split, NULL);

	if (!found && other_name(split) != split)
		found = find_form(f, where, "%s", other_name(split), NULL);
	return found;
}

/* Whether the first line is a head with this column, in whatever place; quotes around names do not matter. */
static bool has_column(const char *bytes, const char *name)
{
	size_t len = strlen(name), line = strcspn(bytes, "\r\n");

	for (size_t at = 0, n; at <= line; at += n + 1) {
		const char *field = bytes + at;
		n = strcspn(field, ",\r\n");
		if (n >= 2 && *field == '"' && field[n - 1] == '"' && n - 2 == len)
			field++;
		else if (n != len)
			continue;
		if (!strncasecmp(field, name, len))
			return true;
	}
	return false;
}

static const char *behind_mark(const char *bytes)
{
	return bytes + 3 * !strncmp(bytes, "\xef\xbb\xbf", 3);
}

/* The published files of MMLU have no head. */
static bool has_head(const char *bytes)
{
	return (has_column(bytes, "question") || has_column(bytes, "input")) &&
	       ((has_column(bytes, "A") && has_column(bytes, "B")) || has_column(bytes, "choices") ||
		has_column(bytes, "options"));
}

/* Two benchmarks have files of the same names: C-Eval's have a head, and begin with the questions' ids. */
static int check_form(const struct eval_file *f, const char *bytes, bool ids, struct why *why)
{
	bool has = !strncmp(bytes, "id,", 3) || !strncmp(bytes, "\"id\",", 5);

	if (strcmp(f->path + strlen(f->path) - 4, ".csv") || (ids ? has_head(bytes) : !has))
		return 0;
	return fail(why, ERR_FORMAT, "%s: this is a file of %s; give each benchmark a folder of its own, named as it",
		    f->name, ids ? "mmlu" : "ceval");
}

static int read_file_rows(struct eval_bench *b, const struct eval_file *f, bool ids, struct eval_rows *rows,
			  struct why *why)
{
	char *bytes;
	size_t len;
	int err = eval_file_read(f, &bytes, &len, why);
	bool head = !err && has_head(behind_mark(bytes));

	if (!err)
		err = check_form(f, behind_mark(bytes), ids, why);
	free(bytes);
	return err ? err : eval_read(b, f, head ? NULL : "question,A,B,C,D,answer", rows, why);
}

/* A letter, or its number as hubs have it. */
static int label_of(const struct eval_row *r)
{
	static const char *const keys[] = {"answer", "target", "label"};
	int64_t number;

	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		const struct json *v = json_get(&r->value, keys[i]);
		if (json_is(v, JSON_IS_LIST))
			v = json_at(v, 0);
		if (json_int(v, &number))
			return number >= 0 && number < 4 ? (int)number : -1;
		if (json_is(v, JSON_IS_TEXT) && json_len(v) == 1 && v->text[0] >= '0' && v->text[0] <= '3')
			return v->text[0] - '0';
		if (json_is(v, JSON_IS_TEXT))
			return eval_letter(v->text);
	}
	return -1;
}

/* The options into option[4]; false: there are not four. */
static bool options_of(struct eval_rows *rows, const struct eval_row *r, const char *option[4], size_t len[4])
{
	const struct json *list = eval_row_list(rows, r, "choices");

	if (!list)
		list = eval_row_list(rows, r, "options");
	for (int i = 0; i < 4; i++) {
		const char key[2] = {(char)('A' + i)};
		const struct json *v = list ? json_at(list, (size_t)i) : json_get(&r->value, key);

		option[i] = json_str(v);
		len[i] = json_len(v);
		if (!option[i])
			return false;
	}
	return !list || json_size(list) == 4;
}

static const char *id_of(struct eval_bench *b, const struct eval_row *r)
{
	const struct json *v = json_get(&r->value, "id");
	char number[32];
	int64_t id;

	if (json_is(v, JSON_IS_TEXT))
		return eval_keep(b, v->text, json_len(v));
	if (!json_int(v, &id))
		return NULL;
	snprintf(number, sizeof number, "%lld", (long long)id);
	return eval_keep(b, number, strlen(number));
}

static int take_row(struct eval_bench *b, const struct eval_file *f, struct eval_rows *rows, const struct eval_row *r,
		    bool labelled, struct eval_item *item, struct why *why)
{
	const char *option[4], *stem = eval_row_text(r, "question", NULL);
	size_t option_len[4], stem_len = json_len(json_get(&r->value, stem ? "question" : "input"));
	struct text body = {0};

	if (!stem)
		stem = eval_row_text(r, "input", NULL);
	if (!stem || !options_of(rows, r, option, option_len))
		return fail(why, ERR_FORMAT, "%s: line %d: no question with the options A to D", f->name, r->line);
	eval_body(&body, stem, stem_len, option, option_len, 4);
	item->body = eval_keep(b, body.data, body.len);
	item->len = body.len;
	item->options = 4;
	item->gold = label_of(r);
	item->id = id_of(b, r);
	text_finish(&body);
	if (labelled && item->gold < 0)
		return fail(why, ERR_FORMAT, "%s: line %d: the answer is none of A, B, C and D", f->name, r->line);
	if (item->gold >= 4)
		return fail(why, ERR_FORMAT, "%s: line %d: the answer is %c, and there is no such option", f->name,
			    r->line, 'A' + item->gold);
	return 0;
}

/* subject: NULL: all rows. */
static int take_rows(struct eval_bench *b, const struct eval_file *f, struct eval_rows *rows, const char *subject,
		     bool labelled, struct eval_item **list, int *n, struct why *why)
{
	for (int i = 0; i < rows->n; i++) {
		const char *of = eval_row_text(&rows->row[i], "subject", NULL);
		int err;

		if (subject && (!of || strcmp(of, subject)))
			continue;
		err = take_row(b, f, rows, &rows->row[i], labelled, eval_item_add(list, n), why);
		if (err)
			return err;
	}
	return 0;
}

static int read_pool(struct eval_bench *b, const struct eval_file *f, bool ids, struct why *why)
{
	if (b->pool_of == f)
		return 0;
	eval_rows_free(&b->pool);
	b->pool_of = f;
	return read_file_rows(b, f, ids, &b->pool, why);
}

int eval_subject_read(struct eval_bench *b, const struct eval_files *f, const struct eval_place *where,
		      const char *subject, const char *split, bool labelled, struct eval_item **list, int *n,
		      struct why *why)
{
	const struct eval_file *file = find_subject(f, where, subject, split);
	struct eval_rows rows = {0};
	int err = 0;

	if (file) {
		err = read_file_rows(b, file, where->ids, &rows, why);
		if (!err)
			err = take_rows(b, file, &rows, NULL, labelled, list, n, why);
		eval_rows_free(&rows);
		if (!err && !*n)
			err = fail(why, ERR_FORMAT, "%s: no questions", file->name);
		return err;
	}
	file = find_pool(f, where, split);
	if (file)
		err = read_pool(b, file, where->ids, why);
	if (file && !err)
		err = take_rows(b, file, &b->pool, subject, labelled, list, n, why);
	if (err || *n)
		return err;
	eval_missing(b, "%s/%s_%s.csv", split, subject, split);
	return 0;
}
