/* result.c - a run's numbers as JSON. */
#include "rpc/cli/eval/result.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/cli/cli.h"
#include "rpc/cli/eval/lines.h"
#include "rpc/cli/eval/prompt.h"

static json_t *number(double x)
{
	return isfinite(x) ? json_real(x) : json_null();
}

static int whole_of(const struct eval_bench *b, int *asked, const struct eval_plan *p)
{
	int whole = 0;

	*asked = 0;
	for (int i = 0; i < b->n; i++) {
		whole += b->task[i].n - b->task[i].first;
		*asked += eval_asked(&b->task[i], p);
	}
	return whole;
}

/* Files that were cut short, or a set of one's own under the benchmark's name. */
static bool lacks_questions(const struct eval_bench *b)
{
	bool fewer = b->partial;

	for (int i = 0; i < b->n; i++)
		fewer |= b->task[i].n < b->task[i].expected;
	return fewer;
}

void eval_result_numbers(struct eval_numbers *n, const struct eval_outcome *o, const struct eval_bench *b,
			 const struct eval_plan *p, enum eval_rule rule)
{
	struct eval_score s;

	eval_tally_score(&s, &o->tally, b, rule);
	*n = (struct eval_numbers){.average = s.average, .error = s.stderr_average, .done = o->done};
	snprintf(n->bench, sizeof n->bench, "%s", b->kind->name);
	for (int c = 0; c < EVAL_CATEGORIES; c++)
		n->category[c] = b->kind->categories ? s.category[c] : NAN;
	n->whole = whole_of(b, &n->asked, p);
	n->limited = n->done < n->whole || (p->subjects && *p->subjects) || lacks_questions(b);
	if ((p->subjects && *p->subjects) || lacks_questions(b))
		n->whole = max_int(n->whole, b->kind->questions ? b->kind->questions : b->kind->about);
}

static json_t *letters_of(const int *count)
{
	json_t *j = json_object();

	for (int i = 0; i < EVAL_LETTERS; i++)
		if (count[i])
			json_object_set_new(j, (char[2]){(char)('A' + i)}, json_integer(count[i]));
	return j;
}

static json_t *shots_of(const int *count)
{
	json_t *j = json_object();
	char k[12];

	for (int i = 0; i < EVAL_SHOTS; i++) {
		snprintf(k, sizeof k, "%d", i);
		if (count[i])
			json_object_set_new(j, k, json_integer(count[i]));
	}
	return j;
}

static double percent(int part, int whole)
{
	return whole ? 100.0 * part / whole : NAN;
}

static json_t *task_json(const struct eval_task *t, const struct eval_task_tally *k, enum eval_rule rule)
{
	json_t *j = json_object();
	double p = k->labelled ? (double)k->correct[rule] / k->labelled : NAN;

	json_object_set_new(j, "task", json_string(t->name));
	if (t->category >= 0)
		json_object_set_new(j, "category", json_string(eval_category_names[t->category]));
	if (t->sub)
		json_object_set_new(j, "subcategory", json_string(t->sub));
	json_object_set_new(j, "n", json_integer(k->n));
	json_object_set_new(j, "correct", json_integer(k->correct[rule]));
	json_object_set_new(j, "acc", number(percent(k->correct[EVAL_BARE], k->labelled)));
	json_object_set_new(j, "acc_ctx", number(percent(k->correct[EVAL_CTX], k->labelled)));
	json_object_set_new(j, "acc_max", number(percent(k->correct[EVAL_MAX], k->labelled)));
	json_object_set_new(j, "stderr", number(k->labelled > 1 ? 100 * sqrt(p * (1 - p) / (k->labelled - 1)) : NAN));
	json_object_set_new(j, "entropy", number(k->n ? k->entropy / k->n : NAN));
	json_object_set_new(j, "letters", letters_of(k->letters));
	json_object_set_new(j, "shots", shots_of(k->shots));
	json_object_set_new(j, "truncated", json_integer(k->truncated));
	json_object_set_new(j, "letters_of_several_tokens", json_integer(k->sums));
	json_object_set_new(j, "left_out", json_integer(t->left_out));
	return j;
}

static json_t *data_json(const struct eval_bench *b)
{
	json_t *list = json_array();

	for (int i = 0; i < b->n_used; i++)
		json_array_append_new(list, json_pack("{s:o, s:I, s:s}", "file",
						      json_text(b->used[i].name, strlen(b->used[i].name)), "bytes",
						      (json_int_t)b->used[i].bytes, "sha256", b->used[i].sha256));
	return list;
}

static json_t *receipt_json(const struct eval_receipt *r)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "model", r->model, "fingerprint", r->fingerprint,
			 "adapter", r->adapter, "adapter_fingerprint", r->adapter_fingerprint, "numerics_class",
			 r->numerics_class, "tokenizer_sha256", r->tokenizer_sha256, "device", r->device, "version",
			 r->version);
}

static json_t *accuracies(const struct eval_outcome *o, const struct eval_bench *b)
{
	json_t *j = json_object();

	for (int rule = 0; rule < EVAL_RULES; rule++) {
		struct eval_score s;
		eval_tally_score(&s, &o->tally, b, (enum eval_rule)rule);
		json_object_set_new(j, eval_rule_names[rule], number(s.average));
	}
	return j;
}

