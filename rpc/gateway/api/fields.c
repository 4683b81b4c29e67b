/* fields.c - the table of fields. */
#include <limits.h>
#include <stddef.h>

#include "rpc/gateway/api/request.h"

#define S(field) offsetof(struct ask, sampling.field)
#define A(field) offsetof(struct ask, field)

/* Rows of the sampling fields that both endpoints take as they are (proto/sampling.def); the others have rows of their
 * own. */
#define REAL(NAME, field, unset, bound, low, high, meaning, source) \
	{#field, ASK_BOTH, ASK_FLOAT, low, high, RANGE_##bound == RANGE_ABOVE, RPC_##NAME, S(field), 0, meaning},
#define KIND_int32_t ASK_TOP_K
#define KIND_uint32_t ASK_UINT
#define WHOLE_OWN(...)
#define WHOLE_PLAIN(NAME, type, field, wire, low, high, meaning) \
	{#wire, ASK_BOTH, KIND_##type, low, high, 0, RPC_##NAME, S(field), 0, meaning},
#define WHOLE(NAME, type, field, wire, unset, low, high, meaning, form) \
	WHOLE_##form(NAME, type, field, wire, low, high, meaning)
#define SWITCH_OWN(...)
#define SWITCH_PLAIN(NAME, field, wire, meaning) \
	{#wire, ASK_BOTH, ASK_SWITCH, 0, 0, 0, RPC_##NAME, S(field), 0, meaning},
#define SWITCH(NAME, field, wire, unset, meaning, form) SWITCH_##form(NAME, field, wire, meaning)

static const struct ask_field fields[] = {
#include "proto/sampling.def"
	{"seed", ASK_BOTH, ASK_SEED, 0, 0, 0, RPC_SEED, S(seed), 0,
	 "0 to 18446744073709551615; choice i > 0 of n draws from a seed derived from it"},
	{"max_tokens", ASK_BOTH, ASK_UINT, 0, INT32_MAX, 0, RPC_MAX_TOKENS, S(max_tokens), 0,
	 "completions: 16 where unset; 0 only with echo"},
	{"truncate_prompt_tokens", ASK_BOTH, ASK_UINT, 1, INT32_MAX, 0, RPC_TRUNCATE_PROMPT, S(truncate_prompt), 0,
	 "keep the last n; unset: all"},
	{"skip_special_tokens", ASK_BOTH, ASK_SWITCH, 0, 0, 0, RPC_SKIP_SPECIAL, S(skip_special), 0,
	 "special tokens have no text"},
	{"add_special_tokens", ASK_BOTH, ASK_SWITCH, 0, 0, 0, RPC_ADD_SPECIAL, S(add_special), 0,
	 "add begin and end tokens to a text"},
	{"model", ASK_BOTH, ASK_OTHER, 0, 0, 0, 0, 0, 0, "string: a name of /v1/models"},
	{"prompt", ASK_COMPLETIONS, ASK_OTHER, 0, 0, 0, 0, 0, 0, "string, token ids, or a list of either"},
	{"messages", ASK_CHAT, ASK_OTHER, 0, 0, 0, 0, 0, 0,
	 "list of {role, content, name, ...}; content is a string, a list of text parts, or null; other keys are handed to the model's template"},
	{"tools", ASK_CHAT, ASK_OTHER, 0, 0, 0, 0, 0, 0,
	 "list, handed to the model's template; answers are not parsed: a call stays in content, tool_calls is never set"},
	{"documents", ASK_CHAT, ASK_OTHER, 0, 0, 0, 0, 0, 0, "list, handed to the model's template"},
	{"chat_template_kwargs", ASK_CHAT, ASK_OTHER, 0, 0, 0, 0, 0, 0, "object, handed to the model's template"},
	{"add_generation_prompt", ASK_CHAT, ASK_OTHER, 0, 0, 0, 0, 0, 0, "boolean"},
	{"max_completion_tokens", ASK_CHAT, ASK_OTHER, 1, INT_MAX, 0, 0, 0, 0,
	 "the newer name of max_tokens; where both are given they must be equal"},
	{"stop", ASK_BOTH, ASK_STOP, 0, ASK_MAX_STOP, 0, 0, 0, 0, "string, or up to 16 of them"},
	{"stop_token_ids", ASK_BOTH, ASK_IDS, 0, ASK_MAX_IDS, 0, 0, A(stop_ids), S(n_stop_ids), NULL},
	{"allowed_token_ids", ASK_BOTH, ASK_IDS, 1, ASK_MAX_IDS, 0, 0, A(allowed), S(n_allowed), NULL},
	{"bad_token_ids", ASK_BOTH, ASK_IDS, 0, ASK_MAX_IDS, 0, 0, A(bad), S(n_bad), NULL},
	{"logit_bias", ASK_BOTH, ASK_BIAS, -100, 100, 0, 0, 0, 0, "object: token id to -100..100"},
	{"n", ASK_BOTH, ASK_INT, 1, ASK_MAX_N, 0, 0, A(n), 0, NULL},
	{"echo", ASK_COMPLETIONS, ASK_BOOL, 0, 0, 0, 0, A(echo), 0, NULL},
	{"logprobs", ASK_COMPLETIONS, ASK_INT, 0, ASK_MAX_TOP, 0, 0, A(top), 0, NULL},
	{"logprobs", ASK_CHAT, ASK_BOOL, 0, 0, 0, 0, A(logprobs), 0, NULL},
	{"top_logprobs", ASK_CHAT, ASK_INT, 0, ASK_MAX_TOP, 0, 0, A(top), 0, "with logprobs: true"},
	{"prompt_logprobs", ASK_BOTH, ASK_INT, 0, ASK_MAX_TOP, 0, 0, A(prompt_top), 0, "not with stream"},
	{"stream", ASK_BOTH, ASK_BOOL, 0, 0, 0, 0, A(stream), 0, NULL},
	{"stream_options", ASK_BOTH, ASK_STREAM_OPTIONS, 0, 0, 0, 0, 0, 0,
	 "{include_usage: boolean, continuous_usage_stats: boolean}"},
	{"return_tokens_as_token_ids", ASK_BOTH, ASK_BOOL, 0, 0, 0, 0, A(ids_as_tokens), 0, NULL},
	{"return_token_ids", ASK_BOTH, ASK_BOOL, 0, 0, 0, 0, A(return_ids), 0, NULL},
	{"user", ASK_BOTH, ASK_USER, 0, 0, 0, 0, 0, 0, "string, at most 512 bytes"},
};

const struct ask_field *ask_fields(int *n)
{
	*n = sizeof fields / sizeof *fields;
	return fields;
}
