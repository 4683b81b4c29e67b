#include "rpc/cli/answer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void answer_open(struct answer *w)
{
	*w = (struct answer){.tokens = json_array(), .prompt = json_array(), .ids = json_array()};
}

void answer_close(struct answer *w)
{
	json_decref(w->started);
	json_decref(w->tokens);
	json_decref(w->prompt);
	json_decref(w->ids);
	json_decref(w->finish);
	json_decref(w->error);
	free(w->stop_text);
	text_finish(&w->text);
	text_finish(&w->table);
}

static void put_token(struct text *t, int32_t id, const char *piece, size_t len, bool has, float logprob)
{
	if (has)
		text_fmt(t, "%d\t%.6f\t", id, (double)logprob);
	else
		text_fmt(t, "%d\t\t", id);
	cli_piece(t, piece, len);
}

enum { WIDE = 120 }; /* below it each of the likeliest has a line of its own */

/* id, logprob, rank, token, then the likeliest with their logprobs. */
static void put_row(struct text *t, const struct xv_token *k)
{
	char rank[16] = "";

	if (k->has_logprob)
		snprintf(rank, sizeof rank, "%u", k->rank);
	if (k->has_logprob)
		text_fmt(t, "%d\t%.6f\t%s\t", k->id, (double)k->logprob, rank);
	else
		text_fmt(t, "%d\t\t\t", k->id);
	cli_piece(t, k->piece, k->piece_len);
	for (int i = 0; i < k->n_top; i++) {
		text_str(t, cli_columns(STDOUT_FILENO) < WIDE ? "\n\t" : "\t");
		put_token(t, k->top[i].id, k->top[i].piece, k->top[i].piece_len, true, k->top[i].logprob);
	}
	text_str(t, "\n");
}

static void take_scored(struct answer *w, const struct args *a, const struct xv_chunk *k)
{
	struct text rows = {0};

	for (int i = 0; i < k->n_tokens; i++) {
		if (k->tokens[i].has_logprob) {
			w->sum += (double)k->tokens[i].logprob;
			w->scored++;
		}
		if (!a->json)
			put_row(&rows, &k->tokens[i]);
	}
	if (rows.len)
		w->err = cli_write(rows.data, rows.len);
	text_finish(&rows);
}

static void keep_json(struct answer *w, const struct xv_chunk *k)
{
	for (int i = 0; i < k->n_ids && !k->prompt; i++)
		json_array_append_new(w->ids, json_integer(k->ids[i]));
	for (int i = 0; i < k->n_tokens; i++)
		json_array_append_new(k->prompt ? w->prompt : w->tokens, json_of_token(&k->tokens[i]));
}

static void take_chunk(struct answer *w, const struct args *a, const struct xv_chunk *k, bool live)
{
	if (!strcmp(a->command, "score"))
		take_scored(w, a, k);
	else
		for (int i = 0; i < k->n_tokens; i++)
			put_row(&w->table, &k->tokens[i]);
	if (a->json)
		keep_json(w, k);
	if (!k->text_len)
		return;
	if (a->json || !live) {
		text_put(&w->text, k->text, k->text_len);
		return;
	}
	w->err = cli_write(k->text, k->text_len);
	w->last = k->text[k->text_len - 1];
}

void answer_take(struct answer *w, const struct args *a, const struct xv_reply *r, bool live)
{
	switch (r->kind) {
	case XV_R_STARTED:
		w->started = json_of_started(&r->started);
		return;
	case XV_R_CHUNK:
		take_chunk(w, a, &r->chunk, live);
		w->over = w->err != 0;
		return;
	case XV_R_FINISHED:
		w->finish = json_of_finished(&r->finished);
		w->cancelled = r->finished.reason == XV_FINISH_CANCELLED;
		w->end = r->finished;
		w->stop_text = xstrdup(r->finished.stop_text);
		w->end.stop_text = NULL;
		w->over = w->finished = true;
		return;
	case XV_R_ERROR:
		w->error = json_of_error(&r->error);
		w->err = cli_error(&r->error, &w->why);
		w->over = true;
		return;
	default:
		return;
	}
}

