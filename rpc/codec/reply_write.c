/* Encodes struct xv_reply to a framed payload: the server's side. */
#include "rpc/codec/wire.h"

#include <string.h>

#include "base/utf8.h"
#include "rpc/frame.h"

bool rpc_retryable(int code)
{
	return code == ERR_BUSY || code == ERR_LOADING || code == ERR_DRAINING || code == ERR_LOST_RANK;
}

/* Every client language checks that text is UTF-8. An error's may quote bytes of a request, and names of files and
 * tokens are any bytes. */
static ProtobufCBinaryData clean_string(struct arena *a, const char *text)
{
	char *copy;

	if (!text)
		return wire_string("");
	copy = arena_take(a, strlen(text) + 1);
	strcpy(copy, text);
	return wire_bytes(copy, utf8_clean(copy));
}

static PB(Error) * write_error(struct arena *a, const struct xv_error *from)
{
	PB(Error) *to = WIRE_NEW(a, Error, error);
	const char *text = from->text ? from->text : err_text(from->code);

	to->has_code = to->has_text = to->has_retryable = 1;
	to->code = (PB(Code)) - from->code;
	to->text = clean_string(a, text);
	to->retryable = rpc_retryable(from->code);
	to->has_retry_after_ms = from->retry_after_ms > 0;
	to->retry_after_ms = from->retry_after_ms;
	if (from->code != ERR_LOST_RANK)
		return to;
	to->has_rank = from->rank >= 0;
	to->rank = (uint32_t)from->rank;
	to->has_step = from->step >= 0;
	to->step = from->step;
	to->has_pid = from->pid > 0;
	to->pid = from->pid;
	return to;
}

static PB(Started) * write_started(struct arena *a, const struct xv_started *from)
{
	PB(Started) *to = WIRE_NEW(a, Started, started);

	to->has_call = to->has_seed = to->has_fingerprint = to->has_numerics_class = to->has_prompt_tokens = 1;
	to->call = from->call;
	to->seed = from->seed;
	to->fingerprint = wire_string(from->fingerprint);
	to->numerics_class = wire_string(from->numerics_class);
	to->prompt_tokens = from->prompt_tokens;
	to->n_prompt_ids = (size_t)from->n_prompt_ids;
	to->prompt_ids = (int32_t *)from->prompt_ids;
	to->adapter = wire_string(from->adapter);
	to->adapter_fingerprint = wire_string(from->adapter_fingerprint);
	to->has_adapter = to->has_adapter_fingerprint = to->adapter.len > 0;
	to->tool_parser = wire_string(from->tool_parser);
	to->has_tool_parser = to->tool_parser.len > 0;
	to->reasoning_parser = wire_string(from->reasoning_parser);
	to->has_reasoning_parser = to->reasoning_parser.len > 0;
	to->has_reasoning_open = to->reasoning_open = from->reasoning_open;
	return to;
}

static PB(TopToken) * *write_top(struct arena *a, const struct xv_token *from)
{
	PB(TopToken) **to = arena_zeroed(a, (size_t)from->n_top, sizeof *to);

	for (int i = 0; i < from->n_top; i++) {
		to[i] = WIRE_NEW(a, TopToken, top_token);
		to[i]->has_id = to[i]->has_logprob = to[i]->has_piece = 1;
		to[i]->id = from->top[i].id;
		to[i]->logprob = from->top[i].logprob;
		to[i]->piece = wire_bytes(from->top[i].piece, from->top[i].piece_len);
	}
	return to;
}

static PB(TokenInfo) * write_token(struct arena *a, const struct xv_token *from)
{
	PB(TokenInfo) *to = WIRE_NEW(a, TokenInfo, token_info);

	to->has_id = to->has_piece = 1;
	to->id = from->id;
	to->piece = wire_bytes(from->piece, from->piece_len);
	to->has_logprob = to->has_rank = to->has_greedy = from->has_logprob;
	to->logprob = from->logprob;
	to->rank = from->rank;
	to->greedy = from->greedy;
	to->n_top = (size_t)from->n_top;
	to->top = write_top(a, from);
	return to;
}

