#include "rpc/gateway/api/logprobs.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/number.h"
#include "base/utf8.h"

static size_t characters(const char *s, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++)
		n += ((unsigned char)s[i] & 0xc0) != 0x80;
	return n;
}

/* Writes a token's text. Parts of characters become "bytes:\xe4" and a token without text "token_id:7", so that
 * different tokens stay different. */
static void put_token(struct text *t, int32_t id, const char *piece, size_t len, bool as_id)
{
	struct text name = {0};

	if (as_id || !len) {
		text_fmt(t, "\"token_id:%d\"", id);
		return;
	}
	if (utf8_valid(piece, len, NULL)) {
		text_json(t, piece, len);
		return;
	}
	text_str(&name, "bytes:");
	for (size_t i = 0; i < len; i++)
		text_fmt(&name, "\\x%02x", (unsigned char)piece[i]);
	text_json(t, name.data, name.len);
	text_finish(&name);
}

static void put_value(struct text *t, float logprob)
{
	text_number(t, isinf(logprob) ? -9999.0f : logprob);
}

static bool same_piece(const struct xv_top *a, const struct xv_top *b)
{
	return a->piece_len && a->piece_len == b->piece_len && !memcmp(a->piece, b->piece, a->piece_len);
}

/* Two tokens with the same text share a key: the likelier one, which comes first, keeps it. */
static bool is_key_taken(const struct xv_top *top, int i)
{
	for (int k = 0; k < i; k++)
		if (same_piece(&top[k], &top[i]))
			return true;
	return false;
}

/* Gathers the n likeliest tokens and the token itself if it is not among them: at most API_MAX_TOP + 1. */
static int gather_top(const struct xv_token *t, int n, struct xv_top out[API_MAX_TOP + 1])
{
	bool own = false;

	n = min_int(n, min_int(t->n_top, API_MAX_TOP));
	for (int i = 0; i < n; i++) {
		out[i] = t->top[i];
		if (out[i].id == t->id) {
			out[i].logprob = t->logprob;
			own = true;
		}
	}
	if (!own)
		out[n++] = (struct xv_top){t->id, t->logprob, t->piece, t->piece_len};
	return n;
}

static void put_top_object(struct text *out, const struct api_request *a, const struct xv_token *t, int n)
{
	struct xv_top top[API_MAX_TOP + 1];
	bool first = true;

	n = gather_top(t, n, top);
	text_str(out, "{");
	for (int i = 0; i < n; i++) {
		if (!a->ids_as_tokens && is_key_taken(top, i))
			continue;
		if (!first)
			text_str(out, ",");
		first = false;
		put_token(out, top[i].id, top[i].piece, top[i].piece_len, a->ids_as_tokens);
		text_str(out, ":");
		put_value(out, top[i].logprob);
	}
	text_str(out, "}");
}

static void separate(struct text *t)
{
	if (t->len)
		text_str(t, ",");
}

static void add_completion(struct api_logprobs *l, const struct api_request *a, const struct xv_token *t)
{
	separate(&l->tokens);
	put_token(&l->tokens, t->id, t->piece, t->piece_len, a->ids_as_tokens);
	separate(&l->offsets);
	text_fmt(&l->offsets, "%zu", l->characters);
	separate(&l->values);
	separate(&l->top);
	if (!t->has_logprob) {
		text_str(&l->values, "null");
		text_str(&l->top, "null");
		return;
	}
	put_value(&l->values, t->logprob);
	put_top_object(&l->top, a, t, a->top);
}

static void put_chat_token(struct text *out, const struct api_request *a, const struct xv_top *t)
{
	text_str(out, "{\"token\":");
	put_token(out, t->id, t->piece, t->piece_len, a->ids_as_tokens);
	text_str(out, ",\"logprob\":");
	put_value(out, t->logprob);
	text_str(out, ",\"bytes\":[");
	for (size_t i = 0; i < t->piece_len; i++)
		text_fmt(out, i ? ",%u" : "%u", (unsigned char)t->piece[i]);
	text_str(out, "]");
}

static void add_chat(struct api_logprobs *l, const struct api_request *a, const struct xv_token *t)
{
	struct xv_top own = {t->id, t->logprob, t->piece, t->piece_len};
	int n = min_int(a->top, t->n_top);

	separate(&l->tokens);
	put_chat_token(&l->tokens, a, &own);
	text_str(&l->tokens, ",\"top_logprobs\":[");
	for (int i = 0; i < n; i++) {
		struct xv_top top = t->top[i];
		if (top.id == t->id)
			top.logprob = t->logprob;
		if (i)
			text_str(&l->tokens, ",");
		put_chat_token(&l->tokens, a, &top);
		text_str(&l->tokens, "}");
	}
	text_str(&l->tokens, "]}");
}

void api_logprobs_add(struct api_logprobs *l, const struct api_request *a, bool is_chat, const struct xv_token *t)
{
	if (is_chat)
		add_chat(l, a, t);
	else
		add_completion(l, a, t);
	l->characters += characters(t->piece, t->piece_len);
	l->n++;
}

static void empty(struct text *t)
{
	t->len = 0;
}

static void put_list(struct text *t, const char *name, struct text *list)
{
	text_fmt(t, "\"%s\":[", name);
	text_put(t, list->data, list->len);
	text_str(t, "]");
	empty(list);
}

void api_logprobs_write(struct text *t, struct api_logprobs *l, bool is_chat)
{
	if (!l->n) {
		text_str(t, "null");
		return;
	}
	text_str(t, "{");
	if (is_chat) {
		put_list(t, "content", &l->tokens);
		text_str(t, ",\"refusal\":null}");
	} else {
		put_list(t, "text_offset", &l->offsets);
		text_str(t, ",");
		put_list(t, "token_logprobs", &l->values);
		text_str(t, ",");
		put_list(t, "tokens", &l->tokens);
		text_str(t, ",");
		put_list(t, "top_logprobs", &l->top);
		text_str(t, "}");
	}
	l->n = 0;
}

size_t api_logprobs_bytes(const struct api_logprobs *l)
{
	return l->tokens.max + l->values.max + l->top.max + l->offsets.max;
}

void api_logprobs_finish(struct api_logprobs *l)
{
	text_finish(&l->tokens);
	text_finish(&l->values);
	text_finish(&l->top);
	text_finish(&l->offsets);
}

static void put_ranked(struct text *out, const struct xv_top *t, uint32_t rank)
{
	text_fmt(out, "\"%d\":{\"logprob\":", t->id);
	put_value(out, t->logprob);
	text_fmt(out, ",\"rank\":%u,\"decoded_token\":", rank);
	text_json(out, t->piece, t->piece_len);
	text_str(out, "}");
}

/* In vLLM's form the first token has null, every other an object whose keys are ids. */
void api_prompt_logprobs_add(struct text *out, const struct api_request *a, const struct xv_token *t)
{
	struct xv_top top[API_MAX_TOP + 1];
	int n;

	separate(out);
	if (!t->has_logprob) {
		text_str(out, "null");
		return;
	}
	n = gather_top(t, a->prompt_top, top);
	text_str(out, "{");
	for (int i = 0; i < n; i++) {
		if (i)
			text_str(out, ",");
		put_ranked(out, &top[i], top[i].id == t->id ? t->rank : (uint32_t)i + 1);
	}
	text_str(out, "}");
}
