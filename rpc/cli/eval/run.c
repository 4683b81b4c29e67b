/* run.c - one request for each question: the prompt in, numbers of the letters out. A prompt that is longer than
 * --max-prompt loses its last examples, one by one; what is too long without any loses its beginning. Such prompts go
 * through the tokenizer first. */
#include "rpc/cli/eval/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/cli/cli.h"
#include "rpc/cli/eval/continuation.h"
#include "rpc/cli/eval/ids.h"
#include "rpc/cli/eval/lines.h"
#include "rpc/cli/eval/prompt.h"
#include "rpc/cli/journal.h"
#include "rpc/cli/pump.h"

enum phase { NEW, ASK, MEASURE, CUT, CONTINUE };

struct question {
	uint16_t task;
	uint8_t k, phase;
	bool measured, truncated; /* measured: with this k */
	int32_t index;            /* in the task */
};

/* A question whose letters alone are scored, while its continuations are asked. */
struct unfinished {
	struct eval_sample sample;
	struct eval_continuation *continuation;
};

struct run {
	const struct eval_bench *b;
	const struct eval_plan *p;
	const struct eval_how *how;
	const struct eval_receipt *receipt;
	struct xv_client *c;
	struct eval_outcome *o;
	struct question *question; /* [n] */
	int n, next;
	struct list *cut;               /* [n] the last tokens of prompts that do not fit; NULL until there is one */
	struct unfinished **unfinished; /* [n] questions whose letters are several tokens; NULL: none yet */
	struct eval_ids *ids;           /* [b->n] */
	bool *has_ids;
	struct journal *journal;
	struct text prompt;
	int32_t target[2 * EVAL_LETTERS];
	int correct, labelled, task;
	int most; /* tokens of a prompt */
};

static const struct eval_item *item_of(const struct run *r, const struct question *q)
{
	const struct eval_task *t = &r->b->task[q->task];

	return &t->item[t->first + q->index];
}

static void list_questions(struct run *r)
{
	for (int i = 0; i < r->b->n; i++)
		r->n += eval_asked(&r->b->task[i], r->p);
	r->question = xalloc((size_t)r->n + 1, sizeof *r->question);
	r->n = 0;
	for (int i = 0; i < r->b->n; i++)
		for (int k = 0; k < eval_asked(&r->b->task[i], r->p); k++)
			r->question[r->n++] =
				(struct question){.task = (uint16_t)i,
						  .index = k,
						  .k = (uint8_t)eval_most_shots(&r->b->task[i], r->p->shots)};
}

/* ---- requests ---- */

static int next_question(void *arg, uint64_t *item, struct why *why)
{
	struct run *r = arg;

	(void)why;
	while (r->next < r->n && journal_has(r->journal, (uint64_t)r->next))
		r->next++;
	*item = (uint64_t)r->next;
	return r->next < r->n ? (r->next++, 1) : 0;
}

/* Bytes beyond which the tokens are counted first; where the guess is wrong, the prompt is computed for nothing. */
static bool looks_long(const struct run *r, size_t bytes)
{
	return bytes > (size_t)r->most * 5 / 2;
}

static int put_targets(struct run *r, const struct question *q)
{
	const struct eval_ids *ids = &r->ids[q->task];
	int n = item_of(r, q)->options;

	for (int i = 0; i < n; i++) {
		r->target[i] = ids->bare[i];
		r->target[n + i] = ids->ctx[i];
	}
	return ids->has_ctx ? 2 * n : n;
}

static void make_score(struct run *r, const struct question *q, size_t head, struct xv_request *x,
		       const struct list *cut)
{
	x->kind = XV_SCORE;
	x->score.add_special = true;
	x->score.targets = r->target;
	x->score.n_targets = put_targets(r, q);
	x->score.adapter = r->receipt->adapter;
	x->score.target_logprobs = !r->ids[q->task].has_ctx;
	if (cut) {
		x->score.prompt = (struct xv_prompt){.ids = cut->id, .n_ids = cut->n};
		return;
	}
	x->score.prefix = (struct xv_prompt){.is_text = true, .text = r->prompt.data, .text_len = head};
	x->score.prompt =
		(struct xv_prompt){.is_text = true, .text = r->prompt.data + head, .text_len = r->prompt.len - head};
}

