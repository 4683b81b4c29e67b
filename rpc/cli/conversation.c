/* conversation.c - the messages of `xverse chat`, and the answers to them. */
#include "rpc/cli/conversation.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rpc/cli/tools.h"
#include "rpc/cli/wrap.h"

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal)
{
	(void)signal;
	interrupted++;
}

void talk_catch_interrupt(void)
{
	struct sigaction a = {.sa_handler = on_interrupt}; /* no SA_RESTART: reading a line ends too */

	sigaction(SIGINT, &a, NULL);
}

void talk_forget_interrupt(void)
{
	interrupted = 0;
}

void talk_add(struct talk *t, const char *role, const char *text, size_t len)
{
	json_array_append_new(t->messages, json_pack("{s:s, s:o}", "role", role, "content", json_text(text, len)));
}

/* Keys that only templates know lie in a text, as they are sent. */
static void add_rest(struct talk *t, json_t *rest)
{
	char *s = json_dumps(rest, 0);

	json_object_set_new(json_array_get(t->messages, json_array_size(t->messages) - 1), "json",
			    json_string(s ? s : ""));
	free(s);
	json_decref(rest);
}

static void open_calls(struct talk *t, const json_t *calls)
{
	json_t *call;
	size_t i;

	json_decref(t->open);
	t->open = json_array();
	json_array_foreach(calls, i, call) json_array_append_new(
		t->open, json_pack("{s:O, s:O}", "tool_call_id", json_object_get(call, "id"), "name",
				   json_object_get(json_object_get(call, "function"), "name")));
}

bool talk_result(struct talk *t, const char *text)
{
	if (!json_array_size(t->open))
		return false;
	talk_add(t, "tool", text, strlen(text));
	add_rest(t, json_incref(json_array_get(t->open, 0)));
	json_array_remove(t->open, 0);
	return true;
}

void talk_drop(struct talk *t)
{
	json_array_remove(t->messages, json_array_size(t->messages) - 1);
}

const char *talk_last_role(const struct talk *t)
{
	size_t n = json_array_size(t->messages);
	const char *role = n ? json_string_value(json_object_get(json_array_get(t->messages, n - 1), "role")) : NULL;

	return role ? role : "";
}

struct xv_chat talk_request(const struct talk *t)
{
	size_t n = json_array_size(t->messages);
	struct xv_message *m = xalloc(n + 1, sizeof *m);
	struct xv_sampling sampling = t->args->sampling;

	for (size_t i = 0; i < n; i++) {
		const json_t *one = json_array_get(t->messages, i);
		const char *content = json_string_value(json_object_get(one, "content"));
		const char *role = json_string_value(json_object_get(one, "role"));

		const char *rest = json_string_value(json_object_get(one, "json"));

		m[i] = (struct xv_message){role ? role : "", content ? content : "", "", rest ? rest : "",
					   content ? strlen(content) : 0};
	}
	sampling.seed += (uint64_t)t->again;
	struct xv_chat chat = {.n_messages = (int)n,
			       .messages = m,
			       .sampling = sampling,
			       .timeout_ms = (uint32_t)t->args->timeout_ms,
			       .user = t->args->user ? t->args->user : "",
			       .tools_json = "",
			       .documents_json = "",
			       .args_json = "",
			       .adapter = t->args->lora ? t->args->lora : "",
			       .add_generation_prompt = true};
	tools_ask(t->args, &chat);
	return chat;
}

struct reply {
	const struct args *args;
	struct tools_answer answer;
	size_t shown, thought; /* bytes of its text and of its reasoning that were shown */
	struct wrap wrap;
	int err;
	bool cancelled, hidden; /* hidden: nothing is shown, for --json */
	struct xv_finished end;
	json_t *started, *finished;
};

/* Reasoning goes to standard error, so that standard output has the answer. */
static int show(struct reply *w)
{
	struct tools_answer *t = &w->answer;
	size_t thought = w->thought, shown = w->shown;

	w->thought = t->reasoning.len;
	w->shown = t->text.len;
	if (w->hidden)
		return 0;
	if (t->reasoning.len > thought)
		cli_put(STDERR_FILENO, t->reasoning.data + thought, t->reasoning.len - thought);
	if (t->text.len == shown)
		return 0;
	if (!shown && t->reasoning.len)
		cli_say("\n\n");
	return wrap_write(&w->wrap, t->text.data + shown, t->text.len - shown);
}

static int take_text(struct reply *w, const struct xv_chunk *k)
{
	if (k->prompt || !k->text_len)
		return 0;
	tools_answer_take(&w->answer, k->text, k->text_len);
	return show(w);
}

