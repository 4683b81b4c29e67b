/* classes.c - `xverse eval classes MODEL FILE`: a daemon for each class, one after the other. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/cli/eval/codes.h"
#include "rpc/cli/eval/lines.h"
#include "rpc/cli/interrupt.h"
#include "rpc/cli/measure/distance.h"
#include "rpc/cli/measure/measure.h"
#include "rpc/cli/measure/model.h"
#include "rpc/cli/spawn.h"

static const char default_classes[] = "none,int8,int4";

/* What is known of a class; without `there` its daemon did not start. */
struct row {
	char name[64];
	bool there;
	struct measure_model model;
	struct measure_ppl ppl;
	double kl, same, prefill, decode; /* tokens a second */
};

enum { MOST_CLASSES = 16 };
struct run {
	struct args *a;
	struct measure_text text;
	struct measure_windows windows;
	struct measure_distance distance;
	int window, stride, n;
	bool measured; /* the first class is */
	bool cut;      /* an error, or a signal, ended the run before the last class */
	struct row row[MOST_CLASSES];
	struct why why;
};

/* ---- the daemon of a class ---- */

/* "QUANTIZATION[/CACHE[/COMPUTE]]" and --server-options, as a list that ends with NULL; [0] is its memory. */
static char **options_of(const struct run *r, const char *name)
{
	static const char *const flags[] = {"--quantization", "--kv-cache-dtype", "--compute"};
	const char *more = r->a->batch.server ? r->a->batch.server : "";
	char *copy = xprintf("%s %s", name, more), *at = copy + strlen(name), *rest, *word;
	char **out = xalloc(strlen(copy) + 10, sizeof *out);
	int n = 1, k = 0;

	out[0] = copy;
	*at = 0;
	for (word = strtok_r(copy, "/", &rest); word && k < 3; word = strtok_r(NULL, "/", &rest)) {
		out[n++] = (char *)(uintptr_t)flags[k++];
		out[n++] = word;
	}
	for (word = strtok_r(at + 1, " \t\n", &rest); word; word = strtok_r(NULL, " \t\n", &rest))
		out[n++] = word;
	return out;
}

static int start(const struct run *r, const struct row *row, struct spawn **s, struct xv_client **c, struct why *why)
{
	char **options = options_of(r, row->name);
	const char *model = r->a->eval.word[1];
	int ranks = r->a->batch.ranks ? (int)r->a->batch.ranks : 1, err;
	struct xv_options how = {0};

	cli_say("xverse: eval classes: %s: starting %s\n", row->name, model);
	err = spawn_start(s, model, ranks, (const char *const *)options + 1, NULL, why);
	if (!err)
		err = spawn_ready(*s, why);
	if (!err) {
		how.path = spawn_socket(*s);
		err = xv_connect(c, &how, why->text);
	}
	free(options[0]);
	free(options);
	return err;
}

/* ---- measuring ---- */

struct decode {
	const struct measure_doc *doc;
	const char *adapter;
	int at;
};
enum { STREAMS = 8, STREAM_TOKENS = 64, STREAM_PROMPT = 16 };

static int next_stream(void *arg, uint64_t *item, struct why *why)
{
	struct decode *d = arg;

	(void)why;
	*item = (uint64_t)d->at;
	return d->at++ < STREAMS;
}

static int make_stream(void *arg, uint64_t item, struct xv_request *r, struct why *why)
{
	const struct decode *d = arg;
	struct xv_sampling *s = &r->generate.sampling;

	(void)why, (void)item;
	r->kind = XV_GENERATE;
	r->generate.prompt =
		(struct xv_prompt){.text = "", .ids = d->doc->ids, .n_ids = min_int(d->doc->n, STREAM_PROMPT)};
	r->generate.adapter = d->adapter;
	s->has = 1u << XV_TEMPERATURE | 1u << XV_MAX_TOKENS | 1u << XV_IGNORE_EOS;
	s->max_tokens = STREAM_TOKENS;
	s->ignore_eos = true;
	return 0;
}

static int take_stream(void *arg, const struct pump_result *r, struct why *why)
{
	(void)arg;
	return r->err ? fail(why, r->err == ERR_LIMIT ? ERR_INVALID : r->err, "%.400s", r->error) : 0;
}

