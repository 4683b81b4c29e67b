/* receipt.h - what a result is of: model, numerics, tokenizer, protocol and data. */
#ifndef RPC_CLI_EVAL_RECEIPT_H
#define RPC_CLI_EVAL_RECEIPT_H

#include <jansson.h>

#include "rpc/cli/eval/bench.h"
#include "rpc/xverse.h"

/* The same for all benchmarks of a command line. */
struct eval_receipt {
	char *model, *fingerprint, *numerics_class, *version, *device;
	char *adapter, *adapter_fingerprint; /* "": none */
	char tokenizer_sha256[65];
	int max_model_len;
	int32_t bare[EVAL_LETTERS]; /* ids of the letters alone */
};
/* The adapter that --adapter names; NULL: the server has none of that name. */
const struct xv_adapter *eval_adapter_find(const struct xv_status *s, const char *name, struct why *why);
int eval_receipt_ask(struct eval_receipt *r, struct xv_client *c, const char *adapter,
		     struct why *why); /* adapter may be NULL */
void eval_receipt_close(struct eval_receipt *r);

json_t *eval_protocol(const struct eval_bench *b, const struct eval_plan *p, int max_prompt);
/* One line of JSON: all that a run's samples depend on. Malloced. */
char *eval_head(const struct eval_bench *b, const struct eval_plan *p, int max_prompt, const struct eval_receipt *r);

#endif