void answer_flush(struct answer *w, const struct args *a)
{
	if (!w->text.len || a->json)
		return;
	w->err = cli_write(w->text.data, w->text.len);
	w->last = w->text.data[w->text.len - 1];
	text_finish(&w->text);
}

void answer_show(struct answer *w, const struct args *a)
{
	answer_flush(w, a);
	if (!w->table.len || a->json)
		return;
	cli_print("%s\n# id\tlogprob\trank\ttoken%s\n", w->last && w->last != '\n' ? "\n" : "",
		  a->sampling.logprobs || a->sampling.prompt_logprobs ? "\tlikeliest: id, logprob, token" : "");
	cli_write(w->table.data, w->table.len);
	w->last = '\n';
}

void answer_score_head(void)
{
	cli_print("# id\tlogprob\trank\ttoken\n");
}

void answer_score_sum(const struct answer *w)
{
	cli_print("# sum %.6f over %d token%s", w->sum, w->scored, w->scored == 1 ? "" : "s");
	if (w->scored)
		cli_print(", perplexity %.4f", exp(-w->sum / w->scored));
	cli_print("\n");
}

static json_t *real(double x)
{
	return isfinite(x) ? json_real(x) : json_null();
}

void answer_json(struct answer *w, const struct args *a, int index, int resumed)
{
	json_t *j = json_object();
	bool score = !strcmp(a->command, "score");

	if (index >= 0)
		json_object_set_new(j, "index", json_integer(index));
	if (w->started)
		json_object_set(j, "started", w->started);
	if (!score) {
		json_object_set_new(j, "text", json_text(w->text.data ? w->text.data : "", w->text.len));
		json_object_set(j, "ids", w->ids);
		json_object_set(j, "tokens", w->tokens);
	}
	json_object_set(j, "prompt", w->prompt);
	if (score && w->finished) {
		json_object_set_new(j, "scored", json_integer(w->scored));
		json_object_set_new(j, "sum", real(w->sum));
		json_object_set_new(j, "perplexity", w->scored ? real(exp(-w->sum / w->scored)) : json_null());
	}
	if (resumed)
		json_object_set_new(j, "resumed", json_integer(resumed));
	if (w->finish)
		json_object_set(j, "finished", w->finish);
	if (w->error)
		json_object_set(j, "error", w->error);
	json_print(j);
}

/* Why an answer ended, for a person. */
static void reason_of(const struct xv_finished *f, const char *stop_text, struct text *out)
{
	switch (f->reason) {
	case XV_FINISH_STOP:
		if (stop_text && *stop_text) {
			text_str(out, "stop text ");
			text_json_str(out, stop_text);
		} else
			text_str(out, "the model ended it");
		return;
	case XV_FINISH_LENGTH:
		text_str(out, "length reached: --max-tokens or the context");
		return;
	case XV_FINISH_CANCELLED:
		text_str(out, "cancelled");
		return;
	case XV_FINISH_DEADLINE:
		text_str(out, "its time was over");
		return;
	default:
		text_str(out, "ended");
	}
}

void answer_say_end(const struct xv_finished *f, const char *stop_text, int resumed)
{
	struct text t = {0};

	reason_of(f, stop_text, &t);
	text_fmt(&t, ", %u token%s", f->output_tokens, f->output_tokens == 1 ? "" : "s");
	if (f->output_tokens > 1 && f->decode_ns)
		text_fmt(&t, ", %.1f tokens/s", (double)(f->output_tokens - 1) * 1e9 / (double)f->decode_ns);
	if (resumed)
		text_fmt(&t, ", resumed %d time%s", resumed, resumed == 1 ? "" : "s");
	cli_say("[%s]\n", t.data);
	text_finish(&t);
}
