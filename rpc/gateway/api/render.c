/* shape.c - the JSON that clients read: pieces of a stream and whole answers. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/gateway/api/generate.h"

static const char *finish_name(enum rpc_finish f)
{
	switch (f) {
	case RPC_FINISH_STOP:
		return "stop";
	case RPC_FINISH_LENGTH:
	case RPC_FINISH_SCORED:
	case RPC_FINISH_DEADLINE:
		return "length";
	default: /* cancelled: clients check the word against OpenAI's list, so stop_reason says it */
		return "stop";
	}
}

static void put_reason(struct text *t, const struct choice *c)
{
	text_fmt(t, "\"finish_reason\":\"%s\",\"stop_reason\":", finish_name(c->reason));
	if (c->reason == RPC_FINISH_CANCELLED || c->reason == RPC_FINISH_DEADLINE)
		text_str(t, c->reason == RPC_FINISH_CANCELLED ? "\"cancelled\"" : "\"deadline\"");
	else if (c->stop_text && *c->stop_text)
		text_json_str(t, c->stop_text);
	else if (c->reason == RPC_FINISH_STOP && c->stop_id >= 0)
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

static struct text *begin(struct generation *w, const struct choice *c)
{
	struct text *t = &w->piece;

	t->len = 0;
	text_str(t, w->preamble);
	text_fmt(t, "\"choices\":[{\"index\":%d,", c->index);
	return t;
}

static void end(struct exchange *x, struct generation *w, const struct choice *c)
{
	if (w->ask.usage_each)
		text_fmt(&w->piece,
			 "}],\"usage\":{\"prompt_tokens\":%u,\"completion_tokens\":%u,\"total_tokens\":%ju}}",
			 c->prompt_tokens, c->output_tokens, (uintmax_t)c->prompt_tokens + c->output_tokens);
	else
		text_str(&w->piece, w->ask.include_usage ? "}],\"usage\":null}" : "}]}");
	stream_event(x, &w->piece);
}

void shape_piece(struct exchange *x, struct generation *w, struct choice *c, const char *text, size_t len)
{
	struct text *t = begin(w, c);

	text_str(t, w->chat ? "\"delta\":{\"content\":" : "\"text\":");
	text_json(t, text, len);
	text_str(t, w->chat ? "},\"logprobs\":" : ",\"logprobs\":");
	logprobs_write(t, &c->logprobs, w->chat);
	if (w->ask.return_ids)
		put_ids(t, "token_ids", &c->ids);
	text_str(t, ",\"finish_reason\":null");
	end(x, w, c);
}

void shape_role(struct exchange *x, struct generation *w, struct choice *c)
{
	text_str(begin(w, c),
		 "\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"logprobs\":null,\"finish_reason\":null");
	end(x, w, c);
}

void shape_finish(struct exchange *x, struct generation *w, struct choice *c)
{
	struct text *t = begin(w, c);

	text_str(t, w->chat ? "\"delta\":{}" : "\"text\":\"\"");
	text_str(t, ",\"logprobs\":null,");
	put_reason(t, c);
	end(x, w, c);
}

static void put_usage(struct exchange *x, struct generation *w, struct text *t)
{
	uint64_t prompt = 0, output = 0, cached = 0;

	for (int i = 0; i < w->n_choices; i++) {
		const struct choice *c = &w->choice[i];
		output += c->output_tokens;
		if (i % w->ask.n == 0) {
			prompt += c->prompt_tokens;
			cached += c->cached_tokens;
		}
	}
	x->prompt_tokens = prompt;
	x->output_tokens = output;
	text_fmt(t,
		 "\"usage\":{\"prompt_tokens\":%ju,\"completion_tokens\":%ju,\"total_tokens\":%ju,"
		 "\"prompt_tokens_details\":{\"cached_tokens\":%ju}}",
		 (uintmax_t)prompt, (uintmax_t)output, (uintmax_t)(prompt + output), (uintmax_t)cached);
}

void shape_usage(struct exchange *x, struct generation *w)
{
	struct text *t = &w->piece;

	t->len = 0;
	text_str(t, w->preamble);
	text_str(t, "\"choices\":[],");
	put_usage(x, w, t);
	text_str(t, "}");
	if (w->ask.include_usage)
		stream_event(x, t);
}

static void put_choice(struct generation *w, struct choice *c, struct text *t)
{
	text_fmt(t, "{\"index\":%d,", c->index);
	text_str(t, w->chat ? "\"message\":{\"role\":\"assistant\",\"content\":" : "\"text\":");
	text_json(t, c->text.data ? c->text.data : "", c->text.len);
	text_str(t, w->chat ? ",\"refusal\":null},\"logprobs\":" : ",\"logprobs\":");
	logprobs_write(t, &c->logprobs, w->chat);
	if (w->ask.prompt_top >= 0)
		put_ids(t, "prompt_logprobs", &c->prompt_logprobs);
	if (w->ask.return_ids) {
		if (!w->chat)
			put_ids(t, "prompt_token_ids", &c->prompt_ids);
		put_ids(t, "token_ids", &c->ids);
	}
	text_str(t, ",");
	put_reason(t, c);
	text_str(t, "}");
	choice_finish(c);
}

void shape_whole(struct exchange *x, struct generation *w)
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
	put_usage(x, w, &t);
	text_str(&t, "}");
	answer_text(x, 200, "application/json", &t);
}
