/* mmlu.c - MMLU: 57 subjects, of each a file of examples (dev) and one of questions (test, val). */
#include <string.h>

#include "rpc/cli/eval/load.h"

enum { STEM = EVAL_STEM, SOCIAL = EVAL_SOCIAL, HUMANITIES = EVAL_HUMANITIES, OTHER = EVAL_OTHER };
static const struct {
	const char *name, *sub;
	int category, expected;
} subjects[] = {
#define SUBJECT(name, sub, category, n) {#name, sub, category, n},
#include "rpc/cli/eval/mmlu.def"
};

static int load(struct eval_bench *b, const struct eval_files *f, const struct eval_plan *p, struct why *why)
{
	static const char *const own[] = {"mmlu", NULL}, *const others[] = {"cmmlu",   "ceval",  "c-eval",
									    "agieval", "gaokao", NULL};
	const struct eval_place where = {own, others, false};
	int err = 0;

	for (size_t i = 0; !err && i < sizeof subjects / sizeof *subjects; i++) {
		struct eval_task *t;

		if (!eval_wanted(p, subjects[i].name, false))
			continue;
		t = eval_task_add(b, subjects[i].name);
		t->title = t->name;
		t->sub = subjects[i].sub;
		t->category = subjects[i].category;
		t->expected = strcmp(b->split, "test") ? 0 : subjects[i].expected;
		if (p->shots)
			err = eval_subject_read(b, f, &where, t->name, "dev", true, &t->shot, &t->n_shots, why);
		if (!err)
			err = eval_subject_read(b, f, &where, t->name, b->split, true, &t->item, &t->n, why);
	}
	return err;
}

const struct eval_kind eval_mmlu = {
	.name = "mmlu",
	.title = "MMLU",
	.categories = true,
	.splits = "test val",
	.questions = 14042,
	.average = "over all questions",
	.source =
		"Published as https://people.eecs.berkeley.edu/~hendrycks/data.tar (unpack it: data/{dev,val,test}/SUBJECT_SPLIT.csv), "
		"also as mmlu.zip;\nof hubs, exports as SUBJECT/SPLIT.csv, .jsonl or .json, or one SPLIT.jsonl with a column subject. "
		"Parquet is not read.",
	.licence = "MIT",
	.load = load};
