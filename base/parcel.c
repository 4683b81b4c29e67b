#include "base/parcel.h"

#include <string.h>

void parcel_init(struct parcel *p, void *data, size_t bytes)
{
	memset(p, 0, sizeof *p);
	p->data = (struct iovec){data, bytes};
	p->head.msg_iov = &p->data;
	p->head.msg_iovlen = 1;
	p->head.msg_control = p->control.bytes;
	p->head.msg_controllen = sizeof p->control.bytes;
}

void parcel_put(struct parcel *p, int fd)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(&p->head);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof fd);
	memcpy(CMSG_DATA(c), &fd, sizeof fd);
}

int parcel_get(struct parcel *p)
{
	int fd = -1;
	struct cmsghdr *c = CMSG_FIRSTHDR(&p->head);

	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(sizeof fd))
		memcpy(&fd, CMSG_DATA(c), sizeof fd);
	return fd;
}
