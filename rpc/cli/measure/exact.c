/* exact.c - `xverse eval exact FILE.jsonl`: generated answers against the right ones. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "rpc/cli/batch/input.h"
#include "rpc/cli/eval/codes.h"
#include "rpc/cli/eval/lines.h"
#include "rpc/cli/measure/flips.h"
#include "rpc/cli/measure/measure.h"
#include "rpc/cli/measure/model.h"
#include "rpc/cli/measure/question.h"

struct run {
	struct args *a;
	const char *out;
	char *samples; /* path */
	struct batch_input in;
	struct xv_client *client;
	struct measure_model model;
	struct journal *journal;
	struct pump_totals totals;
	int n, at;            /* questions, --limit applied */
	uint64_t right, done; /* so far */
	struct why why;
};

/* ---- questions ---- */

static int read_question(const struct run *r, int i, struct measure_question *q, struct why *why)
{
	struct why inner = {""};
	char *text;
	int err = batch_input_read(&r->in, i, &text, why);

	*q = (struct measure_question){.doc = NULL};
	if (err)
		return err;
	err = measure_question_read(q, text, r->in.line[i].len, r->in.line[i].number, r->a->measure.normalizer, &inner);
	free(text);
	return err ? fail(why, err, "%s:%u: %.400s", r->in.path, r->in.line[i].number, inner.text) : 0;
}

/* A file with a fault is refused before a single question is asked. */
static int check_all(struct run *r)
{
	int err = 0;

	for (int i = 0; !err && i < r->in.n; i++) {
		struct measure_question q;
		err = read_question(r, i, &q, &r->why);
		measure_question_finish(&q);
	}
	return err;
}

static int next(void *arg, uint64_t *item, struct why *why)
{
	struct run *r = arg;

	(void)why;
	while (r->at < r->in.n) {
		uint32_t i = r->in.order[r->at++];
		*item = i;
		if (i < (uint32_t)r->n && !journal_has(r->journal, i))
			return 1;
	}
	return 0;
}

/* libxverse copies a request when it is sent, so one question is kept for as long. */
static struct measure_question sent;

static int make(void *arg, uint64_t item, struct xv_request *q, struct why *why)
{
	const struct run *r = arg;
	int err;

	measure_question_finish(&sent);
	err = read_question(r, (int)item, &sent, why);
	if (err)
		return err;
	batch_request_fill(&sent.request, 0, q);
	*(q->kind == XV_CHAT ? &q->chat.adapter : &q->generate.adapter) = r->model.adapter;
	return 0;
}

static int done(void *arg, const struct pump_result *p, struct why *why)
{
	struct run *r = arg;
	struct measure_question q;
	struct text line = {0};
	int err;

	if (p->err)
		return fail(why, p->err == ERR_LIMIT ? ERR_INVALID : p->err, "%s:%u: %.400s", r->in.path,
			    r->in.line[p->item].number, p->error);
	if (strcmp(p->fingerprint, r->model.fingerprint) || strcmp(p->numerics_class, r->model.numerics_class))
		return fail(why, ERR_MISMATCH, "the server has another model or numerics class than at the start");
	err = read_question(r, (int)p->item, &q, why);
	if (!err) {
		r->right += measure_question_answer(&line, &q, p->text, p->text_len, p->reply->finished.output_tokens,
						    p->reply->finished.reason == XV_FINISH_STOP ? "stop" : "length");
		r->done++;
		err = journal_put(r->journal, p->item, line.data, line.len, why);
	}
	text_finish(&line);
	measure_question_finish(&q);
	return err;
}

static void tell(void *arg, char *out, size_t size)
{
	const struct run *r = arg;

	if (r->done)
		snprintf(out, size, "%.1f %% right", 100.0 * (double)r->right / (double)r->done);
}

/* ---- the run ---- */

static json_t *head_of(const struct run *r)
{
	char input[20];
	json_t *j;

	snprintf(input, sizeof input, "%016llx", (unsigned long long)r->in.hash);
	j = json_pack("{s:s, s:s, s:i, s:s}", "format", "xverse eval exact 1", "input", input, "input_lines", r->in.n,
		      "normalizer", r->a->measure.normalizer ? r->a->measure.normalizer : "strip");
	measure_model_put(j, &r->model);
	return j;
}

static int restore(void *arg, uint64_t item, const char *line, size_t len, struct why *why)
{
	struct run *r = arg;

	(void)len, (void)why;
	if (item < (uint64_t)r->n) {
		r->done++;
		r->right += strstr(line, ",\"correct\":true}") != NULL;
	}
	return 0;
}

static int open_journal(struct run *r)
{
	json_t *j = head_of(r);
	char *head = json_dumps(j, JSON_ENSURE_ASCII | JSON_SORT_KEYS), *path = xprintf("%s.part", r->samples);
	struct journal_options how = {.path = path, .head = head, .resume = r->a->eval.resume, .sync_ms = 1000};
	int err = journal_open(&r->journal, &how, &r->why);

	free(path);
	free(head);
	json_decref(j);
	return err ? err : journal_each(r->journal, restore, r, &r->why);
}

