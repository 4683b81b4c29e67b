/* tally.c - counts of samples, and whether they can be of a working model. */
#include "rpc/cli/eval/tally.h"

#include <math.h>
#include <stdlib.h>

void eval_tally_open(struct eval_tally *t, const struct eval_bench *b)
{
	*t = (struct eval_tally){.task = xalloc((size_t)b->n + 1, sizeof *t->task)};
}

void eval_tally_close(struct eval_tally *t)
{
	free(t->task);
	*t = (struct eval_tally){0};
}

/* Of softmax over the letters. */
static double entropy_of(const float *x, int n)
{
	double most = x[0], sum = 0, h = 0;

	for (int i = 1; i < n; i++)
		most = fmax(most, x[i]);
	for (int i = 0; i < n; i++)
		sum += exp(x[i] - most);
	for (int i = 0; i < n; i++) {
		double p = exp(x[i] - most) / sum;
		h -= p > 0 ? p * log(p) : 0;
	}
	return isfinite(h) ? h : 0;
}

static bool are_equal(const float *x, int n)
{
	for (int i = 0; i < n; i++)
		if (isnan(x[i]))
			return true; /* NaN chooses as equal numbers do: always the same */
	for (int i = 1; i < n; i++)
		if (x[i] != x[0])
			return false;
	return true;
}

void eval_tally_add(struct eval_tally *t, int task, const struct eval_sample *s, enum eval_rule rule)
{
	struct eval_task_tally *k = &t->task[task];
	int pred = s->pred[rule];

	k->n++;
	k->labelled += s->gold >= 0;
	t->n++;
	for (int r = 0; r < EVAL_RULES; r++)
		k->correct[r] += s->gold >= 0 && s->pred[r] == s->gold;
	k->sums += s->sums;
	k->letters[pred]++;
	t->letters[pred]++;
	k->shots[min_int(s->k, EVAL_SHOTS - 1)]++;
	k->truncated += s->truncated;
	k->entropy += entropy_of(rule == EVAL_CTX ? s->ctx : s->bare, s->options);
	t->equal += are_equal(rule == EVAL_CTX ? s->ctx : s->bare, s->options);
}

void eval_tally_end(struct eval_tally *t)
{
	enum { FEW = 20 }; /* of fewer questions one letter may well be the answer to all */

	for (int i = 1; i < EVAL_LETTERS; i++)
		if (t->letters[i] > t->letters[t->letter])
			t->letter = i;
	t->equal_share = t->n ? (double)t->equal / t->n : 0;
	t->letter_share = t->n ? (double)t->letters[t->letter] / t->n : 0;
	t->alarm = t->equal_share > 0.5 || (t->n >= FEW && t->letter_share > 0.95);
}

void eval_tally_score(struct eval_score *out, const struct eval_tally *t, const struct eval_bench *b,
		      enum eval_rule rule)
{
	struct eval_count *count = xalloc((size_t)b->n + 1, sizeof *count);

	for (int i = 0; i < b->n; i++)
		count[i] = (struct eval_count){t->task[i].labelled, t->task[i].correct[rule]};
	eval_score(out, b, count);
	free(count);
}
