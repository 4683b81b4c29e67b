/* Decodes a payload to struct xv_request: the server's side. */
#include "rpc/codec/wire.h"

#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

/* Stop strings are matched against whole characters: one that is not UTF-8 could never match, an empty one
 * always would. */
static void read_stop(struct reader *r, struct xv_sampling *s, const PB(Sampling) * from)
{
	const char **stop = read_list(r, from->n_stop, RPC_MAX_STOP, sizeof *stop, "sampling.stop", &s->n_stop);

	for (int i = 0; i < s->n_stop; i++) {
		char field[40];
		snprintf(field, sizeof field, "sampling.stop[%d]", i);
		stop[i] = read_name(r, 1, from->stop[i], RPC_MAX_STOP_BYTES, field);
		if (!*stop[i])
			wire_fail(r, ERR_INVALID, "%s: is empty", field);
	}
	s->stop = stop;
}

static void read_bias(struct reader *r, struct xv_sampling *s, const PB(Sampling) * from)
{
	struct xv_bias *bias = read_list(r, from->n_logit_bias, RPC_MOST_Sampling_logit_bias, sizeof *bias,
					 "sampling.logit_bias", &s->n_bias);

	for (int i = 0; i < s->n_bias; i++) {
		bias[i].id = from->logit_bias[i]->id;
		bias[i].value = from->logit_bias[i]->value;
		read_number(r, bias[i].id, WIRE_Bias_id, "logit_bias.id");
		read_number(r, bias[i].value, WIRE_Bias_value, "logit_bias.value");
	}
	s->bias = bias;
}

static void read_choices(struct reader *r, struct xv_constraint *c, const PB(Choices) * from)
{
	const char **all = read_list(r, from->n_text, RPC_MOST_Choices_text, sizeof *all, "choice", &c->n_choice);

	for (int i = 0; i < c->n_choice; i++)
		all[i] = read_name(r, 1, from->text[i], RPC_BYTES_Choices_text, "choice");
	c->choice = all;
}

static void read_constraint(struct reader *r, struct xv_constraint *c, const PB(Constraint) * from)
{
	c->kind = (enum xv_constraint_kind)from->kind_case;
	c->text = "";
	c->has_compact = from->has_compact;
	c->compact = from->compact;
	switch (c->kind) {
	case XV_JSON_SCHEMA:
		c->text = read_name(r, 1, from->json_schema, RPC_BYTES_Constraint_json_schema, "json_schema");
		break;
	case XV_REGEX:
		c->text = read_name(r, 1, from->regex, RPC_BYTES_Constraint_regex, "regex");
		break;
	case XV_GRAMMAR:
		c->text = read_name(r, 1, from->grammar, RPC_BYTES_Constraint_grammar, "grammar");
		break;
	case XV_STRUCTURAL_TAG:
		c->text = read_name(r, 1, from->structural_tag, RPC_BYTES_Constraint_structural_tag, "structural_tag");
		break;
	case XV_CHOICE:
		read_choices(r, c, from->choice);
		break;
	case XV_JSON_OBJECT:
		c->kind = from->json_object ? XV_JSON_OBJECT : XV_FREE;
		break;
	case XV_FREE:
		break;
	}
}

