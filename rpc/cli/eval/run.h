/* run.h - asks a server all questions of a benchmark. */
#ifndef RPC_CLI_EVAL_RUN_H
#define RPC_CLI_EVAL_RUN_H

#include "rpc/cli/eval/receipt.h"
#include "rpc/cli/eval/tally.h"

struct eval_how {
	const char *out; /* folder of results */
	int max_prompt, in_flight;
	bool resume, quiet;
	enum eval_rule rule;
};

struct eval_outcome {
	struct eval_tally tally;
	int asked, done; /* questions that are to be asked; that have been, by earlier runs too */
	int failed;
	bool interrupted;
	struct why why; /* of the first failure */
	char *samples;  /* path of the samples file */
};

/* The journal is OUT/BENCH.journal, the samples OUT/BENCH.samples.jsonl. 0 also after an interruption; errors are
 * those of the server and of files. */
int eval_run(struct eval_outcome *o, const struct eval_bench *b, const struct eval_plan *p, const struct eval_how *how,
	     const struct eval_receipt *receipt, struct xv_client *c, struct why *why);
void eval_outcome_close(struct eval_outcome *o);

#endif