static int measure_decode(const struct run *r, struct row *row, struct xv_client *c, struct why *why)
{
	struct decode d = {.doc = &r->text.doc[r->windows.window[0].doc], .adapter = r->a->eval.adapter};
	struct pump_totals t;
	struct pump how = {.in_flight = STREAMS,
			   .retries = 3,
			   .quiet = true,
			   .next = next_stream,
			   .make = make_stream,
			   .done = take_stream,
			   .arg = &d};
	int err = pump_run(c, &how, &t, why);

	row->decode = t.seconds > 0 ? (double)t.output_tokens / t.seconds : 0;
	return err;
}

/* Text, windows and places are those of the first class: all share a tokenizer. */
static int prepare(struct run *r, const struct row *row, struct xv_client *c, struct why *why)
{
	const struct measure_args *m = &r->a->measure;
	int places = m->positions ? (int)m->positions : 256;
	int err = measure_window_set(&r->window, &r->stride, m, &row->model, why);

	if (!err)
		err = measure_text_read(&r->text, r->a->eval.word[2], m->field, c, why);
	if (!err)
		err = measure_windows_make(&r->windows, &r->text, r->window, r->stride,
					   max_int(0, (int)r->a->eval.limit), why);
	r->windows.adapter = r->a->eval.adapter;
	if (!err)
		err = measure_distance_open(&r->distance, &r->windows, places, row->model.vocab, why);
	return err;
}

static int measure(struct run *r, struct row *row, struct xv_client *c, struct why *why)
{
	struct pump_totals t = {0};
	int err = measure_model_ask(&row->model, c, r->a->eval.adapter, why);

	if (!err && !r->measured)
		err = prepare(r, row, c, why);
	for (int i = 0; !err && i < r->windows.n; i++)
		r->windows.nll[i] = -1;
	if (!err)
		err = measure_windows_run(&r->windows, c, NULL, 0, r->a->json, &t, why);
	if (err)
		return err;
	row->ppl = measure_ppl_of(&r->windows);
	row->prefill = t.seconds > 0 ? (double)t.prompt_tokens / t.seconds : 0;
	err = measure_distance_run(&r->distance, c, !r->measured, r->a->json, &row->kl, &row->same, why);
	if (!err)
		err = measure_decode(r, row, c, why);
	row->there = !err;
	r->measured |= !err;
	return err;
}

/* A class that this machine or model does not have is left out; the finest must be there. */
static int run_class(struct run *r, struct row *row)
{
	struct spawn *s = NULL;
	struct xv_client *c = NULL;
	int err = start(r, row, &s, &c, &r->why);
	bool started = !err;

	if (started)
		err = measure(r, row, c, &r->why);
	xv_close(c);
	spawn_stop(s);
	if (err && !started && r->measured && err != ERR_CANCELLED) {
		cli_say("xverse: eval classes: %s is left out: %s\n", row->name, r->why.text);
		return 0;
	}
	return err;
}

/* ---- the table ---- */

static void print_table(const struct run *r)
{
	if (r->cut)
		cli_print("PARTIAL: the run ended before the last class\n\n");
	if (r->windows.n < r->windows.whole)
		cli_print("LIMITED: %d of %d windows\n\n", r->windows.n, r->windows.whole);
	cli_print(
		"| Class | Numerics | Perplexity | | Bits per byte | KL to %s | Same top token | Weights, MB | Prefill, tokens/s "
		"| Decode, tokens/s |\n|-|-|-:|-|-:|-:|-:|-:|-:|-:|\n",
		r->row[0].name);
	for (int i = 0; i < r->n; i++) {
		const struct row *w = &r->row[i];
		if (w->there)
			cli_print("| %s | %s | %.4f | ± %.4f | %.5f | %.6f | %.2f %% | %.1f | %.0f | %.0f |\n", w->name,
				  w->model.numerics_class, w->ppl.perplexity, w->ppl.perplexity_error,
				  w->ppl.bits_per_byte, w->kl, 100 * w->same, (double)w->model.weight_bytes / 1e6,
				  w->prefill, w->decode);
		else
			cli_print("| %s | - | - | | - | - | - | - | - | - |\n", w->name);
	}
	cli_print("\n%s, %llu tokens, %d distributions of %d tokens; window %d, stride %d; decode: %d streams\n",
		  r->a->eval.word[2], (unsigned long long)r->row[0].ppl.tokens, r->distance.n, r->distance.vocab,
		  r->window, r->stride, STREAMS);
}