static void read_sampling_numbers(struct reader *r, struct xv_sampling *s, const PB(Sampling) * from)
{
#define READ(NAME, ours, wire) \
	if (from->has_##wire) \
		s->has |= 1u << XV_##NAME, s->ours = from->wire;
#define CHECK(NAME, wire) \
	if (from->has_##wire) \
		read_in_range(r, (double)from->wire, &rpc_sampling_ranges[XV_##NAME], #wire);
#define REAL(NAME, field, ...) READ(NAME, field, field) CHECK(NAME, field)
#define WHOLE(NAME, type, field, wire, ...) READ(NAME, field, wire) CHECK(NAME, wire)
#define SWITCH(NAME, field, wire, ...) READ(NAME, field, wire)
#include "proto/sampling.def"
#undef READ
#undef CHECK
}

void read_sampling(struct reader *r, struct xv_sampling *s, const PB(Sampling) * from)
{
	static const PB(Sampling) unset = XVERSE__V1__SAMPLING__INIT;

	if (!from)
		from = &unset;
	read_sampling_numbers(r, s, from);
	read_stop(r, s, from);
	read_bias(r, s, from);
	if (from->constraint)
		read_constraint(r, &s->constraint, from->constraint);
	s->stop_ids = read_ids(r, from->stop_token_ids, from->n_stop_token_ids, RPC_MOST_Sampling_stop_token_ids,
			       "sampling.stop_token_ids", &s->n_stop_ids);
	s->allowed = read_ids(r, from->allowed_token_ids, from->n_allowed_token_ids,
			      RPC_MOST_Sampling_allowed_token_ids, "sampling.allowed_token_ids", &s->n_allowed);
	s->bad = read_ids(r, from->bad_token_ids, from->n_bad_token_ids, RPC_MOST_Sampling_bad_token_ids,
			  "sampling.bad_token_ids", &s->n_bad);
}

static void read_resume(struct reader *r, struct xv_resume *out, const PB(Resume) * from)
{
	static const PB(Resume) unset = XVERSE__V1__RESUME__INIT;

	out->present = from;
	if (!from)
		from = &unset;
	out->ids = read_ids(r, from->ids, from->n_ids, INT32_MAX, "resume.ids", &out->n_ids);
	out->text_bytes = from->text_bytes;
	out->seed = from->seed;
	read_number(r, (double)from->text_bytes, WIRE_Resume_text_bytes, "resume.text_bytes");
	out->fingerprint = read_name(r, from->has_fingerprint, from->fingerprint, RPC_BYTES_Resume_fingerprint,
				     "resume.fingerprint");
	out->numerics_class = read_name(r, from->has_numerics_class, from->numerics_class,
					RPC_BYTES_Resume_numerics_class, "resume.numerics_class");
	out->adapter_fingerprint = read_name(r, from->has_adapter_fingerprint, from->adapter_fingerprint,
					     RPC_BYTES_Resume_adapter_fingerprint, "resume.adapter_fingerprint");
}

/* ids: NULL where the prompt is a text; a request without a prompt is one with an empty text. */
static void read_prompt(struct reader *r, struct xv_prompt *out, const ProtobufCBinaryData *text, const PB(Ids) * ids)
{
	static const PB(Ids) none = XVERSE__V1__IDS__INIT;

	out->is_text = !ids;
	out->text = read_text(r, text != NULL, text ? *text : (ProtobufCBinaryData){0}, &out->text_len);
	if (!ids)
		ids = &none;
	out->ids = read_ids(r, ids->ids, ids->n_ids, INT32_MAX, "tokens", &out->n_ids);
}

static void read_generate(struct reader *r, struct xv_generate *out, const PB(Generate) * from)
{
	if (!from->prompt_case)
		wire_fail(r, ERR_INVALID, "generate: no prompt (text or tokens)");
	read_prompt(r, &out->prompt, from->prompt_case == XVERSE__V1__GENERATE__PROMPT_TEXT ? &from->text : NULL,
		    from->prompt_case == XVERSE__V1__GENERATE__PROMPT_TOKENS ? from->tokens : NULL);
	read_sampling(r, &out->sampling, from->sampling);
	read_resume(r, &out->resume, from->resume);
	out->timeout_ms = from->timeout_ms;
	out->echo = from->echo;
	out->user = read_name(r, from->has_user, from->user, RPC_BYTES_Generate_user, "user");
	out->adapter = read_name(r, from->has_adapter, from->adapter, RPC_BYTES_Generate_adapter, "adapter");
}

static void read_prefix(struct reader *r, struct xv_score *out, const PB(Score) * from)
{
	bool text = from->prefix_case == XVERSE__V1__SCORE__PREFIX_PREFIX_TEXT,
	     ids = from->prefix_case == XVERSE__V1__SCORE__PREFIX_PREFIX_TOKENS;

	out->prefix_id = from->prefix_id;
	out->prefix = (struct xv_prompt){.is_text = text || (!ids && out->prompt.is_text), .text = ""};
	if (text && from->prefix_text.len > RPC_BYTES_Score_prefix_text)
		wire_fail(r, ERR_LIMIT, "prefix_text: %zu bytes, the limit is %d", from->prefix_text.len,
			  RPC_BYTES_Score_prefix_text);
	else if (text)
		out->prefix.text = read_text(r, 1, from->prefix_text, &out->prefix.text_len);
	if (ids)
		out->prefix.ids = read_ids(r, from->prefix_tokens->ids, from->prefix_tokens->n_ids,
					   RPC_MOST_Score_prefix_tokens, "prefix_tokens", &out->prefix.n_ids);
	if ((text || ids) && !out->prefix.text_len && !out->prefix.n_ids)
		wire_fail(r, ERR_INVALID, "prefix: is empty; leave it unset");
	if (out->prefix.is_text != out->prompt.is_text)
		wire_fail(r, ERR_INVALID, "prefix: it and the prompt must both be text or both token ids");
}

static void read_score(struct reader *r, struct xv_score *out, const PB(Score) * from)
{
	if (!from->prompt_case)
		wire_fail(r, ERR_INVALID, "score: no prompt (text or tokens)");
	read_prompt(r, &out->prompt, from->prompt_case == XVERSE__V1__SCORE__PROMPT_TEXT ? &from->text : NULL,
		    from->prompt_case == XVERSE__V1__SCORE__PROMPT_TOKENS ? from->tokens : NULL);
	out->top_n = from->top_n;
	read_number(r, from->top_n, WIRE_Score_top_n, "top_n");
	out->timeout_ms = from->timeout_ms;
	out->add_special = !from->has_add_special_tokens || from->add_special_tokens;
	out->adapter = read_name(r, from->has_adapter, from->adapter, RPC_BYTES_Score_adapter, "adapter");
	read_prefix(r, out, from);
	out->targets = read_ids(r, from->targets, from->n_targets, RPC_MOST_Score_targets, "targets", &out->n_targets);
	out->target_logprobs = from->target_logprobs;
	if (out->n_targets && out->top_n)
		wire_fail(r, ERR_INVALID, "top_n: %u, but with targets no other tokens are scored", out->top_n);
}

static void read_messages(struct reader *r, struct xv_chat *out, PB(Message) *const *from, size_t n)
{
	struct xv_message *m = read_list(r, n, RPC_MAX_MESSAGES, sizeof *m, "messages", &out->n_messages);

	for (int i = 0; i < out->n_messages; i++) {
		const PB(Message) *f = from[i];
		m[i].role = read_name(r, f->has_role, f->role, RPC_BYTES_Message_role, "messages.role");
		m[i].content = read_text(r, f->has_content, f->content, &m[i].content_len);
		if (!f->has_content)
			m[i].content = NULL;
		m[i].name = read_name(r, f->has_name, f->name, RPC_BYTES_Message_name, "messages.name");
		m[i].json = read_name(r, f->has_json, f->json, SIZE_MAX, "messages.json");
	}
	out->messages = m;
}

static void read_chat(struct reader *r, struct xv_chat *out, const PB(Chat) * from)
{
	read_messages(r, out, from->messages, from->n_messages);
	read_sampling(r, &out->sampling, from->sampling);
	read_resume(r, &out->resume, from->resume);
	out->timeout_ms = from->timeout_ms;
	out->user = read_name(r, from->has_user, from->user, RPC_BYTES_Chat_user, "user");
	out->adapter = read_name(r, from->has_adapter, from->adapter, RPC_BYTES_Chat_adapter, "adapter");
	out->tool_choice =
		read_name(r, from->has_tool_choice, from->tool_choice, RPC_BYTES_Chat_tool_choice, "tool_choice");
	out->tool_name = read_name(r, from->has_tool_name, from->tool_name, RPC_BYTES_Chat_tool_name, "tool_name");
	out->one_call = from->has_parallel_tool_calls && !from->parallel_tool_calls;
	out->tools_json = read_name(r, from->has_tools_json, from->tools_json, SIZE_MAX, "tools_json");
	out->documents_json = read_name(r, from->has_documents_json, from->documents_json, SIZE_MAX, "documents_json");
	out->args_json =
		read_name(r, from->has_template_args_json, from->template_args_json, SIZE_MAX, "template_args_json");
	out->add_generation_prompt = !from->has_add_generation_prompt || from->add_generation_prompt;
}

static void read_template(struct reader *r, struct xv_chat *out, const PB(Template) * from)
{
	read_messages(r, out, from->messages, from->n_messages);
	read_sampling(r, &out->sampling, NULL);
	read_resume(r, &out->resume, NULL);
	out->user = out->adapter = out->tool_choice = out->tool_name = "";
	out->tools_json = read_name(r, from->has_tools_json, from->tools_json, SIZE_MAX, "tools_json");
	out->documents_json = read_name(r, from->has_documents_json, from->documents_json, SIZE_MAX, "documents_json");
	out->args_json =
		read_name(r, from->has_template_args_json, from->template_args_json, SIZE_MAX, "template_args_json");
	out->add_generation_prompt = !from->has_add_generation_prompt || from->add_generation_prompt;
}

static void read_tokenize(struct reader *r, struct xv_request *out, const PB(Tokenize) * from)
{
	out->tokenize.text = read_text(r, from->has_text, from->text, &out->tokenize.text_len);
	out->tokenize.add_special = !from->has_add_special_tokens || from->add_special_tokens;
	out->tokenize.parse_special = from->parse_special;
	out->tokenize.pieces = from->pieces;
}

static void read_detokenize(struct reader *r, struct xv_request *out, const PB(Detokenize) * from)
{
	out->detokenize.ids = read_ids(r, from->ids, from->n_ids, INT32_MAX, "ids", &out->detokenize.n_ids);
	out->detokenize.skip_special = from->skip_special_tokens;
}

static void read_cancel(struct xv_request *out, const PB(Cancel) * from)
{
	out->cancel.has_call = from->has_call;
	out->cancel.call = from->call;
	out->cancel.has_id = from->has_id;
	out->cancel.id = from->id;
}

static const char *read_asker_field(struct reader *r, int has, ProtobufCBinaryData from, const char *field)
{
	if (has && from.len > RPC_MAX_ASKER_BYTES)
		wire_fail(r, ERR_INVALID, "%s: %zu bytes, the limit is %d", field, from.len, RPC_MAX_ASKER_BYTES);
	return read_name(r, has, from, RPC_MAX_ASKER_BYTES, field);
}

static void read_asker(struct reader *r, struct xv_asker *out, const PB(Asker) * from)
{
	static const PB(Asker) unset = XVERSE__V1__ASKER__INIT;

	if (!from)
		from = &unset;
	out->key = read_asker_field(r, from->has_key, from->key, "asker.key");
	out->client = read_asker_field(r, from->has_client, from->client, "asker.client");
}

static void read_lora_load(struct reader *r, struct xv_request *out, const PB(LoraLoad) * from)
{
	out->lora.name = read_name(r, from->has_name, from->name, RPC_BYTES_LoraLoad_name, "name");
	out->lora.dir = read_name(r, from->has_dir, from->dir, RPC_BYTES_LoraLoad_dir, "dir");
}

static void read_parse(struct reader *r, struct xv_parse *out, const PB(Parse) * from)
{
	if (from->text.len > RPC_BYTES_Parse_text)
		wire_fail(r, ERR_LIMIT, "text: %zu bytes, the limit is %d", from->text.len, RPC_BYTES_Parse_text);
	else if (!utf8_valid((const char *)from->text.data, from->text.len, NULL))
		wire_fail(r, ERR_INVALID, "text: is not UTF-8");
	out->text = read_text(r, from->has_text, from->text, &out->text_len);
	out->tools_json =
		read_name(r, from->has_tools_json, from->tools_json, RPC_BYTES_Parse_tools_json, "tools_json");
	out->tool_parser =
		read_name(r, from->has_tool_parser, from->tool_parser, RPC_BYTES_Parse_tool_parser, "tool_parser");
	out->reasoning_parser = read_name(r, from->has_reasoning_parser, from->reasoning_parser,
					  RPC_BYTES_Parse_reasoning_parser, "reasoning_parser");
	out->reasoning_open = from->reasoning_open;
	out->one_call = from->has_parallel_tool_calls && !from->parallel_tool_calls;
}

static void read_body(struct reader *r, struct xv_request *out, const PB(Request) * from)
{
	switch (out->kind) {
	case XV_HELLO:
		read_hello(r, &out->hello, from->hello);
		break;
	case XV_GENERATE:
		read_generate(r, &out->generate, from->generate);
		break;
	case XV_CANCEL:
		read_cancel(out, from->cancel);
		break;
	case XV_TOKENIZE:
		read_tokenize(r, out, from->tokenize);
		break;
	case XV_DETOKENIZE:
		read_detokenize(r, out, from->detokenize);
		break;
	case XV_SCORE:
		read_score(r, &out->score, from->score);
		break;
	case XV_LOG_LEVEL:
		out->log_level.level = from->log_level->level;
		read_number(r, from->log_level->level, WIRE_LogLevel_level, "level");
		break;
	case XV_CHAT:
		read_chat(r, &out->chat, from->chat);
		break;
	case XV_TEMPLATE:
		read_template(r, &out->chat, from->template_);
		break;
	case XV_CALLS:
		out->calls.most = from->calls->most;
		read_number(r, from->calls->most, WIRE_CallsRequest_most, "most");
		break;
	case XV_LORA_LOAD:
		read_lora_load(r, out, from->lora_load);
		break;
	case XV_LORA_UNLOAD:
		out->lora.name = read_name(r, from->lora_unload->has_name, from->lora_unload->name,
					   RPC_BYTES_LoraUnload_name, "name");
		out->lora.dir = "";
		break;
	case XV_PARSE:
		read_parse(r, &out->parse, from->parse);
		break;
	case XV_NONE:
	case XV_STATUS:
	case XV_DRAIN:
	case XV_METRICS:
		break;
	}
}

/* Where memory ends in the midst of it, the reader has an error. */
static void read_request(struct reader *r, struct xv_request *out, const PB(Request) * from)
{
	jmp_buf starve;

	if (setjmp(starve)) {
		wire_fail(r, ERR_BUSY, "there is no memory for this request now");
		return;
	}
	r->out.starve = &starve;
	out->kind = (enum xv_kind)from->body_case;
	read_asker(r, &out->asker, from->asker);
	read_body(r, out, from);
}

int rpc_request_decode(struct xv_request *out, const uint8_t *payload, size_t size, struct why *why)
{
	struct reader r;
	const PB(Request) *from = wire_unpack(&r, &xverse__v1__request__descriptor, payload, size, why);
	int err;

	*out = (struct xv_request){.id = from ? from->id : rpc_payload_id(payload, size)};
	if (from)
		read_request(&r, out, from);
	out->memory = wire_done(&r, &err);
	if (err)
		*out = (struct xv_request){.id = out->id, .kind = out->kind};
	return err;
}

size_t rpc_request_bytes(const struct xv_request *r)
{
	return arena_size(r->memory);
}

void rpc_request_free(struct xv_request *r)
{
	arena_free(r->memory);
	*r = (struct xv_request){0};
}
