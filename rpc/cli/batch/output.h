/* output.h - what lies where a batch's answers go, before the run begins. */
#ifndef RPC_CLI_BATCH_OUTPUT_H
#define RPC_CLI_BATCH_OUTPUT_H

#include "rpc/cli/batch/input.h"

/* ERR_INVALID: `path` cannot be the output: it is no regular file, or it or its journal is the input itself;
 * its folder does not exist, or takes no files; one of the two is "-". */
int batch_output_check(const char *input, const char *path, const char *journal, struct why *why);
/* Whether an earlier run has answered all lines of the input; *refused of them with an error. ERR_MISMATCH: the file
 * holds something else, which is not to be replaced unasked. A run that is not over has a journal: 0, and not
 * complete. */
int batch_output_look(const struct batch_input *in, const char *path, const char *journal, bool *complete,
		      uint64_t *refused, struct why *why);
/* Where the clock of the output's file system is behind that of the input's, or was set back, a complete output would
 * look older than what it answers: it gets the input's time. */
void batch_output_date(const struct batch_input *in, const char *path);
/* An answer is an error; inside of a text its quotes would be escaped. */
bool batch_output_is_error(const char *line);

#endif
