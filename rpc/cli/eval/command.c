/* command.c - the benchmarks of a command line: what is asked for, read from the files, then counted or asked. */
#include "rpc/cli/eval/command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file/file.h"
#include "base/file/own.h"
#include "rpc/cli/eval/check.h"
#include "rpc/cli/eval/codes.h"
#include "rpc/cli/eval/kinds.h"
#include "rpc/cli/eval/report.h"
#include "rpc/cli/eval/session.h"

static int one_of(const char *option, const char *given, const char *const *allowed, struct why *why)
{
	struct text all = {0};

	for (int i = 0; allowed[i]; i++)
		if (!given || !strcmp(given, allowed[i]))
			return 0;
	for (int i = 0; allowed[i]; i++)
		text_fmt(&all, "%s%s", i ? ", " : "", allowed[i]);
	fail(why, ERR_INVALID, "--%s: \"%.60s\" is none of %s", option, given, all.data);
	text_finish(&all);
	return ERR_INVALID;
}

int eval_check_words(const struct eval_args *a, struct why *why)
{
	static const char *const choices[] = {"bare", "ctx", "max", "sum", NULL}, *const langs[] = {"zh", "en", NULL},
				 *const froms[] = {"head", "official", NULL};

	if (one_of("choice", a->choice, choices, why) || one_of("lang", a->lang, langs, why) ||
	    one_of("prompt-lang", a->prompt_lang, langs, why) || one_of("shots-from", a->shots_from, froms, why))
		return ERR_INVALID;
	return 0;
}

static int make_plan(struct eval_plan *p, const struct eval_args *a, struct why *why)
{
	*p = (struct eval_plan){.shots = a->shots < 0 ? 5 : (int)a->shots,
				.limit = a->limit < 0 ? 0 : (int)a->limit,
				.split = a->split,
				.subjects = a->subjects,
				.english = a->prompt_lang && !strcmp(a->prompt_lang, "en"),
				.official = a->shots_from && !strcmp(a->shots_from, "official"),
				.multi_question = a->multi_question};
	if (a->submit && (!a->split || strcmp(a->split, "test")))
		return fail(why, ERR_INVALID, "eval: --submit is for ceval --split test: the site has its labels");
	return 0;
}

static int check_names(const struct eval_args *a, struct why *why)
{
	bool submits = !a->submit;

	for (int i = 0; i < a->n_word; i++) {
		if (!eval_kind_find(a->word[i]))
			return fail(why, ERR_INVALID,
				    "eval: there is no benchmark \"%.60s\" (xverse eval ls lists them)", a->word[i]);
		for (int k = 0; k < i; k++)
			if (!strcmp(a->word[i], a->word[k]))
				return fail(why, ERR_INVALID, "eval: %s is named twice", a->word[i]);
		submits |= !strcmp(a->word[i], "ceval");
	}
	return submits ? 0 : fail(why, ERR_INVALID, "eval: --submit is for ceval, which is not asked for");
}

static int check_place(const char *option, const char *path, struct why *why)
{
	int error = path ? file_place_error(path) : 0;

	return error ? fail(why, ERR_IO, "--%s %s: no file can be written there: %s", option, path,
			    file_error(path, error))
		     : 0;
}

static int check_ids(const struct eval_bench *b, struct why *why)
{
	for (int i = 0; i < b->n; i++)
		for (int k = 0; k < b->task[i].n; k++)
			if (!b->task[i].item[k].id)
				return fail(why, ERR_FORMAT,
					    "--submit: questions of %s have no id: the published files have",
					    b->task[i].name);
	return 0;
}

/* What would fail only after the last question. */
static int check_ends(const struct eval_args *a, const struct eval_bench *b, struct why *why)
{
	int err = check_place("plot", a->plot, why);

	if (!err)
		err = check_place("submit", a->submit, why);
	if (!err && a->compare)
		err = eval_results_check(a->compare, why);
	for (int i = 0; !err && a->submit && i < a->n_word; i++)
		if (b[i].kind == &eval_ceval)
			err = check_ids(&b[i], why);
	return err;
}

/* --split must be one of each benchmark's that has several. */
static int check_split(const struct eval_kind *kind, const char *split, struct why *why)
{
	const char *at = split ? strstr(kind->splits, split) : NULL;
	size_t n = split ? strlen(split) : 0;

	if (!split || (at && n && (at == kind->splits || at[-1] == ' ') && (!at[n] || at[n] == ' ')))
		return 0;
	return fail(why, ERR_INVALID, "--split %.40s: %s has %s", split, kind->name, kind->splits);
}

