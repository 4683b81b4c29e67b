#include "rpc/gateway/api/responses_form.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "rpc/gateway/api/render.h"
#include "rpc/gateway/http/answer.h"
#include "rpc/gateway/http/stream.h"

enum { ITEM_ID = 192 }; /* a request's id has 128 bytes at most */

struct item {
	enum tools_kind kind; /* TOOLS_ARGUMENTS is none */
	char id[ITEM_ID], call_id[API_CALL_ID];
	const char *status;
	struct text name, text; /* text: of a call, its arguments */
	struct text logprobs;   /* entries of a list */
};

struct answer {
	struct item *item;
	int n_items;
	bool open; /* the last item */
	long long created;
	uint64_t n_events, reasoning_tokens;
	char *repeated; /* keys of the request, each behind a comma */
	struct text receipt;
	size_t bytes; /* of the items */
};

static struct item *last(struct answer *a)
{
	return a->n_items ? &a->item[a->n_items - 1] : NULL;
}

/* ---- JSON ---- */

static void put_string(struct text *t, const struct text *s)
{
	text_json(t, s->data ? s->data : "", s->len);
}

/* The part of a message or of reasoning that holds its text. */
static void put_part(struct text *t, const struct item *i)
{
	if (i->kind == TOOLS_REASONING) {
		text_str(t, "{\"type\":\"reasoning_text\",\"text\":");
		put_string(t, &i->text);
	} else {
		text_str(t, "{\"type\":\"output_text\",\"annotations\":[],\"logprobs\":[");
		text_put(t, i->logprobs.data, i->logprobs.len);
		text_str(t, "],\"text\":");
		put_string(t, &i->text);
	}
	text_str(t, "}");
}

/* parts: whether the text is shown, which an item that begins has not. */
static void put_item(struct text *t, const struct item *i, bool parts)
{
	static const char *const types[] = {
		[TOOLS_REASONING] = "reasoning", [TOOLS_CONTENT] = "message", [TOOLS_CALL] = "function_call"};

	text_fmt(t, "{\"id\":\"%s\",\"type\":\"%s\",\"status\":\"%s\",", i->id, types[i->kind], i->status);
	if (i->kind == TOOLS_CALL) {
		text_fmt(t, "\"call_id\":\"%s\",\"name\":", i->call_id);
		put_string(t, &i->name);
		text_str(t, ",\"arguments\":");
		put_string(t, &i->text);
		text_str(t, "}");
		return;
	}
	text_str(t,
		 i->kind == TOOLS_REASONING ? "\"summary\":[],\"content\":[" : "\"role\":\"assistant\",\"content\":[");
	if (parts)
		put_part(t, i);
	text_str(t, "]}");
}

static const char *status_of(const struct api_choice *c)
{
	switch (c->reason) {
	case XV_FINISH_STOP:
		return "completed";
	case XV_FINISH_LENGTH:
	case XV_FINISH_SCORED:
	case XV_FINISH_DEADLINE:
		return "incomplete";
	default:
		return "cancelled";
	}
}

static void put_usage(struct api_generation *w, const struct answer *a, struct text *t)
{
	struct api_usage u = api_usage_of(w);

	text_fmt(t,
		 "{\"input_tokens\":%ju,\"input_tokens_details\":{\"cached_tokens\":%ju,\"cache_write_tokens\":0},"
		 "\"output_tokens\":%ju,\"output_tokens_details\":{\"reasoning_tokens\":%ju},\"total_tokens\":%ju}",
		 (uintmax_t)u.prompt, (uintmax_t)u.cached, (uintmax_t)u.output, (uintmax_t)a->reasoning_tokens,
		 (uintmax_t)(u.prompt + u.output));
}

