/* pass.h - hands a file descriptor from rank 0 to the other ranks of its node.
 *
 * Each of them sends one end of a socket pair in a datagram to an abstract Unix socket of rank 0 (unix(7)), and gets
 * the descriptor over it. That needs no right to look into rank 0's process, so it also works between ranks in user
 * namespaces of their own, and for binaries that may not be read. Anybody on the machine may send to the socket: a
 * datagram without the secret, which travels by MPI, is dropped, and none can hold up the others. */
#ifndef PARALLEL_PASS_H
#define PARALLEL_PASS_H

#include "base/base.h"

/* What rank 0 tells the others: where to send, and with which secret. */
struct pass_ticket {
	uint64_t name[2], secret[2];
};

/* Rank 0: the socket; fills *ticket. Dies where there is none. */
int pass_listen(struct pass_ticket *ticket);
/* Rank 0: gives `fd` to ranks 1 .. size-1. False: not all of them came within timeout_ms. */
bool pass_give(int socket, const struct pass_ticket *ticket, int fd, int size, int timeout_ms);
/* Others: the descriptor, or -1 (errno is set). */
int pass_take(const struct pass_ticket *ticket, int rank, int timeout_ms);

#endif
