#include "parallel/pass.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/base.h"
#include "base/parcel.h"

struct call_in {
	uint64_t secret[2];
	int32_t rank;
};

/* An abstract address: its first byte is 0. */
static socklen_t address_of(const struct pass_ticket *t, struct sockaddr_un *a)
{
	*a = (struct sockaddr_un){.sun_family = AF_UNIX};
	snprintf(a->sun_path + 1, sizeof a->sun_path - 1, "xversed-%016llx%016llx", (unsigned long long)t->name[0],
		 (unsigned long long)t->name[1]);
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(a->sun_path + 1));
}

int pass_listen(struct pass_ticket *ticket)
{
	struct sockaddr_un a;
	int s = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (getrandom(ticket, sizeof *ticket, 0) != sizeof *ticket)
		die("no random numbers: %s", strerror(errno));
	if (s < 0 || bind(s, (struct sockaddr *)&a, address_of(ticket, &a)))
		die("cannot make a socket for the other ranks: %s", strerror(errno));
	return s;
}

static int wait_readable(int fd, uint64_t until_ns)
{
	struct pollfd p = {fd, POLLIN, 0};
	uint64_t now = now_ns();

	return now < until_ns ? poll(&p, 1, (int)((until_ns - now) / NS_PER_MS) + 1) : 0;
}

/* Receives one datagram. True: a rank that was not served yet got its descriptor. */
static bool serve_one(int socket, const struct pass_ticket *ticket, int fd, int size, bool *served)
{
	struct call_in in = {{0}, 0};
	struct parcel p;
	char one = 1;
	int back;
	bool ok;

	parcel_init(&p, &in, sizeof in);
	if (recvmsg(socket, &p.head, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) != sizeof in)
		in.rank = -1;
	back = parcel_get(&p);
	ok = back >= 0 && !memcmp(in.secret, ticket->secret, sizeof in.secret) && in.rank > 0 && in.rank < size &&
	     !served[in.rank];
	if (ok) {
		parcel_init(&p, &one, sizeof one);
		parcel_put(&p, fd);
		ok = sendmsg(back, &p.head, MSG_DONTWAIT | MSG_NOSIGNAL) == sizeof one;
		served[in.rank] = ok;
	}
	if (back >= 0)
		close(back);
	return ok;
}

bool pass_give(int socket, const struct pass_ticket *ticket, int fd, int size, int timeout_ms)
{
	uint64_t until = now_ns() + (uint64_t)timeout_ms * NS_PER_MS;
	bool *served = xalloc((size_t)size, sizeof *served);
	int left = size - 1;

	while (left > 0 && (wait_readable(socket, until) > 0 || now_ns() < until))
		left -= serve_one(socket, ticket, fd, size, served);
	free(served);
	return !left;
}

static int receive(int from, int timeout_ms)
{
	struct parcel p;
	char one;

	parcel_init(&p, &one, sizeof one);
	if (wait_readable(from, now_ns() + (uint64_t)timeout_ms * NS_PER_MS) <= 0) {
		errno = ETIMEDOUT;
		return -1;
	}
	errno = EPROTO;
	return recvmsg(from, &p.head, MSG_CMSG_CLOEXEC) == sizeof one ? parcel_get(&p) : -1;
}

int pass_take(const struct pass_ticket *ticket, int rank, int timeout_ms)
{
	struct call_in out = {{ticket->secret[0], ticket->secret[1]}, rank};
	struct timeval patience = {timeout_ms / 1000, 0};
	struct sockaddr_un a;
	struct parcel p;
	int s = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), pair[2] = {-1, -1}, fd = -1, kept;

	setsockopt(s, SOL_SOCKET, SO_SNDTIMEO, &patience,
		   sizeof patience); /* other processes' datagrams may fill the queue */
	parcel_init(&p, &out, sizeof out);
	p.head.msg_namelen = address_of(ticket, &a);
	p.head.msg_name = &a;
	if (s >= 0 && !socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair)) {
		parcel_put(&p, pair[1]);
		if (sendmsg(s, &p.head, MSG_NOSIGNAL) == sizeof out)
			fd = receive(pair[0], timeout_ms);
	}
	kept = errno;
	for (int i = 0; i < 2; i++)
		if (pair[i] >= 0)
			close(pair[i]);
	if (s >= 0)
		close(s);
	errno = kept;
	return fd;
}
