#include "rpc/server/handover.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/parcel.h"

enum {
	NONCE = HANDOVER_NONCE_BYTES,
	PATIENCE_S = 10,
	LAUNCHER_S = 60 /* it may be frozen for a while */,
	ACCEPT_MOST = 64,
	TRIES = 5,
	RETRY_MS = 50
};

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
	struct timeval t = {.tv_sec = LAUNCHER_S};

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
	return option(fd, SO_ACCEPTCONN) == 1 && option(fd, SO_DOMAIN) == AF_UNIX && option(fd, SO_TYPE) == SOCK_STREAM;
}

enum { GO = 'L', HOLD = 'H' }; /* what comes with the descriptor */

static bool send_fd(int to, int fd, char byte)
{
	struct parcel p;

	parcel_init(&p, &byte, 1);
	parcel_put(&p, fd);
	return sendmsg(to, &p.head, MSG_NOSIGNAL | MSG_DONTWAIT) == 1;
}

static int receive_fd(int from, bool *hold)
{
	struct parcel p;
	char byte = 0;
	int fd;

	parcel_init(&p, &byte, 1);
	fd = recvmsg(from, &p.head, MSG_CMSG_CLOEXEC) == 1 ? parcel_get(&p) : -1;
	*hold = byte == HOLD;
	return fd;
}

/* The whole exchange on a connection: nonce out, descriptor in. */
static int exchange(int fd, const char *nonce, int *listen_fd, bool *hold, struct why *why)
{
	set_patience(fd);
	if (!same_user(fd, NULL))
		return fail(why, ERR_DENIED, "the launcher's socket belongs to another user");
	if (strlen(nonce) != NONCE || send(fd, nonce, NONCE, MSG_NOSIGNAL) != NONCE)
		return fail(why, ERR_IO, "the launcher does not take the nonce: %s", strerror(errno));
	*listen_fd = receive_fd(fd, hold);
	if (*listen_fd < 0)
		return fail(why, ERR_IO, "the launcher handed over no socket");
	if (is_listening_unix(*listen_fd))
		return 0;
	close(*listen_fd);
	*listen_fd = -1;
	return fail(why, ERR_FORMAT, "what the launcher handed over is no listening Unix socket");
}

/* Once: *beat_fd stays -1 where it fails. */
static int reach(const struct sockaddr_un *at, const char *nonce, int *listen_fd, bool *hold, int *beat_fd,
		 struct why *why)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), err = 0;

	if (fd < 0 || connect(fd, (const struct sockaddr *)at, sizeof *at))
		err = fail(why, ERR_IO, "the launcher cannot be reached at %s: %s", at->sun_path, strerror(errno));
	if (!err)
		err = exchange(fd, nonce, listen_fd, hold, why);
	if (err && fd >= 0)
		close(fd);
	if (!err)
		*beat_fd = fd;
	return err;
}

int handover_take(int *listen_fd, int *beat_fd, bool *hold, struct why *why)
{
	const char *path = getenv(HANDOVER_PATH), *nonce = getenv(HANDOVER_NONCE);
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int err = 0;

	*listen_fd = *beat_fd = -1;
	*hold = false;
	if (!path || !nonce)
		return 0;
	if (strlen(path) >= sizeof at.sun_path)
		return fail(why, ERR_INVALID, HANDOVER_PATH ": longer than %zu bytes", sizeof at.sun_path - 1);
	strcpy(at.sun_path, path);
	for (int i = 0; i < TRIES;
	     i++) { /* a crowd of strangers may have pushed us out of the launcher's waiting room */
		err = reach(&at, nonce, listen_fd, hold, beat_fd, why);
		if (err != ERR_IO)
			break;
		usleep(RETRY_MS * 1000);
	}
	unsetenv(HANDOVER_NONCE);
	unsetenv(HANDOVER_PATH);
	return err;
}

