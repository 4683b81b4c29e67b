/* gaokao_english.c - GAOKAO-English: ten papers with four kinds of single choice each. A paper's examples are the first
 * questions of the same kind in the next paper, since it has none of its own. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "rpc/cli/eval/load.h"

/* In a file's name; `file` as published. */
static const struct {
	const char *name, *file, *word, *other;
} kinds[] = {
	{"listening", "processed_listening.jsonl", "listening", NULL},
	{"cloze-multiple-choice", "processed_cloze_choice.jsonl", "cloze_choice", "cloze-multiple-choice"},
	{"reading-multiple-choice", "processed_reading_mc.jsonl", "reading_mc", "reading-multiple-choice"},
	{"reading-cloze", "processed_reading_dependent_cloze.jsonl", "reading_dependent_cloze", "reading-cloze"},
};
enum { KINDS = sizeof kinds / sizeof *kinds };
static const char *const papers[] = {"2018_np1", "2018_np3", "2019_np1", "2019_np2", "2019_np3",
				     "2020_np1", "2020_np2", "2020_np3", "2021_npa", "2021_npb"};
enum { PAPERS = sizeof papers / sizeof *papers };

static int kind_of(const struct eval_file *f)
{
	const char *name = strrchr(f->path, '/') + 1, *end = strrchr(name, '.');

	if (!end || (strcasecmp(end, ".jsonl") && strcasecmp(end, ".json") && strcasecmp(end, ".csv")))
		return -1;
	for (int i = 0; i < KINDS; i++)
		if (strcasestr(name, kinds[i].word) || (kinds[i].other && strcasestr(name, kinds[i].other)))
			return i;
	return -1;
}

/* "/gaokao2018_np1_revised/x.jsonl": 2018_np1. */
static int paper_of(const struct eval_file *f)
{
	for (int i = 0; i < PAPERS; i++) {
		const char *year = f->path;
		while ((year = strstr(year, "20"))) {
			const char *after = year + 4;
			if (!strncmp(year, papers[i], 4)) {
				after += strspn(after, "_-");
				if (!strncasecmp(after, papers[i] + 5, 3))
					return i;
			}
			year += 2;
		}
	}
	return -1;
}

static int gold_of(const struct json *object, const struct json *options)
{
	const struct json *answer = json_get(object, "answer");
	int found = -1;

	for (size_t i = 0; i < json_size(options); i++)
		if (found < 0 && json_same(answer, json_at(options, i)))
			found = (int)i;
	return found;
}

static int take_row(struct eval_bench *b, const struct eval_file *f, const struct eval_row *r, struct eval_rows *rows,
		    struct eval_task *t, struct why *why)
{
	const struct json *options = eval_row_list(rows, r, "options"), *context = json_get(&r->value, "context"),
			  *question = json_get(&r->value, "question");
	const char *option[EVAL_LETTERS];
	size_t len[EVAL_LETTERS], n = json_size(options);
	struct text stem = {0}, body = {0};
	struct eval_item *item;
	int gold = gold_of(&r->value, options);

	if (!json_len(question))
		question = json_get(&r->value, "question_mark");
	for (size_t i = 0; i < n && i < EVAL_LETTERS; i++) {
		option[i] = json_str(json_at(options, i));
		len[i] = json_len(json_at(options, i));
		if (!option[i])
			n = 0;
	}
	if (n < 2 || n > EVAL_LETTERS || !json_str(question))
		return fail(why, ERR_FORMAT,
			    "%s: line %d: no \"question\" or \"question_mark\" with a list of 2 to %d \"options\"",
			    f->name, r->line, EVAL_LETTERS);
	if (gold < 0)
		return fail(why, ERR_FORMAT, "%s: line %d: \"answer\" is none of the options", f->name, r->line);
	if (json_len(context))
		text_fmt(&stem, "%s\n", context->text);
	text_put(&stem, question->text, json_len(question));
	eval_body(&body, stem.data, stem.len, option, len, (int)n);
	item = eval_item_add(&t->item, &t->n);
	item->body = eval_keep(b, body.data, body.len);
	item->len = body.len;
	item->gold = gold;
	item->options = (int)n;
	text_finish(&stem);
	text_finish(&body);
	return 0;
}

