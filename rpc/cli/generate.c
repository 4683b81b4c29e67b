/* generate.c - the commands that stream: generate and score. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/cli/cli.h"

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal)
{
	(void)signal;
	interrupted++;
}

/* What came, kept for --json. */
struct answer {
	json_t *started, *tokens, *prompt_tokens, *ids;
	char *text;
	size_t text_len, text_max;
	int err;
	struct why why;
	json_t *finished, *error;
	bool cancelled;
};

static void keep_text(struct answer *w, const struct xv_chunk *k)
{
	if (w->text_len + k->text_len > w->text_max) {
		w->text_max = 2 * (w->text_len + k->text_len);
		w->text = xgrow(w->text, w->text_max, 1);
	}
	if (k->text_len)
		memcpy(w->text + w->text_len, k->text, k->text_len);
	w->text_len += k->text_len;
}

static void print_scored(const struct xv_token *t)
{
	char line[128];
	int n = t->has_logprob ? snprintf(line, sizeof line, "%d\t%.6f\t%u\t", t->id, (double)t->logprob, t->rank)
			       : snprintf(line, sizeof line, "%d\t\t\t", t->id);
	json_t *piece = json_text(t->piece, t->piece_len);
	char *text = json_dumps(piece, JSON_ENCODE_ANY);

	cli_write(line, (size_t)n);
	cli_write(text, strlen(text));
	cli_write("\n", 1);
	free(text);
	json_decref(piece);
}

static int take_chunk(const struct args *a, struct answer *w, const struct xv_chunk *k)
{
	bool scores = !strcmp(a->command, "score");

	if (!a->json && scores)
		for (int i = 0; i < k->n_tokens; i++)
			print_scored(&k->tokens[i]);
	if (!a->json)
		return scores ? 0 : cli_write(k->text, k->text_len);
	keep_text(w, k);
	for (int i = 0; i < k->n_ids && !k->prompt; i++)
		json_array_append_new(w->ids, json_integer(k->ids[i]));
	for (int i = 0; i < k->n_tokens; i++)
		json_array_append_new(k->prompt ? w->prompt_tokens : w->tokens, json_of_token(&k->tokens[i]));
	return 0;
}

/* True: it was the last. */
static bool take(const struct args *a, struct answer *w, const struct xv_reply *r)
{
	switch (r->kind) {
	case XV_R_STARTED:
		w->started = json_of_started(&r->started);
		return false;
	case XV_R_CHUNK:
		w->err = take_chunk(a, w, &r->chunk);
		return w->err != 0;
	case XV_R_FINISHED:
		w->finished = json_of_finished(&r->finished);
		w->cancelled = r->finished.reason == XV_FINISH_CANCELLED;
		return true;
	case XV_R_ERROR:
		w->error = json_of_error(&r->error);
		w->err = cli_error(&r->error, &w->why);
		return true;
	default:
		return false;
	}
}

/* The first Ctrl-C cancels the call and prints what still comes; the second ends at once. */
static void follow(const struct args *a, struct xv_client *c, uint64_t id, struct answer *w)
{
	struct xv_reply r;
	int asked = 0, got;

	for (;;) {
		got = xv_wait(c, &r, 200, w->why.text);
		if (interrupted > 1 || got < 0) {
			w->err = got < 0 ? got : ERR_CANCELLED;
			return;
		}
		if (interrupted && !asked++) {
			if (got == 1 && r.id == id && take(a, w, &r))
				return;
			cli_say("xverse: cancelling (once more: end at once)\n");
			if (xv_cancel(c, id))
				continue;
			w->cancelled = true; /* no server has it just now */
			return;
		}
		if (got == 1 && r.id == id && take(a, w, &r))
			return;
	}
}

static void print_answer(const struct args *a, struct answer *w)
{
	json_t *j = json_object();

	if (w->started)
		json_object_set(j, "started", w->started);
	if (strcmp(a->command, "score")) {
		json_object_set_new(j, "text", json_text(w->text, w->text_len));
		json_object_set(j, "ids", w->ids);
		json_object_set(j, "tokens", w->tokens);
	}
	json_object_set(j, "prompt_tokens", w->prompt_tokens);
	if (w->finished)
		json_object_set(j, "finished", w->finished);
	if (w->error)
		json_object_set(j, "error", w->error);
	json_print(j);
}

static void answer_finish(struct answer *w)
{
	json_decref(w->started);
	json_decref(w->tokens);
	json_decref(w->prompt_tokens);
	json_decref(w->ids);
	json_decref(w->finished);
	json_decref(w->error);
	free(w->text);
}

static int run_stream(struct args *a, struct xv_client *c, struct xv_request *r)
{
	struct answer w = {.tokens = json_array(), .prompt_tokens = json_array(), .ids = json_array()};
	int code;

	signal(SIGINT, on_interrupt);
	signal(SIGTERM, on_interrupt);
	follow(a, c, xv_send(c, r), &w);
	if (a->json)
		print_answer(a, &w);
	if (w.err == ERR_GONE && !w.why.text[0])
		code = 0; /* the reader of our output has closed it */
	else
		code = interrupted || w.cancelled ? EXIT_INTERRUPTED : cli_exit_code(w.err);
	if (w.err && w.why.text[0])
		cli_say("xverse: %s\n", w.why.text);
	else if (w.cancelled)
		cli_say("xverse: cancelled\n");
	answer_finish(&w);
	return code;
}

static void fill_prompt(const struct args *a, struct xv_prompt *p)
{
	*p = (struct xv_prompt){.is_text = !a->has_ids,
				.text = a->text ? a->text : "",
				.text_len = a->text_len,
				.ids = a->ids.id,
				.n_ids = a->ids.n};
}

int run_generate(struct args *a, struct xv_client *c)
{
	struct xv_request r = {.kind = XV_GENERATE};

	fill_prompt(a, &r.generate.prompt);
	r.generate.sampling = a->sampling;
	if (a->no_special) {
		r.generate.sampling.has |= 1u << XV_ADD_SPECIAL;
		r.generate.sampling.add_special = false;
	}
	r.generate.timeout_ms = (uint32_t)a->timeout_ms;
	r.generate.echo = a->echo;
	r.generate.user = a->user ? a->user : "";
	return run_stream(a, c, &r);
}

int run_score(struct args *a, struct xv_client *c)
{
	struct xv_request r = {.kind = XV_SCORE};

	fill_prompt(a, &r.score.prompt);
	r.score.top_n = (uint32_t)a->top_n;
	r.score.timeout_ms = (uint32_t)a->timeout_ms;
	r.score.add_special = !a->no_special;
	return run_stream(a, c, &r);
}
