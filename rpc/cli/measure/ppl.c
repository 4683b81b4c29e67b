/* ppl.c - `xverse eval ppl FILE`. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/cli/eval/codes.h"
#include "rpc/cli/eval/lines.h"
#include "rpc/cli/measure/measure.h"
#include "rpc/cli/measure/model.h"
#include "rpc/cli/measure/windows.h"

struct run {
	struct args *a;
	const char *path, *out;
	struct xv_client *client;
	struct measure_model model;
	struct measure_text text;
	struct measure_windows windows;
	struct journal *journal;
	struct pump_totals totals;
	int window, stride;
	struct why why;
};

static json_t *head_of(const struct run *r)
{
	json_t *j = json_pack("{s:s, s:s, s:i, s:i}", "format", "xverse eval ppl 1", "text_sha256", r->text.sha256,
			      "window", r->window, "stride", r->stride);

	measure_model_put(j, &r->model);
	return j;
}

static int open_journal(struct run *r)
{
	json_t *j = head_of(r);
	char *head = json_dumps(j, JSON_ENSURE_ASCII | JSON_SORT_KEYS), *path = xprintf("%s/ppl.jsonl.part", r->out);
	struct journal_options how = {.path = path, .head = head, .resume = r->a->eval.resume, .sync_ms = 1000};
	int err = journal_open(&r->journal, &how, &r->why);

	free(path);
	free(head);
	json_decref(j);
	return err;
}

static int prepare(struct run *r)
{
	struct measure_args *m = &r->a->measure;
	int err = cli_connect(&r->client, r->a, false, &r->why);

	if (!err)
		err = loading_wait(r->client, &r->why);
	if (!err)
		err = measure_model_ask(&r->model, r->client, r->a->eval.adapter, &r->why);
	if (!err)
		err = measure_window_set(&r->window, &r->stride, m, &r->model, &r->why);
	if (!err)
		err = measure_text_read(&r->text, r->path, m->field, r->client, &r->why);
	if (!err)
		err = measure_windows_make(&r->windows, &r->text, r->window, r->stride,
					   (int)max_int(0, (int)r->a->eval.limit), &r->why);
	r->windows.adapter = r->model.adapter;
	return err || !r->out ? err : open_journal(r);
}

static json_t *result_of(const struct run *r, const struct measure_ppl *p)
{
	json_t *j = head_of(r);

	json_object_set_new(j, "file", json_text(r->path, strlen(r->path)));
	json_object_set_new(j, "documents", json_integer(r->text.n));
	json_object_set_new(j, "limited", json_boolean(r->windows.n < r->windows.whole));
	json_object_set_new(j, "windows", json_integer(r->windows.n));
	measure_ppl_put(j, p);
	return j;
}

static void print_table(const struct run *r, const struct measure_ppl *p)
{
	if (r->windows.n < r->windows.whole)
		cli_print("LIMITED: %d of %d windows\n\n", r->windows.n, r->windows.whole);
	cli_print("| Text | Tokens | Bytes | Perplexity | | Bits per byte | Bits per token |\n|-|-:|-:|-:|-|-:|-:|\n");
	cli_print("| %s | %llu | %llu | %.4f | ± %.4f | %.5f | %.5f |\n", r->path, (unsigned long long)p->tokens,
		  (unsigned long long)p->bytes, p->perplexity, p->perplexity_error, p->bits_per_byte,
		  p->bits_per_token);
	cli_print("\n%s %s, %s; window %d, stride %d\n", r->model.name, r->model.fingerprint, r->model.numerics_class,
		  r->window, r->stride);
}

static int finish(struct run *r)
{
	struct measure_ppl p = measure_ppl_of(&r->windows);
	json_t *j = result_of(r, &p);
	char *path = r->out ? xprintf("%s/ppl.json", r->out) : NULL;
	int err = path ? eval_json_write(j, path, &r->why) : 0;

	if (r->a->json)
		json_print(json_incref(j));
	else
		print_table(r, &p);
	if (!err && r->journal) {
		journal_remove(r->journal);
		r->journal = NULL;
	}
	json_decref(j);
	free(path);
	return err ? measure_code(err, &r->why) : r->windows.n < r->windows.whole ? EVAL_PARTIAL : EVAL_DONE;
}

int run_ppl(struct args *a)
{
	struct run r = {.a = a, .out = a->eval.out};
	int err, code;

	if (a->eval.n_word != 2) {
		cli_say("xverse: eval ppl: give one file (xverse eval ppl FILE)\n");
		return EVAL_USAGE;
	}
	r.path = a->eval.word[1];
	err = r.out ? eval_folder_make(r.out, &r.why) : 0;
	if (!err)
		err = prepare(&r);
	if (!err)
		err = measure_windows_run(&r.windows, r.client, r.journal, max_int(0, (int)a->eval.in_flight), a->json,
					  &r.totals, &r.why);
	code = err ? measure_code(err, &r.why) : finish(&r);
	journal_close(r.journal);
	measure_windows_finish(&r.windows);
	measure_text_finish(&r.text);
	measure_model_finish(&r.model);
	xv_close(r.client);
	return code;
}
