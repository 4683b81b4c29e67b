/* pass.h - sends a file descriptor from rank 0 to the other ranks of its node.
 *
 * Each of them sends one end of a socket pair in a datagram to an abstract Unix socket of rank 0 (unix(7)), and
 * receives the descriptor over the other end. This needs no access to rank 0's process, so it also works between ranks
 * in user namespaces of their own, and for binaries that may not be read. Every process of the machine may send to the
 * socket: a datagram without the secret, which travels by MPI, is dropped, and none can delay the others. */
#ifndef PARALLEL_PASS_H
#define PARALLEL_PASS_H

#include "base/base.h"

/* What rank 0 broadcasts to the others: the socket's name and the secret. */
struct pass_ticket {
	uint64_t name[2], secret[2];
};

/* Rank 0: returns the socket and fills *ticket. Dies on failure. */
int pass_listen(struct pass_ticket *ticket);
/* Rank 0: sends `fd` to ranks 1 .. size-1. False: not all of them asked for it within timeout_ms. */
bool pass_give(int socket, const struct pass_ticket *ticket, int fd, int size, int timeout_ms);
/* Others: the descriptor, or -1 (errno is set). */
int pass_take(const struct pass_ticket *ticket, int rank, int timeout_ms);

#endif
