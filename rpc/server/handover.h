/* handover.h - the launcher holds the listening socket and hands it to rank 0, so that no client is refused
 * during a restart.
 *
 * A private socket in a 0700 directory; both sides check the other's uid (SO_PEERCRED); the daemon shows a
 * nonce that it got through its environment; the launcher answers with one descriptor (SCM_RIGHTS), which
 * must be a listening AF_UNIX socket. The connection stays open: the daemon sends a byte now and then (enum
 * handover_word), so that the launcher knows how far rank 0 is, and a stopped one even where no other rank watches it.
 * (Descriptors above 2 do not pass mpirun.) */
#ifndef RPC_SERVER_HANDOVER_H
#define RPC_SERVER_HANDOVER_H

#include <poll.h>
#include <sys/types.h>

#include "base/base.h"

#define HANDOVER_PATH "XVERSED_HANDOVER"
#define HANDOVER_NONCE "XVERSED_HANDOVER_NONCE"

enum handover_word {
	HANDOVER_ALIVE = 'w',  /* the watch thread, four times a second once it runs */
	HANDOVER_FRONT = 'b',  /* the front thread, about once a second */
	HANDOVER_READY = 'r',  /* the same, once calls are served: a launcher that was away hears of it all the same */
	HANDOVER_SERVED = 'd', /* a drain is over: nothing is left but to end */
};

/* ---- daemon: rank 0 ---- */
/* Where the environment names a launcher: *listen_fd is the socket to accept on, *beat_fd the open
 * connection. Without one both are -1. The variables are removed. */
int handover_take(int *listen_fd, int *beat_fd, struct why *why);
void handover_say(int beat_fd, enum handover_word word); /* never blocks; any thread */

/* ---- launcher ---- */
enum { HANDOVER_WAITING = 16, HANDOVER_NONCE_BYTES = 32 };

struct handover {
	char path[108], nonce[HANDOVER_NONCE_BYTES + 1];
	int fd;                /* listening, private */
	struct handover_peer { /* connected, has not shown a whole nonce yet */
		int fd;        /* -1: none */
		size_t got;
		uint64_t end_ns; /* then it is closed; by the clock of handover_look() */
		char shown[HANDOVER_NONCE_BYTES];
	} waiting[HANDOVER_WAITING];
};
/* Makes the private socket in `dir`, which is 0700, and sets the two variables for the children. */
int handover_open(struct handover *h, const char *dir, struct why *why);
void handover_close(struct handover *h); /* the socket's file goes with its directory */
/* Fills what to poll; returns how many, 1 + HANDOVER_WAITING at most. */
int handover_polls(const struct handover *h, struct pollfd *p);
/* Accepts and reads what has arrived, without waiting; a peer that shows a wrong nonce, or none in 10 s of the caller's
 * clock, is closed. Returns a connection that showed the right one, the caller's from now on, and *pid at its other
 * end; -1: none. */
int handover_look(struct handover *h, uint64_t clock_ns, pid_t *pid);
/* Hands listen_fd over. The nonce is spent: the next start gets a fresh one. False: the other side has gone. */
bool handover_give(struct handover *h, int fd, int listen_fd);

#endif