static int make_request(void *arg, uint64_t item, struct xv_request *x, struct why *why)
{
	struct run *r = arg;
	struct question *q = &r->question[item];
	size_t head;

	(void)why;
	r->task = q->task;
	r->prompt.len = 0;
	head = eval_prompt(&r->prompt, &r->b->task[q->task], item_of(r, q), q->k);
	if (q->phase == NEW)
		q->phase = looks_long(r, r->prompt.len) ? MEASURE : ASK;
	if (q->phase == CONTINUE) {
		eval_continuation_make(r->unfinished[item]->continuation, &r->prompt,
				       eval_delimiter(&r->b->task[q->task]), r->most, x);
		if (x->kind == XV_SCORE)
			x->score.adapter = r->receipt->adapter;
	} else if (q->phase == MEASURE) {
		x->kind = XV_TOKENIZE;
		x->tokenize.text = r->prompt.data;
		x->tokenize.text_len = r->prompt.len;
		x->tokenize.add_special = true;
	} else
		make_score(r, q, head, x, q->phase == CUT ? &r->cut[item] : NULL);
	return 0;
}

/* ---- results ---- */

static int ask_again(struct run *r, uint64_t item, enum phase phase)
{
	r->question[item].phase = (uint8_t)phase;
	return PUMP_AGAIN;
}

/* One example less; without any, the end of the prompt is what is asked. */
static int shrink(struct run *r, uint64_t item, const struct xv_tokens *tokens)
{
	struct question *q = &r->question[item];
	struct list *cut;

	if (q->k > 0 || !tokens) {
		q->k -= q->k > 0;
		q->measured = false;
		return ask_again(r, item, MEASURE);
	}
	if (!r->cut)
		r->cut = xalloc((size_t)r->n, sizeof *r->cut);
	cut = &r->cut[item];
	cut->n = r->most;
	cut->id = xgrow(cut->id, (size_t)cut->n, sizeof *cut->id);
	memcpy(cut->id, tokens->ids + tokens->n_ids - cut->n, (size_t)cut->n * sizeof *cut->id);
	cli_say("xverse: eval: %s: question %d of %s has %d tokens without examples: only its last %d are asked\n",
		r->b->kind->name, item_of(r, q)->index, r->b->task[q->task].name, tokens->n_ids, r->most);
	q->truncated = true;
	return ask_again(r, item, CUT);
}

static int take_measure(struct run *r, uint64_t item, const struct xv_tokens *tokens)
{
	r->question[item].measured = true;
	return tokens->n_ids > r->most ? shrink(r, item, tokens) : ask_again(r, item, ASK);
}

static int keep_sample(struct run *r, uint64_t item, struct eval_sample *s, struct why *why)
{
	const struct question *q = &r->question[item];
	struct text line = {0};
	int err;

	eval_choose(s);
	r->prompt.len = 0;
	eval_prompt(&r->prompt, &r->b->task[q->task], item_of(r, q), q->k);
	eval_sha256(r->prompt.data, r->prompt.len, s->prompt_sha256);
	eval_sample_write(&line, s);
	err = journal_put(r->journal, item, line.data, line.len, why);
	text_finish(&line);
	r->labelled += s->gold >= 0;
	r->correct += s->gold >= 0 && s->pred[r->how->rule] == s->gold;
	return err;
}

static struct eval_sample sample_of(const struct run *r, const struct question *q, const struct xv_finished *f)
{
	const struct eval_item *i = item_of(r, q);

	return (struct eval_sample){.bench = r->b->kind->name,
				    .task = r->b->task[q->task].name,
				    .id = i->id,
				    .index = i->index,
				    .k = q->k,
				    .tokens = (int)f->prompt_tokens,
				    .gold = i->gold,
				    .options = i->options,
				    .truncated = q->truncated,
				    .sums = !r->ids[q->task].has_ctx};
}

/* The letters' continuations are asked next. */
static int begin_continuation(struct run *r, uint64_t item, const struct eval_sample *s, const struct xv_finished *f,
			      struct why *why)
{
	struct unfinished *u;

