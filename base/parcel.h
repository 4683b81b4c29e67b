/* parcel.h - a message of a Unix socket that carries one file descriptor (SCM_RIGHTS, unix(7)). */
#ifndef BASE_PARCEL_H
#define BASE_PARCEL_H

#include <stddef.h>
#include <sys/socket.h>

struct parcel {
	struct iovec data;
	struct msghdr head; /* for sendmsg() and recvmsg() */
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
};

void parcel_init(struct parcel *p, void *data, size_t bytes);
void parcel_put(struct parcel *p, int fd);
int parcel_get(struct parcel *p); /* the descriptor of a received message; -1: it carries none */

#endif
