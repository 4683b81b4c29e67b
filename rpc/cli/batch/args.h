/* args.h - what the command lines of `xverse batch` and `xverse submit` say beside sampling options; struct args holds
 * one. */
#ifndef RPC_CLI_BATCH_ARGS_H
#define RPC_CLI_BATCH_ARGS_H

#include <stdbool.h>
#include <stdint.h>

struct batch_args {
	const char *in, *out, *model;
	const char *server;     /* options of the daemon that --model starts, between blanks */
	const char *part;       /* K/N; NULL: the whole file */
	int64_t ranks, retries; /* 0: the default; retries: below 0 */
	bool fresh, as_is;
	/* of `xverse submit` alone: */
	int64_t tasks, nodes;                                         /* 0: the default */
	const char *gres, *time_limit, *partition, *account, *sbatch; /* as sbatch takes them; sbatch: between blanks */
	bool print;
};

#endif
