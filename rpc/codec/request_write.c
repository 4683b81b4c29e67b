/* Encodes struct xv_request to a framed payload: the client's side. */
#include "rpc/codec/wire.h"

#include <string.h>

static void write_stop(struct arena *a, PB(Sampling) * to, const struct xv_sampling *s)
{
	to->n_stop = (size_t)s->n_stop;
	to->stop = arena_zeroed(a, to->n_stop, sizeof *to->stop);
	for (int i = 0; i < s->n_stop; i++)
		to->stop[i] = wire_string(s->stop[i]);
}

static void write_bias(struct arena *a, PB(Sampling) * to, const struct xv_sampling *s)
{
	to->n_logit_bias = (size_t)s->n_bias;
	to->logit_bias = arena_zeroed(a, to->n_logit_bias, sizeof *to->logit_bias);
	for (int i = 0; i < s->n_bias; i++) {
		PB(Bias) *bias = WIRE_NEW(a, Bias, bias);
		bias->has_id = bias->has_value = 1;
		bias->id = s->bias[i].id;
		bias->value = s->bias[i].value;
		to->logit_bias[i] = bias;
	}
}

static PB(Choices) * write_choices(struct arena *a, const struct xv_constraint *c)
{
	PB(Choices) *to = WIRE_NEW(a, Choices, choices);

	to->n_text = (size_t)c->n_choice;
	to->text = arena_zeroed(a, to->n_text, sizeof *to->text);
	for (int i = 0; i < c->n_choice; i++)
		to->text[i] = wire_string(c->choice[i]);
	return to;
}

static PB(Constraint) * write_constraint(struct arena *a, const struct xv_constraint *c)
{
	PB(Constraint) * to;

	if (c->kind == XV_FREE)
		return NULL;
	to = WIRE_NEW(a, Constraint, constraint);
	to->kind_case = (PB(Constraint__KindCase))c->kind;
	to->has_compact = c->has_compact;
	to->compact = c->compact;
	switch (c->kind) {
	case XV_JSON_SCHEMA:
		to->json_schema = wire_string(c->text);
		break;
	case XV_REGEX:
		to->regex = wire_string(c->text);
		break;
	case XV_GRAMMAR:
		to->grammar = wire_string(c->text);
		break;
	case XV_STRUCTURAL_TAG:
		to->structural_tag = wire_string(c->text);
		break;
	case XV_CHOICE:
		to->choice = write_choices(a, c);
		break;
	default:
		to->json_object = 1;
	}
	return to;
}

