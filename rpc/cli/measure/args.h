/* args.h - what the command line of `xverse eval ppl`, `classes` and `exact` says; struct args holds one. */
#ifndef RPC_CLI_MEASURE_ARGS_H
#define RPC_CLI_MEASURE_ARGS_H

#include <stdint.h>

struct measure_args {
	int64_t window, stride, positions; /* 0: the default */
	const char *field, *classes, *normalizer;
};

#endif
