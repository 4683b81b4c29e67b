/* generate.c - the commands that stream: generate and score. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rpc/cli/answer.h"

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal)
{
	(void)signal;
	interrupted++;
}

/* The answers to one prompt. Text of answer `now` is shown as it arrives, that of later ones when their turn comes. */
struct run {
	const struct args *a;
	struct xv_client *client;
	struct answer *answer; /* (n) */
	int n, now;
	int resends; /* as last seen */
	struct cli_quiet quiet;
	int err;
	struct why why;
	bool cancelled, gone; /* gone: the reader of our output has closed it */
};

static bool at_terminal(void)
{
	return isatty(STDOUT_FILENO);
}

static void begin_answer(const struct run *run)
{
	if (run->n > 1 && !run->a->json) {
		cli_print("=== %d of %d ===\n", run->now + 1, run->n);
		answer_flush(&run->answer[run->now], run->a);
	}
}

/* A prompt of a shell must not follow the text on its line. */
static void end_answer(struct run *run, struct answer *w)
{
	answer_show(w, run->a);
	if (run->a->json)
		answer_json(w, run->a, run->n > 1 ? run->now : -1, run->resends);
	else if (!strcmp(run->a->command, "score")) {
		if (w->finished)
			answer_score_sum(w);
	} else if (w->last && w->last != '\n' && (at_terminal() || run->n > 1))
		cli_write("\n", 1);
	if (w->finished && isatty(STDERR_FILENO) && !run->a->json && strcmp(run->a->command, "score"))
		answer_say_end(&w->end, w->stop_text, run->resends);
}

static void advance(struct run *run)
{
	while (run->now < run->n && run->answer[run->now].over) {
		struct answer *w = &run->answer[run->now];

		end_answer(run, w);
		run->cancelled |= w->cancelled;
		run->gone |= w->err == ERR_GONE && !w->why.text[0];
		if (w->err && w->why.text[0] && !run->err) {
			run->err = w->err;
			run->why = w->why;
		}
		if (++run->now < run->n)
			begin_answer(run);
	}
}

static void take(struct run *run, const struct xv_reply *r)
{
	for (int i = run->now; i < run->n; i++)
		if (run->answer[i].id == r->id && !run->answer[i].over)
			answer_take(&run->answer[i], run->a, r, i == run->now);
	advance(run);
}

/* False: no server has them just now. */
static bool cancel_all(struct run *run)
{
	bool asked = false;

	cli_say("xverse: cancelling (once more: end at once)\n");
	for (int i = run->now; i < run->n; i++)
		asked |= !run->answer[i].over && xv_cancel(run->client, run->answer[i].id);
	return asked;
}

static void say_resumed(struct run *run)
{
	if (xv_resends(run->client) > run->resends)
		cli_say("xverse: the server is back: %s again\n",
			run->n > 1 ? "the calls were sent" : "the call was sent");
	run->resends = xv_resends(run->client);
}

/* The first Ctrl-C cancels the calls and prints what still comes; the second ends at once. */
static void follow(struct run *run)
{
	struct xv_reply r;
	bool asked = false;

	while (run->now < run->n && !run->gone) {
		int got = xv_wait(run->client, &r, 200, run->why.text);

		if (interrupted > 1 || got < 0) {
			run->err = got < 0 ? got : ERR_CANCELLED;
			return;
		}
		cli_listen(&run->quiet, got == 1);
		say_resumed(run);
		if (got == 1)
			take(run, &r);
		if (interrupted && !asked) {
			asked = true;
			if (run->now < run->n && !cancel_all(run)) {
				run->cancelled = true;
				return;
			}
		}
	}
}

static void send_all(struct run *run, struct xv_request *r)
{
	struct xv_sampling *s = r->kind == XV_GENERATE ? &r->generate.sampling : NULL;

	for (int i = 0; i < run->n; i++) {
		answer_open(&run->answer[i]);
		run->answer[i].id = xv_send(run->client, r);
		if (s)
			s->seed++; /* counts only where one was given */
	}
}

static int run_stream(struct args *a, struct xv_client *c, struct xv_request *r)
{
	struct run run = {.a = a, .client = c, .n = max_int(1, (int)a->answers)};
	int code;

	run.answer = xalloc((size_t)run.n, sizeof *run.answer);
	signal(SIGINT, on_interrupt);
	signal(SIGTERM, on_interrupt);
	if (!strcmp(a->command, "score") && !a->json)
		answer_score_head();
	begin_answer(&run);
	send_all(&run, r);
	follow(&run);
	if (run.now < run.n && !run.gone) /* it was broken off */
		end_answer(&run, &run.answer[run.now]);
	if (run.gone)
		code = 0;
	else
		code = interrupted || run.cancelled ? EXIT_INTERRUPTED : cli_exit_code(run.err);
	if (run.err && run.why.text[0])
		cli_say("xverse: %s\n", run.why.text);
	else if (run.cancelled)
		cli_say("xverse: cancelled\n");
	for (int i = 0; i < run.n; i++)
		answer_close(&run.answer[i]);
	free(run.answer);
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
	r.generate.adapter = a->lora ? a->lora : "";
	return run_stream(a, c, &r);
}

int run_score(struct args *a, struct xv_client *c)
{
	struct xv_request r = {.kind = XV_SCORE};

	fill_prompt(a, &r.score.prompt);
	r.score.top_n = (uint32_t)a->top_n;
	r.score.timeout_ms = (uint32_t)a->timeout_ms;
	r.score.add_special = !a->no_special;
	r.score.adapter = a->lora ? a->lora : "";
	return run_stream(a, c, &r);
}
