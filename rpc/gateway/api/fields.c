#include "rpc/gateway/api/fields.h"

#include <limits.h>
#include <stddef.h>

#define S(field) offsetof(struct api_request, sampling.field)
#define A(field) offsetof(struct api_request, field)

/* Rows of the sampling fields that all endpoints take as they are (proto/sampling.def); the others have rows of their
 * own. */
#define REAL(NAME, field, unset, bound, low, high, meaning, source) \
	{#field, API_ALL, API_FLOAT, low, high, RANGE_##bound == RANGE_ABOVE, XV_##NAME, S(field), 0, meaning},
#define KIND_int32_t API_TOP_K
#define KIND_uint32_t API_UINT
#define WHOLE_OWN(...)
#define WHOLE_PLAIN(NAME, type, field, wire, low, high, meaning) \
	{#wire, API_ALL, KIND_##type, low, high, 0, XV_##NAME, S(field), 0, meaning},
#define WHOLE(NAME, type, field, wire, unset, low, high, meaning, form) \
	WHOLE_##form(NAME, type, field, wire, low, high, meaning)
#define SWITCH_OWN(...)
#define SWITCH_PLAIN(NAME, field, wire, meaning) {#wire, API_ALL, API_SWITCH, 0, 0, 0, XV_##NAME, S(field), 0, meaning},
#define SWITCH(NAME, field, wire, unset, meaning, form) SWITCH_##form(NAME, field, wire, meaning)

static const struct api_field fields[] = {
#include "proto/sampling.def"
	{"seed", API_ALL, API_SEED, 0, 0, 0, XV_SEED, S(seed), 0,
	 "0 to 18446744073709551615; choice i > 0 of n draws from a seed derived from it"},
	{"max_tokens", API_BOTH, API_UINT, 0, INT32_MAX, 0, XV_MAX_TOKENS, S(max_tokens), 0,
	 "completions: 16 where unset; 0 only with echo"},
	{"truncate_prompt_tokens", API_ALL, API_UINT, 1, INT32_MAX, 0, XV_TRUNCATE_PROMPT, S(truncate_prompt), 0,
	 "keep the last n; unset: all"},
	{"skip_special_tokens", API_ALL, API_SWITCH, 0, 0, 0, XV_SKIP_SPECIAL, S(skip_special), 0,
	 "special tokens have no text"},
	{"add_special_tokens", API_ALL, API_SWITCH, 0, 0, 0, XV_ADD_SPECIAL, S(add_special), 0,
	 "add begin and end tokens to a text"},
	{"model", API_ALL, API_OTHER, 0, 0, 0, 0, 0, 0, "string: a name of /v1/models"},
	{"prompt", API_COMPLETIONS, API_OTHER, 0, 0, 0, 0, 0, 0, "string, token ids, or a list of either"},
	{"messages", API_CHAT, API_OTHER, 0, 0, 0, 0, 0, 0,
	 "list of {role, content, name, ...}; content is a string, a list of text parts, or null; other keys are handed to the model's template"},
	{"tools", API_CHAT, API_OTHER, 0, 0, 0, 0, 0, 0,
	 "list of {type: function, function: {name, description, parameters, strict}}"},
	{"documents", API_CHAT | API_RESPONSES, API_OTHER, 0, 0, 0, 0, 0, 0, "list, handed to the model's template"},
	{"chat_template_kwargs", API_CHAT | API_RESPONSES, API_OTHER, 0, 0, 0, 0, 0, 0,
	 "object, handed to the model's template"},
	{"reasoning_effort", API_CHAT, API_OTHER, 0, 0, 0, 0, 0, 0, "string, handed to the model's template"},
	{"tool_choice", API_CHAT, API_OTHER, 0, 0, 0, 0, 0, 0,
	 "none, auto, required, or {type: function, function: {name}}"},
	{"parallel_tool_calls", API_CHAT | API_RESPONSES, API_OTHER, 0, 0, 0, 0, 0, 0, "boolean"},
	{"add_generation_prompt", API_CHAT, API_OTHER, 0, 0, 0, 0, 0, 0, "boolean"},
	{"max_completion_tokens", API_CHAT, API_OTHER, 1, INT_MAX, 0, 0, 0, 0,
	 "the newer name of max_tokens; where both are given they must be equal"},
	{"input", API_RESPONSES, API_OTHER, 0, 0, 0, 0, 0, 0,
	 "string, or list of items: messages, function_call, function_call_output, reasoning"},
	{"instructions", API_RESPONSES, API_OTHER, 0, 0, 0, 0, 0, 0, "string, the first system message"},
	{"tools", API_RESPONSES, API_OTHER, 0, 0, 0, 0, 0, 0,
	 "list of {type: function, name, description, parameters, strict}"},
	{"tool_choice", API_RESPONSES, API_OTHER, 0, 0, 0, 0, 0, 0, "none, auto, required, or {type: function, name}"},
	{"text", API_RESPONSES, API_OTHER, 0, 0, 0, 0, 0, 0,
	 "{format: {type: text, json_object, or json_schema with schema}}"},
	{"reasoning", API_RESPONSES, API_OTHER, 0, 0, 0, 0, 0, 0, "{effort}, handed to the model's template"},
	{"include", API_RESPONSES, API_OTHER, 0, 0, 0, 0, 0, 0,
	 "list; \"message.output_text.logprobs\" asks for logprobs"},
	{"metadata", API_RESPONSES, API_OTHER, 0, 0, 0, 0, 0, 0, "object, repeated in the answer"},
	{"max_output_tokens", API_RESPONSES, API_UINT, 1, INT32_MAX, 0, XV_MAX_TOKENS, S(max_tokens), 0,
	 "unset: to the end of the context"},
	{"stop", API_ALL, API_STOP, 0, API_MAX_STOP, 0, 0, 0, 0, "string, or up to 16 of them"},
	{"stop_token_ids", API_ALL, API_IDS, 0, API_MAX_IDS, 0, 0, A(stop_ids), S(n_stop_ids), NULL},
	{"allowed_token_ids", API_ALL, API_IDS, 1, API_MAX_IDS, 0, 0, A(allowed), S(n_allowed), NULL},
	{"bad_token_ids", API_ALL, API_IDS, 0, API_MAX_IDS, 0, 0, A(bad), S(n_bad), NULL},
	{"logit_bias", API_ALL, API_BIAS, -100, 100, 0, 0, 0, 0, "object: token id to -100..100"},
	{"n", API_BOTH, API_INT, 1, API_MAX_N, 0, 0, A(n), 0, NULL},
	{"echo", API_COMPLETIONS, API_BOOL, 0, 0, 0, 0, A(echo), 0, NULL},
	{"logprobs", API_COMPLETIONS, API_INT, 0, API_MAX_TOP, 0, 0, A(top), 0, NULL},
	{"logprobs", API_CHAT, API_BOOL, 0, 0, 0, 0, A(logprobs), 0, NULL},
	{"top_logprobs", API_CHAT, API_INT, 0, API_MAX_TOP, 0, 0, A(top), 0, "with logprobs: true"},
	{"top_logprobs", API_RESPONSES, API_INT, 0, API_MAX_TOP, 0, 0, A(top), 0, NULL},
	{"prompt_logprobs", API_BOTH, API_INT, 0, API_MAX_TOP, 0, 0, A(prompt_top), 0, "not with stream"},
	{"stream", API_ALL, API_BOOL, 0, 0, 0, 0, A(stream), 0, NULL},
	{"stream_options", API_ALL, API_STREAM_OPTIONS, 0, 0, 0, 0, 0, 0,
	 "{include_usage: boolean, continuous_usage_stats: boolean}"},
	{"return_tokens_as_token_ids", API_ALL, API_BOOL, 0, 0, 0, 0, A(ids_as_tokens), 0, NULL},
	{"return_token_ids", API_BOTH, API_BOOL, 0, 0, 0, 0, A(return_ids), 0, NULL},
	{"response_format", API_BOTH, API_OTHER, 0, 0, 0, 0, 0, 0,
	 "{type: text, json_object, json_schema with json_schema.schema, structural_tag, regex with pattern, or grammar with grammar}"},
	{"structured_outputs", API_ALL, API_OTHER, 0, 0, 0, 0, 0, 0,
	 "object with one of json, json_object, regex, choice, grammar, structural_tag, and disable_any_whitespace"},
	{"guided_json", API_ALL, API_OTHER, 0, 0, 0, 0, 0, 0, "JSON Schema, or its text"},
	{"guided_regex", API_ALL, API_OTHER, 0, 0, 0, 0, 0, 0, "string"},
	{"guided_choice", API_ALL, API_OTHER, 0, 0, 0, 0, 0, 0, "list of strings"},
	{"guided_grammar", API_ALL, API_OTHER, 0, 0, 0, 0, 0, 0, "string: GBNF"},
	{"json_schema", API_ALL, API_OTHER, 0, 0, 0, 0, 0, 0, "JSON Schema, or its text"},
	{"grammar", API_ALL, API_OTHER, 0, 0, 0, 0, 0, 0, "string: GBNF"},
	{"regex", API_ALL, API_OTHER, 0, 0, 0, 0, 0, 0, "string"},
	{"ebnf", API_ALL, API_OTHER, 0, 0, 0, 0, 0, 0, "string: GBNF"},
	{"structural_tag", API_ALL, API_OTHER, 0, 0, 0, 0, 0, 0, "XGrammar's structural tag, or its text"},
	{"format", API_ALL, API_OTHER, 0, 0, 0, 0, 0, 0, "\"json\", or a JSON Schema"},
	{"user", API_ALL, API_USER, 0, 0, 0, 0, 0, 0, "string, at most 512 bytes"},
};

const struct api_field *api_fields(int *n)
{
	*n = sizeof fields / sizeof *fields;
	return fields;
}
