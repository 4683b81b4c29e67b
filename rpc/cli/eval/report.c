/* report.c - reads what runs have left. */
#include "rpc/cli/eval/report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "rpc/cli/eval/codes.h"
#include "rpc/cli/eval/compare.h"
#include "rpc/cli/eval/plot.h"

struct eval_style eval_style_of(const struct eval_args *a)
{
	const char *lang = getenv("LC_ALL");

	if (!lang || !*lang)
		lang = getenv("LANG");
	return (struct eval_style){.chinese = a->lang ? !strcmp(a->lang, "zh") : lang && !strncmp(lang, "zh", 2),
				   .plain = a->plain,
				   .others = a->others};
}

static const char *const names[EVAL_BENCHES] = {"mmlu", "ceval", "agieval", "gaokao-bench", "gaokao-english"};

/* A folder of results, or one result's file. */
struct results {
	char *model;
	struct eval_numbers numbers[EVAL_BENCHES];
	char *samples[EVAL_BENCHES];
	int n;
};

static int add_result(struct results *r, const char *path, struct why *why)
{
	char *model = NULL;
	size_t n = strlen(path);
	int err = r->n == EVAL_BENCHES ? fail(why, ERR_LIMIT, "%s: too many results", path)
				       : eval_result_read(&r->numbers[r->n], &model, path, why);

	if (err)
		return err;
	free(r->model);
	r->model = model;
	r->samples[r->n++] =
		xprintf("%.*s.samples.jsonl", (int)(n > 5 && !strcmp(path + n - 5, ".json") ? n - 5 : n), path);
	return 0;
}

static int open_results(struct results *r, const char *path, struct why *why)
{
	struct stat s;
	int err = 0;

	*r = (struct results){0};
	if (stat(path, &s) || !S_ISDIR(s.st_mode))
		return add_result(r, path, why);
	for (int i = 0; !err && i < EVAL_BENCHES; i++) {
		char *file = xprintf("%s/%s.json", path, names[i]);
		if (!stat(file, &s))
			err = add_result(r, file, why);
		free(file);
	}
	return err || r->n ? err
			   : fail(why, ERR_UNKNOWN, "%s: no results of xverse eval lie there (mmlu.json, ...)", path);
}

static void close_results(struct results *r)
{
	for (int i = 0; i < r->n; i++)
		free(r->samples[i]);
	free(r->model);
	*r = (struct results){0};
}

int eval_results_check(const char *path, struct why *why)
{
	struct results r;
	int err = open_results(&r, path, why);

	close_results(&r);
	return err;
}

static int say(const struct why *why)
{
	cli_say("xverse: eval: %s\n", why->text);
	return EVAL_USAGE;
}

int run_eval_tables(struct args *a)
{
	struct eval_style style = eval_style_of(&a->eval);
	int n = a->eval.n_word - 1, err = 0;
	struct results *r = xalloc((size_t)n + 1, sizeof *r);
	struct eval_model *m = xalloc((size_t)n + 1, sizeof *m);
	struct text out = {0};
	struct why why = {""};

	for (int i = 0; !err && i < n; i++) {
		err = open_results(&r[i], a->eval.word[1 + i], &why);
		m[i] = (struct eval_model){a->eval.name && n == 1 ? a->eval.name : r[i].model, r[i].numbers, r[i].n};
	}
	if (!err) {
		eval_tables(&out, m, n, &style);
		cli_write(out.data, out.len);
	}
	if (!err && a->eval.plot)
		err = eval_plot(a->eval.plot, m, n, &why);
	for (int i = 0; i < n; i++)
		close_results(&r[i]);
	free(r);
	free(m);
	text_finish(&out);
	return err ? say(&why) : EVAL_DONE;
}

/* The samples of a benchmark that both have. */
static int compare_all(struct text *out, json_t *list, const struct results *a, const struct results *b,
		       enum eval_rule rule, struct why *why)
{
	int err = 0, both = 0;

	for (int i = 0; !err && i < a->n; i++)
		for (int k = 0; !err && k < b->n; k++)
			if (!strcmp(a->numbers[i].bench, b->numbers[k].bench)) {
				struct eval_pair pair = {&a->numbers[i], &b->numbers[k], a->samples[i],
							 b->samples[k],  a->model,       b->model};
				err = eval_compare(out, list, &pair, rule, why);
				both++;
			}
	return err || both ? err : fail(why, ERR_INVALID, "--compare: the two have no benchmark in common");
}

int eval_compare_command(const char *const *with, int n, struct args *a)
{
	struct results old = {0}, new = {0};
	struct text out = {0};
	json_t *list = json_array();
	struct why why = {""};
	enum eval_rule rule = (enum eval_rule)(a->eval.choice ? eval_rule_find(a->eval.choice) : EVAL_BARE);
	int err = n == 1 ? 0 : fail(&why, ERR_INVALID, "--compare: two results must be named: --compare A B");

	if (!err)
		err = open_results(&old, a->eval.compare, &why);
	if (!err)
		err = open_results(&new, with[0], &why);
	if (!err)
		err = compare_all(&out, list, &old, &new, rule, &why);
	if (!err && a->json)
		json_print(json_incref(list));
	else if (!err)
		cli_write(out.data, out.len);
	json_decref(list);
	text_finish(&out);
	close_results(&old);
	close_results(&new);
	return err ? say(&why) : EVAL_DONE;
}