static json_t *sanity_json(const struct eval_tally *t)
{
	return json_pack("{s:b, s:f, s:s, s:f}", "alarm", t->alarm, "equal_logits", t->equal_share, "letter",
			 (char[2]){(char)('A' + t->letter)}, "letter_share", t->letter_share);
}

json_t *eval_result_json(const struct eval_outcome *o, const struct eval_bench *b, const struct eval_plan *p,
			 const struct eval_how *how, const struct eval_receipt *r)
{
	json_t *j = json_object(), *tasks = json_array(), *categories = json_object();
	struct eval_numbers n;
	struct eval_score s;

	eval_result_numbers(&n, o, b, p, how->rule);
	eval_tally_score(&s, &o->tally, b, how->rule);
	for (int c = 0; b->kind->categories && c < EVAL_CATEGORIES; c++)
		json_object_set_new(categories, eval_category_names[c], number(n.category[c]));
	for (int i = 0; i < b->n; i++)
		json_array_append_new(tasks, task_json(&b->task[i], &o->tally.task[i], how->rule));
	json_object_set_new(j, "format", json_string("xverse eval 1"));
	json_object_set_new(j, "bench", json_string(b->kind->name));
	json_object_set_new(j, "title", json_string(b->kind->title));
	json_object_set_new(j, "complete", json_boolean(!n.limited));
	json_object_set_new(j, "questions",
			    json_pack("{s:i, s:i, s:i}", "done", n.done, "asked", n.asked, "whole", n.whole));
	json_object_set_new(j, "choice", json_string(eval_rule_names[how->rule]));
	json_object_set_new(j, "average", number(n.average));
	json_object_set_new(j, "stderr", number(n.error));
	json_object_set_new(j, "averaged", json_string(b->kind->average));
	json_object_set_new(j, "micro", number(isnan(n.average) ? NAN : s.micro));
	json_object_set_new(j, "macro", number(isnan(n.average) ? NAN : s.macro));
	if (isfinite(s.hard))
		json_object_set_new(j, "hard", number(s.hard));
	json_object_set_new(j, "categories", categories);
	json_object_set_new(j, "average_by_choice", accuracies(o, b));
	json_object_set_new(j, "sanity", sanity_json(&o->tally));
	json_object_set_new(j, "receipt", receipt_json(r));
	json_object_set_new(j, "protocol", eval_protocol(b, p, how->max_prompt));
	json_object_set_new(j, "tasks", tasks);
	json_object_set_new(j, "data", data_json(b));
	return j;
}

static double real_of(const struct json *v)
{
	return json_is_num(v) ? json_num(v) : NAN;
}

int eval_result_read(struct eval_numbers *n, char **model, const char *path, struct why *why)
{
	struct json_doc *doc;
	const struct json *o, *q;
	int err = json_read_file(&doc, path, 64 << 20, why);

	if (err)
		return err;
	o = json_root(doc);
	q = json_get(o, "questions");
	*n = (struct eval_numbers){.average = real_of(json_get(o, "average")),
				   .error = real_of(json_get(o, "stderr")),
				   .done = (int)json_int_or(json_get(q, "done"), 0),
				   .asked = (int)json_int_or(json_get(q, "asked"), 0),
				   .whole = (int)json_int_or(json_get(q, "whole"), 0),
				   .limited = !json_yes(json_get(o, "complete"))};
	for (int c = 0; c < EVAL_CATEGORIES; c++)
		n->category[c] = real_of(json_get(json_get(o, "categories"), eval_category_names[c]));
	if (!json_str(json_get(o, "bench")) || !json_str(json_get(json_get(o, "receipt"), "model")))
		err = fail(why, ERR_FORMAT, "%s: this is no result of xverse eval", path);
	else {
		snprintf(n->bench, sizeof n->bench, "%s", json_str(json_get(o, "bench")));
		if (model)
			*model = xstrdup(json_str(json_get(json_get(o, "receipt"), "model")));
	}
	json_close(doc);
	return err;
}

/* ---- C-Eval's submission ---- */

struct submission {
	json_t *all;
	enum eval_rule rule;
};

static int submit_line(void *arg, const char *line, size_t len, struct why *why)
{
	struct submission *u = arg;
	struct eval_sample s;
	struct json_doc *doc;
	int err = eval_sample_read(&s, &doc, line, len, why);
	json_t *subject = err ? NULL : json_object_get(u->all, s.task);
	int pred = err ? 0 : s.pred[u->rule];

	if (!err && !subject) {
		json_object_set_new(u->all, s.task, json_object());
		subject = json_object_get(u->all, s.task);
	}
	if (!err && !s.id)
		err = fail(why, ERR_FORMAT, "%s has a question without an id", s.task);
	if (!err)
		json_object_set_new(subject, s.id, json_string((char[2]){(char)('A' + pred)}));
	json_close(doc);
	return err;
}

int eval_submission_write(const struct eval_outcome *o, const char *path, enum eval_rule rule, struct why *why)
{
	struct submission u = {json_object(), rule};
	int err = eval_lines(o->samples, submit_line, &u, why);
	char *text = json_dumps(u.all, JSON_INDENT(4)), *line = xprintf("%s\n", text);

	if (!err)
		err = eval_text_write(line, path, why);
	json_decref(u.all);
	free(text);
	free(line);
	return err;
}
