/* handover.h - the launcher holds the listening socket and hands it to rank 0, so that no client is refused
 * during a restart.
 *
 * A private socket in a 0700 directory; both sides check the other's uid (SO_PEERCRED); the daemon shows a
 * nonce that it got through its environment; the launcher answers with one descriptor (SCM_RIGHTS), which
 * must be a listening AF_UNIX socket. The connection stays open: the daemon sends a byte now and then (enum
 * handover_word), so that the launcher knows how far rank 0 is, and a stopped one even where no other rank watches it.
 * The launcher answers with orders (enum handover_order) when another launcher takes over (launch/takeover.h).
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
	HANDOVER_STILL = 's',  /* the same, but a step runs and no operation has ended since the last byte */
	HANDOVER_SERVED = 'd', /* a drain is over: nothing is left but to end */
	HANDOVER_PHASE = 0x80, /* and seven more: how the start goes on, an enum load_phase of engine/progress.h */
	HANDOVER_PERCENT = 0x90, /* and a hundred more: how far that phase is */
};
enum handover_order {
	HANDOVER_ACCEPT = 'a', /* take connections, also after HANDOVER_LEAVE */
	HANDOVER_LEAVE = 'l',  /* take no more connections; end when those that are open have ended */
	HANDOVER_YIELD = 'y',  /* drain, and ask clients to wait: another process will load the model */
};

/* ---- daemon: rank 0 ---- */
/* Where the environment names a launcher: *listen_fd is the socket to accept on, *beat_fd the open
 * connection. Without one both are -1. *hold: accept only after HANDOVER_ACCEPT. The variables are removed. */
int handover_take(int *listen_fd, int *beat_fd, bool *hold, struct why *why);
void handover_say(int beat_fd, enum handover_word word); /* never blocks; any thread */
/* The next order, or 0: none has come; -1: the launcher is gone. Never blocks. */
int handover_hear(int beat_fd);

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
/* Hands listen_fd over; with `hold` rank 0 accepts only after HANDOVER_ACCEPT. The nonce is spent: the next start gets
 * a fresh one. False: the other side has gone. */
bool handover_give(struct handover *h, int fd, int listen_fd, bool hold);
void handover_order(int fd, enum handover_order order); /* to rank 0; fd -1: to no process */

#endif
