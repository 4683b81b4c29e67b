/* handover.h - the launcher holds the listening socket and hands it to rank 0, so that nobody is refused
 * during a restart.
 *
 * A private socket in a 0700 directory; both sides check the other's uid (SO_PEERCRED); the daemon shows a
 * nonce that it got through its environment; the launcher answers with one descriptor (SCM_RIGHTS), which
 * must be a listening AF_UNIX socket. The connection stays open: the daemon sends a byte about once a second,
 * so that the launcher knows a stopped rank 0 even where no other rank watches it. (Descriptors above 2 do
 * not pass mpirun.) */
#ifndef RPC_HANDOVER_H
#define RPC_HANDOVER_H

#include <sys/types.h>

#include "parallel/base.h"

#define HANDOVER_PATH "XVERSED_HANDOVER"
#define HANDOVER_NONCE "XVERSED_HANDOVER_NONCE"

/* ---- daemon: rank 0 ---- */
/* Where the environment names a launcher: *listen_fd is the socket to accept on, *beat_fd the open
 * connection. Without one both are -1. The variables are removed. */
int handover_take(int *listen_fd, int *beat_fd, struct why *why);
void handover_beat(int beat_fd); /* never blocks */

/* ---- launcher ---- */
struct handover {
	char dir[64], path[96], nonce[33];
	int fd; /* listening, private */
};
/* Makes the directory and the private socket, and sets the two variables for the children. */
int handover_open(struct handover *h, struct why *why);
void handover_close(struct handover *h); /* removes the directory with all that is in it */
/* A connection is waiting on h->fd: checks it and gives it `listen_fd`. Returns the connection (then *pid is
 * rank 0's), or ERR_*. */
int handover_give(struct handover *h, int listen_fd, pid_t *pid);

#endif
