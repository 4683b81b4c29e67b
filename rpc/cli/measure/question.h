/* question.h - a line of a file for `xverse eval exact`: a request of the plain form of a batch, and what answers it.
 */
#ifndef RPC_CLI_MEASURE_QUESTION_H
#define RPC_CLI_MEASURE_QUESTION_H

#include "rpc/cli/batch/line.h"
#include "rpc/cli/measure/normalize.h"

struct measure_question {
	struct batch_request request;
	struct json_doc *doc;
	const struct json *answers; /* a text or a list of texts */
	normalizer *normalize;
	const char *name; /* of the normalizer */
};
/* usual: the normalizer of a line that names none; NULL: strip. ERR_FORMAT, ERR_INVALID. Call measure_question_finish()
 * also then. */
int measure_question_read(struct measure_question *q, const char *text, size_t len, uint32_t number, const char *usual,
			  struct why *why);
void measure_question_finish(struct measure_question *q);
/* Appends the line of the samples file; whether the output is right. */
bool measure_question_answer(struct text *out, const struct measure_question *q, const char *text, size_t len,
			     uint32_t tokens, const char *finish);

#endif
