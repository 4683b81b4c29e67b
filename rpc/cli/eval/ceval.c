/* ceval.c - C-Eval: 52 subjects with five examples each (dev); val has labels, test has none. */
#include <string.h>

#include "rpc/cli/eval/load.h"

enum { STEM = EVAL_STEM, SOCIAL = EVAL_SOCIAL, HUMANITIES = EVAL_HUMANITIES, OTHER = EVAL_OTHER };
static const struct {
	const char *name, *chinese;
	int category, expected;
} subjects[] = {
#define SUBJECT(name, chinese, category, n) {#name, chinese, category, n},
#include "rpc/cli/eval/ceval.def"
};

/* C-Eval Hard, as the benchmark's authors define it. */
static bool is_hard(const char *subject)
{
	static const char *const hard[] = {
		"advanced_mathematics", "discrete_mathematics",    "probability_and_statistics", "college_chemistry",
		"college_physics",      "high_school_mathematics", "high_school_chemistry",      "high_school_physics"};

	for (size_t i = 0; i < sizeof hard / sizeof *hard; i++)
		if (!strcmp(hard[i], subject))
			return true;
	return false;
}

static int load(struct eval_bench *b, const struct eval_files *f, const struct eval_plan *p, struct why *why)
{
	static const char *const own[] = {"ceval", "c-eval", NULL}, *const others[] = {"mmlu", "agieval", "gaokao",
										       NULL};
	const struct eval_place where = {own, others, true};
	bool test = !strcmp(b->split, "test");
	int err = 0;

	for (size_t i = 0; !err && i < sizeof subjects / sizeof *subjects; i++) {
		struct eval_task *t;

		if (!eval_wanted(p, subjects[i].name, false))
			continue;
		t = eval_task_add(b, subjects[i].name);
		t->title = p->english ? subjects[i].name : subjects[i].chinese;
		t->category = subjects[i].category;
		t->hard = is_hard(t->name);
		t->chinese = !p->english;
		t->expected = strcmp(b->split, "val") ? 0 : subjects[i].expected;
		if (p->shots)
			err = eval_subject_read(b, f, &where, t->name, "dev", true, &t->shot, &t->n_shots, why);
		if (!err)
			err = eval_subject_read(b, f, &where, t->name, b->split, !test, &t->item, &t->n, why);
	}
	return err;
}

const struct eval_kind eval_ceval = {
	.name = "ceval",
	.title = "C-Eval",
	.macro = true,
	.categories = true,
	.splits = "val test",
	.questions = 1346,
	.average = "over subjects",
	.source =
		"Published as https://huggingface.co/datasets/ceval/ceval-exam: ceval-exam.zip, as it is or unpacked "
		"({dev,val,test}/SUBJECT_SPLIT.csv);\nalso exports as SUBJECT/SPLIT.csv, .jsonl or .json. Parquet is not read.",
	.licence = "CC BY-NC-SA 4.0",
	.load = load};
