/* eval.c - `xverse eval NAME ...`: one table of what it measures. */
#include "rpc/cli/eval/eval.h"

#include <string.h>

#include "base/similar.h"
#include "rpc/cli/eval/command.h"
#include "rpc/cli/measure/measure.h"
#include "rpc/cli/eval/report.h"

/* Names that may stand alone; benchmarks may stand together. */
static const struct part {
	const char *name;
	int (*run)(struct args *a); /* the exit code; a->eval.word[0] is the name */
	const char *help;
} parts[] = {
	{"mmlu", run_eval_benchmarks, "57 subjects in English; several of these five may stand together"},
	{"ceval", run_eval_benchmarks, "52 subjects in Chinese"},
	{"agieval", run_eval_benchmarks, "16 sets of exams in both languages"},
	{"gaokao-bench", run_eval_benchmarks, "China's university entrance exams"},
	{"gaokao-english", run_eval_benchmarks, "their English papers"},
	{"ls", run_eval_list, "what is found in --data DIR, and where people get the rest"},
	{"tables", run_eval_tables, "the authors' tables, with results in the folders that follow"},
	{"ppl", run_ppl, "perplexity and bits per byte of a text or .jsonl FILE"},
	{"classes", run_classes, "MODEL FILE: the model's quantisations side by side; starts daemons itself"},
	{"exact", run_exact, "FILE.jsonl: generated answers against the right ones"},
	{NULL, NULL, NULL},
};

const char *eval_name_at(int i)
{
	return i < (int)(sizeof parts / sizeof *parts) ? parts[i].name : NULL;
}

const char *eval_help_at(int i)
{
	return parts[i].help;
}

static int refuse(const char *name)
{
	struct similar like = {.given = name};
	const char *best, *one;

	for (int i = 0; (one = eval_name_at(i)); i++)
		similar_try(&like, one);
	best = similar_name(&like);
	cli_say("xverse: eval: there is no benchmark \"%.60s\"%s%s%s (xverse eval --help lists them)\n", name,
		best ? "; did you mean " : "", best ? best : "", best ? "?" : "");
	return EVAL_USAGE;
}

static bool is_name(const char *word)
{
	const char *one;

	for (int i = 0; (one = eval_name_at(i)); i++)
		if (!strcmp(one, word))
			return true;
	return false;
}

/* Two results, which may lie in folders called like benchmarks, and nothing to ask: a benchmark needs --data, `exact` a
 * file. */
static bool only_compares(const struct args *a)
{
	return a->eval.compare &&
	       (!a->eval.n_word || !is_name(a->eval.word[0]) || (a->eval.n_word == 1 && !a->eval.data));
}

int run_eval(struct args *a)
{
	struct why why;

	if (eval_check_words(&a->eval, &why)) {
		cli_say("xverse: %s\n", why.text);
		return EVAL_USAGE;
	}
	if (only_compares(a))
		return eval_compare_command(a->eval.word, a->eval.n_word, a);
	if (!a->eval.n_word) {
		cli_say("xverse: eval: which benchmark? (xverse eval --help lists them)\n");
		return EVAL_USAGE;
	}
	for (const struct part *p = parts; p->name; p++)
		if (!strcmp(p->name, a->eval.word[0]))
			return p->run(a);
	return refuse(a->eval.word[0]);
}
