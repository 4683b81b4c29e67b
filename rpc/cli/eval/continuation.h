/* continuation.h - letters that are several tokens behind a prompt, or change its last ones: each is scored as the sum
 * of its tokens' logprobs, one request for each token, after the prompt and its continuations went through the
 * tokenizer. */
#ifndef RPC_CLI_EVAL_CONTINUATION_H
#define RPC_CLI_EVAL_CONTINUATION_H

#include "base/text.h"
#include "rpc/cli/eval/bench.h"
#include "rpc/xverse.h"

struct eval_continuation;

struct eval_continuation *eval_continuation_open(int letters);
void eval_continuation_close(struct eval_continuation *k); /* NULL is fine */
/* The next request; what it points to is the continuation's. most: tokens of a prompt, of which the last ones count. */
void eval_continuation_make(struct eval_continuation *k, const struct text *prompt, const char *delimiter, int most,
			    struct xv_request *x);
/* Takes its reply. 1: there is another one; 0: all sums are known; ERR_FORMAT. */
int eval_continuation_take(struct eval_continuation *k, const struct xv_reply *r, struct why *why);
void eval_continuation_sums(const struct eval_continuation *k, float sum[EVAL_LETTERS]);

#endif