static int prepare(struct run *r)
{
	int64_t limit = r->a->eval.limit;
	int err = batch_input_open(&r->in, r->a->eval.word[1], false, &r->why);

	if (!err)
		err = check_all(r);
	r->n = limit > 0 && limit < r->in.n ? (int)limit : r->in.n;
	if (!err)
		err = cli_connect(&r->client, r->a, false, &r->why);
	if (!err)
		err = loading_wait(r->client, &r->why);
	if (!err)
		err = measure_model_ask(&r->model, r->client, r->a->eval.adapter, &r->why);
	return err ? err : open_journal(r);
}

static int ask(struct run *r)
{
	int64_t in_flight = r->a->eval.in_flight;
	struct pump how = {.unit = "question",
			   .total = (uint64_t)r->n,
			   .already = r->done,
			   .in_flight = in_flight > 0 ? (int)in_flight : 0,
			   .retries = 3,
			   .quiet = r->a->json,
			   .next = next,
			   .make = make,
			   .done = done,
			   .tell = tell,
			   .arg = r};

	return pump_run(r->client, &how, &r->totals, &r->why);
}

static uint64_t pick(void *arg, uint64_t line)
{
	const struct run *r = arg;

	return line < (uint64_t)r->n && journal_has(r->journal, line) ? line : UINT64_MAX;
}

static json_t *result_of(const struct run *r)
{
	json_t *j = head_of(r);
	double share = (double)r->right / (double)r->n;

	json_object_set_new(j, "file", json_text(r->in.path, strlen(r->in.path)));
	json_object_set_new(j, "n", json_integer(r->n));
	json_object_set_new(j, "correct", json_integer((json_int_t)r->right));
	json_object_set_new(j, "accuracy", json_real(share));
	json_object_set_new(j, "error", json_real(r->n > 1 ? sqrt(share * (1 - share) / (r->n - 1)) : 0));
	json_object_set_new(j, "limited", json_boolean(r->n < r->in.n));
	return j;
}

static void print_table(const struct run *r, json_t *j)
{
	if (r->n < r->in.n)
		cli_print("LIMITED: %d of %d questions\n\n", r->n, r->in.n);
	cli_print("| Questions | Right | Exact match | |\n|-:|-:|-:|-|\n| %d | %llu | %.2f %% | ± %.2f |\n", r->n,
		  (unsigned long long)r->right, 100 * json_real_value(json_object_get(j, "accuracy")),
		  100 * json_real_value(json_object_get(j, "error")));
	cli_print("\n%s, %s %s, %s; samples in %s\n", r->in.path, r->model.name, r->model.fingerprint,
		  r->model.numerics_class, r->samples);
}

static int finish(struct run *r)
{
	json_t *j = result_of(r);
	char *path = xprintf("%s/exact.json", r->out);
	int err = journal_final_of(r->journal, (uint64_t)r->in.n, pick, r, r->samples, &r->why);

	if (!err)
		err = eval_json_write(j, path, &r->why);
	if (!err && r->n == r->in.n) {
		journal_remove(r->journal);
		r->journal = NULL;
	}
	if (!err && r->a->json)
		json_print(json_incref(j));
	else if (!err)
		print_table(r, j);
	json_decref(j);
	free(path);
	if (err)
		return measure_code(err, &r->why);
	if (r->a->eval.compare)
		return measure_flips(r->a->eval.compare, r->out, r->a->json);
	return r->n < r->in.n ? EVAL_PARTIAL : EVAL_DONE;
}

int run_exact(struct args *a)
{
	struct run r = {.a = a, .out = a->eval.out ? a->eval.out : ".", .in.fd = -1};
	struct stat st;
	int err, code;

	if (a->eval.n_word != 2) {
		cli_say("xverse: eval exact: give one file of questions, or a folder of results with --compare\n");
		return EVAL_USAGE;
	}
	if (a->eval.compare && !stat(a->eval.word[1], &st) && S_ISDIR(st.st_mode))
		return measure_flips(a->eval.compare, a->eval.word[1], a->json);
	if (a->measure.normalizer && !normalizer_find(a->measure.normalizer)) {
		cli_say("xverse: eval exact: --normalizer %.40s is none of %s\n", a->measure.normalizer,
			normalizer_names());
		return EVAL_USAGE;
	}
	r.samples = xprintf("%s/exact.jsonl", r.out);
	err = eval_folder_make(r.out, &r.why);
	if (!err)
		err = prepare(&r);
	if (!err)
		err = ask(&r);
	code = err ? measure_code(err, &r.why) : finish(&r);
	measure_question_finish(&sent);
	journal_close(r.journal);
	batch_input_close(&r.in);
	measure_model_finish(&r.model);
	xv_close(r.client);
	free(r.samples);
	return code;
}
