/* fields.h - the fields of a generation request: one table names each, its type and its limits. The reader, the
 * description at /openapi.json and the tests go by it. */
#ifndef RPC_GATEWAY_API_FIELDS_H
#define RPC_GATEWAY_API_FIELDS_H

#include "rpc/codec/codec.h"

enum {
	API_MAX_N = 128,
	API_MAX_PROMPTS = 2048,
	API_MAX_CHOICES = 2048, /* n times prompts */
	API_MAX_STOP = 16,
	API_MAX_TOP = 20,
	API_MAX_IDS = 4096, /* of stop_token_ids, allowed_token_ids, ... */
	API_MAX_BIAS = 1024,
};

enum api_where { API_COMPLETIONS = 1, API_CHAT = 2, API_BOTH = 3, API_RESPONSES = 4, API_ALL = 7 };

enum api_field_kind {
	API_FLOAT,  /* a float of sampling; `bit` of sampling.has says that it was given */
	API_UINT,   /* a uint32_t of sampling, with its bit */
	API_TOP_K,  /* an int of sampling, with its bit; -1 means 0 */
	API_SEED,   /* up to 2^64-1; negative ones, down to -2^63, stand for their two's complement */
	API_SWITCH, /* a bool of sampling, with its bit */
	API_BOOL,   /* a bool of struct api_request */
	API_INT,    /* an int of struct api_request */
	API_STOP,
	API_IDS,
	API_BIAS,
	API_USER,
	API_STREAM_OPTIONS,
	API_OTHER, /* read elsewhere (model, prompt, messages, ...) */
};

struct api_field {
	const char *name;
	int where;
	enum api_field_kind kind;
	double low, high;
	bool above_low; /* low itself is not allowed */
	int bit;        /* enum xv_sampling_field */
	size_t at, count_at;
	const char *text; /* what /openapi.json says; NULL: nothing */
};
const struct api_field *api_fields(int *n);

/* A request after its fields were read. */
struct api_request {
	struct xv_sampling sampling;
	bool stream, include_usage, usage_each, echo, ids_as_tokens, return_ids, logprobs;
	int n, top;     /* top: alternatives for each token; -1: no logprobs */
	int prompt_top; /* vLLM's prompt_logprobs; -1: none */
	char *user;
	char **stop;
	int32_t *stop_ids, *allowed, *bad;
	struct xv_bias *bias;
	char *constraint_text; /* of sampling.constraint, as are: */
	char **choice;         /* ends with NULL */
	char ignored[512];     /* names of unknown keys, for X-Ignored-Fields */
};

#endif
