/* agieval.c - AGIEval v1: a file of lines for each task; questions of several answers are left out. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "rpc/cli/eval/load.h"
#include "rpc/cli/eval/python.h"

static const struct {
	const char *name, *chinese;
	int rows, expected;
	bool extra;
} tasks[] = {
#define TASK(name, chinese, rows, n, extra) {name, chinese, rows, n, extra},
#include "rpc/cli/eval/agieval.def"
};

/* Bytes of "(B) ", "B. ", "B、" and the like at the beginning of an option; 0: it has no letter, or another one. */
static size_t prefix_of(const char *text, int letter)
{
	static const char *const open[] = {"(", "\xef\xbc\x88"};
	static const char *const close[] = {")", "\xef\xbc\x89", ".", "\xef\xbc\x8e", "\xe3\x80\x81",
					    ":", "\xef\xbc\x9a"};
	const char *at = text + strspn(text, " \t\r\n\f\v");
	size_t n = 0;

	for (int i = 0; i < 2; i++)
		if (!strncmp(at, open[i], strlen(open[i]))) {
			at += strlen(open[i]);
			break;
		}
	if (*at++ != 'A' + letter)
		return 0;
	for (size_t i = 0; !n && i < sizeof close / sizeof *close; i++)
		if (!strncmp(at, close[i], strlen(close[i])))
			n = strlen(close[i]);
	if (!n)
		return 0;
	at += n;
	for (;;) { /* blanks as Python's \s has them */
		if (*at && strchr(" \t\r\n\f\v", *at))
			at++;
		else if (!strncmp(at, "\xc2\xa0", 2))
			at += 2;
		else if (!strncmp(at, "\xe3\x80\x80", 3))
			at += 3;
		else
			return (size_t)(at - text);
	}
}

/* The letter of the one right answer; below 0: several, or none. */
static int label_of(const struct json *object)
{
	const struct json *label = json_get(object, "label");

	if (json_is(label, JSON_IS_LIST))
		return json_size(label) == 1 && json_str(json_at(label, 0)) ? eval_letter(json_str(json_at(label, 0)))
									    : -1;
	return json_str(label) ? eval_letter(json_str(label)) : -1;
}

static void put_stem(struct text *out, const struct json *object)
{
	const struct json *passage = json_get(object, "passage"), *question = json_get(object, "question");

	if (json_len(passage)) {
		text_put(out, passage->text, json_len(passage));
		text_str(out, "\n");
	}
	text_put(out, json_str(question), json_len(question));
}

/* The letters that options bring are left out where all have them, and in order. */
static void put_question(struct text *out, const struct json *object, const struct json *options)
{
	const char *option[EVAL_LETTERS];
	size_t len[EVAL_LETTERS], skip[EVAL_LETTERS];
	int n = (int)json_size(options);
	bool all = true;
	struct text stem = {0};

	for (int i = 0; i < n; i++) {
		option[i] = json_str(json_at(options, (size_t)i));
		len[i] = json_len(json_at(options, (size_t)i));
		skip[i] = prefix_of(option[i], i);
		all = all && skip[i];
	}
	for (int i = 0; all && i < n; i++) {
		option[i] += skip[i];
		len[i] -= skip[i];
	}
	put_stem(&stem, object);
	eval_body(out, stem.data ? stem.data : "", stem.len, option, len, n);
	text_finish(&stem);
}

static bool are_options(const struct json *options)
{
	if (json_size(options) < 2 || json_size(options) > EVAL_LETTERS)
		return false;
	for (size_t i = 0; i < json_size(options); i++)
		if (!json_str(json_at(options, i)))
			return false;
	return true;
}

static int take_row(struct eval_bench *b, const struct eval_file *f, struct eval_rows *rows, const struct eval_row *r,
		    struct eval_task *t, struct why *why)
{
	const struct json *options = eval_row_list(rows, r, "options");
	int gold = label_of(&r->value);
	struct eval_item *item;
	struct text body = {0};

	if (!eval_row_text(r, "question", NULL) || !are_options(options))
		return fail(why, ERR_FORMAT, "%s: line %d: no \"question\" with a list of 2 to %d \"options\"", f->name,
			    r->line, EVAL_LETTERS);
	if (gold < 0) {
		t->left_out++;
		return 0;
	}
	put_question(&body, &r->value, options);
	item = eval_item_add(&t->item, &t->n);
	item->body = eval_keep(b, body.data, body.len);
	item->len = body.len;
	item->gold = gold;
	item->options =
		max_int((int)json_size(options), gold + 1); /* three of sat-en lack one option: D is a letter still */
	text_finish(&body);
	return 0;
}

/* ---- the examples of its authors ---- */

