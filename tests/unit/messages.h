/* messages.h - requests and replies with every field set. */
#ifndef TESTS_UNIT_MESSAGES_H
#define TESTS_UNIT_MESSAGES_H

#include <math.h>

#include "rpc/codec/codec.h"

static const int32_t ids[] = {5, 0, 2147483647, -1};
static const struct xv_bias bias[] = {{7, -1.5f}, {8, 100}};
static const char *const stop[] = {"end", "\xe7\xbb\x93\xe6\x9d\x9f"};
static const struct xv_sampling sampling = {
	.has = (1u << (XV_RETURN_IDS + 1)) - 1,
	.temperature = 0.7f,
	.top_p = 0.9f,
	.min_p = 0.1f,
	.repetition_penalty = 1.1f,
	.presence_penalty = -2,
	.frequency_penalty = 2,
	.top_k = 40,
	.seed = UINT64_MAX,
	.max_tokens = INT32_MAX,
	.min_tokens = 3,
	.logprobs = 4,
	.prompt_logprobs = 5,
	.truncate_prompt = 6,
	.ignore_eos = true,
	.include_stop = true,
	.skip_special = true,
	.add_special = true,
	.return_ids = true,
	.n_stop = 2,
	.n_stop_ids = 2,
	.n_bias = 2,
	.n_allowed = 3,
	.n_bad = 1,
	.stop = stop,
	.stop_ids = ids,
	.allowed = ids,
	.bad = ids,
	.bias = bias,
	.constraint = {
		.kind = XV_CHOICE, .text = "", .choice = stop, .n_choice = 2, .has_compact = true, .compact = true}};
static const struct xv_resume resume = {true, ids, 4, 1ull << 40, 12345, "f1ng3r", "bf16/bf16", "ada"};
static const struct xv_message messages[] = {{"user", "hi \xff\0!", "me", "{}", 5},
					     {"assistant", "", "you", "[]", 0},
					     {"tool", NULL, "", "{\"content\": null}", 0}};

/* Numbers of fields that are bodies of a request: 15 is that of Request.asker. */
static inline bool is_body(int kind)
{
	return kind != 15;
}

static inline struct xv_request request(enum xv_kind kind)
{
	struct xv_request r = {.id = 1234567890123, .kind = kind, .asker = {"k", "c"}};

	switch (kind) {
	case XV_HELLO:
		r.hello = (struct xv_hello){1, 2, 4096, "v", "m"};
		break;
	case XV_GENERATE:
		r.generate = (struct xv_generate){.sampling = sampling,
						  .resume = resume,
						  .timeout_ms = 9,
						  .echo = true,
						  .user = "u",
						  .adapter = "a"};
		r.generate.prompt = (struct xv_prompt){.is_text = true, .text = "a\0b\xfe", .text_len = 4, .ids = ids};
		break;
	case XV_CHAT:
	case XV_TEMPLATE:
		r.chat = (struct xv_chat){3,     messages, sampling, resume, 8,          "u", "[1]",
					  "[2]", "{3}",    false,    "a",    "required", "f", true};
		break;
	case XV_SCORE:
		r.score = (struct xv_score){
			.prompt = {.text = "", .ids = ids, .n_ids = 4}, .timeout_ms = 3, .adapter = "a"};
		r.score.prefix = (struct xv_prompt){.text = "", .ids = ids, .n_ids = 2};
		r.score.prefix_id = 7;
		r.score.targets = ids;
		r.score.n_targets = 3;
		r.score.target_logprobs = true;
		break;
	case XV_CANCEL:
		r.cancel.has_call = r.cancel.has_id = true;
		r.cancel.call = UINT64_MAX;
		r.cancel.id = 77;
		break;
	case XV_TOKENIZE:
		r.tokenize.text = "t\0t";
		r.tokenize.text_len = 3;
		r.tokenize.parse_special = r.tokenize.pieces = true;
		break;
	case XV_DETOKENIZE:
		r.detokenize.ids = ids;
		r.detokenize.n_ids = 4;
		r.detokenize.skip_special = true;
		break;
	case XV_LOG_LEVEL:
		r.log_level.level = 3;
		break;
	case XV_CALLS:
		r.calls.most = 5;
		break;
	case XV_LORA_LOAD:
	case XV_LORA_UNLOAD:
		r.lora.name = "a";
		r.lora.dir = "/d";
		break;
	case XV_PARSE:
		r.parse = (struct xv_parse){"a\0b", 3, "[]", "hermes", "think", true, true};
		break;
	default:
		break;
	}
	return r;
}