static int load_file(struct eval_bench *b, const struct eval_file *f, int kind, const char *paper, struct why *why)
{
	struct eval_rows rows = {0};
	char *name = xprintf("%s%s%s", paper, *paper ? "_" : "", kinds[kind].name);
	struct eval_task *t = eval_task_add(b, name);
	int err = eval_read(b, f, NULL, &rows, why);

	free(name);
	t->title = "gaokao english";
	t->sub = kinds[kind].name;
	for (int i = 0; !err && i < rows.n; i++)
		err = take_row(b, f, &rows.row[i], &rows, t, why);
	eval_rows_free(&rows);
	return err;
}

/* Examples come from the next paper that has questions of the kind. */
static void share_shots(struct eval_bench *b, int shots)
{
	for (int i = 0; i < b->n; i++) {
		struct eval_task *t = &b->task[i];
		const struct eval_task *from = NULL;
		for (int k = 1; !from && k < b->n; k++)
			if (!strcmp(b->task[(i + k) % b->n].sub, t->sub) && b->task[(i + k) % b->n].n)
				from = &b->task[(i + k) % b->n];
		for (int k = 0; from && k < shots && k < from->n; k++)
			*eval_item_add(&t->shot, &t->n_shots) = from->item[k];
	}
}

static const struct eval_file *find_paper(const struct eval_files *f, const struct eval_place *where, int kind,
					  int paper)
{
	for (int i = 0; i < f->n; i++) {
		const struct eval_file *one = &f->file[i];
		bool foreign = false;
		for (const char *const *w = where->others; *w; w++)
			foreign |= eval_file_below(one, *w);
		if (!foreign && kind_of(one) == kind && paper_of(one) == paper)
			return one;
	}
	return NULL;
}

/* A file whose folder names none of the papers is a task by itself. */
static int load_strangers(struct eval_bench *b, const struct eval_files *f, const struct eval_place *where,
			  const struct eval_plan *p, struct why *why)
{
	int err = 0;

	for (int kind = 0; !err && kind < KINDS; kind++) {
		const struct eval_file *file = find_paper(f, where, kind, -1);
		if (file && eval_wanted(p, kinds[kind].name, false))
			err = load_file(b, file, kind, "", why);
	}
	return err;
}

static int load(struct eval_bench *b, const struct eval_files *f, const struct eval_plan *p, struct why *why)
{
	static const char *const others[] = {"mmlu", "ceval", "agieval", "gaokao-bench", "objective_questions", NULL};
	const struct eval_place where = {others, others, false};
	int err = 0;

	for (int kind = 0; kind < KINDS; kind++)
		for (int paper = 0; !err && paper < PAPERS; paper++) {
			const struct eval_file *file = find_paper(f, &where, kind, paper);
			char *name = xprintf("%s_%s", papers[paper], kinds[kind].name);
			if (!eval_wanted(p, name, false) && !eval_wanted(p, kinds[kind].name, true))
				;
			else if (file)
				err = load_file(b, file, kind, papers[paper], why);
			else
				eval_missing(b, "gaokao%s/%s", papers[paper], kinds[kind].file);
			free(name);
		}
	if (!err && !b->n)
		err = load_strangers(b, f, &where, p, why);
	b->partial = b->n_missing > 0;
	if (b->n && !(p->subjects && *p->subjects)) /* few have all papers: those that lie there count */
		b->n_missing = 0;
	if (!err && p->shots)
		share_shots(b, p->shots);
	return err;
}

const struct eval_kind eval_gaokao_english = {
	.name = "gaokao-english",
	.title = "GAOKAO-English",
	.python = true,
	.about = 600,
	.splits = "all",
	.average = "over all questions of the four kinds of single choice",
	.source =
		"Published at https://github.com/ExpressAI/AI-Gaokao; the files are those that its data sets name, as\n"
		"https://datalab-hub.s3.amazonaws.com/gaokao/english/gaokao2019_np3/processed_reading_mc.jsonl: keep the folder of each paper.",
	.licence = "none is stated",
	.load = load};
