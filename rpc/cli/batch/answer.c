#include "rpc/cli/batch/answer.h"

#include <inttypes.h>
#include <string.h>

#include "base/json/json.h"
#include "rpc/gateway/api/logprobs.h"
#include "rpc/gateway/api/parts.h"

/* ---- one call ---- */

static void take_reason(struct batch_choice *c, const struct xv_finished *f)
{
	c->finish = f->reason == XV_FINISH_STOP ? "stop" : "length";
	if (f->stop_text && *f->stop_text)
		text_json_str(&c->stop, f->stop_text);
	else if (f->reason == XV_FINISH_STOP && f->stop_id >= 0)
		text_fmt(&c->stop, "%d", f->stop_id);
	else
		text_str(&c->stop, "null");
}

static void take_logprobs(struct batch_choice *c, const struct batch_request *q, const struct pump_result *r)
{
	struct api_logprobs l = {0};

	for (int i = 0; q->request.echo && q->request.top >= 0 && i < r->n_prompt_tokens; i++)
		api_logprobs_add(&l, &q->request, q->chat, &r->prompt_tokens[i]);
	for (int i = 0; q->request.top >= 0 && i < r->n_tokens; i++)
		api_logprobs_add(&l, &q->request, q->chat, &r->tokens[i]);
	if (q->request.top >= 0)
		api_logprobs_write(&c->logprobs, &l, q->chat);
	api_logprobs_finish(&l);
	for (int i = 0; q->request.prompt_top >= 0 && i < r->n_prompt_tokens; i++)
		api_prompt_logprobs_add(&c->prompt_logprobs, &q->request, &r->prompt_tokens[i]);
}

static void take_part(void *arg, enum tools_kind kind, int call, const char *s, size_t n)
{
	(void)call;
	api_parts_add(arg, kind, s, n);
}

/* The text of a chat, with its reasoning and its calls apart. */
static void take_parts(struct batch_choice *c, const struct batch_request *q, const struct pump_result *r)
{
	const char *tools = q->talk.chat.tools_json;
	struct xv_started how = {.tool_parser = r->tool_parser,
				 .reasoning_parser = r->reasoning_parser,
				 .reasoning_open = r->reasoning_open};
	struct json_error e;
	struct json_doc *doc = tools && *tools ? json_read(tools, strlen(tools), &json_of_files, &e) : NULL;
	struct api_parts parts = {NULL};

	api_parts_begin(&parts, &how, json_root(doc), q->talk.chat.one_call, batch_hash(q->id, strlen(q->id)),
			take_part, &parts);
	if (parts.parser) {
		tools_feed(parts.parser, r->text, r->text_len);
		tools_end(parts.parser);
	} else {
		api_parts_add(&parts, TOOLS_CONTENT, r->text, r->text_len);
	}
	api_parts_content(&c->text, &parts);
	api_parts_more(&c->more, &parts);
	if (tools_whole(parts.parser) && !strcmp(c->finish, "stop"))
		c->finish = "tool_calls";
	api_parts_finish(&parts);
	json_close(doc);
}

void batch_choice_take(struct batch_choice *c, const struct batch_request *q, const struct pump_result *r)
{
	const struct xv_finished *f = &r->reply->finished;

	c->there = true;
	take_reason(c, f);
	if (q->chat)
		take_parts(c, q, r);
	else
		text_json(&c->text, r->text, r->text_len);
	take_logprobs(c, q, r);
	for (int i = 0; q->request.return_ids && i < r->n_ids; i++)
		text_fmt(&c->ids, i ? ",%d" : "%d", r->ids[i]);
	c->prompt_tokens = f->prompt_tokens;
	c->output_tokens = f->output_tokens;
	c->seed = r->seed;
}

void batch_choice_finish(struct batch_choice *c)
{
	text_finish(&c->text);
	text_finish(&c->more);
	text_finish(&c->logprobs);
	text_finish(&c->prompt_logprobs);
	text_finish(&c->ids);
	text_finish(&c->stop);
}

/* ---- a line ---- */

static void put(struct text *out, const struct text *t)
{
	text_put(out, t->data ? t->data : "", t->len);
}

/* What both forms say of a choice beside its text. */
static void put_more(struct text *out, const struct batch_request *q, const struct batch_choice *c)
{
	if (c->logprobs.len || q->openai) {
		text_str(out, ",\"logprobs\":");
		text_str(out, c->logprobs.len ? c->logprobs.data : "null");
	}
	if (q->request.prompt_top >= 0) {
		text_str(out, ",\"prompt_logprobs\":[");
		put(out, &c->prompt_logprobs);
		text_str(out, "]");
	}
	if (q->request.return_ids) {
		text_str(out, ",\"token_ids\":[");
		put(out, &c->ids);
		text_str(out, "]");
	}
	text_fmt(out, ",\"finish_reason\":\"%s\",\"stop_reason\":%s", c->finish, c->stop.data);
}

