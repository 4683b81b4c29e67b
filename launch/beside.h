/* beside.h - keeps a gateway running beside the job. */
#ifndef LAUNCH_BESIDE_H
#define LAUNCH_BESIDE_H

#include <sys/types.h>

#include "launch/output.h"

enum { BESIDE_ARGS = 64 };

struct beside {
	char *argv[BESIDE_ARGS]; /* the gateway's, from 1 on; argv[0] is its path */
	int n;                   /* 0: no gateway */
	char path[4096];
	const struct output *output;
	pid_t pid;  /* 0: it is not running */
	bool asked; /* it was asked to end */
	bool came;  /* a gateway was up once */
	int failed; /* exit code of a first gateway that could not start; 0: none, or not tried yet */
	uint64_t started_ns, next_ns;
	int wait_ms;
};

/* Parses --http PORT, --http HOST:PORT, --http [ADDRESS]:PORT or --http-option OPTION at argv[*i] and moves *i past its
 * value. Returns false for another option. Exits if the value is missing or invalid. */
bool beside_option(struct beside *b, char **argv, int *i);
/* socket: the daemon's; xversed: its path, whose folder has the gateway. The caller keeps all of them alive. */
void beside_prepare(struct beside *b, const struct output *output, const char *socket, const char *xversed);
/* Lets the gateway check its options, files and port and print what is wrong. Returns its exit code. Takes 10 s at
 * most. */
int beside_check(const struct beside *b);
/* Starts the gateway, and restarts it after it ended. Sets b->failed if the first one could not start. */
void beside_look(struct beside *b);
void beside_hang_up(const struct beside *b); /* it opens and reads its files again */
void beside_drain(struct beside *b);
void beside_end(struct beside *b); /* waits 3 s at most */

#endif
