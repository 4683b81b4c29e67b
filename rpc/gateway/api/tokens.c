/* tokens.c - /tokenize, /detokenize, /tokenizer_info: one call of the daemon each. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/gateway/api/request.h"
#include "rpc/gateway/api/chat.h"
#include "rpc/gateway/gateway.h"

enum { MAX_DETOKENIZE = ASK_MAX_VALUES };

struct words {
	bool strings;
	int32_t *ids;
	struct chat_input said;
};

static void answer_counted(struct exchange *x, struct text *t)
{
	int status = budget_set(x, BUDGET_ANSWER, (int64_t)t->max);

	if (!status) {
		answer_text(x, 200, "application/json", t);
		return;
	}
	text_finish(t);
	answer_error(x, status, "overloaded", NULL, "%s", budget_text(status));
}

static void answer_tokens(struct exchange *x, const struct rpc_tokens *t)
{
	const struct rpc_status *s = model_status(x->model);
	const struct words *w = x->work;
	struct text out = {0};

	text_fmt(&out, "{\"count\":%d,\"tokens\":[", t->n_ids);
	for (int i = 0; i < t->n_ids; i++)
		text_fmt(&out, i ? ",%d" : "%d", t->ids[i]);
	text_fmt(&out, "],\"max_model_len\":%u,\"token_strs\":%s", s ? s->max_model_len : 0,
		 w->strings && t->pieces ? "[" : "null");
	for (int i = 0; w->strings && t->pieces && i < t->n_ids; i++) {
		if (i)
			text_str(&out, ",");
		text_json(&out, t->pieces[i], t->piece_len[i]);
	}
	text_str(&out, w->strings && t->pieces ? "]}" : "}");
	answer_counted(x, &out);
}

static void answer_prompt(struct exchange *x, const char *s, size_t len)
{
	struct text out = {0};

	text_str(&out, "{\"prompt\":");
	text_json(&out, s, len);
	text_str(&out, "}");
	answer_counted(x, &out);
}

static void take(struct exchange *x, const struct rpc_reply *r)
{
	char text[512];

	switch (r->kind) {
	case RPC_R_TOKENS:
		answer_tokens(x, &r->tokens);
		break;
	case RPC_R_RENDERED:
		answer_tokens(x, &(struct rpc_tokens){.ids = r->rendered.ids, .n_ids = r->rendered.n_ids});
		break;
	case RPC_R_TEXT:
		answer_prompt(x, r->text.text, r->text.text_len);
		break;
	case RPC_R_ERROR:
		snprintf(text, sizeof text, "%s", r->error.text);
		answer_err(x, r->error.code, text, r->error.retry_after_ms);
		break;
	default:
		return;
	}
	exchange_forget_daemon(x);
	budget_set(x, BUDGET_CALLS, 0);
}

static void lost(struct exchange *x, int err, const char *text)
{
	answer_err(x, err, text, 1000);
}

static void release(struct exchange *x)
{
	struct words *w = x->work;

	free(w->ids);
	chat_finish(&w->said);
	free(w);
}

static const struct work_ops ops = {take, NULL, lost, release};

static struct words *begin(struct exchange *x)
{
	struct words *w;

	if (!model_of(x))
		return NULL;
	w = xalloc(1, sizeof *w);
	x->work = w;
	x->ops = &ops;
	return w;
}

static void ask(struct exchange *x, struct rpc_request *r, size_t bytes)
{
	int status = budget_set(x, BUDGET_CALLS, 2 * (int64_t)bytes);

	if (status)
		answer_error(x, status, "overloaded", NULL, "%s", budget_text(status));
	if (status || !exchange_connect(x))
		return;
	exchange_send(x, r);
	exchange_arm(x);
}

/* null and absent are the same; false: answered with an error. */
static bool get_bool(struct exchange *x, const char *name, bool fallback, bool *out)
{
	const struct json *v = json_get(exchange_json(x), name);

	*out = json_none(v) ? fallback : json_yes(v);
	if (json_none(v) || json_is(v, JSON_IS_BOOL))
		return true;
	answer_error(x, 400, NULL, name, "%s must be true or false, not %s", name, json_kind_name(v));
	return false;
}

static void tokenize_chat(struct exchange *x, struct words *w)
{
	struct rpc_request r = {.kind = RPC_TEMPLATE};
	const char *param = NULL;
	struct why why;

	if (chat_read(&w->said, exchange_json(x), x->answer.ignored, &param, &why)) {
		answer_error(x, 400, NULL, param, "%s", why.text);
		return;
	}
	r.chat = w->said.chat;
	ask(x, &r, w->said.bytes);
	chat_finish(&w->said);
}

void post_tokenize(struct exchange *x)
{
	const struct json *prompt = json_get(exchange_json(x), "prompt");
	struct rpc_request r = {.kind = RPC_TOKENIZE};
	struct words *w = begin(x);

	if (!w)
		return;
	if (!json_none(json_get(exchange_json(x), "messages"))) {
		tokenize_chat(x, w);
		return;
	}
	if (!json_str(prompt)) {
		answer_error(x, 400, NULL, "prompt", "prompt must be a string, not %s", json_kind_name(prompt));
		return;
	}
	if (!get_bool(x, "return_token_strs", false, &w->strings) ||
	    !get_bool(x, "add_special_tokens", true, &r.tokenize.add_special))
		return;
	r.tokenize.text = json_str(prompt);
	r.tokenize.text_len = json_len(prompt);
	r.tokenize.parse_special = true;
	r.tokenize.pieces = w->strings;
	ask(x, &r, json_len(prompt));
}

void post_detokenize(struct exchange *x)
{
	struct rpc_request r = {.kind = RPC_DETOKENIZE};
	struct words *w = begin(x);
	struct why why;

	if (!w)
		return;
	if (ask_ids(json_get(exchange_json(x), "tokens"), "tokens", MAX_DETOKENIZE, &w->ids, &r.detokenize.n_ids,
		    &why)) {
		answer_error(x, 400, NULL, "tokens", "%s", why.text);
		return;
	}
	r.detokenize.ids = w->ids;
	ask(x, &r, (size_t)r.detokenize.n_ids * sizeof(int32_t));
	free(w->ids);
	w->ids = NULL;
}

static json_t *name_or_null(const char *name)
{
	return *name ? json_string(name) : json_null();
}

void get_tokenizer_info(struct exchange *x)
{
	const struct rpc_status *s;

	if (!model_of(x))
		return;
	s = model_status(x->model);
	if (!s || !*s->tokenizer) {
		answer_error(x, s ? 404 : 503, s ? "not_found" : "loading", NULL, "%s",
			     s ? "this model has no tokenizer: prompts are token ids"
			       : "the daemon has not answered yet");
		return;
	}
	answer_json(x, 200,
		    json_pack("{s:s, s:i, s:o, s:o}", "tokenizer_class", s->tokenizer, "vocab_size", (int)s->vocab,
			      "bos_token", name_or_null(s->bos_token), "eos_token", name_or_null(s->eos_token)));
}
