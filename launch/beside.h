/* beside.h - the gateway that the launcher keeps running beside the job. */
#ifndef LAUNCH_BESIDE_H
#define LAUNCH_BESIDE_H

#include <sys/types.h>

#include "launch/output.h"

enum { BESIDE_ARGS = 64 };

struct beside {
	char *argv[BESIDE_ARGS]; /* of the gateway, from 1 on; argv[0] is its path */
	int n;                   /* 0: none is wanted */
	char path[4096];
	const struct output *output;
	pid_t pid;  /* 0: not running */
	bool told;  /* to end */
	bool came;  /* one was up once */
	int failed; /* the code with which the first could not start; 0: it could, or was not tried yet */
	uint64_t started_ns, next_ns;
	int wait_ms;
};

/* Takes --http PORT, --http HOST:PORT, --http [ADDRESS]:PORT or --http-option OPTION at argv[*i], moving *i over its
 * value. False: another option. Ends the process where the value is missing or cannot be. */
bool beside_option(struct beside *b, char **argv, int *i);
/* socket: of the daemon; xversed: its path, the gateway lies beside it. All must stay. */
void beside_prepare(struct beside *b, const struct output *output, const char *socket, const char *xversed);
/* Lets the gateway look at its options, files and port, and say what is wrong with them: its exit code. 10 s at most.
 */
int beside_check(const struct beside *b);
/* Starts it, again after it ended. Sets b->failed where the first one could not start. */
void beside_look(struct beside *b);
void beside_drain(struct beside *b);
void beside_end(struct beside *b); /* waits for it, 3 s at most */

#endif
