/* The launcher that is taken over from. */
#include "launch/takeover.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log_limit.h"
#include "base/parcel.h"
#include "launch/inside.h"

enum { REQUEST_S = 10 };

static int listen_at(const char *path, struct why *why)
{
	struct sockaddr_un at;
	int dir, fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool good = takeover_address(path, &at, &dir) && fd >= 0;

	if (good)
		unlink(at.sun_path); /* the socket's lock is ours, and so is what lies beside it */
	good = good && !bind(fd, (struct sockaddr *)&at, sizeof at) && !chmod(at.sun_path, 0600) &&
	       !listen(fd, TAKEOVER_WAITING);
	if (dir >= 0)
		close(dir);
	if (good)
		return fd;
	fail(why, ERR_IO, "%s: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	return -1;
}

void takeover_open(struct launcher *l)
{
	struct takeover *t = &l->takeover;
	struct why why;

	if (t->fd >= 0)
		return;
	t->fd = listen_at(t->path, &why);
	if (t->fd < 0)
		log_at(LOG_WARN, "no other launcher will be able to take over from this one: %s", why.text);
}

static void refuse(int fd, const char *text)
{
	char word = TAKEOVER_REFUSED;
	struct iovec part[] = {{&word, 1}, {(char *)(uintptr_t)text, strlen(text)}};
	struct msghdr m = {.msg_iov = part, .msg_iovlen = 2};
	static struct log_limit limit = {.event = "refused a takeover"};

	if (log_limit(&limit))
		log_event(LOG_WARN, limit.event, " reason=\"%s\"", text);
	if (sendmsg(fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		log_at(LOG_DEBUG, "who asked is gone: %s", strerror(errno));
	close(fd);
}

static void greet(struct launcher *l, int fd)
{
	struct takeover_peer *p = &l->takeover.taker;
	struct takeover_peer next = {.fd = fd, .stage = STAGE_ASKS, .since_ns = l->awake_ns};
	char text[100];

	if (!takeover_trusts(fd, &next)) {
		refuse(fd, "only the user of the running server, or root, may take over");
	} else if (l->draining) {
		refuse(fd, "it is ending");
	} else if (p->stage != STAGE_NONE) {
		snprintf(text, sizeof text, "process %d takes over already", (int)p->pid);
		refuse(fd, text);
	} else {
		*p = next;
	}
}

static bool pass(int to, enum takeover_word word, int fd)
{
	struct parcel p;
	char byte = (char)word;

	if (fd < 0)
		return send(to, &byte, 1, MSG_NOSIGNAL | MSG_DONTWAIT) == 1;
	parcel_init(&p, &byte, 1);
	parcel_put(&p, fd);
	return sendmsg(to, &p.head, MSG_NOSIGNAL | MSG_DONTWAIT) == 1;
}

static bool pass_all(const struct launcher *l, int to)
{
	return pass(to, TAKEOVER_LISTENER, l->listener.fd) &&
	       (l->listener.lock_fd < 0 || pass(to, TAKEOVER_LOCK, l->listener.lock_fd)) &&
	       pass(to, TAKEOVER_SOCKET, l->takeover.fd) && pass(to, TAKEOVER_END, -1);
}

/* A job whose rank 0 has not come yet has no client to drain. */
static void yield(struct launcher *l)
{
	if (l->job.hello && l->job.beat_fd >= 0)
		handover_order(l->job.beat_fd, HANDOVER_YIELD);
	else
		job_end(l, NULL);
}

/* Who goes away meanwhile has lost nothing. */
static void lend(const struct launcher *l, int to)
{
	const struct rpc_listener *h = &l->gateway.listener;

	if ((h->fd < 0 || pass(to, TAKEOVER_HTTP, h->fd)) &&
	    (h->lock_fd < 0 || pass(to, TAKEOVER_HTTP_LOCK, h->lock_fd)))
		pass(to, TAKEOVER_END, -1);
	close(to);
}

/* The request is whole. */
static void begin(struct launcher *l)
{
	struct takeover_peer *p = &l->takeover.taker;
	size_t n = strlen(TAKEOVER_REQUEST);
	bool known = !strncmp(p->said, TAKEOVER_REQUEST, n);
	const char *how = known ? p->said + n : "";

	if (!strcmp(how, TAKEOVER_BORROW)) {
		lend(l, p->fd);
		*p = (struct takeover_peer){.fd = -1};
		return;
	}
	p->how = !strcmp(how, "beside") ? TAKEOVER_BESIDE : !strcmp(how, "after") ? TAKEOVER_AFTER : TAKEOVER_NONE;
	if (p->how == TAKEOVER_NONE) {
		refuse(p->fd, "its request is not understood: it is of another version");
		*p = (struct takeover_peer){.fd = -1};
		return;
	}
	if (!pass_all(l, p->fd)) {
		takeover_forget(p);
		p->stage = STAGE_NONE;
		return;
	}
	p->stage = p->how == TAKEOVER_AFTER ? STAGE_DRAINS : STAGE_LOADS;
	p->since_ns = l->awake_ns;
	log_event(LOG_INFO, "another launcher takes over", " pid=%d how=%s", (int)p->pid, how);
	if (p->how == TAKEOVER_AFTER)
		yield(l);
}

static void leave(struct launcher *l)
{
	struct takeover_peer *p = &l->takeover.taker;

	p->stage = STAGE_OVER;
	takeover_bye(l);
	beside_leave(&l->gateway);
	l->gateway.foreign = l->takeover.keeps_http;
	if (!l->gateway.foreign)
		beside_unlisten(&l->gateway);
	log_event(LOG_INFO, "another launcher has taken over; this job ends with its last client", " pid=%d",
		  (int)p->pid);
	if (l->job.hello && l->job.beat_fd >= 0)
		handover_order(l->job.beat_fd, HANDOVER_LEAVE);
	else
		job_end(l, NULL);
}

static void hear(struct launcher *l, char byte)
{
	struct takeover_peer *p = &l->takeover.taker;

	if (p->stage == STAGE_ASKS && byte == '\n') {
		begin(l);
	} else if (p->stage == STAGE_ASKS && p->n < sizeof p->said - 1) {
		p->said[p->n++] = byte;
	} else if (p->stage == STAGE_ASKS) {
		refuse(p->fd, "its request is not understood: it is of another version");
		*p = (struct takeover_peer){.fd = -1};
	} else if (p->stage == STAGE_LOADS && byte == TAKEOVER_READY) {
		leave(l);
	} else if (p->stage == STAGE_LOADS && byte == TAKEOVER_HTTP) {
		l->takeover.keeps_http = true;
	} else if (p->stage == STAGE_OVER && byte == TAKEOVER_BYE) {
		beside_unlisten(&l->gateway);
		takeover_forget(p);
	}
}

/* The new launcher may have had no use for the socket, so that it was given up. */
static void come_back_with_gateway(struct beside *b)
{
	if (b->listener.fd < 0 && beside_check(b, NULL))
		log_at(LOG_ERROR, "the gateway cannot listen again, its error is above; it keeps trying");
	else
		beside_own(b);
	beside_come_back(b);
}

/* The new launcher died while this one still has clients, so this one serves again. */
static void come_back(struct launcher *l)
{
	const struct job *j = &l->job;

	l->gateway.foreign = false;
	if (!j->mpirun || !j->hello || j->ending_ns || j->served || l->draining) {
		beside_unlisten(&l->gateway);
		return;
	}
	l->takeover.taker.stage = STAGE_NONE;
	l->takeover.keeps_http = false;
	takeover_own(l);
	come_back_with_gateway(&l->gateway);
	notify_again(l);
	handover_order(j->beat_fd, HANDOVER_ACCEPT);
	log_at(LOG_WARN, "the launcher that had taken over died; this one serves again");
}

/* A job that drains for it goes on to its end, and is started again then. */
static void lose(struct launcher *l)
{
	struct takeover_peer *p = &l->takeover.taker;

	takeover_forget(p);
	if (p->stage == STAGE_OVER) {
		come_back(l);
		return;
	}
	if (p->stage == STAGE_ASKS) { /* nothing has begun */
		p->stage = STAGE_NONE;
		return;
	}
	notify_again(l);
	log_event(LOG_WARN, "the launcher that was taking over is gone; this one goes on", " pid=%d", (int)p->pid);
	if (!takeover_yields(l))
		p->stage = STAGE_NONE;
}

void takeover_look_old(struct launcher *l)
{
	struct takeover_peer *p = &l->takeover.taker;
	bool listens = l->takeover.fd >= 0 && !takeover_pending(l) && !takeover_left(l);
	int fd;

	while (listens && (fd = accept4(l->takeover.fd, NULL, NULL, SOCK_CLOEXEC)) >= 0)
		greet(l, fd);
	while (p->fd >= 0) {
		char byte;
		ssize_t n = recv(p->fd, &byte, 1, MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			break;
		if (n == 1)
			hear(l, byte);
		else
			lose(l);
	}
	if (p->stage == STAGE_ASKS && l->awake_ns - p->since_ns > REQUEST_S * 1000000000ull)
		lose(l);
}

/* The one that takes over has all it needs to serve the socket without this launcher. */
void takeover_close_old(struct launcher *l)
{
	struct takeover *t = &l->takeover;

	if (t->taker.stage == STAGE_OVER || (t->taker.stage != STAGE_NONE && t->taker.fd >= 0))
		rpc_listen_leave(&l->listener);
	else if (t->fd >= 0 && l->listener.fd >= 0 && !takeover_pending(l))
		unlink(t->path);
	takeover_forget(&t->taker);
	if (t->fd >= 0)
		close(t->fd);
	t->fd = -1;
}

void takeover_empty(struct launcher *l)
{
	struct takeover_peer *p = &l->takeover.taker;

	if (!takeover_yields(l) || p->fd < 0)
		return;
	pass(p->fd, TAKEOVER_EMPTY, -1);
	p->stage = STAGE_LOADS;
}
