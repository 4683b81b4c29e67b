/* check.c - a folder of data is checked without a server. */
#include "rpc/cli/eval/check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/cli/cli.h"
#include "rpc/cli/eval/codes.h"
#include "rpc/cli/eval/kinds.h"
#include "rpc/cli/eval/prompt.h"
#include "rpc/cli/eval/score.h"

bool eval_check_counts(const struct eval_bench *b)
{
	bool fine = true;

	for (int i = 0; i < b->n; i++) {
		const struct eval_task *t = &b->task[i];
		if (!t->expected || t->n == t->expected)
			continue;
		cli_say("xverse: eval: %s: %s has %d questions of one answer, the published file has %d\n",
			b->kind->name, t->name, t->n, t->expected);
		fine = false;
	}
	return fine;
}

static int questions(const struct eval_bench *b)
{
	int n = 0;

	for (int i = 0; i < b->n; i++)
		n += b->task[i].n;
	return n;
}

static void put_percent(struct text *out, double x, int width)
{
	if (isnan(x))
		text_fmt(out, " %*s", width, "-");
	else
		text_fmt(out, " %*.2f", width, x);
}

/* Mean of one over the number of options. */
static double chance(const struct eval_bench *b)
{
	double sum = 0;

	for (int i = 0; i < b->n; i++)
		for (int k = 0; k < b->task[i].n; k++)
			sum += 1.0 / b->task[i].item[k].options;
	return questions(b) ? 100 * sum / questions(b) : NAN;
}

static void put_always(struct text *out, const struct eval_bench *b, int letter)
{
	struct eval_count *count = xalloc((size_t)b->n, sizeof *count);
	struct eval_score s;

	for (int i = 0; i < b->n; i++)
		for (int k = 0; k < b->task[i].n; k++) {
			count[i].n += b->task[i].item[k].gold >= 0;
			count[i].correct += b->task[i].item[k].gold == letter;
		}
	eval_score(&s, b, count);
	text_fmt(out, "always %c", 'A' + letter);
	put_percent(out, s.average, 8);
	if (b->kind->macro)
		put_percent(out, s.micro, 8);
	for (int c = 0; b->kind->categories && c < EVAL_CATEGORIES; c++)
		put_percent(out, s.category[c], max_int(8, (int)strlen(eval_category_names[c])));
	text_str(out, "\n");
	free(count);
}

static void put_head(struct text *out, const struct eval_bench *b)
{
	text_fmt(out, "%s (%s): %d tasks, %d questions, %d files; the average is %s\n%-8s %8s", b->kind->title,
		 b->split, b->n, questions(b), b->n_used, b->kind->average, "", "average");
	if (b->kind->macro)
		text_fmt(out, " %8s", "micro");
	for (int c = 0; b->kind->categories && c < EVAL_CATEGORIES; c++)
		text_fmt(out, " %8s", eval_category_names[c]);
	text_str(out, "\n");
}

static int most_options(const struct eval_bench *b)
{
	int most = 0;

	for (int i = 0; i < b->n; i++)
		for (int k = 0; k < b->task[i].n; k++)
			most = max_int(most, b->task[i].item[k].options);
	return most;
}

static const char *says_what(const struct eval_bench *b, bool fine)
{
	int known = 0;

	for (int i = 0; i < b->n; i++)
		known += b->task[i].expected > 0;
	if (!fine)
		return "These are not the published questions.";
	return known == b->n ? "The questions are as many as published."
			     : "How many questions were published is not known.";
}

int eval_self_test(const struct eval_bench *b)
{
	struct text out = {0};
	bool fine = eval_check_counts(b);

	put_head(&out, b);
	for (int letter = 0; letter < most_options(b); letter++)
		put_always(&out, b, letter);
	text_fmt(&out, "chance  ");
	put_percent(&out, chance(b), 8);
	text_fmt(&out, "\n%s\n", says_what(b, fine));
	cli_write(out.data, out.len);
	text_finish(&out);
	return fine ? EVAL_DONE : EVAL_USAGE;
}

static void list_prompt(const struct eval_bench *b, const struct eval_task *t, const struct eval_item *item, int k)
{
	struct text prompt = {0};
	char sha[65], gold[2] = {item->gold < 0 ? 0 : (char)('A' + item->gold)};

	eval_prompt(&prompt, t, item, k);
	eval_sha256(prompt.data, prompt.len, sha);
	json_print(json_pack("{s:s, s:s, s:i, s:i, s:i, s:s, s:s}", "bench", b->kind->name, "task", t->name, "index",
			     item->index, "k", k, "bytes", (int)prompt.len, "prompt_sha256", sha, "gold", gold));
	text_finish(&prompt);
}

