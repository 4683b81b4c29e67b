/* ids.h - the token ids of the letters. */
#ifndef RPC_CLI_EVAL_IDS_H
#define RPC_CLI_EVAL_IDS_H

#include "rpc/cli/eval/bench.h"
#include "rpc/xverse.h"

struct eval_ids {
	int32_t bare[EVAL_LETTERS]; /* the last id of "A" alone, without special tokens */
	int32_t ctx[EVAL_LETTERS];  /* the id that "A" adds behind a prompt */
	bool has_ctx; /* false: behind a prompt a letter is more than one token, or changes the tokens before it */
};

int eval_ids_bare(struct xv_client *c, int32_t bare[EVAL_LETTERS], struct why *why);
/* Behind a prompt that ends as all of the task do. */
int eval_ids_ctx(struct xv_client *c, const struct eval_task *t, struct eval_ids *ids, struct why *why);
/* SHA-256 of what the tokenizer makes of a text of many kinds of characters, the letters included. */
int eval_tokenizer_hash(struct xv_client *c, char hex[65], struct why *why);

#endif