/* Every name of --subjects must be a task of one of the benchmarks. */
static int check_subjects(const struct eval_bench *b, int n, const char *subjects, struct why *why)
{
	for (const char *s = subjects; s && *s; s += *s == ',') {
		size_t len = strcspn(s, ",");
		bool found = !len;
		for (int i = 0; i < n; i++)
			for (int k = 0; k < b[i].n; k++) {
				const struct eval_task *t = &b[i].task[k];
				found |= strlen(t->name) == len && !strncmp(t->name, s, len);
				found |= t->sub && strlen(t->sub) == len && !strncmp(t->sub, s, len);
			}
		if (!found)
			return fail(why, ERR_INVALID, "--subjects: \"%.*s\" is no subject of these benchmarks",
				    (int)len, s);
		s += len;
	}
	return 0;
}

static int say_missing(const struct eval_bench *b, const struct eval_files *f)
{
	struct text out = {0};
	int err = eval_bench_missing(b, f, &out);

	if (err)
		cli_put(STDERR_FILENO, out.data, out.len);
	text_finish(&out);
	return err;
}

static int check_one(const struct eval_args *a, bool json, const struct eval_plan *p, const struct eval_bench *b)
{
	if (a->self_test)
		return eval_self_test(b);
	return json ? eval_list_prompts(b, p) : eval_dry_run(b, p);
}

static int without_server(const struct args *all, const struct eval_plan *p, const struct eval_bench *b, int n)
{
	const struct eval_args *a = &all->eval;
	int code = a->show_prompt ? EVAL_USAGE : EVAL_DONE;

	for (int i = 0; i < n; i++) {
		int one;
		if (a->show_prompt) {
			one = eval_show_prompt(&b[i], p, a->show_prompt);
			if (one >= 0)
				return one;
		} else {
			one = check_one(a, all->json, p, &b[i]);
			code = one ? one : code;
		}
	}
	if (a->show_prompt)
		cli_say("xverse: eval: --show-prompt %s: no such subject\n", a->show_prompt);
	return code;
}

static int open_all(struct eval_bench *b, const struct eval_files *f, const struct args *a, const struct eval_plan *p,
		    struct why *why)
{
	int err = 0, missing = 0;

	for (int i = 0; !err && i < a->eval.n_word; i++) {
		const struct eval_kind *kind = eval_kind_find(a->eval.word[i]);
		err = check_split(kind, p->split, why);
		if (!err)
			err = eval_bench_open(&b[i], kind, f, p, why);
		if (!err && say_missing(&b[i], f))
			missing = ERR_UNKNOWN;
	}
	if (!err && missing)
		err = fail(why, missing, "eval: files are missing (--subjects takes the rest of a benchmark)");
	return err ? err : check_subjects(b, a->eval.n_word, p->subjects, why);
}

static int say_usage(const struct why *why)
{
	cli_say("xverse: %s\n", why->text);
	return EVAL_USAGE;
}

int run_eval_benchmarks(struct args *a)
{
	struct eval_args *e = &a->eval;
	struct eval_bench *b;
	struct eval_files f = {0};
	struct eval_plan p;
	struct why why = {""};
	int code, err = make_plan(&p, e, &why);

	if (!err)
		err = check_names(e, &why);
	if (!err && !e->data)
		err = fail(&why, ERR_INVALID,
			   "eval: --data DIR is missing: the folder of the published files (xverse eval ls)");
	if (!err)
		err = eval_files_open(&f, e->data, &why);
	b = xalloc((size_t)e->n_word + 1, sizeof *b);
	if (!err)
		err = open_all(b, &f, a, &p, &why);
	if (!err)
		err = check_ends(e, b, &why);
	if (err)
		code = say_usage(&why);
	else if (e->self_test || e->dry_run || e->show_prompt)
		code = without_server(a, &p, b, e->n_word);
	else
		code = eval_session(a, &p, b, e->n_word);
	for (int i = 0; i < e->n_word; i++)
		if (b[i].kind)
			eval_bench_close(&b[i]);
	free(b);
	eval_files_close(&f);
	return code;
}

int run_eval_list(struct args *a)
{
	struct eval_files f = {0};
	struct eval_plan p;
	struct why why = {""};
	int err = make_plan(&p, &a->eval, &why), code;

	if (!err && a->eval.data)
		err = eval_files_open(&f, a->eval.data, &why);
	code = err ? say_usage(&why) : eval_list(a->eval.data ? &f : NULL, &p);
	eval_files_close(&f);
	return code;
}