static PB(Chunk) * write_chunk(struct arena *a, const struct xv_chunk *from)
{
	PB(Chunk) *to = WIRE_NEW(a, Chunk, chunk);

	to->has_text = from->text_len > 0;
	to->text = wire_bytes(from->text, from->text_len);
	to->n_ids = (size_t)from->n_ids;
	to->ids = (int32_t *)from->ids;
	to->n_tokens = (size_t)from->n_tokens;
	to->tokens = arena_zeroed(a, to->n_tokens, sizeof *to->tokens);
	for (int i = 0; i < from->n_tokens; i++)
		to->tokens[i] = write_token(a, &from->tokens[i]);
	to->has_prompt = to->prompt = from->prompt;
	return to;
}

static PB(Finished) * write_finished(struct arena *a, const struct xv_finished *from)
{
	PB(Finished) *to = WIRE_NEW(a, Finished, finished);

	to->has_reason = to->has_prompt_tokens = to->has_output_tokens = to->has_cached_tokens = 1;
	to->has_queue_ns = to->has_prefill_ns = to->has_decode_ns = 1;
	to->reason = (PB(FinishReason))from->reason;
	to->has_stop_id = from->stop_id >= 0;
	to->stop_id = from->stop_id;
	to->stop_text = wire_string(from->stop_text);
	to->has_stop_text = to->stop_text.len > 0;
	to->prompt_tokens = from->prompt_tokens;
	to->output_tokens = from->output_tokens;
	to->cached_tokens = from->cached_tokens;
	to->queue_ns = from->queue_ns;
	to->prefill_ns = from->prefill_ns;
	to->decode_ns = from->decode_ns;
	to->n_target_logits = (size_t)from->n_target_logits;
	to->target_logits = (float *)from->target_logits;
	to->n_target_logprobs = (size_t)from->n_target_logprobs;
	to->target_logprobs = (float *)from->target_logprobs;
	return to;
}

static PB(RankStatus) * write_rank(struct arena *a, const struct xv_rank_status *from)
{
	PB(RankStatus) *to = WIRE_NEW(a, RankStatus, rank_status);

#define RANK(field, ...) \
	to->has_##field = 1; \
	to->field = from->field;
#include "proto/status.def"
	return to;
}

static PB(Adapter) * write_adapter(struct arena *a, const struct xv_adapter *from)
{
	PB(Adapter) *to = WIRE_NEW(a, Adapter, adapter);

	to->has_name = to->has_fingerprint = to->has_dir = to->has_state = 1;
	to->has_rank = to->has_calls = to->has_total_calls = 1;
	to->name = wire_string(from->name);
	to->fingerprint = wire_string(from->fingerprint);
	to->dir = clean_string(a, from->dir);
	to->state = (PB(AdapterState))from->state;
	to->rank = from->rank;
	to->calls = from->calls;
	to->total_calls = from->total_calls;
	return to;
}

static PB(Status) * write_status(struct arena *a, const struct xv_status *from)
{
	PB(Status) *to = WIRE_NEW(a, Status, status);

	to->has_state = 1;
	to->state = (PB(State))from->state;
#define TEXT(field, ...) \
	to->has_##field = 1; \
	to->field = clean_string(a, from->field);
#define NUMBER(field, ...) \
	to->has_##field = 1; \
	to->field = from->field;
#include "proto/status.def"
	to->defaults = write_sampling(a, &from->defaults);
	to->n_rank = (size_t)from->n_rank;
	to->rank = arena_zeroed(a, to->n_rank, sizeof *to->rank);
	for (int i = 0; i < from->n_rank; i++)
		to->rank[i] = write_rank(a, &from->rank[i]);
	to->n_adapter = (size_t)from->n_adapter;
	to->adapter = arena_zeroed(a, to->n_adapter, sizeof *to->adapter);
	for (int i = 0; i < from->n_adapter; i++)
		to->adapter[i] = write_adapter(a, &from->adapter[i]);
	return to;
}

static PB(Tokens) * write_tokens(struct arena *a, const struct xv_tokens *from)
{
	PB(Tokens) *to = WIRE_NEW(a, Tokens, tokens);
	size_t n = (size_t)from->n_ids;

	to->n_ids = n;
	to->ids = (int32_t *)from->ids;
	if (!from->pieces)
		return to;
	to->n_pieces = to->n_first = to->n_end = n;
	to->first = (uint32_t *)from->first;
	to->end = (uint32_t *)from->end;
	to->pieces = arena_zeroed(a, n, sizeof *to->pieces);
	for (size_t i = 0; i < n; i++)
		to->pieces[i] = wire_bytes(from->pieces[i], from->piece_len[i]);
	to->n_texts = from->texts ? n : 0;
	to->texts = arena_zeroed(a, to->n_texts, sizeof *to->texts);
	for (size_t i = 0; i < to->n_texts; i++)
		to->texts[i] = wire_bytes(from->texts[i], from->text_len[i]);
	return to;
}

