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

char *api_render_preamble(const struct api_generation *w, const struct xv_started *s)
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
	return t.data;
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

void api_render_part(struct api_generation *w, struct api_choice *c, enum tools_kind kind, int call, const char *s,
		     size_t n)
{
	struct text *t = begin(w, c);

	text_str(t, "\"delta\":{");
	api_parts_delta(t, &c->parts, kind, call, s, n);
	put_rest(w, c);
}

void api_render_piece(struct api_generation *w, struct api_choice *c, const char *text, size_t len)
{
	struct text *t = begin(w, c);

	text_str(t, w->is_chat ? "\"delta\":{\"content\":" : "\"text\":");
	text_json(t, text, len);
	put_rest(w, c);
}

void api_render_role(struct api_generation *w, struct api_choice *c)
{
	text_str(begin(w, c),
		 "\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"logprobs\":null,\"finish_reason\":null");
	end(w, c);
}

void api_render_finish(struct api_generation *w, struct api_choice *c)
{
	struct text *t = begin(w, c);

	text_str(t, w->is_chat ? "\"delta\":{}" : "\"text\":\"\"");
	text_str(t, ",\"logprobs\":null,");
	put_reason(t, c);
	end(w, c);
}

static void put_usage(struct api_generation *w, struct text *t)
{
	uint64_t prompt = 0, output = 0, cached = 0;

	for (int i = 0; i < w->n_choices; i++) {
		const struct api_choice *c = &w->choice[i];
		output += c->output_tokens;
		if (i % w->request.n == 0) {
			prompt += c->prompt_tokens;
			cached += c->cached_tokens;
		}
	}
	w->up->prompt_tokens = prompt;
	w->up->output_tokens = output;
	text_fmt(t,
		 "\"usage\":{\"prompt_tokens\":%ju,\"completion_tokens\":%ju,\"total_tokens\":%ju,"
		 "\"prompt_tokens_details\":{\"cached_tokens\":%ju}}",
		 (uintmax_t)prompt, (uintmax_t)output, (uintmax_t)(prompt + output), (uintmax_t)cached);
}

void api_render_usage(struct api_generation *w)
{
	struct text *t = &w->piece;

	t->len = 0;
	text_str(t, w->preamble);
	text_str(t, "\"choices\":[],");
	put_usage(w, t);
	text_str(t, "}");
	if (w->request.include_usage)
		http_stream_event(w->x, t);
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

void api_render_whole(struct api_generation *w)
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
