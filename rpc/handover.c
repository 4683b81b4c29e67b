#include "rpc/handover.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { NONCE = 32, PATIENCE_S = 10 };

static bool same_user(int fd, pid_t *pid)
{
	struct ucred c;
	socklen_t len = sizeof c;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &c, &len))
		return false;
	if (pid)
		*pid = c.pid;
	return c.uid == geteuid() || c.uid == 0;
}

static void set_patience(int fd)
{
	struct timeval t = {.tv_sec = PATIENCE_S};

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof t);
}

static int option(int fd, int name)
{
	int v = -1;
	socklen_t len = sizeof v;

	return getsockopt(fd, SOL_SOCKET, name, &v, &len) ? -1 : v;
}

static bool is_listening_unix(int fd)
{
	return option(fd, SO_ACCEPTCONN) == 1 && option(fd, SO_DOMAIN) == AF_UNIX &&
	       option(fd, SO_TYPE) == SOCK_STREAM;
}

static bool send_fd(int to, int fd)
{
	char byte = 'L', control[CMSG_SPACE(sizeof fd)] = {0};
	struct iovec v = {&byte, 1};
	struct msghdr m = {
		.msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof fd);
	memcpy(CMSG_DATA(c), &fd, sizeof fd);
	return sendmsg(to, &m, MSG_NOSIGNAL) == 1;
}

static int receive_fd(int from)
{
	char byte, control[CMSG_SPACE(sizeof(int))];
	struct iovec v = {&byte, 1};
	struct msghdr m = {
		.msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
	struct cmsghdr *c;
	int fd = -1;

	if (recvmsg(from, &m, MSG_CMSG_CLOEXEC) != 1 || !(c = CMSG_FIRSTHDR(&m)))
		return -1;
	if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(sizeof fd))
		memcpy(&fd, CMSG_DATA(c), sizeof fd);
	return fd;
}

/* The whole exchange on a connection: nonce out, descriptor in. */
static int exchange(int fd, const char *nonce, int *listen_fd, struct why *why)
{
	set_patience(fd);
	if (!same_user(fd, NULL))
		return fail(why, ERR_DENIED, "the launcher's socket belongs to another user");
	if (strlen(nonce) != NONCE || send(fd, nonce, NONCE, MSG_NOSIGNAL) != NONCE)
		return fail(why, ERR_IO, "the launcher does not take the nonce: %s", strerror(errno));
	*listen_fd = receive_fd(fd);
	if (*listen_fd < 0)
		return fail(why, ERR_IO, "the launcher handed over no socket");
	if (is_listening_unix(*listen_fd))
		return 0;
	close(*listen_fd);
	*listen_fd = -1;
	return fail(why, ERR_FORMAT, "what the launcher handed over is no listening Unix socket");
}

int handover_take(int *listen_fd, int *beat_fd, struct why *why)
{
	const char *path = getenv(HANDOVER_PATH), *nonce = getenv(HANDOVER_NONCE);
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int err = 0;

	*listen_fd = *beat_fd = -1;
	if (!path || !nonce)
		return 0;
	if (strlen(path) >= sizeof at.sun_path)
		return fail(why, ERR_INVALID, HANDOVER_PATH ": longer than %zu bytes",
			    sizeof at.sun_path - 1);
	strcpy(at.sun_path, path);
	*beat_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (*beat_fd < 0 || connect(*beat_fd, (struct sockaddr *)&at, sizeof at))
		err = fail(why, ERR_IO, "the launcher cannot be reached at %s: %s", path, strerror(errno));
	if (!err)
		err = exchange(*beat_fd, nonce, listen_fd, why);
	if (err && *beat_fd >= 0) {
		close(*beat_fd);
		*beat_fd = -1;
	}
	unsetenv(HANDOVER_NONCE);
	unsetenv(HANDOVER_PATH);
	return err;
}

void handover_beat(int beat_fd)
{
	if (beat_fd >= 0 && send(beat_fd, "b", 1, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		return; /* a launcher that is gone or full is no concern of a beat */
}

static void fresh_nonce(char out[NONCE + 1])
{
	unsigned char raw[NONCE / 2];

	if (getrandom(raw, sizeof raw, 0) != (ssize_t)sizeof raw)
		die("getrandom: %s", strerror(errno));
	for (size_t i = 0; i < sizeof raw; i++)
		snprintf(out + 2 * i, 3, "%02x", raw[i]);
}

int handover_open(struct handover *h, struct why *why)
{
	const char *run = getenv("XDG_RUNTIME_DIR");
	struct sockaddr_un at = {.sun_family = AF_UNIX};

	*h = (struct handover){.fd = -1};
	if (!run || !*run || strlen(run) > 30)
		run = "/tmp";
	snprintf(h->dir, sizeof h->dir, "%s/xverse-launch-XXXXXX", run);
	if (!mkdtemp(h->dir)) { /* 0700 */
		int err = fail(why, ERR_IO, "%s: %s", h->dir, strerror(errno));
		h->dir[0] = 0;
		return err;
	}
	snprintf(h->path, sizeof h->path, "%s/handover", h->dir);
	strcpy(at.sun_path, h->path);
	h->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (h->fd < 0 || bind(h->fd, (struct sockaddr *)&at, sizeof at) || listen(h->fd, 4)) {
		handover_close(h);
		return fail(why, ERR_IO, "%s: %s", h->path, strerror(errno));
	}
	fresh_nonce(h->nonce);
	setenv(HANDOVER_PATH, h->path, 1);
	setenv(HANDOVER_NONCE, h->nonce, 1);
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	(void)st;
	(void)kind;
	(void)at;
	if (remove(path))
		log_at(LOG_WARN, "%s cannot be removed: %s", path, strerror(errno));
	return 0;
}

void handover_close(struct handover *h)
{
	if (h->fd >= 0)
		close(h->fd);
	h->fd = -1;
	if (h->dir[0]) /* with what a job that was killed left in it */
		nftw(h->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* Not memcmp: the time must not tell how much of it was right. */
static bool equal(const char *a, const char *b, size_t n)
{
	unsigned char differ = 0;

	for (size_t i = 0; i < n; i++)
		differ |= (unsigned char)(a[i] ^ b[i]);
	return !differ;
}

/* A nonce is good for one child: the next start gets a fresh one. */
int handover_give(struct handover *h, int listen_fd, pid_t *pid)
{
	char shown[NONCE];
	int fd = accept4(h->fd, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		return ERR_IO;
	set_patience(fd);
	if (!same_user(fd, pid) || recv(fd, shown, sizeof shown, MSG_WAITALL) != NONCE ||
	    !equal(shown, h->nonce, NONCE) || !send_fd(fd, listen_fd)) {
		close(fd);
		return ERR_DENIED;
	}
	fresh_nonce(h->nonce);
	setenv(HANDOVER_NONCE, h->nonce, 1);
	return fd;
}
