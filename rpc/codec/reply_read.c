/* Decodes a payload to struct xv_reply: the client's side. */
#include "rpc/codec/wire.h"

#include <string.h>

#define NAME(field) read_name(r, from->has_##field, from->field, SIZE_MAX, #field)

static void read_started(struct reader *r, struct xv_started *out, const PB(Started) * from)
{
	out->call = from->call;
	out->seed = from->seed;
	out->fingerprint = NAME(fingerprint);
	out->numerics_class = NAME(numerics_class);
	out->prompt_tokens = from->prompt_tokens;
	out->prompt_ids =
		read_ids(r, from->prompt_ids, from->n_prompt_ids, INT32_MAX, "prompt_ids", &out->n_prompt_ids);
	out->adapter = NAME(adapter);
	out->adapter_fingerprint = NAME(adapter_fingerprint);
	out->tool_parser = NAME(tool_parser);
	out->reasoning_parser = NAME(reasoning_parser);
	out->reasoning_open = from->reasoning_open;
}

static void read_token(struct reader *r, struct xv_token *out, const PB(TokenInfo) * from)
{
	struct xv_top *top = read_list(r, from->n_top, INT32_MAX, sizeof *top, "top", &out->n_top);

	for (int i = 0; i < out->n_top; i++) {
		const PB(TopToken) *f = from->top[i];
		top[i].id = f->id;
		top[i].logprob = f->logprob;
		top[i].piece = read_text(r, f->has_piece, f->piece, &top[i].piece_len);
	}
	out->top = top;
	out->id = from->id;
	out->has_logprob = from->has_logprob;
	out->logprob = from->logprob;
	out->rank = from->rank;
	out->greedy = from->greedy;
	out->piece = read_text(r, from->has_piece, from->piece, &out->piece_len);
}

static void read_chunk(struct reader *r, struct xv_chunk *out, const PB(Chunk) * from)
{
	struct xv_token *tokens = read_list(r, from->n_tokens, INT32_MAX, sizeof *tokens, "tokens", &out->n_tokens);

	for (int i = 0; i < out->n_tokens; i++)
		read_token(r, &tokens[i], from->tokens[i]);
	out->tokens = tokens;
	out->text = read_text(r, from->has_text, from->text, &out->text_len);
	out->ids = read_ids(r, from->ids, from->n_ids, INT32_MAX, "ids", &out->n_ids);
	out->prompt = from->prompt;
}

static const float *read_floats(struct reader *r, const float *from, size_t n, const char *field, int *count)
{
	float *to = read_list(r, n, INT32_MAX, sizeof *to, field, count);

	if (*count)
		memcpy(to, from, (size_t)*count * sizeof *to);
	return to;
}

static void read_finished(struct reader *r, struct xv_finished *out, const PB(Finished) * from)
{
	out->reason = (enum xv_finish)from->reason;
	out->stop_id = from->has_stop_id ? from->stop_id : -1;
	out->stop_text = NAME(stop_text);
	out->prompt_tokens = from->prompt_tokens;
	out->output_tokens = from->output_tokens;
	out->cached_tokens = from->cached_tokens;
	out->queue_ns = from->queue_ns;
	out->prefill_ns = from->prefill_ns;
	out->decode_ns = from->decode_ns;
	out->target_logits =
		read_floats(r, from->target_logits, from->n_target_logits, "target_logits", &out->n_target_logits);
	out->target_logprobs = read_floats(r, from->target_logprobs, from->n_target_logprobs, "target_logprobs",
					   &out->n_target_logprobs);
}

static void read_error(struct reader *r, struct xv_error *out, const PB(Error) * from)
{
	size_t len;

	out->code = from->has_code && from->code > 0 ? -(int)from->code : ERR_INTERNAL;
	out->text = read_text(r, from->has_text, from->text, &len);
	out->retryable = from->retryable;
	out->retry_after_ms = from->retry_after_ms;
	out->rank = from->has_rank ? (int)from->rank : -1;
	out->step = from->has_step ? from->step : -1;
	out->pid = from->has_pid ? from->pid : -1;
}

static void read_adapter(struct reader *r, struct xv_adapter *out, const PB(Adapter) * from)
{
	*out = (struct xv_adapter){.name = NAME(name),
				   .fingerprint = NAME(fingerprint),
				   .dir = NAME(dir),
				   .state = (enum xv_adapter_state)from->state,
				   .rank = from->rank,
				   .calls = from->calls,
				   .total_calls = from->total_calls};
}

static void read_status(struct reader *r, struct xv_status *out, const PB(Status) * from)
{
	struct xv_rank_status *rank = read_list(r, from->n_rank, INT32_MAX, sizeof *rank, "rank", &out->n_rank);
	struct xv_adapter *adapter =
		read_list(r, from->n_adapter, INT32_MAX, sizeof *adapter, "adapter", &out->n_adapter);

	for (int i = 0; i < out->n_rank; i++) {
#define RANK(field, ...) rank[i].field = from->rank[i]->field;
#include "proto/status.def"
	}
	for (int i = 0; i < out->n_adapter; i++)
		read_adapter(r, &adapter[i], from->adapter[i]);
	out->adapter = adapter;
	read_sampling(r, &out->defaults, from->defaults);
	out->rank = rank;
	out->state = (enum xv_state)from->state;
#define TEXT(field, ...) out->field = NAME(field);
#define NUMBER(field, ...) out->field = from->field;
#include "proto/status.def"
}

static const char *const *read_pieces(struct reader *r, ProtobufCBinaryData *from, size_t n, const size_t **lens)
{
	int count;
	const char **to = read_list(r, n, INT32_MAX, sizeof *to, "pieces", &count);
	size_t *len = read_list(r, n, INT32_MAX, sizeof *len, "pieces", &count);

	for (size_t i = 0; i < n; i++)
		to[i] = read_text(r, 1, from[i], &len[i]);
	*lens = len;
	return to;
}