static PB(Text) * write_text(struct arena *a, const struct xv_reply *from)
{
	PB(Text) *to = WIRE_NEW(a, Text, text);

	to->has_text = 1;
	to->text = wire_bytes(from->text.text, from->text.text_len);
	return to;
}

static PB(Metrics) * write_metrics(struct arena *a, const struct xv_reply *from)
{
	PB(Metrics) *to = WIRE_NEW(a, Metrics, metrics);

	to->has_text = 1;
	to->text = wire_bytes(from->text.text, from->text.text_len);
	return to;
}

static PB(Rendered) * write_rendered(struct arena *a, const struct xv_reply *from)
{
	PB(Rendered) *to = WIRE_NEW(a, Rendered, rendered);

	to->has_text = 1;
	to->text = wire_bytes(from->rendered.text, from->rendered.text_len);
	to->n_ids = (size_t)from->rendered.n_ids;
	to->ids = (int32_t *)from->rendered.ids;
	return to;
}

static PB(ToolCall) * write_tool_call(struct arena *a, const struct xv_tool_call *from)
{
	PB(ToolCall) *to = WIRE_NEW(a, ToolCall, tool_call);

	to->has_name = to->has_arguments = 1;
	to->name = wire_string(from->name);
	to->arguments = wire_bytes(from->arguments, from->arguments_len);
	return to;
}

static PB(Parsed) * write_parsed(struct arena *a, const struct xv_parsed *from)
{
	PB(Parsed) *to = WIRE_NEW(a, Parsed, parsed);

	to->has_content = to->has_reasoning = 1;
	to->content = wire_bytes(from->content, from->content_len);
	to->reasoning = wire_bytes(from->reasoning, from->reasoning_len);
	to->n_calls = (size_t)from->n;
	to->calls = arena_zeroed(a, to->n_calls, sizeof *to->calls);
	for (int i = 0; i < from->n; i++)
		to->calls[i] = write_tool_call(a, &from->call[i]);
	return to;
}

static PB(KeepAlive) * write_keep_alive(struct arena *a, uint32_t place)
{
	PB(KeepAlive) *to = WIRE_NEW(a, KeepAlive, keep_alive);

	to->has_queue_place = 1;
	to->queue_place = place;
	return to;
}

static PB(Done) * write_done(struct arena *a, uint32_t count)
{
	PB(Done) *to = WIRE_NEW(a, Done, done);

	to->has_count = 1;
	to->count = count;
	return to;
}

static PB(CallInfo) * write_call(struct arena *a, const struct xv_call_info *from)
{
	PB(CallInfo) *to = WIRE_NEW(a, CallInfo, call_info);

	to->has_call = to->has_age_ns = to->has_uid = to->has_kind = to->has_state = 1;
	to->call = from->call;
	to->age_ns = from->age_ns;
	to->uid = from->uid;
	to->kind = (PB(CallKind))from->kind;
	to->state = (PB(CallState))from->state;
	to->key = wire_string(from->key);
	to->has_key = to->key.len > 0;
	to->client = wire_string(from->client);
	to->has_client = to->client.len > 0;
	to->queue_place = from->queue_place;
	to->has_queue_place = from->queue_place > 0;
	to->has_prompt_tokens = to->has_output_tokens = 1;
	to->prompt_tokens = from->prompt_tokens;
	to->output_tokens = from->output_tokens;
	to->has_resumed = to->resumed = from->resumed;
	return to;
}

static PB(Calls) * write_calls(struct arena *a, const struct xv_calls *from)
{
	PB(Calls) *to = WIRE_NEW(a, Calls, calls);

	to->n_call = (size_t)from->n;
	to->call = arena_zeroed(a, to->n_call, sizeof *to->call);
	for (int i = 0; i < from->n; i++)
		to->call[i] = write_call(a, &from->call[i]);
	to->has_more = from->more > 0;
	to->more = from->more;
	return to;
}

