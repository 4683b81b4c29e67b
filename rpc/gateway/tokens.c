/* tokens.c - /tokenize, /detokenize, /tokenizer_info: one call of the daemon each. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/gateway/ask.h"
#include "rpc/gateway/chat.h"
#include "rpc/gateway/gateway.h"

enum { MAX_DETOKENIZE = 1 << 20 };

struct words {
	bool strings;
	int32_t *ids;
	struct chat_input said;
};

static void put_ids(json_t *j, const int32_t *ids, int n)
{
	json_t *list = json_array();

	for (int i = 0; i < n; i++)
		json_array_append_new(list, json_integer(ids[i]));
	json_object_set_new(j, "count", json_integer(n));
	json_object_set_new(j, "tokens", list);
}

/* Bytes that are not UTF-8 become U+FFFD. */
static json_t *lenient(const char *s, size_t len)
{
	json_t *j = json_stringn(s, len);
	struct text t = {0};

	if (j)
		return j;
	text_json(&t, s, len);
	j = json_loadb(t.data, t.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
	text_finish(&t);
	return j ? j : json_string("");
}

static void answer_tokens(struct exchange *x, const struct rpc_tokens *t)
{
	const struct rpc_status *s = model_status(x->model);
	json_t *j = json_object(), *strings = json_null();
	const struct words *w = x->work;

	put_ids(j, t->ids, t->n_ids);
	if (w->strings && t->pieces) {
		strings = json_array();
		for (int i = 0; i < t->n_ids; i++)
			json_array_append_new(strings, lenient(t->pieces[i], t->piece_len[i]));
	}
	json_object_set_new(j, "max_model_len", json_integer(s ? s->max_model_len : 0));
	json_object_set_new(j, "token_strs", strings);
	answer_json(x, 200, j);
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
		answer_json(x, 200, json_pack("{s:o}", "prompt", lenient(r->text.text, r->text.text_len)));
		break;
	case RPC_R_ERROR:
		snprintf(text, sizeof text, "%s", r->error.text);
		answer_err(x, r->error.code, text, r->error.retry_after_ms);
		break;
	default:
		return;
	}
	exchange_forget_daemon(x);
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

static void ask(struct exchange *x, struct rpc_request *r)
{
	if (!exchange_connect(x))
		return;
	xv_send(x->client, r);
	exchange_arm(x);
}

/* null and absent are the same; false: answered with an error. */
static bool get_bool(struct exchange *x, const char *name, bool fallback, bool *out)
{
	const json_t *v = json_object_get(x->json, name);

	*out = v && !json_is_null(v) ? json_is_true(v) : fallback;
	if (!v || json_is_null(v) || json_is_boolean(v))
		return true;
	answer_error(x, 400, NULL, name, "%s: true or false is wanted", name);
	return false;
}

static void tokenize_chat(struct exchange *x, struct words *w)
{
	struct rpc_request r = {.kind = RPC_TEMPLATE};
	const char *param = NULL;
	struct why why;

	if (chat_read(&w->said, x->json, &param, &why)) {
		answer_error(x, 400, NULL, param, "%s", why.text);
		return;
	}
	r.chat = w->said.chat;
	ask(x, &r);
}

void post_tokenize(struct exchange *x)
{
	json_t *prompt = json_object_get(x->json, "prompt");
	struct rpc_request r = {.kind = RPC_TOKENIZE};
	struct words *w = begin(x);

	if (!w)
		return;
	if (json_object_get(x->json, "messages")) {
		tokenize_chat(x, w);
		return;
	}
	if (!json_is_string(prompt)) {
		answer_error(x, 400, NULL, "prompt", "prompt: a string is wanted");
		return;
	}
	if (!get_bool(x, "return_token_strs", false, &w->strings) ||
	    !get_bool(x, "add_special_tokens", true, &r.tokenize.add_special))
		return;
	r.tokenize.text = json_string_value(prompt);
	r.tokenize.text_len = json_string_length(prompt);
	r.tokenize.parse_special = true;
	r.tokenize.pieces = w->strings;
	ask(x, &r);
}

void post_detokenize(struct exchange *x)
{
	struct rpc_request r = {.kind = RPC_DETOKENIZE};
	struct words *w = begin(x);
	struct why why;

	if (!w)
		return;
	if (ask_ids(json_object_get(x->json, "tokens"), "tokens", MAX_DETOKENIZE, &w->ids, &r.detokenize.n_ids, &why)) {
		answer_error(x, 400, NULL, "tokens", "%s", why.text);
		return;
	}
	r.detokenize.ids = w->ids;
	ask(x, &r);
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
			     s ? "this model has no tokenizer: prompts are token ids" : "the daemon has not answered yet");
		return;
	}
	answer_json(x, 200, json_pack("{s:s, s:i, s:o, s:o}", "tokenizer_class", s->tokenizer, "vocab_size", (int)s->vocab,
				     "bos_token", name_or_null(s->bos_token), "eos_token", name_or_null(s->eos_token)));
}
