/* ask.h - a generation request as read from JSON: one table names every field, its type and its limits; the
 * reader, the description at /openapi.json and the tests go by it. */
#ifndef RPC_GATEWAY_ASK_H
#define RPC_GATEWAY_ASK_H

#include <jansson.h>

#include "rpc/codec.h"

enum {
	ASK_MAX_N = 128,
	ASK_MAX_PROMPTS = 2048,
	ASK_MAX_CHOICES = 2048, /* n times prompts */
	ASK_MAX_STOP = 16,
	ASK_MAX_TOP = 20,
	ASK_MAX_IDS = 4096, /* of stop_token_ids, allowed_token_ids, ... */
	ASK_MAX_BIAS = 1024,
	ASK_DEPTH = 64, /* of lists and objects in each other */
};

/* NULL with the reason: not one JSON value, duplicate keys, too deep. Any thread. */
json_t *parse_body(const char *data, size_t len, char error[160]);

enum ask_where { ASK_COMPLETIONS = 1, ASK_CHAT = 2, ASK_BOTH = 3 };

enum ask_kind {
	ASK_FLOAT,  /* into sampling, with its bit */
	ASK_UINT,   /* into sampling, with its bit */
	ASK_TOP_K,  /* -1 means 0 */
	ASK_SEED,   /* 64 bits; negative ones are taken as their two's complement */
	ASK_SWITCH, /* a bool of sampling, with its bit */
	ASK_BOOL,   /* a bool of the struct */
	ASK_INT,    /* an int of the struct */
	ASK_STOP,
	ASK_IDS,
	ASK_BIAS,
	ASK_USER,
	ASK_STREAM_OPTIONS,
	ASK_NEUTRAL, /* known, not supported: only its neutral value is taken */
	ASK_OTHER,   /* read elsewhere (model, prompt, messages, ...) */
};

struct ask_field {
	const char *name;
	int where;
	enum ask_kind kind;
	double low, high;
	bool above_low; /* low itself is not allowed */
	int bit;        /* enum rpc_sampling_field */
	size_t at, count_at;
	const char *text; /* for the description; of ASK_NEUTRAL: the JSON values taken, separated by '|' */
};
const struct ask_field *ask_fields(int *n);

struct ask {
	struct rpc_sampling sampling;
	bool stream, include_usage, echo, ids_as_tokens, return_ids, logprobs;
	int n, top;           /* top: alternatives of each token, -1: no logprobs wanted */
	int prompt_top;       /* vLLM's prompt_logprobs, -1 */
	int64_t max_completion; /* -1: unset */
	char *user;
	char **stop;
	int32_t *stop_ids, *allowed, *bad;
	struct rpc_bias *bias;
	char ignored[256]; /* names of unknown keys, for a header */
};

/* ERR_INVALID with *param naming the field (a static string). Pointers in `sampling` are owned by the ask. */
int ask_read(struct ask *a, json_t *body, enum ask_where where, const char **param, struct why *why);
void ask_finish(struct ask *a);

/* "prompt": a text, token ids, or a list of either. */
struct prompts {
	struct rpc_prompt *prompt; /* texts point into the JSON, ids are owned */
	int n;
};
int prompts_read(struct prompts *p, const json_t *value, struct why *why);
void prompts_finish(struct prompts *p);
/* A list of token ids. */
int ask_ids(const json_t *value, const char *name, int most, int32_t **out, int *n, struct why *why);

#endif
