/* session.c - a run: results to files, tables to standard output, the rest to standard error. */
#include "rpc/cli/eval/session.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/cli/eval/codes.h"
#include "rpc/cli/eval/kinds.h"
#include "rpc/cli/eval/lines.h"
#include "rpc/cli/eval/plot.h"
#include "rpc/cli/eval/report.h"
#include "rpc/cli/eval/result.h"

struct session {
	struct args *a;
	const struct eval_plan *p;
	const struct eval_bench *b;
	int n;
	struct eval_how how;
	struct eval_receipt receipt;
	struct eval_outcome *outcome; /* [n] */
	struct eval_numbers *numbers; /* [n_done] */
	int n_done, code;
	json_t *results;
};

static struct eval_how how_of(const struct args *a)
{
	const struct eval_args *e = &a->eval;

	return (struct eval_how){.out = e->out ? e->out : ".",
				 .max_prompt = e->max_prompt < 0 ? 2048 : (int)e->max_prompt,
				 .in_flight = e->in_flight < 0 ? 0 : (int)e->in_flight,
				 .resume = e->resume,
				 .rule = (enum eval_rule)(e->choice ? eval_rule_find(e->choice) : EVAL_BARE)};
}

static void say_alarm(const struct eval_bench *b, const struct eval_tally *t)
{
	if (t->equal_share > 0.5)
		cli_say("xverse: eval: ALARM: %s: %.0f %% of the questions have equal numbers for all letters: the model or its "
			"weights are broken, and the result is chance\n",
			b->kind->name, 100 * t->equal_share);
	else
		cli_say("xverse: eval: ALARM: %s: %c is chosen for %.0f %% of the questions: this model does not answer them\n",
			b->kind->name, 'A' + t->letter, 100 * t->letter_share);
}

static void raise_code(struct session *s, int code)
{
	if (code > s->code)
		s->code = code;
}

static void say_end(struct session *s, const struct eval_outcome *o, const struct eval_bench *b)
{
	if (o->failed)
		cli_say("xverse: eval: %d questions of %s failed; the first: %s\n", o->failed, b->kind->name,
			o->why.text);
	if (o->done < o->asked)
		cli_say("xverse: eval: %d of %d questions of %s are done; the same line with --resume goes on\n",
			o->done, o->asked, b->kind->name);
	if (o->tally.alarm)
		say_alarm(b, &o->tally);
	if (o->tally.alarm)
		raise_code(s, EVAL_ALARM);
}

static int write_files(struct session *s, const struct eval_outcome *o, const struct eval_bench *b, struct why *why)
{
	json_t *j = eval_result_json(o, b, s->p, &s->how, &s->receipt);
	char *path = xprintf("%s/%s.json", s->how.out, b->kind->name);
	const char *submit = s->a->eval.submit;
	int err = eval_json_write(j, path, why);

	json_array_append_new(s->results, j);
	free(path);
	if (!err && submit && b->kind == &eval_ceval)
		err = eval_submission_write(o, submit, s->how.rule, why);
	return err;
}

/* A folder of another set, or a download that was cut short, must not be taken for the benchmark. */
static void say_counts(const struct eval_bench *b, const struct eval_plan *p)
{
	int other = 0, few = 0;

	for (int i = 0; i < b->n; i++) {
		other += b->task[i].expected && b->task[i].n != b->task[i].expected;
		few += b->task[i].n && b->task[i].n_shots < p->shots;
	}
	if (few)
		cli_say("xverse: eval: %s: %d of %d files have fewer than %d examples: the prompts have those that there are\n",
			b->kind->name, few, b->n, p->shots);
	if (other)
		cli_say("xverse: eval: %s: %d of %d files have other numbers of questions than the published ones "
			"(--self-test lists them)\n",
			b->kind->name, other, b->n);
	if (b->partial)
		cli_say("xverse: eval: %s: files of some papers are missing (xverse eval ls --data DIR --subjects ...)\n",
			b->kind->name);
}

static int run_one(struct session *s, int i, struct xv_client *c, struct why *why)
{
	struct eval_outcome *o = &s->outcome[i];
	const struct eval_bench *b = &s->b[i];
	int err = eval_run(o, b, s->p, &s->how, &s->receipt, c, why), end;
	struct why later = {""};

	if (!o->samples)
		return err;
	end = write_files(s, o, b, &later);
	if (!err && end) {
		err = end;
		*why = later;
	}
	eval_result_numbers(&s->numbers[s->n_done++], o, b, s->p, s->how.rule);
	if (s->numbers[s->n_done - 1].limited) {
		raise_code(s, EVAL_PARTIAL);
		if (s->a->eval.submit && b->kind == &eval_ceval)
			cli_say("xverse: eval: %s has the answers of a partial run; the site wants all 52 subjects\n",
				s->a->eval.submit);
	}
	say_end(s, o, b);
	return err;
}

