#include "rpc/gateway/api/render.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "rpc/gateway/http/answer.h"
#include "rpc/gateway/http/stream.h"

static const char *finish_name(const struct api_choice *c)
{
	switch (c->reason) {
	case XV_FINISH_STOP: /* a stop string may cut a call: then clients need not try to read its arguments */
		return tools_whole(c->parts.parser) ? "tool_calls" : "stop";
	case XV_FINISH_LENGTH:
	case XV_FINISH_SCORED:
	case XV_FINISH_DEADLINE:
		return "length";
	default: /* cancelled: clients check finish_reason against OpenAI's list, so stop_reason holds it */
		return "stop";
	}
}

static void put_reason(struct text *t, const struct api_choice *c)
{
	text_fmt(t, "\"finish_reason\":\"%s\",\"stop_reason\":", finish_name(c));
	if (c->reason == XV_FINISH_CANCELLED || c->reason == XV_FINISH_DEADLINE)
		text_str(t, c->reason == XV_FINISH_CANCELLED ? "\"cancelled\"" : "\"deadline\"");
	else if (c->stop_text && *c->stop_text)
		text_json_str(t, c->stop_text);
	else if (c->reason == XV_FINISH_STOP && c->stop_id >= 0)
		text_fmt(t, "%d", c->stop_id);
	else
		text_str(t, "null");
}

static void put_ids(struct text *t, const char *name, struct text *ids)
{
	text_fmt(t, ",\"%s\":[", name);
	text_put(t, ids->data, ids->len);
	text_str(t, "]");
	ids->len = 0;
}

/* The keys that all pieces have. */
static void start(struct api_generation *w, const struct xv_started *s)
{
	struct text t = {0}, receipt = {0};

	text_fmt(&t,
		 "{\"id\":\"%s-%s\",\"object\":\"%s\",\"created\":%lld,\"model\":", w->is_chat ? "chatcmpl" : "cmpl",
		 http_request_id(w->x),
		 !w->is_chat         ? "text_completion"
		 : w->request.stream ? "chat.completion.chunk"
				     : "chat.completion",
		 (long long)time(NULL));
	text_json_str(&t, api_upstream_model(w->up));
	text_str(&t, ",\"system_fingerprint\":");
	api_put_receipt(&receipt, s);
	text_json(&t, receipt.data, receipt.len);
	text_finish(&receipt);
	text_str(&t, ",");
	w->preamble = t.data;
}

static struct text *begin(struct api_generation *w, const struct api_choice *c)
{
	struct text *t = &w->piece;

	t->len = 0;
	text_str(t, w->preamble);
	text_fmt(t, "\"choices\":[{\"index\":%d,", c->index);
	return t;
}

static void end(struct api_generation *w, const struct api_choice *c)
{
	if (w->request.usage_each)
		text_fmt(&w->piece,
			 "}],\"usage\":{\"prompt_tokens\":%u,\"completion_tokens\":%u,\"total_tokens\":%ju}}",
			 c->prompt_tokens, c->output_tokens, (uintmax_t)c->prompt_tokens + c->output_tokens);
	else
		text_str(&w->piece, w->request.include_usage ? "}],\"usage\":null}" : "}]}");
	w->n_pieces++;
	http_stream_event(w->x, &w->piece);
}

/* What goes with a piece of text: logprobs and ids that have gathered. */
static void put_rest(struct api_generation *w, struct api_choice *c)
{
	struct text *t = &w->piece;

	text_str(t, w->is_chat ? "},\"logprobs\":" : ",\"logprobs\":");
	api_logprobs_write(t, &c->logprobs, w->is_chat);
	if (w->request.return_ids)
		put_ids(t, "token_ids", &c->ids);
	text_str(t, ",\"finish_reason\":null");
	end(w, c);
}

/* The first piece of a chat's choice holds the role. It is sent with the first text, so that clients which measure the
 * time to the first piece measure the first token. */
static void send_role(struct api_generation *w, struct api_choice *c)
{
	if (!w->is_chat || !w->request.stream || c->role_sent)
		return;
	c->role_sent = true;
	text_str(begin(w, c),
		 "\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"logprobs\":null,\"finish_reason\":null");
	end(w, c);
}

static void take_part(struct api_generation *w, struct api_choice *c, enum tools_kind kind, int call, const char *s,
		      size_t n)
{
	if (!w->request.stream || kind == TOOLS_CALL)
		api_parts_add(&c->parts, kind, s, n);
	if (!w->request.stream)
		return;
	send_role(w, c);
	text_str(begin(w, c), "\"delta\":{");
	api_parts_delta(&w->piece, &c->parts, kind, call, s, n);
	put_rest(w, c);
}

