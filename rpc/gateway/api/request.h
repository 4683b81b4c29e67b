/* ask.h - a generation request as read from JSON: one table names every field, its type and its limits; the
 * reader, the description at /openapi.json and the tests go by it. */
#ifndef RPC_GATEWAY_API_REQUEST_H
#define RPC_GATEWAY_API_REQUEST_H

#include "base/json/json.h"
#include "rpc/codec/codec.h"

enum {
	ASK_MAX_N = 128,
	ASK_MAX_PROMPTS = 2048,
	ASK_MAX_CHOICES = 2048, /* n times prompts */
	ASK_MAX_STOP = 16,
	ASK_MAX_TOP = 20,
	ASK_MAX_IDS = 4096, /* of stop_token_ids, allowed_token_ids, ... */
	ASK_MAX_BIAS = 1024,
	ASK_DEPTH = 64,           /* of lists and objects in each other */
	ASK_MAX_VALUES = 1 << 18, /* values in a body, ids included */
};

/* NULL with the reason and its place: not one JSON value, duplicate keys, NaN, too deep, too many values. Any thread.
 */
struct json_doc *parse_body(const char *data, size_t len, struct json_error *e);

enum ask_where { ASK_COMPLETIONS = 1, ASK_CHAT = 2, ASK_BOTH = 3 };

enum ask_kind {
	ASK_FLOAT,  /* into sampling, with its bit */
	ASK_UINT,   /* into sampling, with its bit */
	ASK_TOP_K,  /* -1 means 0 */
	ASK_SEED,   /* up to 2^64-1; negative ones, down to -2^63, are taken as their two's complement */
	ASK_SWITCH, /* a bool of sampling, with its bit */
	ASK_BOOL,   /* a bool of the struct */
	ASK_INT,    /* an int of the struct */
	ASK_STOP,
	ASK_IDS,
	ASK_BIAS,
	ASK_USER,
	ASK_STREAM_OPTIONS,
	ASK_OTHER, /* read elsewhere (model, prompt, messages, ...) */
};

struct ask_field {
	const char *name;
	int where;
	enum ask_kind kind;
	double low, high;
	bool above_low; /* low itself is not allowed */
	int bit;        /* enum rpc_sampling_field */
	size_t at, count_at;
	const char *text; /* for the description */
};
const struct ask_field *ask_fields(int *n);

/* A field of some API that changes the answer and is not supported. Values that change nothing are taken. */
struct ask_unsupported {
	const char *name;
	int where;
	const char *neutral; /* JSON values besides null, separated by '|'; NULL: none */
	const char *instead; /* what to do about it; may be NULL */
};
const struct ask_unsupported *ask_unsupported(int *n);

struct ask {
	struct rpc_sampling sampling;
	bool stream, include_usage, usage_each, echo, ids_as_tokens, return_ids, logprobs;
	int n, top;     /* top: alternatives of each token, -1: no logprobs wanted */
	int prompt_top; /* vLLM's prompt_logprobs, -1 */
	char *user;
	char **stop;
	int32_t *stop_ids, *allowed, *bad;
	struct rpc_bias *bias;
	char ignored[512]; /* names of unknown keys, for a header */
};
/* Adds "prefix.key" to a list of names; what a header cannot say, or has no room for, is left out. */
void ask_note_ignored(char ignored[512], const char *prefix, const char *key);

/* ERR_INVALID with *param naming the field (a static string). Pointers in `sampling` are owned by the ask. */
int ask_read(struct ask *a, const struct json *body, enum ask_where where, const char **param, struct why *why);
void ask_finish(struct ask *a);
size_t ask_bytes(const struct ask *a); /* of its lists and texts: what each call carries of it */

/* "prompt": a text, token ids, or a list of either. */
struct prompts {
	struct rpc_prompt *prompt; /* texts and ids are owned */
	int n;
	size_t bytes, longest; /* of all of them, and of one */
};
int prompts_read(struct prompts *p, const struct json *value, struct why *why);
void prompts_finish(struct prompts *p);
/* A list of token ids. */
int ask_ids(const struct json *value, const char *name, int most, int32_t **out, int *n, struct why *why);

#endif
