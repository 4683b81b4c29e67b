/* score.c - MMLU weighs questions alike (micro), C-Eval subjects alike (macro). */
#include "rpc/cli/eval/score.h"

#include <math.h>

const char *const eval_category_names[EVAL_CATEGORIES] = {"STEM", "Social Science", "Humanities", "Others"};

static double ratio(double part, double whole)
{
	return whole > 0 ? 100 * part / whole : NAN;
}

static bool counts(const struct eval_bench *b, int task)
{
	for (int i = 0; i < b->n; i++)
		if (!b->task[i].extra)
			return !b->task[task].extra;
	return true;
}

struct sums {
	int n, correct, tasks;
	double accuracy, variance; /* sums over tasks */
};

static void add(struct sums *s, const struct eval_count *c)
{
	double p = c->n ? (double)c->correct / c->n : 0;

	if (!c->n)
		return;
	s->n += c->n;
	s->correct += c->correct;
	s->tasks++;
	s->accuracy += p;
	if (c->n > 1)
		s->variance += p * (1 - p) / (c->n - 1);
}

/* The standard error of a mean: of all questions alike, or of the tasks' means. */
static double error_of(const struct sums *s, bool macro)
{
	double p = s->n ? (double)s->correct / s->n : 0;

	if (macro)
		return s->tasks ? 100 * sqrt(s->variance) / s->tasks : NAN;
	return s->n > 1 ? 100 * sqrt(p * (1 - p) / (s->n - 1)) : NAN;
}

void eval_score(struct eval_score *out, const struct eval_bench *b, const struct eval_count *count)
{
	struct sums all = {0}, hard = {0}, of[EVAL_CATEGORIES] = {0};
	bool macro = b->kind->macro;

	for (int i = 0; i < b->n; i++) {
		if (!counts(b, i))
			continue;
		add(&all, &count[i]);
		if (b->task[i].hard)
			add(&hard, &count[i]);
		if (b->task[i].category >= 0)
			add(&of[b->task[i].category], &count[i]);
	}
	*out = (struct eval_score){.n = all.n, .correct = all.correct};
	out->micro = ratio(all.correct, all.n);
	out->macro = ratio(all.accuracy, all.tasks);
	out->hard = ratio(hard.accuracy, hard.tasks);
	out->average = macro ? out->macro : out->micro;
	out->stderr_average = error_of(&all, macro);
	for (int c = 0; c < EVAL_CATEGORIES; c++)
		out->category[c] = macro ? ratio(of[c].accuracy, of[c].tasks) : ratio(of[c].correct, of[c].n);
}