/* status: "in_progress" while it begins, and then without items. */
static void put_response(struct api_generation *w, struct text *t, const char *status)
{
	const struct answer *a = w->form_data;
	bool over = strcmp(status, "in_progress") != 0;

	text_fmt(t, "{\"id\":\"resp_%s\",\"object\":\"response\",\"created_at\":%lld,\"status\":\"%s\",\"model\":",
		 http_request_id(w->x), a->created, status);
	text_json_str(t, api_upstream_model(w->up));
	text_str(t, ",\"system_fingerprint\":");
	put_string(t, &a->receipt);
	text_str(t, !strcmp(status, "incomplete") ? ",\"incomplete_details\":{\"reason\":\"max_output_tokens\"}"
						  : ",\"incomplete_details\":null");
	text_str(t, ",\"error\":null,\"background\":false,\"store\":false,\"previous_response_id\":null,"
		    "\"service_tier\":\"default\",\"truncation\":\"disabled\"");
	text_str(t, a->repeated);
	text_str(t, ",\"output\":[");
	for (int i = 0; over && i < a->n_items; i++) {
		if (i)
			text_str(t, ",");
		put_item(t, &a->item[i], true);
	}
	text_str(t, "],\"usage\":");
	if (over)
		put_usage(w, a, t);
	else
		text_str(t, "null");
	text_str(t, "}");
}

/* ---- events ---- */

static struct text *event(struct api_generation *w, const char *type)
{
	struct answer *a = w->form_data;
	struct text *t = &w->piece;

	t->len = 0;
	text_fmt(t, "{\"type\":\"%s\",\"sequence_number\":%ju", type, (uintmax_t)a->n_events++);
	return t;
}

/* An event about the last item: with its place, and that of its part where it has one. */
static struct text *item_event(struct api_generation *w, const char *type, bool part)
{
	const struct answer *a = w->form_data;
	struct text *t = event(w, type);

	text_fmt(t, ",\"output_index\":%d", a->n_items - 1);
	if (part)
		text_fmt(t, ",\"item_id\":\"%s\"", a->item[a->n_items - 1].id);
	if (part && a->item[a->n_items - 1].kind != TOOLS_CALL)
		text_str(t, ",\"content_index\":0");
	return t;
}

static void send(struct api_generation *w, const char *type)
{
	text_str(&w->piece, "}");
	http_stream_named_event(w->x, type, &w->piece);
}

static void send_response(struct api_generation *w, const char *type, const char *status)
{
	text_str(event(w, type), ",\"response\":");
	put_response(w, &w->piece, status);
	send(w, type);
}

static void send_item(struct api_generation *w, const char *type, bool parts)
{
	text_str(item_event(w, type, false), ",\"item\":");
	put_item(&w->piece, last(w->form_data), parts);
	send(w, type);
}

static void send_part(struct api_generation *w, const char *type)
{
	text_str(item_event(w, type, true), ",\"part\":");
	put_part(&w->piece, last(w->form_data));
	send(w, type);
}

static const char *const delta_types[] = {[TOOLS_REASONING] = "response.reasoning_text.delta",
					  [TOOLS_CONTENT] = "response.output_text.delta",
					  [TOOLS_CALL] = "response.function_call_arguments.delta"};
static const char *const done_types[] = {[TOOLS_REASONING] = "response.reasoning_text.done",
					 [TOOLS_CONTENT] = "response.output_text.done",
					 [TOOLS_CALL] = "response.function_call_arguments.done"};

static void put_logprobs(struct text *t, const struct item *i, const char *entries, size_t n)
{
	if (i->kind != TOOLS_CONTENT)
		return;
	text_str(t, ",\"logprobs\":[");
	text_put(t, entries, n);
	text_str(t, "]");
}

static void send_delta(struct api_generation *w, const char *s, size_t n, const struct text *logprobs)
{
	const struct item *i = last(w->form_data);
	struct text *t = item_event(w, delta_types[i->kind], true);

	text_str(t, ",\"delta\":");
	text_json(t, s, n);
	put_logprobs(t, i, logprobs->data, logprobs->len);
	send(w, delta_types[i->kind]);
}