static void send_piece(struct api_generation *w, struct api_choice *c, const char *s, size_t n)
{
	send_role(w, c);
	text_str(begin(w, c), w->is_chat ? "\"delta\":{\"content\":" : "\"text\":");
	text_json(&w->piece, s, n);
	put_rest(w, c);
}

static void take_chunk(struct api_generation *w, struct api_choice *c, const struct xv_chunk *k)
{
	bool rest = c->logprobs.n || (w->request.return_ids && c->ids.len);
	size_t sent = w->n_pieces;

	if (c->parts.parser)
		tools_feed(c->parts.parser, k->text, k->text_len);
	else if (!w->request.stream)
		text_put(w->is_chat ? &c->parts.content : &c->text, k->text, k->text_len);
	if (w->request.stream && (c->parts.parser ? rest && w->n_pieces == sent : rest || k->text_len))
		send_piece(w, c, k->text, c->parts.parser ? 0 : k->text_len);
}

static void take_over(struct api_generation *w, struct api_choice *c)
{
	if (!w->request.stream)
		return;
	send_role(w, c);
	text_str(begin(w, c), w->is_chat ? "\"delta\":{}" : "\"text\":\"\"");
	text_str(&w->piece, ",\"logprobs\":null,");
	put_reason(&w->piece, c);
	end(w, c);
}

struct api_usage api_usage_of(struct api_generation *w)
{
	struct api_usage u = {0, 0, 0};

	for (int i = 0; i < w->n_choices; i++) {
		const struct api_choice *c = &w->choice[i];
		u.output += c->output_tokens;
		if (i % w->request.n == 0) {
			u.prompt += c->prompt_tokens;
			u.cached += c->cached_tokens;
		}
	}
	w->up->prompt_tokens = u.prompt;
	w->up->output_tokens = u.output;
	return u;
}

static void put_usage(struct api_generation *w, struct text *t)
{
	struct api_usage u = api_usage_of(w);

	text_fmt(t,
		 "\"usage\":{\"prompt_tokens\":%ju,\"completion_tokens\":%ju,\"total_tokens\":%ju,"
		 "\"prompt_tokens_details\":{\"cached_tokens\":%ju}}",
		 (uintmax_t)u.prompt, (uintmax_t)u.output, (uintmax_t)(u.prompt + u.output), (uintmax_t)u.cached);
}

static void end_stream(struct api_generation *w)
{
	struct text *t = &w->piece;

	t->len = 0;
	text_str(t, w->preamble);
	text_str(t, "\"choices\":[],");
	put_usage(w, t);
	text_str(t, "}");
	if (w->request.include_usage)
		http_stream_event(w->x, t);
	http_stream_end(w->x, true);
}

static void put_message(struct text *t, const struct api_parts *p)
{
	text_str(t, "\"content\":");
	api_parts_content(t, p);
	api_parts_more(t, p);
}

static void put_choice(struct api_generation *w, struct api_choice *c, struct text *t)
{
	text_fmt(t, "{\"index\":%d,", c->index);
	text_str(t, w->is_chat ? "\"message\":{\"role\":\"assistant\"," : "\"text\":");
	if (w->is_chat)
		put_message(t, &c->parts);
	else
		text_json(t, c->text.data ? c->text.data : "", c->text.len);
	text_str(t, w->is_chat ? ",\"refusal\":null},\"logprobs\":" : ",\"logprobs\":");
	api_logprobs_write(t, &c->logprobs, w->is_chat);
	if (w->request.prompt_top >= 0)
		put_ids(t, "prompt_logprobs", &c->prompt_logprobs);
	if (w->request.return_ids) {
		if (!w->is_chat)
			put_ids(t, "prompt_token_ids", &c->prompt_ids);
		put_ids(t, "token_ids", &c->ids);
	}
	text_str(t, ",");
	put_reason(t, c);
	text_str(t, "}");
	api_choice_finish(c);
}

static void answer_whole(struct api_generation *w)
{
	struct text t = {0};

	text_str(&t, w->preamble);
	text_str(&t, "\"choices\":[");
	for (int i = 0; i < w->n_choices; i++) {
		if (i)
			text_str(&t, ",");
		put_choice(w, &w->choice[i], &t);
	}
	text_str(&t, "],");
	put_usage(w, &t);
	text_str(&t, "}");
	http_answer_text(w->x, 200, "application/json", &t);
}

static void end_all(struct api_generation *w)
{
	if (w->request.stream)
		end_stream(w);
	else
		answer_whole(w);
}

static void fail_stream(struct api_generation *w, int status, const char *code, const char *text)
{
	http_stream_error(w->x, status, code, text);
}

const struct api_form api_render_form = {
	.begin = start, .part = take_part, .chunk = take_chunk, .over = take_over, .end = end_all, .fail = fail_stream};
