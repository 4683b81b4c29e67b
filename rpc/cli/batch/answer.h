/* answer.h - what the server answered to the calls of a line becomes a line of the output. Nothing in it depends on
 * time, order or load: the same request has the same bytes. */
#ifndef RPC_CLI_BATCH_ANSWER_H
#define RPC_CLI_BATCH_ANSWER_H

#include "base/text.h"
#include "rpc/cli/batch/line.h"
#include "rpc/cli/pump.h"

/* The answer of one call, as JSON that is ready to be written. */
struct batch_choice {
	bool there;
	struct text text; /* and further keys of a message: */
	struct text more;
	struct text logprobs, prompt_logprobs, ids;
	const char *finish; /* finish_reason */
	struct text stop;   /* stop_reason */
	uint32_t prompt_tokens, output_tokens;
	uint64_t seed;
};

void batch_choice_take(struct batch_choice *c, const struct batch_request *q, const struct pump_result *r);
void batch_choice_finish(struct batch_choice *c);
/* model: the served name; print: fingerprint and numerics class. */
void batch_answer(struct text *out, const struct batch_request *q, const struct batch_choice *choice, const char *model,
		  const char *print);
/* A line that has no answer. number: of the line in the file. */
void batch_answer_error(struct text *out, const struct batch_request *q, uint32_t number, int err, const char *text);

#endif