static void send_done(struct api_generation *w)
{
	const struct item *i = last(w->form_data);
	struct text *t = item_event(w, done_types[i->kind], true);

	if (i->kind == TOOLS_CALL) {
		text_str(t, ",\"name\":");
		put_string(t, &i->name);
	}
	text_str(t, i->kind == TOOLS_CALL ? ",\"arguments\":" : ",\"text\":");
	put_string(t, &i->text);
	put_logprobs(t, i, i->logprobs.data, i->logprobs.len);
	send(w, done_types[i->kind]);
	if (i->kind != TOOLS_CALL)
		send_part(w, "response.content_part.done");
}

/* ---- items ---- */

static void end_item(struct api_generation *w, const char *status)
{
	struct answer *a = w->form_data;

	if (!a->open)
		return;
	a->open = false;
	last(a)->status = status;
	if (!w->request.stream)
		return;
	send_done(w);
	send_item(w, "response.output_item.done", true);
}

static void begin_item(struct api_generation *w, struct api_choice *c, enum tools_kind kind, const char *name, size_t n)
{
	static const char *const prefixes[] = {[TOOLS_REASONING] = "rs", [TOOLS_CONTENT] = "msg", [TOOLS_CALL] = "fc"};
	struct answer *a = w->form_data;
	struct item *i;

	end_item(w, "completed");
	a->item = xgrow(a->item, (size_t)a->n_items + 1, sizeof *a->item);
	i = &a->item[a->n_items++];
	*i = (struct item){.kind = kind, .status = "in_progress"};
	snprintf(i->id, sizeof i->id, "%s_%.128s_%d", prefixes[kind], http_request_id(w->x), a->n_items - 1);
	if (kind == TOOLS_CALL) {
		api_parts_add(&c->parts, kind, name, n); /* makes its id */
		memcpy(i->call_id, c->parts.call[c->parts.n_calls - 1].id, sizeof i->call_id);
		text_put(&i->name, name, n);
	}
	a->bytes += sizeof *i + i->name.max;
	a->open = true;
	if (!w->request.stream)
		return;
	send_item(w, "response.output_item.added", false);
	if (kind != TOOLS_CALL)
		send_part(w, "response.content_part.added");
}

/* Adds text to the last item, with the logprobs that have gathered if it is a message: other tokens show none. */
static void add(struct api_generation *w, struct api_choice *c, const char *s, size_t n)
{
	struct answer *a = w->form_data;
	struct item *i = last(a);
	struct text *gathered = &c->logprobs.tokens;
	size_t before = i->text.max + i->logprobs.max;

	if (i->kind != TOOLS_CONTENT)
		gathered->len = 0;
	text_put(&i->text, s, n);
	if (gathered->len && i->logprobs.len)
		text_str(&i->logprobs, ",");
	text_put(&i->logprobs, gathered->data, gathered->len);
	a->bytes += i->text.max + i->logprobs.max - before;
	if (w->request.stream)
		send_delta(w, s, n, gathered);
	gathered->len = 0;
	c->logprobs.n = 0;
}

static void take_part(struct api_generation *w, struct api_choice *c, enum tools_kind kind, int call, const char *s,
		      size_t n)
{
	struct answer *a = w->form_data;

	(void)call;
	if (kind == TOOLS_CALL || (kind != TOOLS_ARGUMENTS && (!a->open || last(a)->kind != kind)))
		begin_item(w, c, kind, s, n);
	if (kind != TOOLS_CALL && n)
		add(w, c, s, n);
}

/* Tokens count as reasoning until something else follows it. */
static void take_chunk(struct api_generation *w, struct api_choice *c, const struct xv_chunk *k)
{
	struct answer *a = w->form_data;

	if (c->parts.parser)
		tools_feed(c->parts.parser, k->text, k->text_len);
	else if (k->text_len)
		take_part(w, c, TOOLS_CONTENT, 0, k->text, k->text_len);
	if (a->n_items == 1 && last(a)->kind == TOOLS_REASONING)
		a->reasoning_tokens = c->output_tokens;
}

/* Returns the status of the item that an answer ends in: a stop string may cut a call. */
static const char *last_status(const struct api_choice *c, const struct item *i)
{
	bool whole = c->reason == XV_FINISH_STOP && (i->kind != TOOLS_CALL || tools_whole(c->parts.parser));

	return whole ? "completed" : "incomplete";
}