static void write_body(struct arena *a, PB(Reply) * to, const struct xv_reply *from)
{
	switch (from->kind) {
	case XV_R_HELLO:
		to->hello = write_hello(a, &from->hello);
		break;
	case XV_R_STARTED:
		to->started = write_started(a, &from->started);
		break;
	case XV_R_CHUNK:
		to->chunk = write_chunk(a, &from->chunk);
		break;
	case XV_R_FINISHED:
		to->finished = write_finished(a, &from->finished);
		break;
	case XV_R_ERROR:
		to->error = write_error(a, &from->error);
		break;
	case XV_R_KEEP_ALIVE:
		to->keep_alive = write_keep_alive(a, from->keep_alive.queue_place);
		break;
	case XV_R_STATUS:
		to->status = write_status(a, &from->status);
		break;
	case XV_R_TOKENS:
		to->tokens = write_tokens(a, &from->tokens);
		break;
	case XV_R_TEXT:
		to->text = write_text(a, from);
		break;
	case XV_R_DONE:
		to->done = write_done(a, from->done.count);
		break;
	case XV_R_METRICS:
		to->metrics = write_metrics(a, from);
		break;
	case XV_R_RENDERED:
		to->rendered = write_rendered(a, from);
		break;
	case XV_R_CALLS:
		to->calls = write_calls(a, &from->calls);
		break;
	case XV_R_ADAPTER:
		to->adapter = write_adapter(a, &from->adapter);
		break;
	case XV_R_PARSED:
		to->parsed = write_parsed(a, &from->parsed);
		break;
	case XV_R_NONE:
		break;
	}
}

static bool encode(struct rpc_out *out, const struct xv_reply *reply, struct arena *a)
{
	PB(Reply) message = XVERSE__V1__REPLY__INIT;
	jmp_buf starve;

	if (setjmp(starve))
		return false;
	a->starve = &starve;
	message.has_id = 1;
	message.id = reply->id;
	message.body_case = (PB(Reply__BodyCase))reply->kind;
	write_body(a, &message, reply);
	return wire_append(out, &message.base);
}

bool rpc_reply_encode(struct rpc_out *out, const struct xv_reply *reply)
{
	struct arena a = {.budget = SIZE_MAX};
	bool good = encode(out, reply, &a);

	arena_finish(&a);
	return good;
}

/* Protobuf by hand from here on: no allocation and no library. */
static size_t put_varint(uint8_t *to, uint64_t value)
{
	size_t n = 0;

	for (; value > 0x7f; value >>= 7)
		to[n++] = (uint8_t)(value | 0x80);
	to[n++] = (uint8_t)value;
	return n;
}

static size_t put_number(uint8_t *to, int field, uint64_t value)
{
	size_t n = put_varint(to, (uint64_t)field << 3);

	return n + put_varint(to + n, value);
}

/* A field of bytes that were written behind a gap of three: the tag and a length of two bytes go into the
 * gap. */
static void put_head(uint8_t *gap, int field, size_t size)
{
	gap[0] = (uint8_t)(field << 3 | 2);
	gap[1] = (uint8_t)(size | 0x80);
	gap[2] = (uint8_t)(size >> 7);
}

static size_t put_error(uint8_t *to, const struct xv_error *e)
{
	const char *text = e->text ? e->text : err_text(e->code);
	size_t n = put_number(to, 1, (uint64_t)-e->code), len = strnlen(text, RPC_ERROR_MAX - 128);
	char *copy = (char *)to + n + 3;

	memcpy(copy, text, len);
	copy[len] = 0;
	len = utf8_clean(copy);
	put_head(to + n, 2, len);
	n += 3 + len;
	n += put_number(to + n, 3, rpc_retryable(e->code));
	if (e->retry_after_ms)
		n += put_number(to + n, 4, e->retry_after_ms);
	if (e->code != ERR_LOST_RANK)
		return n;
	if (e->rank >= 0)
		n += put_number(to + n, 5, (uint64_t)e->rank);
	if (e->step >= 0)
		n += put_number(to + n, 6, (uint64_t)e->step);
	if (e->pid > 0)
		n += put_number(to + n, 7, (uint64_t)e->pid);
	return n;
}

size_t rpc_error_write(uint8_t out[RPC_ERROR_MAX], uint64_t id, const struct xv_error *error)
{
	uint8_t *payload = out + 2; /* the frame's length takes two bytes: not the shortest form, and allowed */
	size_t n = put_number(payload, 1, id), size;

	size = put_error(payload + n + 3, error);
	put_head(payload + n, XV_R_ERROR, size);
	n += 3 + size;
	out[0] = (uint8_t)(n | 0x80);
	out[1] = (uint8_t)(n >> 7);
	return n + 2;
}