	if (f->n_target_logprobs != s->options)
		return fail(why, ERR_FORMAT, "the server returned %d logprobs for %d letters", f->n_target_logprobs,
			    s->options);
	if (!r->unfinished)
		r->unfinished = xalloc((size_t)r->n, sizeof *r->unfinished);
	u = r->unfinished[item] = xalloc(1, sizeof *u);
	u->sample = *s;
	memcpy(u->sample.bare_logprob, f->target_logprobs, (size_t)s->options * sizeof *s->bare_logprob);
	u->continuation = eval_continuation_open(s->options);
	return ask_again(r, item, CONTINUE);
}

static int take_score(struct run *r, uint64_t item, const struct xv_finished *f, struct why *why)
{
	struct eval_sample s = sample_of(r, &r->question[item], f);

	if (f->n_target_logits != (s.sums ? 1 : 2) * s.options)
		return fail(why, ERR_FORMAT, "the server returned %d numbers for %d letters", f->n_target_logits,
			    s.options);
	memcpy(s.bare, f->target_logits, (size_t)s.options * sizeof *s.bare);
	if (s.sums)
		return begin_continuation(r, item, &s, f, why);
	memcpy(s.ctx, f->target_logits + s.options, (size_t)s.options * sizeof *s.ctx);
	return keep_sample(r, item, &s, why);
}

static void end_continuation(struct run *r, uint64_t item)
{
	if (!r->unfinished || !r->unfinished[item])
		return;
	eval_continuation_close(r->unfinished[item]->continuation);
	free(r->unfinished[item]);
	r->unfinished[item] = NULL;
}

static int take_continuation(struct run *r, uint64_t item, const struct xv_reply *reply, struct why *why)
{
	struct unfinished *u = r->unfinished[item];
	int more = eval_continuation_take(u->continuation, reply, why), err;

	if (more)
		return more < 0 ? more : PUMP_AGAIN;
	eval_continuation_sums(u->continuation, u->sample.ctx);
	err = keep_sample(r, item, &u->sample, why);
	end_continuation(r, item);
	return err;
}

/* A server that came back with other weights in the middle of a run. */
static int check_model(const struct run *r, const struct pump_result *x, struct why *why)
{
	if ((!*x->fingerprint || !strcmp(x->fingerprint, r->receipt->fingerprint)) &&
	    (!*x->numerics_class || !strcmp(x->numerics_class, r->receipt->numerics_class)))
		return 0;
	return fail(why, ERR_MISMATCH, "the server has another model now: %s %s instead of %s %s", x->fingerprint,
		    x->numerics_class, r->receipt->fingerprint, r->receipt->numerics_class);
}

static int take_failure(struct run *r, const struct pump_result *x)
{
	const struct question *q = &r->question[x->item];

	if (x->err == ERR_LIMIT && q->phase == ASK && (q->k || !q->measured))
		return shrink(r, x->item, NULL); /* longer than the model's context */
	if (!r->o->failed++)
		fail(&r->o->why, x->err, "%s, question %d of %s: %s", r->b->kind->name, item_of(r, q)->index,
		     r->b->task[q->task].name, x->error);
	return 0;
}

static int take_result(void *arg, const struct pump_result *x, struct why *why)
{
	struct run *r = arg;
	const struct question *q = &r->question[x->item];

	if (x->err)
		return take_failure(r, x);
	if (check_model(r, x, why))
		return ERR_MISMATCH;
	if (q->phase == CONTINUE)
		return take_continuation(r, x->item, x->reply, why);
	if (x->reply->kind == XV_R_TOKENS)
		return take_measure(r, x->item, &x->reply->tokens);
	if (x->reply->kind != XV_R_FINISHED)
		return fail(why, ERR_FORMAT, "the server answered a question with something else");
	if (q->phase == ASK && (int)x->reply->finished.prompt_tokens > r->most)
		return shrink(r, x->item, NULL);
	return take_score(r, x->item, &x->reply->finished, why);
}

static void show_progress(void *arg, char *out, size_t size)
{
	const struct run *r = arg;
	char accuracy[40] = "";

	if (r->labelled)
		snprintf(accuracy, sizeof accuracy, ", accuracy %.1f", 100.0 * r->correct / r->labelled);
	snprintf(out, size, "%s %d/%d %s%s", r->b->kind->name, r->task + 1, r->b->n, r->b->task[r->task].name,
		 accuracy);
}

/* ---- the run ---- */

