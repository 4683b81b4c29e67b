/* compare.c - which answers changed, and whether that many changes of one direction can be chance. */
#include "rpc/cli/eval/compare.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/cli/eval/lines.h"

/* What is kept of a sample. */
struct answer {
	char *key;       /* "task:index" */
	char prompt[17]; /* the beginning of its hash */
	int pred, gold;
};
struct answers {
	struct answer *answer; /* [n] */
	int n;
	enum eval_rule rule;
};

static int take(void *arg, const char *line, size_t len, struct why *why)
{
	struct answers *all = arg;
	struct eval_sample s;
	struct json_doc *doc;
	int err = eval_sample_read(&s, &doc, line, len, why);

	if (!err) {
		struct answer *a;
		all->answer = xgrow(all->answer, (size_t)all->n + 1, sizeof *all->answer);
		a = &all->answer[all->n++];
		*a = (struct answer){
			.key = xprintf("%s:%d", s.task, s.index), .pred = s.pred[all->rule], .gold = s.gold};
		snprintf(a->prompt, sizeof a->prompt, "%.16s", s.prompt_sha256);
	}
	json_close(doc);
	return err;
}

static int by_key(const void *x, const void *y)
{
	return strcmp(((const struct answer *)x)->key, ((const struct answer *)y)->key);
}

static const struct answer *find(const struct answers *all, const char *key)
{
	struct answer like = {.key = (char *)key};

	return all->n ? bsearch(&like, all->answer, (size_t)all->n, sizeof like, by_key) : NULL;
}

static void close_answers(struct answers *all)
{
	for (int i = 0; i < all->n; i++)
		free(all->answer[i].key);
	free(all->answer);
}

double eval_mcnemar(int b, int c)
{
	int n = b + c, least = b < c ? b : c;
	double sum = 0;

	for (int i = 0; i <= least; i++)
		sum += exp(lgamma(n + 1) - lgamma(i + 1) - lgamma(n - i + 1) - n * log(2));
	return n ? fmin(1, 2 * sum) : 1;
}

struct counts {
	int n, a_right, b_right, lost, won,
		moved; /* moved: another letter, both wrong, or no label says which is right */
};

static void count(struct counts *c, const struct answer *a, const struct answer *b)
{
	bool was = a->gold >= 0 && a->pred == a->gold, is = a->gold >= 0 && b->pred == b->gold;

	c->n++;
	c->a_right += was;
	c->b_right += is;
	c->lost += was && !is;
	c->won += !was && is;
	c->moved += !was && !is && a->pred != b->pred;
}

struct comparison {
	struct counts all, task;
	char name[128]; /* of the task that is being counted */
	struct text tasks, changed;
	json_t *changes, *by_task;
	int alone, other_prompt, other_label, unlabelled;
};

static void end_task(struct comparison *c)
{
	const struct counts *t = &c->task;

	if (t->n && (t->lost || t->won || t->moved)) {
		text_fmt(&c->tasks, "  %-40s %6d %6.1f %6.1f %6d %6d %6d\n", c->name, t->n, 100.0 * t->a_right / t->n,
			 100.0 * t->b_right / t->n, t->lost, t->won, t->moved);
		json_object_set_new(c->by_task, c->name,
				    json_pack("{s:i, s:i, s:i, s:i}", "n", t->n, "lost", t->lost, "won", t->won,
					      "moved", t->moved));
	}
	c->task = (struct counts){0};
}

static const char *letter(int pred, char out[2])
{
	out[0] = pred < 0 ? '-' : (char)('A' + pred);
	out[1] = 0;
	return out;
}

static void add_change(struct comparison *c, const struct answer *a, const struct answer *b)
{
	char was[2], is[2], gold[2];

	text_fmt(&c->changed, "  %s  %s -> %s  (answer %s)\n", a->key, letter(a->pred, was), letter(b->pred, is),
		 letter(a->gold, gold));
	json_array_append_new(c->changes,
			      json_pack("{s:s, s:s, s:s, s:s}", "question", a->key, "a", was, "b", is, "gold", gold));
}

