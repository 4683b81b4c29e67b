/* generation.h - an exchange of /v1/completions, /v1/chat/completions or /v1/responses: n calls of the daemon for each
 * prompt, and their results. */
#ifndef RPC_GATEWAY_API_GENERATION_H
#define RPC_GATEWAY_API_GENERATION_H

#include "rpc/gateway/api/chat.h"
#include "rpc/gateway/api/logprobs.h"
#include "rpc/gateway/api/parts.h"
#include "rpc/gateway/api/prompts.h"
#include "rpc/gateway/api/request.h"
#include "rpc/gateway/api/upstream.h"

enum api_choice_state { API_CHOICE_WAITS, API_CHOICE_OPEN, API_CHOICE_OVER };

struct api_choice {
	int index; /* prompt * n + i */
	enum api_choice_state state;
	uint64_t id, retry_ns;
	bool started, role_sent;
	int64_t counted; /* bytes of what follows, in the exchange's budget */
	struct api_generation *of;
	struct text text; /* of a completion; a chat's lies in: */
	struct api_parts parts;
	struct api_logprobs logprobs;
	struct text ids, prompt_ids, prompt_logprobs;
	enum xv_finish reason;
	int32_t stop_id;
	char *stop_text;
	uint32_t prompt_tokens, output_tokens, cached_tokens;
};

struct api_generation;

/* How results reach the client. */
struct api_form {
	/* The first call runs; a stream has begun. */
	void (*begin)(struct api_generation *w, const struct xv_started *s);
	/* A part of a chat's answer, as its parser reports it. */
	void (*part)(struct api_generation *w, struct api_choice *c, enum tools_kind kind, int call, const char *s,
		     size_t n);
	/* A chunk's text, which the choice's parser takes if it has one. Logprobs and ids have been gathered. */
	void (*chunk)(struct api_generation *w, struct api_choice *c, const struct xv_chunk *k);
	void (*over)(struct api_generation *w, struct api_choice *c); /* a choice, whose parser has reported all */
	void (*end)(struct api_generation *w);                        /* all choices are over */
	void (*fail)(struct api_generation *w, int status, const char *code, const char *text); /* ends a stream */
	size_t (*bytes)(const struct api_generation *w); /* memory of the answer, beside the choices'; NULL: none */
	void (*free)(void *data);                        /* NULL: there is none */
};

struct api_generation {
	struct http_exchange *x;
	struct api_upstream *up;
	const struct api_form *form; /* NULL: that of completions and chats */
	void *form_data;
	size_t form_bytes;      /* of what the form keeps of the request */
	bool is_chat, accepted; /* accepted: a call has started */
	struct api_request request;
	struct api_prompts prompts;
	struct api_chat chat; /* where is_chat is set */
	struct api_choice *choice;
	int n_choices, first_waiting, n_open, n_started, n_over;
	size_t own_bytes; /* of the choices and of what else was asked for, until the end */
	size_t all_bytes,
		call_bytes; /* of prompts or the conversation, until all calls started; of one call's request */
	int64_t answer_bytes;
	bool one_call;          /* of tools, an answer */
	size_t n_pieces;        /* sent so far */
	bool prompt_only;       /* max_tokens 0: one token is asked for and not sent */
	struct json_doc *tools; /* of a chat, for the parsers of its answers; NULL: none */
	char *preamble;         /* the keys that all pieces have */
	struct text piece;
};

/* Attaches a generation to the exchange, which owns it, for the model that the body names. Returns NULL where it
 * answered with an error. */
struct api_generation *api_generation_create(struct http_exchange *x);
void api_choice_finish(struct api_choice *c); /* frees what was gathered */

#endif