void handover_say(int beat_fd, enum handover_word word)
{
	char byte = (char)word;

	if (beat_fd >= 0 && send(beat_fd, &byte, 1, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		return; /* a launcher that is gone or full is no concern of a beat */
}

int handover_hear(int beat_fd)
{
	char byte = 0;
	ssize_t n = recv(beat_fd, &byte, 1, MSG_DONTWAIT);

	if (n == 1)
		return byte;
	return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
}

void handover_order(int fd, enum handover_order order)
{
	char byte = (char)order;

	if (fd >= 0 && send(fd, &byte, 1, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		return; /* a rank 0 that is gone needs no order */
}

static void fresh_nonce(struct handover *h)
{
	unsigned char raw[NONCE / 2];

	if (getrandom(raw, sizeof raw, 0) != (ssize_t)sizeof raw)
		die("getrandom: %s", strerror(errno));
	for (size_t i = 0; i < sizeof raw; i++)
		snprintf(h->nonce + 2 * i, 3, "%02x", raw[i]);
	setenv(HANDOVER_NONCE, h->nonce, 1);
}

int handover_open(struct handover *h, const char *dir, struct why *why)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};

	*h = (struct handover){.fd = -1};
	for (int i = 0; i < HANDOVER_WAITING; i++)
		h->waiting[i].fd = -1;
	if (snprintf(h->path, sizeof h->path, "%s/handover", dir) >= (int)sizeof h->path)
		return fail(why, ERR_INVALID, "%s: too long a path for a socket", dir);
	memcpy(at.sun_path, h->path, sizeof at.sun_path);
	h->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (h->fd < 0 || bind(h->fd, (struct sockaddr *)&at, sizeof at) || listen(h->fd, SOMAXCONN)) {
		int err = fail(why, ERR_IO, "%s: %s", h->path, strerror(errno));
		handover_close(h);
		return err;
	}
	fresh_nonce(h);
	setenv(HANDOVER_PATH, h->path, 1);
	return 0;
}

static void forget(struct handover_peer *p)
{
	if (p->fd >= 0)
		close(p->fd);
	*p = (struct handover_peer){.fd = -1};
}

void handover_close(struct handover *h)
{
	if (h->fd < 0)
		return;
	for (int i = 0; i < HANDOVER_WAITING; i++)
		forget(&h->waiting[i]);
	close(h->fd);
	h->fd = -1;
}

int handover_polls(const struct handover *h, struct pollfd *p)
{
	int n = 0;

	p[n++] = (struct pollfd){.fd = h->fd, .events = POLLIN};
	for (int i = 0; i < HANDOVER_WAITING; i++)
		if (h->waiting[i].fd >= 0)
			p[n++] = (struct pollfd){.fd = h->waiting[i].fd, .events = POLLIN};
	return n;
}

/* Rank 0 shows its nonce as soon as it is connected: where there is no room left, who came first has had its time. */
static struct handover_peer *make_room(struct handover *h)
{
	struct handover_peer *oldest = h->waiting;

	for (int i = 0; i < HANDOVER_WAITING; i++) {
		if (h->waiting[i].fd < 0)
			return &h->waiting[i];
		if (h->waiting[i].end_ns < oldest->end_ns)
			oldest = &h->waiting[i];
	}
	forget(oldest);
	return oldest;
}

/* Not memcmp: the time must not show how much of it was right. */
static bool equal(const char *a, const char *b, size_t n)
{
	unsigned char differ = 0;

	for (size_t i = 0; i < n; i++)
		differ |= (unsigned char)(a[i] ^ b[i]);
	return !differ;
}

/* What is there of a nonce; true: it is whole and right. Who is wrong, gone or too late is forgotten. */
static bool shows_nonce(const struct handover *h, struct handover_peer *p, uint64_t clock_ns)
{
	ssize_t n = recv(p->fd, p->shown + p->got, NONCE - p->got, MSG_DONTWAIT);

	p->got += n > 0 ? (size_t)n : 0;
	if (p->got == NONCE && equal(p->shown, h->nonce, NONCE))
		return true;
	if (p->got == NONCE || n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR) || clock_ns > p->end_ns)
		forget(p);
	return false;
}

/* The connection of the first in line that shows the nonce. */
static int find_shown(struct handover *h, uint64_t clock_ns)
{
	for (int i = 0; i < HANDOVER_WAITING; i++) {
		struct handover_peer *p = &h->waiting[i];
		int fd = p->fd;
		if (fd >= 0 && shows_nonce(h, p, clock_ns)) {
			*p = (struct handover_peer){.fd = -1};
			return fd;
		}
	}
	return -1;
}

int handover_look(struct handover *h, uint64_t clock_ns, pid_t *pid)
{
	int shown = find_shown(h, clock_ns);

	for (int i = 0; shown < 0 && i < ACCEPT_MOST; i++) {
		int fd = accept4(h->fd, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0)
			break;
		*make_room(h) = (struct handover_peer){.fd = fd, .end_ns = clock_ns + PATIENCE_S * 1000000000ull};
		shown = find_shown(h, clock_ns);
	}
	if (shown >= 0 && same_user(shown, pid))
		return shown;
	if (shown >= 0)
		close(shown);
	return -1;
}

bool handover_give(struct handover *h, int fd, int listen_fd, bool hold)
{
	fresh_nonce(h);
	return send_fd(fd, listen_fd, hold ? HOLD : GO);
}