/* An answer without any text is an empty message. */
static void take_over(struct api_generation *w, struct api_choice *c)
{
	struct answer *a = w->form_data;

	if (!a->n_items)
		begin_item(w, c, TOOLS_CONTENT, "", 0);
	if (a->open && last(a)->kind == TOOLS_CONTENT && c->logprobs.tokens.len)
		add(w, c, "", 0);
	end_item(w, last_status(c, last(a)));
}

/* ---- the form ---- */

static void start(struct api_generation *w, const struct xv_started *s)
{
	struct answer *a = w->form_data;

	a->created = (long long)time(NULL);
	api_put_receipt(&a->receipt, s);
	if (!w->request.stream)
		return;
	send_response(w, "response.created", "in_progress");
	send_response(w, "response.in_progress", "in_progress");
}

static void end_all(struct api_generation *w)
{
	const char *status = status_of(&w->choice[0]);
	struct text t = {0};

	if (w->request.stream) {
		send_response(w, !strcmp(status, "completed") ? "response.completed" : "response.incomplete", status);
		http_stream_end(w->x, true);
		return;
	}
	put_response(w, &t, status);
	http_answer_text(w->x, 200, "application/json", &t);
}

/* OpenAI's library looks for "error", others for the type. */
static void fail_stream(struct api_generation *w, int status, const char *code, const char *text)
{
	struct text *t = event(w, "error"), object = {0};

	text_str(t, ",\"code\":");
	if (code)
		text_json_str(t, code);
	else
		text_str(t, "null");
	text_str(t, ",\"message\":");
	text_json_str(t, text);
	text_str(t, ",\"param\":null,");
	http_error_json(&object, status, code, NULL, text);
	text_put(t, object.data + 1, object.len - 2); /* without its braces */
	text_finish(&object);
	send(w, "error");
	http_stream_end(w->x, false);
}

static size_t bytes(const struct api_generation *w)
{
	return ((const struct answer *)w->form_data)->bytes;
}

static void destroy(void *data)
{
	struct answer *a = data;

	for (int i = 0; i < a->n_items; i++) {
		text_finish(&a->item[i].name);
		text_finish(&a->item[i].text);
		text_finish(&a->item[i].logprobs);
	}
	free(a->item);
	free(a->repeated);
	text_finish(&a->receipt);
	free(a);
}

static const struct api_form form = {.begin = start,
				     .part = take_part,
				     .chunk = take_chunk,
				     .over = take_over,
				     .end = end_all,
				     .fail = fail_stream,
				     .bytes = bytes,
				     .free = destroy};

/* Clients' types say which keys an answer repeats, and what stands there where a request says nothing. */
static char *repeat(const struct json *body, size_t *len)
{
	static const struct {
		const char *name, *unset;
	} keys[] = {{"instructions", "null"},
		    {"max_output_tokens", "null"},
		    {"max_tool_calls", "null"},
		    {"metadata", "{}"},
		    {"parallel_tool_calls", "true"},
		    {"reasoning", "{\"effort\":null,\"summary\":null}"},
		    {"temperature", "null"},
		    {"text", "{\"format\":{\"type\":\"text\"}}"},
		    {"tool_choice", "\"auto\""},
		    {"tools", "[]"},
		    {"top_logprobs", "0"},
		    {"top_p", "null"},
		    {"user", "null"}};
	struct text t = {0};

	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		const struct json *v = json_get(body, keys[i].name);
		char *s = json_none(v) ? NULL : json_write(v, NULL, NULL);
		text_fmt(&t, ",\"%s\":", keys[i].name);
		text_str(&t, s ? s : keys[i].unset);
		free(s);
	}
	*len = t.max;
	return t.data;
}

void api_responses_begin(struct api_generation *w, const struct json *body)
{
	struct answer *a = xalloc(1, sizeof *a);

	a->repeated = repeat(body, &w->form_bytes);
	w->form = &form;
	w->form_data = a;
}