/* True: it was the last. */
static bool take(struct reply *w, const struct xv_reply *r, struct why *why)
{
	switch (r->kind) {
	case XV_R_STARTED:
		w->started = json_of_started(&r->started);
		tools_answer_begin(&w->answer, w->args, &r->started);
		return false;
	case XV_R_CHUNK:
		w->err = take_text(w, &r->chunk);
		return w->err != 0;
	case XV_R_FINISHED:
		w->cancelled = r->finished.reason == XV_FINISH_CANCELLED;
		w->end = r->finished;
		w->end.stop_text = "";
		w->finished = json_of_finished(&r->finished);
		return true;
	case XV_R_ERROR:
		w->err = cli_error(&r->error, why);
		return true;
	default:
		return false;
	}
}

static bool past(uint64_t since_ns, int ms)
{
	return now_ns() - since_ns > (uint64_t)ms * 1000000;
}

/* Ctrl-C stops the answer. A second one, or a server that does not say so soon, is not waited for. */
static void follow(struct talk *t, uint64_t id, struct reply *w, struct why *why)
{
	enum { STOP_MS = 1000 };
	struct xv_reply r;
	struct cli_quiet quiet = {0};
	uint64_t asked = 0;

	while (interrupted < 2 && !(asked && past(asked, STOP_MS))) {
		int got = xv_wait(t->client, &r, 100, why->text);
		if (got < 0) {
			w->err = got;
			return;
		}
		if (cli_quiet(&quiet, got == 1))
			cli_say("\n[" CLI_QUIET "]\n");
		if (got == 1 && r.id == id && take(w, &r, why))
			return;
		if (interrupted && !asked) {
			asked = now_ns();
			xv_cancel(t->client, id);
		}
	}
	w->cancelled = true;
}

void talk_say_end(const struct xv_finished *f)
{
	const char *why = f->reason == XV_FINISH_LENGTH     ? "length reached: --max-tokens or the context"
			  : f->reason == XV_FINISH_DEADLINE ? "its time was over"
			  : f->reason == XV_FINISH_STOP     ? "the model ended it, or a stop text"
							    : "stopped";
	double first = (double)(f->queue_ns + f->prefill_ns) / 1e9, decode = (double)f->decode_ns / 1e9;

	cli_say("[%s; %u tokens read (%u from the cache) and %u written, the first after %.2f s", why, f->prompt_tokens,
		f->cached_tokens, f->output_tokens, first);
	if (f->output_tokens > 1 && decode > 0)
		cli_say(", %.1f tokens/s", (f->output_tokens - 1) / decode);
	cli_say("]\n");
}

static json_t *json_of(const struct text *t)
{
	return json_text(t->data ? t->data : "", t->len);
}

static void print_json(struct reply *w)
{
	json_t *j = json_object();

	json_object_set(j, "started", w->started);
	json_object_set_new(j, "text", json_of(&w->answer.text));
	if (w->answer.reasoning.len)
		json_object_set_new(j, "reasoning", json_of(&w->answer.reasoning));
	if (w->answer.calls)
		json_object_set(j, "tool_calls", w->answer.calls);
	if (w->finished)
		json_object_set(j, "finished", w->finished);
	json_print(j);
}

static void finish_reply(struct reply *w)
{
	json_decref(w->started);
	json_decref(w->finished);
	wrap_close(&w->wrap);
	tools_answer_finish(&w->answer);
}

/* Prints the end of the answer: the calls are JSON, a line each. */
static void print_end(struct reply *w)
{
	const struct text *text = &w->answer.text;
	json_t *call;
	size_t i;

	if ((text->len && text->data[text->len - 1] != '\n') || (!text->len && w->answer.reasoning.len))
		cli_put(text->len ? STDOUT_FILENO : STDERR_FILENO, "\n", 1);
	json_array_foreach(w->answer.calls, i, call) json_print(json_incref(call));
}

static void keep(struct talk *t, const struct reply *w)
{
	const struct text *text = &w->answer.text;
	json_t *calls = tools_answer_calls(&w->answer);

	if (text->len || json_array_size(calls) || !(w->err || w->cancelled))
		talk_add(t, "assistant", text->data ? text->data : "", text->len);
	if (json_array_size(calls))
		add_rest(t, json_pack("{s:O}", "tool_calls", calls));
	open_calls(t, calls);
	json_decref(calls);
}

int talk_answer(struct talk *t, struct why *why)
{
	struct xv_request r = {.kind = XV_CHAT, .chat = talk_request(t)};
	struct reply w = {
		.args = t->args, .wrap = wrap_open(!t->args->no_wrap), .hidden = t->args->json && t->args->once};
	int err;

	interrupted = 0;
	follow(t, xv_send(t->client, &r), &w, why);
	free((void *)(uintptr_t)r.chat.messages);
	tools_answer_end(&w.answer);
	show(&w);
	if (w.hidden)
		print_json(&w);
	else
		print_end(&w);
	keep(t, &w);
	if (w.end.reason)
		t->last = w.end;
	if (t->person && (w.end.reason == XV_FINISH_LENGTH || w.end.reason == XV_FINISH_DEADLINE))
		talk_say_end(&w.end);
	err = w.err;
	if (!err && (w.cancelled || interrupted))
		err = fail(why, ERR_CANCELLED, "stopped");
	finish_reply(&w);
	return err;
}