int eval_list_prompts(const struct eval_bench *b, const struct eval_plan *p)
{
	for (int i = 0; i < b->n; i++) {
		const struct eval_task *t = &b->task[i];
		for (int k = 0; k < eval_asked(t, p); k++)
			list_prompt(b, t, &t->item[t->first + k], eval_most_shots(t, p->shots));
	}
	return EVAL_DONE;
}

int eval_dry_run(const struct eval_bench *b, const struct eval_plan *p)
{
	struct text out = {0};
	int all = 0;

	text_fmt(&out, "%-40s %9s %9s %9s %12s\n", b->kind->title, "questions", "asked", "examples", "prompt bytes");
	for (int i = 0; i < b->n; i++) {
		const struct eval_task *t = &b->task[i];
		struct text prompt = {0};
		int asked = eval_asked(t, p);

		for (int k = 0; k < asked; k++)
			eval_prompt(&prompt, t, &t->item[t->first + k], eval_most_shots(t, p->shots));
		text_fmt(&out, "%-40s %9d %9d %9d %12zu\n", t->name, t->n, asked, eval_most_shots(t, p->shots),
			 prompt.len);
		all += asked;
		text_finish(&prompt);
	}
	text_fmt(&out, "%-40s %9d %9d\n", "all", questions(b), all);
	cli_write(out.data, out.len);
	text_finish(&out);
	return eval_check_counts(b) ? EVAL_DONE : EVAL_USAGE;
}

int eval_show_prompt(const struct eval_bench *b, const struct eval_plan *p, const char *which)
{
	const char *colon = strrchr(which, ':');
	size_t n = colon ? (size_t)(colon - which) : strlen(which);
	char *end;
	long index = colon ? strtol(colon + 1, &end, 10) : 0;
	struct text out = {0};

	for (int i = 0; i < b->n; i++) {
		const struct eval_task *t = &b->task[i];
		if (strlen(t->name) != n || strncmp(t->name, which, n))
			continue;
		if (colon && (end == colon + 1 || *end || index < 0 || index >= t->n)) {
			cli_say("xverse: eval: --show-prompt %s: %s has the questions 0 to %d\n", which, t->name,
				t->n - 1);
			return EVAL_USAGE;
		}
		eval_prompt(&out, t, &t->item[index], eval_most_shots(t, p->shots));
		cli_write(out.data, out.len);
		text_finish(&out);
		return EVAL_DONE;
	}
	return -1;
}

static void list_one(struct text *out, const struct eval_kind *kind, const struct eval_files *f,
		     const struct eval_plan *p)
{
	struct eval_bench b;
	struct why why;

	if (eval_bench_open(&b, kind, f, p, &why)) {
		text_fmt(out, "%-15s %s\n", kind->name, why.text);
		return;
	}
	text_fmt(out, "%-15s %-6s %6d %10d %8d %8d", kind->name, b.split, b.n, questions(&b), b.n_used, b.n_missing);
	put_percent(out, chance(&b), 7);
	text_str(out, "\n");
	for (int i = 0; p->subjects && i < b.n; i++)
		text_fmt(out, "  %-38s %6d questions, %d of several answers or none\n", b.task[i].name, b.task[i].n,
			 b.task[i].left_out);
	if (b.n_missing && b.n_used)
		eval_bench_missing(&b, f, out);
	eval_bench_close(&b);
}

int eval_list(const struct eval_files *f, const struct eval_plan *p)
{
	struct text out = {0};

	if (f)
		text_fmt(&out, "%-15s %-6s %6s %10s %8s %8s %7s\n", "benchmark", "split", "tasks", "questions", "files",
			 "missing", "chance");
	for (int i = 0; eval_kinds[i]; i++) {
		const struct eval_kind *k = eval_kinds[i];
		if (f)
			list_one(&out, k, f, p);
		else
			text_fmt(&out, "%s (%s): the average is %s\n%s\nLicence: %s\n\n", k->name, k->title, k->average,
				 k->source, k->licence);
	}
	if (!f)
		text_str(&out, "xverse eval ls --data DIR says what of it lies in a folder. Nothing is downloaded.\n");
	cli_write(out.data, out.len);
	text_finish(&out);
	return EVAL_DONE;
}
