/* sample.h - what came of one question: a line of the samples file, which is the journal of the run, too. */
#ifndef RPC_CLI_EVAL_SAMPLE_H
#define RPC_CLI_EVAL_SAMPLE_H

#include "rpc/cli/eval/bench.h"

/* How a letter is chosen, all from the same forward pass. */
enum eval_rule {
	EVAL_BARE, /* the id of the letter alone, as hendrycks/test has it */
	EVAL_CTX,  /* the id of the letter behind the prompt, as lm-eval has it */
	EVAL_MAX,  /* the greater of both */
	EVAL_RULES
};
extern const char *const eval_rule_names[EVAL_RULES];
int eval_rule_find(const char *name); /* "sum" is ctx: continuations of one token are their own sums; below 0: none */

struct eval_sample {
	const char *bench, *task, *id; /* id: NULL: none */
	int index, k, tokens, gold, options;
	bool truncated;
	char prompt_sha256[65];
	float bare[EVAL_LETTERS], ctx[EVAL_LETTERS];
	bool sums; /* letters behind the prompt are several tokens: ctx are sums of logprobs, and max compares logprobs
		    */
	float bare_logprob[EVAL_LETTERS]; /* where sums */
	int pred[EVAL_RULES];
};

/* Fills pred: the greatest number, the lowest letter of equals, as numpy.argmax does. */
void eval_choose(struct eval_sample *s);
void eval_sample_write(struct text *out, const struct eval_sample *s); /* without a line end */
/* The texts of *s are the document's. ERR_FORMAT. */
int eval_sample_read(struct eval_sample *s, struct json_doc **doc, const char *line, size_t len, struct why *why);

#endif
