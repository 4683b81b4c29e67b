/* gaokao.c - GAOKAO-Bench: files of questions whose options are part of the question's text. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/cli/eval/load.h"

enum form { ONE = 1, SOME = 2, MANY = 3 };
static const struct {
	const char *name, *chinese;
	int expected;
	enum form form;
} tasks[] = {
#define TASK(name, chinese, n, form) {name, chinese, n, form},
#include "rpc/cli/eval/gaokao.def"
};

static struct eval_item *put(struct eval_bench *b, struct eval_task *t, const char *body, size_t len, int gold)
{
	struct eval_item *item = eval_item_add(&t->item, &t->n);

	item->body = eval_keep(b, body, len);
	item->len = len;
	item->gold = gold;
	item->options = 4;
	return item;
}

/* The first number of a run of `n` that begin lines of the text ("56. ... 57. ..."); 1 where there is no such run. */
static int first_number(const char *text, int n)
{
	for (const char *line = text; line; line = strchr(line, '\n')) {
		char *end;
		long first;
		const char *after;
		int found = 1;

		line += *line == '\n';
		line += strspn(line, " \t");
		first = isdigit((unsigned char)*line) ? strtol(line, &end, 10) : 0;
		if (first <= 0 || first > 200)
			continue;
		for (after = line; found < n && (after = strchr(after, '\n'));
		     found += strtol(after, NULL, 10) == first + found)
			after++;
		if (found == n)
			return (int)first;
	}
	return 1;
}

/* A question for each answer: the text, then the number of what is asked. */
static void put_many(struct eval_bench *b, struct eval_task *t, const struct json *question, const struct json *answers)
{
	int n = (int)json_size(answers), first = first_number(question->text, n);

	for (int i = 0; i < n; i++) {
		struct text body = {0};
		int gold =
			json_str(json_at(answers, (size_t)i)) ? eval_letter(json_str(json_at(answers, (size_t)i))) : -1;

		text_put(&body, question->text, json_len(question));
		text_fmt(&body, "\n%d.\n", first + i);
		if (gold >= 0 && gold < 4)
			put(b, t, body.data, body.len, gold);
		else
			t->left_out++;
		text_finish(&body);
	}
}

static int take_row(struct eval_bench *b, const struct eval_file *f, const struct eval_row *r, struct eval_rows *rows,
		    struct eval_task *t, enum form form, struct why *why)
{
	const struct json *question = json_get(&r->value, "question"), *answers = eval_row_list(rows, r, "answer");
	struct text body = {0};
	int gold;

	if (!json_str(question) || !json_size(answers))
		return fail(why, ERR_FORMAT, "%s: line %d: no \"question\" with a list \"answer\"", f->name, r->line);
	if (form == MANY) {
		put_many(b, t, question, answers);
		return 0;
	}
	gold = json_size(answers) == 1 && json_str(json_at(answers, 0)) ? eval_letter(json_str(json_at(answers, 0)))
									: -1;
	if (gold < 0 && form == ONE)
		return fail(why, ERR_FORMAT, "%s: line %d: the answer is no single letter", f->name, r->line);
	if (gold < 0 || gold >= 4) {
		t->left_out++;
		return 0;
	}
	text_put(&body, question->text, json_len(question));
	text_str(&body, "\n");
	put(b, t, body.data, body.len, gold);
	text_finish(&body);
	return 0;
}

/* Data/Objective_Questions since 2024, data/Multiple-choice_Questions before; hubs have .jsonl. */
static const struct eval_file *find_task(const struct eval_files *f, const struct eval_place *where, const char *name)
{
	static const char *const forms[] = {"%s.json", "%s.jsonl", "%s.csv", "%s/test.jsonl", NULL};

	return eval_find_form(f, where, forms, name);
}

static int load_task(struct eval_bench *b, const struct eval_file *file, struct eval_task *t, enum form form,
		     struct why *why)
{
	struct eval_rows rows = {0};
	int err;

	if (!file) {
		eval_missing(b, "Data/Objective_Questions/%s.json", t->name);
		return 0;
	}
	err = eval_read(b, file, NULL, &rows, why);
	for (int i = 0; !err && i < rows.n; i++)
		err = take_row(b, file, &rows.row[i], &rows, t, form, why);
	eval_rows_free(&rows);
	return err;
}

static int load(struct eval_bench *b, const struct eval_files *f, const struct eval_plan *p, struct why *why)
{
	static const char *const own[] = {"objective_questions", "multiple-choice_questions", "gaokao-bench", NULL},
				 *const others[] = {"agieval", "mmlu", "ceval", NULL};
	const struct eval_place where = {own, others, false};
	int err = 0;

	for (size_t i = 0; !err && i < sizeof tasks / sizeof *tasks; i++) {
		struct eval_task *t;
		bool extra = tasks[i].form == MANY && !p->multi_question;

		if (!eval_wanted(p, tasks[i].name, extra))
			continue;
		t = eval_task_add(b, tasks[i].name);
		t->chinese = true;
		t->title = tasks[i].chinese;
		t->expected = tasks[i].expected;
		t->extra = extra;
		err = load_task(b, find_task(f, &where, t->name), t, tasks[i].form, why);
		eval_head_shots(t, p->shots);
	}
	return err;
}

const struct eval_kind eval_gaokao_bench = {
	.name = "gaokao-bench",
	.title = "GAOKAO-Bench",
	.splits = "objective",
	.questions = 1459,
	.average = "over all questions of one answer",
	.source =
		"Published at https://github.com/OpenLMLab/GAOKAO-Bench: Data/Objective_Questions/*.json, before 2024 "
		"data/Multiple-choice_Questions/*.json.",
	.licence = "Apache-2.0",
	.load = load};