static int open_journal(struct run *r, struct why *why)
{
	char *path = xprintf("%s/%s.journal", r->how->out, r->b->kind->name),
	     *head = eval_head(r->b, r->p, r->how->max_prompt, r->receipt);
	struct journal_options how = {.path = path, .head = head, .resume = r->how->resume, .sync_ms = 1000};
	int err = eval_folder_make(r->how->out, why);

	if (!err)
		err = journal_open(&r->journal, &how, why);
	free(path);
	free(head);
	return err;
}

/* The letters' ids behind the prompts of each task that still has questions. */
static int ask_ids(struct run *r, struct why *why)
{
	int err = 0;

	for (int i = 0; !err && i < r->n; i++) {
		int task = r->question[i].task;
		if (r->has_ids[task] || journal_has(r->journal, (uint64_t)i))
			continue;
		memcpy(r->ids[task].bare, r->receipt->bare, sizeof r->receipt->bare);
		err = eval_ids_ctx(r->c, &r->b->task[task], &r->ids[task], why);
		r->has_ids[task] = true;
	}
	return err;
}

static int ask_all(struct run *r, struct why *why)
{
	uint64_t already = journal_count(r->journal);
	struct pump how = {.unit = "question",
			   .total = (uint64_t)r->n,
			   .already = already,
			   .in_flight = r->how->in_flight,
			   .retries = 3,
			   .quiet = r->how->quiet,
			   .next = next_question,
			   .make = make_request,
			   .done = take_result,
			   .tell = show_progress,
			   .arg = r};
	struct pump_totals totals;
	int err = already < (uint64_t)r->n ? ask_ids(r, why) : 0;

	return err || already == (uint64_t)r->n ? err : pump_run(r->c, &how, &totals, why);
}

static int tally_line(void *arg, uint64_t item, const char *line, size_t len, struct why *why)
{
	struct run *r = arg;
	struct eval_sample s;
	struct json_doc *doc;
	int err;

	if (item >= (uint64_t)r->n)
		return fail(why, ERR_FORMAT, "the journal has question %llu of %d", (unsigned long long)item, r->n);
	err = eval_sample_read(&s, &doc, line, len, why);
	if (!err)
		eval_tally_add(&r->o->tally, r->question[item].task, &s, r->how->rule);
	json_close(doc);
	return err;
}

static int finish(struct run *r, struct why *why)
{
	int err;

	r->o->done = (int)journal_count(r->journal);
	r->o->samples = xprintf("%s/%s.samples.jsonl", r->how->out, r->b->kind->name);
	err = journal_final(r->journal, r->o->samples, why);
	if (!err)
		err = journal_each(r->journal, tally_line, r, why);
	eval_tally_end(&r->o->tally);
	return err;
}

static void close_run(struct run *r)
{
	journal_close(r->journal);
	for (int i = 0; r->cut && i < r->n; i++)
		free(r->cut[i].id);
	free(r->cut);
	for (int i = 0; r->unfinished && i < r->n; i++)
		end_continuation(r, (uint64_t)i);
	free(r->unfinished);
	free(r->question);
	free(r->ids);
	free(r->has_ids);
	text_finish(&r->prompt);
}

int eval_run(struct eval_outcome *o, const struct eval_bench *b, const struct eval_plan *p, const struct eval_how *how,
	     const struct eval_receipt *receipt, struct xv_client *c, struct why *why)
{
	struct run r = {.b = b, .p = p, .how = how, .receipt = receipt, .c = c, .o = o};
	struct why later = {""};
	int err, end;

	*o = (struct eval_outcome){0};
	eval_tally_open(&o->tally, b);
	r.most = how->max_prompt;
	r.ids = xalloc((size_t)b->n + 1, sizeof *r.ids);
	r.has_ids = xalloc((size_t)b->n + 1, sizeof *r.has_ids);
	list_questions(&r);
	o->asked = r.n;
	err = open_journal(&r, why);
	if (err) {
		close_run(&r);
		return err;
	}
	err = ask_all(&r, why);
	o->interrupted = err == ERR_CANCELLED;
	end = finish(&r, &later);
	if (!err || o->interrupted) {
		err = end;
		*why = later;
	}
	close_run(&r);
	return err;
}

void eval_outcome_close(struct eval_outcome *o)
{
	eval_tally_close(&o->tally);
	free(o->samples);
	*o = (struct eval_outcome){0};
}
