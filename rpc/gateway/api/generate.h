/* generate.h - an exchange of /v1/completions or /v1/chat/completions: n calls of the daemon for each prompt, and
 * what came of them. */
#ifndef RPC_GATEWAY_API_GENERATE_H
#define RPC_GATEWAY_API_GENERATE_H

#include "rpc/gateway/api/request.h"
#include "rpc/gateway/api/chat.h"
#include "rpc/gateway/gateway.h"

enum {
	GENERATE_OPEN = 32,             /* calls of one exchange that run at once; the others wait here */
	GENERATE_OPEN_BYTES = 16 << 20, /* of their requests, beyond the first call */
};

/* Logprobs as JSON being written: of completions four lists, of chat one (in `tokens`). */
struct logprob_text {
	struct text tokens, values, top, offsets;
	int n;
};

enum choice_state { CHOICE_WAITS, CHOICE_OPEN, CHOICE_OVER };
struct choice {
	int index; /* prompt * n + i */
	enum choice_state state;
	uint64_t id, retry_ns;
	bool started, told_role;
	int64_t counted; /* bytes of what follows, in the exchange's budget */
	struct text text;
	struct logprob_text logprobs;
	struct text ids, prompt_ids, prompt_logprobs;
	size_t characters; /* of all tokens told so far: the next text_offset */
	enum rpc_finish reason;
	int32_t stop_id;
	char *stop_text;
	uint32_t prompt_tokens, output_tokens, cached_tokens;
};

struct generation {
	bool chat, accepted; /* accepted: a call has started */
	struct ask ask;
	struct prompts prompts;
	struct chat_input said; /* of a chat */
	struct choice *choice;
	int n_choices, first_waiting, n_open, n_started, n_over;
	size_t own_bytes;             /* of the choices and of what else was asked for, until the end */
	size_t all_bytes, call_bytes; /* of prompts or the conversation, while they are here; of one call's request */
	int64_t answer_bytes;
	bool prompt_only; /* max_tokens 0: what the one token asked for gives is not told */
	char *preamble;   /* the keys that all pieces have */
	struct text piece;
};

/* generate.c: takes the ask and prompts over. */
void generation_start(struct exchange *x, struct generation *w);
void generation_cancel(struct exchange *x); /* asked for by another request */
void generation_free(struct exchange *x);
extern const struct work_ops generation_ops;
void choice_finish(struct choice *c); /* frees what was gathered */
void make_preamble(struct exchange *x, struct generation *w, const struct rpc_started *s);

/* logprobs.c */
void logprobs_add(struct logprob_text *l, struct choice *c, const struct generation *w, const struct rpc_token *t);
void logprobs_write(struct text *t, struct logprob_text *l, bool chat); /* empties l; "null" where it is empty */
void logprobs_finish(struct logprob_text *l);
void prompt_logprobs_add(struct text *out, const struct rpc_token *t, const struct generation *w);

/* shape.c: the JSON of answers and pieces */
void shape_piece(struct exchange *x, struct generation *w, struct choice *c, const char *text, size_t len);
void shape_role(struct exchange *x, struct generation *w, struct choice *c);
void shape_finish(struct exchange *x, struct generation *w, struct choice *c);
void shape_usage(struct exchange *x, struct generation *w); /* the last piece of a stream */
void shape_whole(struct exchange *x, struct generation *w);

#endif