static void put_openai_choice(struct text *out, const struct batch_request *q, const struct batch_choice *c, int i)
{
	text_fmt(out, "%s{\"index\":%d,", i ? "," : "", i);
	text_str(out, q->chat ? "\"message\":{\"role\":\"assistant\",\"content\":" : "\"text\":");
	put(out, &c->text);
	put(out, &c->more);
	text_str(out, q->chat ? ",\"refusal\":null}" : "");
	put_more(out, q, c);
	text_str(out, "}");
}

/* A prompt counts once, however many answers it has. */
static void put_usage(struct text *out, const struct batch_request *q, const struct batch_choice *c)
{
	uint64_t prompt = 0, output = 0;

	for (int i = 0; i < q->calls; i++) {
		prompt += i % q->request.n ? 0 : c[i].prompt_tokens;
		output += c[i].output_tokens;
	}
	text_fmt(out,
		 "\"usage\":{\"prompt_tokens\":%" PRIu64 ",\"completion_tokens\":%" PRIu64 ",\"total_tokens\":%" PRIu64
		 "}",
		 prompt, output, prompt + output);
}

static void put_openai_head(struct text *out, const struct batch_request *q)
{
	text_fmt(out, "{\"id\":\"batch_req_%016" PRIx64 "\",\"custom_id\":", batch_hash(q->id, strlen(q->id)));
	text_json_str(out, q->id);
}

static void put_openai(struct text *out, const struct batch_request *q, const struct batch_choice *choice,
		       const char *model, const char *print)
{
	uint64_t hash = batch_hash(q->id, strlen(q->id));

	put_openai_head(out, q);
	text_fmt(out,
		 ",\"response\":{\"status_code\":200,\"request_id\":\"%016" PRIx64
		 "\",\"body\":{\"id\":\"%s-%016" PRIx64 "\",\"object\":\"%s\",\"created\":0,\"model\":",
		 hash, q->chat ? "chatcmpl" : "cmpl", hash, q->chat ? "chat.completion" : "text_completion");
	text_json_str(out, model);
	text_str(out, ",\"system_fingerprint\":");
	text_json_str(out, print);
	text_str(out, ",\"choices\":[");
	for (int i = 0; i < q->calls; i++)
		put_openai_choice(out, q, &choice[i], i);
	text_str(out, "],");
	put_usage(out, q, choice);
	text_str(out, "}},\"error\":null}");
}

static void put_plain_choice(struct text *out, const struct batch_request *q, const struct batch_choice *c)
{
	text_str(out, "\"text\":");
	put(out, &c->text);
	put(out, &c->more);
	put_more(out, q, c);
	text_fmt(out, ",\"prompt_tokens\":%u,\"completion_tokens\":%u,\"seed\":%" PRIu64, c->prompt_tokens,
		 c->output_tokens, c->seed);
}

void batch_answer(struct text *out, const struct batch_request *q, const struct batch_choice *choice, const char *model,
		  const char *print)
{
	if (q->openai) {
		put_openai(out, q, choice, model, print);
		return;
	}
	text_str(out, "{\"id\":");
	text_json_str(out, q->id);
	text_str(out, q->calls > 1 ? ",\"answers\":[" : ",");
	for (int i = 0; i < q->calls; i++) {
		text_str(out, q->calls == 1 ? "" : i ? ",{" : "{");
		put_plain_choice(out, q, &choice[i]);
		text_str(out, q->calls == 1 ? "" : "}");
	}
	text_str(out, q->calls > 1 ? "]}" : "}");
}

/* The status that the gateway would answer with. */
static int status_of(int err)
{
	switch (err) {
	case ERR_INVALID:
	case ERR_FORMAT:
	case ERR_LIMIT:
		return 400;
	case ERR_UNSUPPORTED:
		return 501;
	case ERR_BUSY:
	case ERR_LOADING:
	case ERR_DRAINING:
	case ERR_LOST_RANK:
	case ERR_GONE:
		return 503;
	default:
		return 500;
	}
}

static void put_error(struct text *out, uint32_t number, int err, const char *text)
{
	text_fmt(out, "{\"code\":\"%s\",\"message\":", err_name(err));
	text_json_str(out, text);
	text_fmt(out, ",\"line\":%u}", number);
}

void batch_answer_error(struct text *out, const struct batch_request *q, uint32_t number, int err, const char *text)
{
	if (q->openai) {
		put_openai_head(out, q);
		text_fmt(out,
			 ",\"response\":{\"status_code\":%d,\"request_id\":\"\",\"body\":{\"error\":", status_of(err));
		put_error(out, number, err, text);
		text_str(out, "}},\"error\":");
	} else {
		text_str(out, "{\"id\":");
		text_json_str(out, q->id);
		text_str(out, ",\"error\":");
	}
	put_error(out, number, err, text);
	text_str(out, "}");
}