/* Pieces and offsets come for every token or not at all, and so do texts. */
static void read_tokens(struct reader *r, struct xv_tokens *out, const PB(Tokens) * from)
{
	size_t n = from->n_ids;
	int count;

	out->ids = read_ids(r, from->ids, n, INT32_MAX, "ids", &out->n_ids);
	if (from->n_pieces != n || from->n_first != n || from->n_end != n || (from->n_texts && from->n_texts != n)) {
		if (from->n_pieces || from->n_first || from->n_end || from->n_texts)
			wire_fail(r, ERR_INVALID, "tokens: %zu ids with %zu pieces", n, from->n_pieces);
		return;
	}
	out->pieces = read_pieces(r, from->pieces, n, &out->piece_len);
	if (from->n_texts)
		out->texts = read_pieces(r, from->texts, n, &out->text_len);
	out->first = (const uint32_t *)read_ids(r, (const int32_t *)from->first, n, INT32_MAX, "first", &count);
	out->end = (const uint32_t *)read_ids(r, (const int32_t *)from->end, n, INT32_MAX, "end", &count);
}

static void read_rendered(struct reader *r, struct xv_reply *out, const PB(Rendered) * from)
{
	out->rendered.text = read_text(r, from->has_text, from->text, &out->rendered.text_len);
	out->rendered.ids = read_ids(r, from->ids, from->n_ids, INT32_MAX, "ids", &out->rendered.n_ids);
}

static void read_calls(struct reader *r, struct xv_calls *out, const PB(Calls) * from)
{
	struct xv_call_info *to = read_list(r, from->n_call, INT32_MAX, sizeof *to, "call", &out->n);

	for (int i = 0; i < out->n; i++) {
		const PB(CallInfo) *f = from->call[i];
		to[i] = (struct xv_call_info){
			.call = f->call,
			.age_ns = f->age_ns,
			.uid = f->uid,
			.key = read_name(r, f->has_key, f->key, SIZE_MAX, "key"),
			.client = read_name(r, f->has_client, f->client, SIZE_MAX, "client"),
			.kind = (enum xv_call_kind)f->kind,
			.state = (enum xv_call_state)f->state,
			.queue_place = f->queue_place,
			.prompt_tokens = f->prompt_tokens,
			.output_tokens = f->output_tokens,
			.resumed = f->resumed,
		};
	}
	out->call = to;
	out->more = from->more;
}

static void read_parsed(struct reader *r, struct xv_parsed *out, const PB(Parsed) * from)
{
	struct xv_tool_call *to = read_list(r, from->n_calls, INT32_MAX, sizeof *to, "calls", &out->n);

	out->content = read_text(r, from->has_content, from->content, &out->content_len);
	out->reasoning = read_text(r, from->has_reasoning, from->reasoning, &out->reasoning_len);
	for (int i = 0; i < out->n; i++) {
		const PB(ToolCall) *f = from->calls[i];
		to[i].name = read_name(r, f->has_name, f->name, SIZE_MAX, "name");
		to[i].arguments = read_text(r, f->has_arguments, f->arguments, &to[i].arguments_len);
	}
	out->call = to;
}

static void read_body(struct reader *r, struct xv_reply *out, const PB(Reply) * from)
{
	switch (out->kind) {
	case XV_R_HELLO:
		read_hello(r, &out->hello, from->hello);
		break;
	case XV_R_STARTED:
		read_started(r, &out->started, from->started);
		break;
	case XV_R_CHUNK:
		read_chunk(r, &out->chunk, from->chunk);
		break;
	case XV_R_FINISHED:
		read_finished(r, &out->finished, from->finished);
		break;
	case XV_R_ERROR:
		read_error(r, &out->error, from->error);
		break;
	case XV_R_KEEP_ALIVE:
		out->keep_alive.queue_place = from->keep_alive->queue_place;
		break;
	case XV_R_STATUS:
		read_status(r, &out->status, from->status);
		break;
	case XV_R_TOKENS:
		read_tokens(r, &out->tokens, from->tokens);
		break;
	case XV_R_TEXT:
		out->text.text = read_text(r, from->text->has_text, from->text->text, &out->text.text_len);
		break;
	case XV_R_METRICS:
		out->text.text = read_text(r, from->metrics->has_text, from->metrics->text, &out->text.text_len);
		break;
	case XV_R_DONE:
		out->done.count = from->done->count;
		break;
	case XV_R_RENDERED:
		read_rendered(r, out, from->rendered);
		break;
	case XV_R_CALLS:
		read_calls(r, &out->calls, from->calls);
		break;
	case XV_R_ADAPTER:
		read_adapter(r, &out->adapter, from->adapter);
		break;
	case XV_R_PARSED:
		read_parsed(r, &out->parsed, from->parsed);
		break;
	case XV_R_NONE:
		break;
	}
}

int rpc_reply_decode(struct xv_reply *out, const uint8_t *payload, size_t size, struct why *why)
{
	struct reader r;
	const PB(Reply) *from = wire_unpack(&r, &xverse__v1__reply__descriptor, payload, size, why);
	int err;

	*out = (struct xv_reply){.id = from ? from->id : rpc_payload_id(payload, size)};
	if (from) {
		out->kind = (enum xv_reply_kind)from->body_case;
		read_body(&r, out, from);
	}
	out->memory = wire_done(&r, &err);
	if (err)
		*out = (struct xv_reply){.id = out->id};
	return err;
}

void rpc_reply_free(struct xv_reply *r)
{
	arena_free(r->memory);
	*r = (struct xv_reply){0};
}
