/* generate.h - the daemon's calls for the choices of a generation. */
#ifndef RPC_GATEWAY_API_GENERATE_H
#define RPC_GATEWAY_API_GENERATE_H

#include "rpc/gateway/api/generation.h"

enum {
	API_OPEN = 32,             /* calls of one exchange that run at once; the others wait here */
	API_OPEN_BYTES = 16 << 20, /* of their requests, beyond the first call */
};

/* Starts the calls of a generation whose request and prompts were read, or answers with an error. */
void api_generate(struct api_generation *w);

#endif
