/* conversation.c - the messages of `xverse chat`, and the answers to them. */
#include "rpc/cli/conversation.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

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

		m[i] = (struct xv_message){role ? role : "", content ? content : "", "", "",
					   content ? strlen(content) : 0};
	}
	sampling.seed += (uint64_t)t->again;
	return (struct xv_chat){.n_messages = (int)n,
				.messages = m,
				.sampling = sampling,
				.timeout_ms = (uint32_t)t->args->timeout_ms,
				.user = t->args->user ? t->args->user : "",
				.tools_json = "",
				.documents_json = "",
				.args_json = "",
				.add_generation_prompt = true};
}

struct answer {
	char *text;
	size_t len;
	int err;
	bool cancelled;
};

static int take_text(struct answer *w, const struct xv_chunk *k)
{
	if (k->prompt || !k->text_len)
		return 0;
	w->text = xgrow(w->text, w->len + k->text_len, 1);
	memcpy(w->text + w->len, k->text, k->text_len);
	w->len += k->text_len;
	return cli_write(k->text, k->text_len);
}

/* True: it was the last. */
static bool take(struct answer *w, const struct xv_reply *r, struct why *why)
{
	switch (r->kind) {
	case XV_R_CHUNK:
		w->err = take_text(w, &r->chunk);
		return w->err != 0;
	case XV_R_FINISHED:
		w->cancelled = r->finished.reason == XV_FINISH_CANCELLED;
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

/* An open call hears something every second at least. */
static bool tell_silence(const struct talk *t)
{
	if (t->terminal && terminal_is_tty(t->terminal))
		cli_say("\n[the server stopped responding: the answer resumes when it returns; Ctrl-C gives it up]\n");
	return true;
}

/* Ctrl-C stops the answer. A second one, or a server that does not say so soon, is not waited for. */
static void follow(struct talk *t, uint64_t id, struct answer *w, struct why *why)
{
	enum { SILENCE_MS = 3000, STOP_MS = 1000 };
	struct xv_reply r;
	uint64_t heard = now_ns(), asked = 0;
	bool told = false;

	while (interrupted < 2 && !(asked && past(asked, STOP_MS))) {
		int got = xv_wait(t->client, &r, 100, why->text);
		if (got < 0) {
			w->err = got;
			return;
		}
		if (got == 1)
			heard = now_ns();
		if (got == 1 && r.id == id && take(w, &r, why))
			return;
		if (interrupted && !asked) {
			asked = now_ns();
			xv_cancel(t->client, id);
		}
		if (!told && past(heard, SILENCE_MS))
			told = tell_silence(t);
	}
	w->cancelled = true;
}

int talk_answer(struct talk *t, struct why *why)
{
	struct xv_request r = {.kind = XV_CHAT, .chat = talk_request(t)};
	struct answer w = {0};

	interrupted = 0;
	follow(t, xv_send(t->client, &r), &w, why);
	free((void *)(uintptr_t)r.chat.messages);
	if (w.len && w.text[w.len - 1] != '\n')
		cli_write("\n", 1);
	if (w.len || !(w.err || w.cancelled))
		talk_add(t, "assistant", w.text ? w.text : "", w.len);
	free(w.text);
	if (w.err)
		return w.err;
	return w.cancelled || interrupted ? fail(why, ERR_CANCELLED, "stopped") : 0;
}