static void put_summary(struct text *out, const struct session *s)
{
	text_str(out, "\n");
	for (int i = 0; i < s->n_done; i++) {
		const struct eval_numbers *n = &s->numbers[i];
		const struct eval_bench *b = &s->b[i];

		text_fmt(out, "%s%s: %d questions", b->kind->title, n->limited ? " (PARTIAL)" : "", n->done);
		if (!isnan(n->average))
			text_fmt(out, ", %.2f ± %.2f (%s)", n->average, n->error, eval_rule_names[s->how.rule]);
		for (int r = 0; r < EVAL_RULES; r++) {
			struct eval_score score;
			eval_tally_score(&score, &s->outcome[i].tally, b, (enum eval_rule)r);
			if (r != (int)s->how.rule && !isnan(score.average))
				text_fmt(out, ", %.2f (%s)", score.average, eval_rule_names[r]);
			if (r == (int)s->how.rule && isfinite(score.hard))
				text_fmt(out, ", C-Eval Hard %.2f", score.hard);
		}
		text_fmt(out, "; the average is %s\n", b->kind->average);
	}
	text_fmt(out, "%s %s, %s; results in %s\n", s->receipt.model, s->receipt.fingerprint, s->receipt.numerics_class,
		 s->how.out);
}

static void print(const struct session *s)
{
	const char *name = s->a->eval.name ? s->a->eval.name : s->receipt.model;
	struct eval_model model = {name, s->numbers, s->n_done};
	struct eval_style style = eval_style_of(&s->a->eval);
	struct text out = {0};

	if (s->a->json) {
		json_print(json_pack("{s:O}", "results", s->results));
		return;
	}
	eval_tables(&out, &model, 1, &style);
	put_summary(&out, s);
	cli_write(out.data, out.len);
	text_finish(&out);
}

static int run_all(struct session *s, struct xv_client *c, struct why *why)
{
	int err = eval_receipt_ask(&s->receipt, c, s->a->eval.adapter, why);

	if (!err && s->receipt.max_model_len > 1 && s->receipt.max_model_len <= s->how.max_prompt) {
		s->how.max_prompt = s->receipt.max_model_len - 1; /* room for the letter */
		cli_say("xverse: eval: the server takes prompts of %d tokens, fewer than --max-prompt: longer ones are shortened\n",
			s->how.max_prompt);
	}
	for (int i = 0; !err && i < s->n; i++)
		say_counts(&s->b[i], s->p);
	for (int i = 0; !err && i < s->n; i++) {
		err = run_one(s, i, c, why);
		if (s->outcome[i].interrupted)
			break;
	}
	if (s->n_done)
		print(s);
	if (!err && s->n_done && s->a->eval.plot) {
		struct eval_model model = {s->a->eval.name ? s->a->eval.name : s->receipt.model, s->numbers, s->n_done};
		err = eval_plot(s->a->eval.plot, &model, 1, why);
	}
	return err;
}

int eval_session(struct args *a, const struct eval_plan *p, const struct eval_bench *b, int n)
{
	struct session s = {.a = a, .p = p, .b = b, .n = n, .how = how_of(a), .results = json_array()};
	struct xv_client *c = NULL;
	struct why why = {""};
	int err = cli_connect(&c, a, false, &why);

	s.outcome = xalloc((size_t)n + 1, sizeof *s.outcome);
	s.numbers = xalloc((size_t)n + 1, sizeof *s.numbers);
	if (!err)
		err = loading_wait(c, &why); /* what is asked for has no fingerprint yet */
	if (!err)
		err = run_all(&s, c, &why);
	if (err) {
		cli_say("xverse: eval: %s\n", why.text);
		s.code = eval_exit_code(err);
	}
	if (!err && a->eval.compare)
		s.code = max_int(s.code, eval_compare_command(&s.how.out, 1, a));
	xv_close(c);
	for (int i = 0; i < n; i++)
		eval_outcome_close(&s.outcome[i]);
	eval_receipt_close(&s.receipt);
	json_decref(s.results);
	free(s.outcome);
	free(s.numbers);
	return s.code;
}
