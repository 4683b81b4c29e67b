/* beside.h - keeps a gateway running beside the job. */
#ifndef LAUNCH_BESIDE_H
#define LAUNCH_BESIDE_H

#include <sys/types.h>

#include "launch/output.h"
#include "rpc/server/listen.h"

enum { BESIDE_ARGS = 64, BESIDE_LEFT = 8 };

struct beside {
	char *argv[BESIDE_ARGS]; /* the gateway's, from 1 on; argv[0] is its path */
	int n;                   /* 0: no gateway */
	char path[4096];
	const struct output *output;
	struct rpc_listener listener; /* the socket that each gateway listens with; fd -1: it opens its own */
	bool shared;                  /* it came from the launcher that is taken over from */
	bool foreign;                 /* the files of a Unix socket are another launcher's, as is its lock's text */
	bool held;                    /* no gateway is to start yet */
	pid_t pid;                    /* 0: it is not running */
	pid_t left[BESIDE_LEFT];      /* gateways that accept no more and finish their requests; 0: none */
	bool asked;                   /* none is to be started again */
	bool drained;                 /* all were asked to end */
	bool came;                    /* a gateway was up once, or its failure is to end no job */
	int failed;                   /* exit code of a first gateway that could not start; 0: none, or not tried yet */
	uint64_t started_ns, next_ns;
	int wait_ms;
};

/* Parses --http PORT, --http HOST:PORT, --http [ADDRESS]:PORT or --http-option OPTION at argv[*i] and moves *i past its
 * value. Returns false for another option. Exits if the value is missing or invalid. */
bool beside_option(struct beside *b, char **argv, int *i);
/* socket: the daemon's; xversed: its path, whose folder has the gateway. The caller keeps all of them alive. */
void beside_prepare(struct beside *b, const struct output *output, const char *socket, const char *xversed);
/* Lets the gateway check its options, files and port and print what is wrong. Returns its exit code. Takes 10 s at
 * most. Keeps the socket that it has opened as b->listener, so that clients wait, and are not refused, while no gateway
 * runs. offered: the descriptors of another launcher's, which are taken if they are of that address, or NULL; the
 * caller keeps them. */
int beside_check(struct beside *b, const struct rpc_listener *offered);
/* Starts the gateway, and restarts it after it ended. Sets b->failed if the first one could not start. */
void beside_look(struct beside *b);
void beside_hang_up(const struct beside *b); /* it opens and reads its files again */
void beside_drain(struct beside *b);
/* Another launcher serves now: the gateway accepts no more, and ends once its requests have ended. */
void beside_leave(struct beside *b);
void beside_own(struct beside *b);           /* the files of its Unix socket are this launcher's from now on */
void beside_come_back(struct beside *b);     /* after beside_leave(): this launcher serves again */
bool beside_is_busy(const struct beside *b); /* a gateway runs */
void beside_unlisten(struct beside *b);      /* gives up b->listener */
void beside_end(struct beside *b);           /* waits 3 s at most */

#endif
