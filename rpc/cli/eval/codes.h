/* codes.h - exit codes of `xverse eval`. */
#ifndef RPC_CLI_EVAL_CODES_H
#define RPC_CLI_EVAL_CODES_H

/* Exit codes of the benchmarks; a server that does not answer, and failures of the server, have those of the other
 * commands. */
enum { EVAL_DONE = 0, EVAL_USAGE = 1, EVAL_PARTIAL = 2, EVAL_ALARM = 3 };

/* Of an error: a wrong file, line or option is EVAL_USAGE. */
int eval_exit_code(int err);

#endif
