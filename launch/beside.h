/* beside.h - the gateway that the launcher keeps running beside the job. */
#ifndef LAUNCH_BESIDE_H
#define LAUNCH_BESIDE_H

#include <sys/types.h>

#include "parallel/base.h"

enum { BESIDE_ARGS = 64 };

struct beside {
	char *argv[BESIDE_ARGS]; /* of the gateway, from 1 on; argv[0] is its path */
	int n;                   /* 0: none is wanted */
	char path[4096];
	pid_t pid; /* 0: not running */
	bool told; /* to end */
	uint64_t started_ns, next_ns;
	int wait_ms;
};

/* Takes --http PORT, --http HOST:PORT or --http-option OPTION at argv[*i], moving *i over its value. False: another option.
 * Ends the process where the value is missing or cannot be. */
bool beside_option(struct beside *b, char **argv, int *i);
/* socket: of the daemon; xversed: its path, the gateway lies beside it. Both must stay. */
void beside_prepare(struct beside *b, const char *socket, const char *xversed);
void beside_look(struct beside *b); /* starts it, again after it ended */
void beside_drain(struct beside *b);
void beside_end(struct beside *b); /* waits for it, 3 s at most */

#endif