PB(Sampling) * write_sampling(struct arena *a, const struct xv_sampling *s)
{
	PB(Sampling) *to = WIRE_NEW(a, Sampling, sampling);

#define WRITE(NAME, ours, wire) \
	if (s->has & (1u << XV_##NAME)) { \
		to->has_##wire = 1; \
		to->wire = s->ours; \
	}
#define REAL(NAME, field, ...) WRITE(NAME, field, field)
#define WHOLE(NAME, type, field, wire, ...) WRITE(NAME, field, wire)
#define SWITCH(NAME, field, wire, ...) WRITE(NAME, field, wire)
#include "proto/sampling.def"
#undef WRITE
	write_stop(a, to, s);
	write_bias(a, to, s);
	to->constraint = write_constraint(a, &s->constraint);
	to->n_stop_token_ids = (size_t)s->n_stop_ids;
	to->stop_token_ids = (int32_t *)s->stop_ids;
	to->n_allowed_token_ids = (size_t)s->n_allowed;
	to->allowed_token_ids = (int32_t *)s->allowed;
	to->n_bad_token_ids = (size_t)s->n_bad;
	to->bad_token_ids = (int32_t *)s->bad;
	return to;
}

static PB(Resume) * write_resume(struct arena *a, const struct xv_resume *from)
{
	PB(Resume) * to;

	if (!from->present)
		return NULL;
	to = WIRE_NEW(a, Resume, resume);
	to->n_ids = (size_t)from->n_ids;
	to->ids = (int32_t *)from->ids;
	to->has_text_bytes = to->has_seed = to->has_fingerprint = to->has_numerics_class = 1;
	to->text_bytes = from->text_bytes;
	to->seed = from->seed;
	to->fingerprint = wire_string(from->fingerprint);
	to->numerics_class = wire_string(from->numerics_class);
	to->adapter_fingerprint = wire_string(from->adapter_fingerprint);
	to->has_adapter_fingerprint = to->adapter_fingerprint.len > 0;
	return to;
}

static PB(Ids) * write_ids(struct arena *a, const struct xv_prompt *from)
{
	PB(Ids) *to = WIRE_NEW(a, Ids, ids);

	to->n_ids = (size_t)from->n_ids;
	to->ids = (int32_t *)from->ids;
	return to;
}

static PB(Generate) * write_generate(struct arena *a, const struct xv_generate *from)
{
	PB(Generate) *to = WIRE_NEW(a, Generate, generate);

	if (from->prompt.is_text) {
		to->prompt_case = XVERSE__V1__GENERATE__PROMPT_TEXT;
		to->text = wire_bytes(from->prompt.text, from->prompt.text_len);
	} else {
		to->prompt_case = XVERSE__V1__GENERATE__PROMPT_TOKENS;
		to->tokens = write_ids(a, &from->prompt);
	}
	to->sampling = write_sampling(a, &from->sampling);
	to->resume = write_resume(a, &from->resume);
	to->has_timeout_ms = from->timeout_ms > 0;
	to->timeout_ms = from->timeout_ms;
	to->has_echo = to->echo = from->echo;
	to->user = wire_string(from->user);
	to->has_user = to->user.len > 0;
	to->adapter = wire_string(from->adapter);
	to->has_adapter = to->adapter.len > 0;
	return to;
}

static void write_targets(struct arena *a, PB(Score) * to, const struct xv_score *from)
{
	if (!from->prefix.is_text && from->prefix.n_ids) {
		to->prefix_case = XVERSE__V1__SCORE__PREFIX_PREFIX_TOKENS;
		to->prefix_tokens = write_ids(a, &from->prefix);
	} else if (from->prefix.is_text && from->prefix.text_len) {
		to->prefix_case = XVERSE__V1__SCORE__PREFIX_PREFIX_TEXT;
		to->prefix_text = wire_bytes(from->prefix.text, from->prefix.text_len);
	}
	to->has_prefix_id = from->prefix_id > 0;
	to->prefix_id = from->prefix_id;
	to->n_targets = (size_t)from->n_targets;
	to->targets = (int32_t *)from->targets;
	to->has_target_logprobs = to->target_logprobs = from->target_logprobs;
}

static PB(Score) * write_score(struct arena *a, const struct xv_score *from)
{
	PB(Score) *to = WIRE_NEW(a, Score, score);

	if (from->prompt.is_text) {
		to->prompt_case = XVERSE__V1__SCORE__PROMPT_TEXT;
		to->text = wire_bytes(from->prompt.text, from->prompt.text_len);
	} else {
		to->prompt_case = XVERSE__V1__SCORE__PROMPT_TOKENS;
		to->tokens = write_ids(a, &from->prompt);
	}
	to->has_top_n = to->has_add_special_tokens = 1;
	to->top_n = from->top_n;
	to->has_timeout_ms = from->timeout_ms > 0;
	to->timeout_ms = from->timeout_ms;
	to->add_special_tokens = from->add_special;
	to->adapter = wire_string(from->adapter);
	to->has_adapter = to->adapter.len > 0;
	write_targets(a, to, from);
	return to;
}

static PB(Message) * *write_messages(struct arena *a, const struct xv_chat *from)
{
	PB(Message) **to = arena_zeroed(a, (size_t)from->n_messages, sizeof *to);

	for (int i = 0; i < from->n_messages; i++) {
		const struct xv_message *m = &from->messages[i];
		to[i] = WIRE_NEW(a, Message, message);
		to[i]->role = wire_string(m->role);
		to[i]->content = wire_bytes(m->content, m->content_len);
		to[i]->name = wire_string(m->name);
		to[i]->json = wire_string(m->json);
		to[i]->has_role = 1;
		to[i]->has_content = m->content != NULL;
		to[i]->has_name = to[i]->name.len > 0;
		to[i]->has_json = to[i]->json.len > 0;
	}
	return to;
}

static PB(Chat) * write_chat(struct arena *a, const struct xv_chat *from)
{
	PB(Chat) *to = WIRE_NEW(a, Chat, chat);

	to->n_messages = (size_t)from->n_messages;
	to->messages = write_messages(a, from);
	to->sampling = write_sampling(a, &from->sampling);
	to->resume = write_resume(a, &from->resume);
	to->has_timeout_ms = from->timeout_ms > 0;
	to->timeout_ms = from->timeout_ms;
	to->user = wire_string(from->user);
	to->has_user = to->user.len > 0;
	to->adapter = wire_string(from->adapter);
	to->has_adapter = to->adapter.len > 0;
	to->tool_choice = wire_string(from->tool_choice);
	to->has_tool_choice = to->tool_choice.len > 0;
	to->tool_name = wire_string(from->tool_name);
	to->has_tool_name = to->tool_name.len > 0;
	to->has_parallel_tool_calls = from->one_call;
	to->tools_json = wire_string(from->tools_json);
	to->has_tools_json = to->tools_json.len > 0;
	to->documents_json = wire_string(from->documents_json);
	to->has_documents_json = to->documents_json.len > 0;
	to->template_args_json = wire_string(from->args_json);
	to->has_template_args_json = to->template_args_json.len > 0;
	to->has_add_generation_prompt = 1;
	to->add_generation_prompt = from->add_generation_prompt;
	return to;
}

static PB(Template) * write_template(struct arena *a, const struct xv_chat *from)
{
	PB(Template) *to = WIRE_NEW(a, Template, template);

	to->n_messages = (size_t)from->n_messages;
	to->messages = write_messages(a, from);
	to->tools_json = wire_string(from->tools_json);
	to->has_tools_json = to->tools_json.len > 0;
	to->documents_json = wire_string(from->documents_json);
	to->has_documents_json = to->documents_json.len > 0;
	to->template_args_json = wire_string(from->args_json);
	to->has_template_args_json = to->template_args_json.len > 0;
	to->has_add_generation_prompt = 1;
	to->add_generation_prompt = from->add_generation_prompt;
	return to;
}

static PB(Tokenize) * write_tokenize(struct arena *a, const struct xv_request *from)
{
	PB(Tokenize) *to = WIRE_NEW(a, Tokenize, tokenize);

	to->has_text = to->has_add_special_tokens = to->has_parse_special = to->has_pieces = 1;
	to->text = wire_bytes(from->tokenize.text, from->tokenize.text_len);
	to->add_special_tokens = from->tokenize.add_special;
	to->parse_special = from->tokenize.parse_special;
	to->pieces = from->tokenize.pieces;
	return to;
}

static PB(Detokenize) * write_detokenize(struct arena *a, const struct xv_request *from)
{
	PB(Detokenize) *to = WIRE_NEW(a, Detokenize, detokenize);

	to->n_ids = (size_t)from->detokenize.n_ids;
	to->ids = (int32_t *)from->detokenize.ids;
	to->has_skip_special_tokens = 1;
	to->skip_special_tokens = from->detokenize.skip_special;
	return to;
}

static PB(Cancel) * write_cancel(struct arena *a, const struct xv_request *from)
{
	PB(Cancel) *to = WIRE_NEW(a, Cancel, cancel);

	to->has_call = from->cancel.has_call;
	to->call = from->cancel.call;
	to->has_id = from->cancel.has_id;
	to->id = from->cancel.id;
	return to;
}

static PB(LogLevel) * write_log_level(struct arena *a, uint32_t level)
{
	PB(LogLevel) *to = WIRE_NEW(a, LogLevel, log_level);

	to->has_level = 1;
	to->level = level;
	return to;
}

static PB(CallsRequest) * write_calls(struct arena *a, uint32_t most)
{
	PB(CallsRequest) *to = WIRE_NEW(a, CallsRequest, calls_request);

	to->has_most = most > 0;
	to->most = most;
	return to;
}

static PB(LoraLoad) * write_lora_load(struct arena *a, const struct xv_request *from)
{
	PB(LoraLoad) *to = WIRE_NEW(a, LoraLoad, lora_load);

	to->has_name = to->has_dir = 1;
	to->name = wire_string(from->lora.name);
	to->dir = wire_string(from->lora.dir);
	return to;
}

static PB(LoraUnload) * write_lora_unload(struct arena *a, const struct xv_request *from)
{
	PB(LoraUnload) *to = WIRE_NEW(a, LoraUnload, lora_unload);

	to->has_name = 1;
	to->name = wire_string(from->lora.name);
	return to;
}

static PB(Parse) * write_parse(struct arena *a, const struct xv_parse *from)
{
	PB(Parse) *to = WIRE_NEW(a, Parse, parse);

	to->has_text = to->has_tools_json = to->has_tool_parser = to->has_reasoning_parser = 1;
	to->text = wire_bytes(from->text, from->text_len);
	to->tools_json = wire_string(from->tools_json);
	to->tool_parser = wire_string(from->tool_parser);
	to->reasoning_parser = wire_string(from->reasoning_parser);
	to->has_reasoning_open = to->has_parallel_tool_calls = 1;
	to->reasoning_open = from->reasoning_open;
	to->parallel_tool_calls = !from->one_call;
	return to;
}

static void write_body(struct arena *a, PB(Request) * to, const struct xv_request *from)
{
	switch (from->kind) {
	case XV_HELLO:
		to->hello = write_hello(a, &from->hello);
		break;
	case XV_GENERATE:
		to->generate = write_generate(a, &from->generate);
		break;
	case XV_CANCEL:
		to->cancel = write_cancel(a, from);
		break;
	case XV_STATUS:
		to->status = WIRE_NEW(a, StatusRequest, status_request);
		break;
	case XV_TOKENIZE:
		to->tokenize = write_tokenize(a, from);
		break;
	case XV_DETOKENIZE:
		to->detokenize = write_detokenize(a, from);
		break;
	case XV_SCORE:
		to->score = write_score(a, &from->score);
		break;
	case XV_DRAIN:
		to->drain = WIRE_NEW(a, Drain, drain);
		break;
	case XV_METRICS:
		to->metrics = WIRE_NEW(a, MetricsRequest, metrics_request);
		break;
	case XV_LOG_LEVEL:
		to->log_level = write_log_level(a, from->log_level.level);
		break;
	case XV_CHAT:
		to->chat = write_chat(a, &from->chat);
		break;
	case XV_TEMPLATE:
		to->template_ = write_template(a, &from->chat);
		break;
	case XV_CALLS:
		to->calls = write_calls(a, from->calls.most);
		break;
	case XV_LORA_LOAD:
		to->lora_load = write_lora_load(a, from);
		break;
	case XV_PARSE:
		to->parse = write_parse(a, &from->parse);
		break;
	case XV_LORA_UNLOAD:
		to->lora_unload = write_lora_unload(a, from);
		break;
	case XV_NONE:
		break;
	}
}

/* NULL where both fields are empty. */
static PB(Asker) * write_asker(struct arena *a, const struct xv_asker *from)
{
	PB(Asker) *to = WIRE_NEW(a, Asker, asker);

	to->key = wire_string(from->key);
	to->has_key = to->key.len > 0;
	to->client = wire_string(from->client);
	to->has_client = to->client.len > 0;
	return to->has_key || to->has_client ? to : NULL;
}

void rpc_request_encode(struct rpc_out *out, const struct xv_request *request)
{
	struct arena a = {.budget = SIZE_MAX};
	PB(Request) message = XVERSE__V1__REQUEST__INIT;

	message.has_id = request->id > 0;
	message.id = request->id;
	message.body_case = (PB(Request__BodyCase))request->kind;
	message.asker = write_asker(&a, &request->asker);
	write_body(&a, &message, request);
	if (!wire_append(out, &message.base))
		die("out of memory for a request");
	arena_finish(&a);
}