static const struct xv_tool_call tool_calls[] = {{"f", "{}", 2}, {"g", "", 0}};
static const struct xv_top top[] = {{3, -0.5f, "p", 1}, {4, -INFINITY, "\0q", 2}};
static const struct xv_token tokens[] = {{9, -0.25f, 1, true, true, "z", 1, top, 2},
					 {10, 0, 0, false, false, "y", 1, top, 0}};
static const struct xv_rank_status rank_status[] = {{1, 2, 3, 4, 5, 6, 7, 8}};
static const struct xv_call_info call_infos[] = {
	{UINT64_MAX, 2, 3, "k", "c", XV_CALL_SCORE, XV_CALL_RUNNING, 4, 5, 6, true},
	{1, 1, 0, "", "", XV_CALL_CHAT, XV_CALL_WAITING, 7, 0, 0, false}};
static const struct xv_adapter adapters[] = {{"a", "p", "/d", XV_ADAPTER_UNLOADING, 16, 2, UINT64_MAX},
					     {"b", "", "/e", XV_ADAPTER_LOADING, 0, 0, 0}};
static const float target[] = {-1.5f, INFINITY};
static const char *const pieces[] = {"a", "b\0c", "d", "e"};
static const size_t piece_len[] = {1, 3, 1, 1};
static const uint32_t first[] = {0, 1, 2, 3}, end[] = {1, 2, 3, 4};

static inline struct xv_reply reply(enum xv_reply_kind kind)
{
	struct xv_reply r = {.id = 42, .kind = kind};

	switch (kind) {
	case XV_R_HELLO:
		r.hello = (struct xv_hello){1, 2, 4096, "v", "m"};
		break;
	case XV_R_STARTED:
		r.started = (struct xv_started){1, UINT64_MAX, "f", "c", 3, ids, 4, "a", "p", "hermes", "think", true};
		break;
	case XV_R_CHUNK:
		r.chunk = (struct xv_chunk){"te\0xt", 5, ids, 4, tokens, 2, true};
		break;
	case XV_R_FINISHED:
		r.finished = (struct xv_finished){XV_FINISH_LENGTH, 3, "s", 1, 2, 3, 4, 5, 6, target, target, 2, 2};
		break;
	case XV_R_ERROR:
		r.error = (struct xv_error){ERR_LOST_RANK, "text", 100, 2, 3, 4, true};
		break;
	case XV_R_KEEP_ALIVE:
		r.keep_alive.queue_place = 3;
		break;
	case XV_R_STATUS:
		r.status = (struct xv_status){
			.state = XV_STATE_READY,
			.defaults = sampling,
			.rank = rank_status,
			.n_rank = 1,
			.adapter = adapters,
			.n_adapter = 2,
#define TEXT(field, ...) .field = #field,
#define NUMBER(field, ...) .field = __COUNTER__ + 1, /* no two are equal */
#include "proto/status.def"
		};
		break;
	case XV_R_TOKENS:
		r.tokens = (struct xv_tokens){ids, 4, pieces, piece_len, pieces, piece_len, first, end};
		break;
	case XV_R_TEXT:
	case XV_R_METRICS:
		r.text.text = "te\0xt";
		r.text.text_len = 5;
		break;
	case XV_R_DONE:
		r.done.count = 2;
		break;
	case XV_R_RENDERED:
		r.rendered.text = "x";
		r.rendered.text_len = 1;
		r.rendered.ids = ids;
		r.rendered.n_ids = 4;
		break;
	case XV_R_CALLS:
		r.calls = (struct xv_calls){call_infos, 2, 3};
		break;
	case XV_R_ADAPTER:
		r.adapter = adapters[0];
		break;
	case XV_R_PARSED:
		r.parsed = (struct xv_parsed){"a", "b\0c", 1, 3, tool_calls, 2};
		break;
	default:
		break;
	}
	return r;
}

#endif