static json_t *json_of_row(const struct row *w)
{
	json_t *j = json_pack("{s:s}", "class", w->name);

	if (!w->there)
		return j;
	measure_model_put(j, &w->model);
	measure_ppl_put(j, &w->ppl);
	json_object_set_new(j, "kl", json_real(w->kl));
	json_object_set_new(j, "same_top_token", json_real(w->same));
	json_object_set_new(j, "weight_bytes", json_integer((json_int_t)w->model.weight_bytes));
	json_object_set_new(j, "prefill_tokens_per_s", json_real(w->prefill));
	json_object_set_new(j, "decode_tokens_per_s", json_real(w->decode));
	return j;
}

static int finish(struct run *r)
{
	json_t *list = json_array(), *j;
	const char *out = r->a->eval.out;
	int err = 0;

	for (int i = 0; i < r->n; i++)
		json_array_append_new(list, json_of_row(&r->row[i]));
	j = json_pack("{s:s, s:o, s:s, s:i, s:i, s:i, s:b, s:b, s:o}", "format", "xverse eval classes 1", "file",
		      json_text(r->a->eval.word[2], strlen(r->a->eval.word[2])), "text_sha256", r->text.sha256,
		      "window", r->window, "stride", r->stride, "positions", r->distance.n, "limited",
		      r->windows.n < r->windows.whole, "complete", !r->cut, "classes", list);
	if (out) {
		char *path = xprintf("%s/classes.json", out);
		err = eval_json_write(j, path, &r->why);
		free(path);
	}
	if (r->a->json)
		json_print(json_incref(j));
	else
		print_table(r);
	json_decref(j);
	return err ? measure_code(err, &r->why) : r->windows.n < r->windows.whole ? EVAL_PARTIAL : EVAL_DONE;
}

static int slashes(const char *s, size_t n)
{
	int all = 0;

	for (size_t i = 0; i < n; i++)
		all += s[i] == '/';
	return all;
}

static int read_classes(struct run *r)
{
	const char *s = r->a->measure.classes ? r->a->measure.classes : default_classes;

	while (*s) {
		size_t n = strcspn(s, ",");
		if (!n || n >= sizeof r->row[0].name || r->n == MOST_CLASSES || slashes(s, n) > 2)
			return fail(&r->why, ERR_INVALID,
				    "--classes: names of quantisations between commas, such as %s, each maybe with "
				    "/CACHE/COMPUTE; at most %d",
				    default_classes, MOST_CLASSES);
		snprintf(r->row[r->n++].name, sizeof r->row[0].name, "%.*s", (int)n, s);
		s += n + (s[n] == ',');
	}
	return r->n ? 0 : fail(&r->why, ERR_INVALID, "--classes is empty");
}

/* What can be seen before the first daemon is started, which may take minutes. */
static int check(struct run *r)
{
	const struct eval_args *e = &r->a->eval;
	int err = e->n_word == 3 ? read_classes(r)
				 : fail(&r->why, ERR_INVALID,
					"classes: give a model and a text (xverse eval classes MODEL FILE)");

	if (!err)
		err = measure_text_check(e->word[2], &r->why);
	if (!err && e->out)
		err = eval_folder_make(e->out, &r->why);
	return err;
}

static int run_all(struct run *r)
{
	int err = 0;

	interrupt_catch();
	for (int i = 0; !err && i < r->n; i++) {
		err = run_class(r, &r->row[i]);
		if (!err && i + 1 < r->n && interrupt_count())
			err = fail(&r->why, ERR_CANCELLED, "interrupted");
	}
	interrupt_release();
	r->cut = err != 0;
	return err;
}

int run_classes(struct args *a)
{
	struct run *r = xalloc(1, sizeof *r);
	int err, code, end;

	r->a = a;
	r->distance.fd = -1;
	err = check(r);
	if (!err)
		err = run_all(r);
	code = err ? measure_code(err, &r->why) : EVAL_DONE;
	end = r->measured ? finish(r) : EVAL_DONE; /* also what was measured before an error */
	code = code ? code : end;
	for (int i = 0; i < r->n; i++)
		measure_model_finish(&r->row[i].model);
	measure_distance_close(&r->distance);
	measure_windows_finish(&r->windows);
	measure_text_finish(&r->text);
	free(r);
	return code;
}