/* A cell of few_shot_prompts.csv is a literal of Python; geography's options are one text. */
static int take_sample(struct eval_bench *b, const struct eval_file *f, const struct eval_row *r, struct eval_task *t,
		       struct why *why)
{
	const char *cell = eval_row_text(r, t->name, NULL);
	struct json_error e;
	struct json_doc *doc = cell ? python_read(cell, strlen(cell), &e) : NULL;
	const struct json *o = json_root(doc), *options = json_get(o, "options");
	struct text body = {0};
	struct eval_item *item;

	if (cell && *cell && !doc)
		return fail(why, ERR_FORMAT, "%s: line %d, column \"%s\", at its line %d, column %d: %s", f->name,
			    r->line, t->name, e.line, e.column, e.text);
	if (label_of(o) < 0 || !json_str(json_get(o, "question")) || !json_size(options)) {
		json_close(doc);
		return 0; /* no sample, or one of several answers */
	}
	if (json_size(options) == 1) {
		put_stem(&body, o);
		text_fmt(&body, "\n%s\n", json_str(json_at(options, 0)));
	} else if (are_options(options))
		put_question(&body, o, options);
	item = eval_item_add(&t->shot, &t->n_shots);
	item->gold = label_of(o);
	item->options = (int)json_size(options);
	item->body = eval_keep(b, body.data ? body.data : "", body.len);
	item->len = body.len;
	text_finish(&body);
	json_close(doc);
	return 0;
}

/* sat-en-without-passage has no column: it takes sat-en's samples less their passage in no published run. */
static int take_official(struct eval_bench *b, const struct eval_files *f, const struct eval_place *where,
			 struct why *why)
{
	const struct eval_file *file = eval_find(f, where, "few_shot_prompts.csv");
	struct eval_rows rows = {0};
	int err;

	if (!file) {
		eval_missing(b, "few_shot_prompts.csv");
		return 0;
	}
	err = eval_read(b, file, NULL, &rows, why);
	for (int i = 0; !err && i < rows.n; i++) {
		const char *name = eval_row_text(&rows.row[i], "", NULL);
		for (int k = 0; !err && name && !strncmp(name, "sample", 6) && k < b->n; k++)
			err = take_sample(b, file, &rows.row[i], &b->task[k], why);
	}
	eval_rows_free(&rows);
	return err;
}

static const struct eval_file *find_task(const struct eval_files *f, const struct eval_place *where, const char *name)
{
	static const char *const forms[] = {"v1/%s.jsonl",   "%s.jsonl",    "%s.json", "%s.csv",
					    "%s/test.jsonl", "%s/test.csv", NULL};

	return eval_find_form(f, where, forms, name);
}

static int load_task(struct eval_bench *b, const struct eval_files *f, const struct eval_place *where,
		     struct eval_task *t, struct why *why)
{
	const struct eval_file *file = find_task(f, where, t->name);
	struct eval_rows rows = {0};
	int err;

	if (!file) {
		eval_missing(b, "data/v1/%s.jsonl", t->name);
		return 0;
	}
	err = eval_read(b, file, NULL, &rows, why);
	for (int i = 0; !err && i < rows.n; i++)
		err = take_row(b, file, &rows, &rows.row[i], t, why);
	eval_rows_free(&rows);
	return err;
}

static int load(struct eval_bench *b, const struct eval_files *f, const struct eval_plan *p, struct why *why)
{
	static const char *const own[] = {"agieval", NULL}, *const others[] = {"mmlu", "ceval", "gaokao-bench", "v1_1",
									       NULL};
	const struct eval_place where = {own, others, false};
	int err = 0;

	for (size_t i = 0; !err && i < sizeof tasks / sizeof *tasks; i++) {
		struct eval_task *t;

		if (!eval_wanted(p, tasks[i].name, tasks[i].extra))
			continue;
		t = eval_task_add(b, tasks[i].name);
		t->chinese = tasks[i].chinese != NULL;
		t->title = t->chinese ? tasks[i].chinese : t->name;
		t->expected = tasks[i].expected;
		t->extra = tasks[i].extra;
		err = load_task(b, f, &where, t, why);
		if (!err && !p->official)
			eval_head_shots(t, p->shots);
	}
	return !err && p->official && p->shots ? take_official(b, f, &where, why) : err;
}

const struct eval_kind eval_agieval = {
	.name = "agieval",
	.title = "AGIEval",
	.splits = "v1",
	.questions = 4944,
	.average = "over all questions of the 16 tasks of single choice",
	.source =
		"Published at https://github.com/microsoft/AGIEval: data/v1/TASK.jsonl, and data/few_shot_prompts.csv for --shots-from official.",
	.licence = "of each task its own, see LICENSE there",
	.load = load};
