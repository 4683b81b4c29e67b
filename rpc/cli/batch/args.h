/* args.h - what the command line of `xverse batch` says beside its sampling options; struct args holds one. */
#ifndef RPC_CLI_BATCH_ARGS_H
#define RPC_CLI_BATCH_ARGS_H

#include <stdbool.h>
#include <stdint.h>

struct batch_args {
	const char *in, *out, *model;
	const char *server;     /* options of the daemon that --model starts, between blanks */
	int64_t ranks, retries; /* 0: the default; retries: below 0 */
	bool fresh, as_is;
};

#endif