static void compare_one(struct comparison *c, const struct answer *a, const struct answer *b)
{
	int n = (int)(strrchr(a->key, ':') - a->key);

	if (strncmp(c->name, a->key, (size_t)n) || c->name[n]) {
		end_task(c);
		snprintf(c->name, sizeof c->name, "%.*s", n, a->key);
	}
	c->other_label += a->gold != b->gold;
	c->unlabelled += a->gold < 0;
	c->other_prompt += strcmp(a->prompt, b->prompt) != 0;
	count(&c->all, a, b);
	count(&c->task, a, b);
	if (a->pred != b->pred)
		add_change(c, a, b);
}

/* Of a split without labels only the changes can be counted. */
static void put_accuracy(struct text *out, const struct comparison *c)
{
	const struct counts *t = &c->all;

	if (c->unlabelled)
		text_fmt(out, "%d of %d questions have no label; other letters in B: %d\n", c->unlabelled, t->n,
			 t->moved);
	if (c->unlabelled == t->n)
		return;
	text_fmt(out, "%d questions: A %.2f, B %.2f; right in A only %d, in B only %d, another wrong letter %d\n", t->n,
		 100.0 * t->a_right / t->n, 100.0 * t->b_right / t->n, t->lost, t->won, t->moved);
	text_fmt(out, "McNemar's exact test: p = %.4g%s\n", eval_mcnemar(t->lost, t->won),
		 eval_mcnemar(t->lost, t->won) < 0.05 ? "" : ": such a difference is within chance");
}

static void put_all(struct text *out, const struct comparison *c, const struct eval_pair *p)
{
	const struct counts *t = &c->all;

	text_fmt(out, "%s: A %s, B %s\n", p->a->bench, p->a_model, p->b_model);
	if (p->a->limited || p->b->limited)
		text_fmt(out, "PARTIAL: %d of %d questions are compared\n", t->n, p->a->whole);
	if (c->alone)
		text_fmt(out, "%d questions are in one of them only and are left out\n", c->alone);
	if (c->other_prompt)
		text_fmt(out, "%d questions had other prompts: this compares more than the models\n", c->other_prompt);
	if (c->other_label)
		text_fmt(out, "%d questions have other labels in B; those of A count\n", c->other_label);
	put_accuracy(out, c);
	if (c->tasks.len) {
		text_fmt(out, "\n  %-40s %6s %6s %6s %6s %6s %6s\n", "subject", "n", "A", "B", "lost", "won", "moved");
		text_put(out, c->tasks.data, c->tasks.len);
		text_str(out, "\nchanged answers (subject:question, A -> B):\n");
		text_put(out, c->changed.data, c->changed.len);
	}
	text_str(out, "\n");
}

static json_t *all_json(struct comparison *c, const struct eval_pair *p)
{
	return json_pack("{s:s, s:s, s:s, s:b, s:i, s:i, s:i, s:i, s:i, s:i, s:f, s:O, s:O}", "bench", p->a->bench, "a",
			 p->a_model, "b", p->b_model, "limited", p->a->limited || p->b->limited, "n", c->all.n,
			 "a_correct", c->all.a_right, "b_correct", c->all.b_right, "lost", c->all.lost, "won",
			 c->all.won, "moved", c->all.moved, "mcnemar_p", eval_mcnemar(c->all.lost, c->all.won), "tasks",
			 c->by_task, "changed", c->changes);
}

int eval_compare(struct text *out, json_t *list, const struct eval_pair *pair, enum eval_rule rule, struct why *why)
{
	struct answers a = {.rule = rule}, b = {.rule = rule};
	struct comparison c = {.changes = json_array(), .by_task = json_object()};
	int err = eval_lines(pair->a_samples, take, &a, why);

	if (!err)
		err = eval_lines(pair->b_samples, take, &b, why);
	if (b.n)
		qsort(b.answer, (size_t)b.n, sizeof *b.answer, by_key);
	for (int i = 0; !err && i < a.n; i++) {
		const struct answer *other = find(&b, a.answer[i].key);
		if (other)
			compare_one(&c, &a.answer[i], other);
	}
	end_task(&c);
	c.alone = a.n + b.n - 2 * c.all.n;
	if (!err) {
		put_all(out, &c, pair);
		json_array_append_new(list, all_json(&c, pair));
	}
	text_finish(&c.tasks);
	text_finish(&c.changed);
	json_decref(c.changes);
	json_decref(c.by_task);
	close_answers(&a);
	close_answers(&b);
	return err;
}
