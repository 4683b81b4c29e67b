/* The launcher that takes over. */
#include "launch/takeover.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/parcel.h"
#include "launch/inside.h"

enum { ANSWER_S = 60 /* the old launcher may be frozen for a while */ };

static const char *const names[] = {[TAKEOVER_AUTO] = "", [TAKEOVER_BESIDE] = "beside", [TAKEOVER_AFTER] = "after"};

bool takeover_option(struct takeover *t, const char *arg)
{
	const size_t n = strlen("--takeover");

	if (strncmp(arg, "--takeover", n) || (arg[n] && arg[n] != '='))
		return false;
	t->how = TAKEOVER_AUTO;
	for (int i = TAKEOVER_BESIDE; arg[n] && i <= TAKEOVER_AFTER; i++)
		if (!strcmp(arg + n + 1, names[i]))
			t->how = (enum takeover_how)i;
	if (!arg[n] || t->how != TAKEOVER_AUTO)
		return true;
	fprintf(stderr, "xverse-launch: %s: --takeover is beside, after, or has no value\n", arg);
	exit(EXIT_USAGE);
}

static int reach(const char *path, int *fd, bool *found, struct why *why)
{
	struct timeval patience = {.tv_sec = ANSWER_S};
	struct sockaddr_un at;
	int dir, error = 0;

	*fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (*fd < 0)
		return fail(why, ERR_IO, "socket: %s", strerror(errno));
	setsockopt(*fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	setsockopt(*fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience); /* also of connect() */
	if (!takeover_address(path, &at, &dir))
		error = ENOENT;
	else if (connect(*fd, (struct sockaddr *)&at, sizeof at))
		error = errno;
	if (dir >= 0)
		close(dir);
	*found = !error;
	if (!error || error == ENOENT || error == ECONNREFUSED)
		return 0;
	if (error == EAGAIN)
		return fail(why, ERR_BUSY,
			    "%s: the launcher that serves it accepts no connection for %d s: is it stopped?", path,
			    ANSWER_S);
	return fail(why, error == EACCES ? ERR_DENIED : ERR_IO, "%s: %s%s", path, strerror(error),
		    error == EACCES ? ": only the user of the running server, or root, may take over" : "");
}

static int refused(int fd, struct why *why)
{
	char text[300];
	size_t n = 0;
	ssize_t got = 1;

	while (got > 0 && n < sizeof text - 1) {
		got = recv(fd, text + n, sizeof text - 1 - n, 0);
		n += got > 0 ? (size_t)got : 0;
	}
	text[n] = 0;
	return fail(why, ERR_BUSY, "the running launcher refuses the takeover: %s", text);
}

/* One word with the descriptor that it brings, or -1. */
static char hear(int fd, int *brought)
{
	struct parcel p;
	char byte = 0;

	parcel_init(&p, &byte, 1);
	*brought = -1;
	errno = 0;
	if (recvmsg(fd, &p.head, MSG_CMSG_CLOEXEC) != 1)
		return 0;
	*brought = parcel_get(&p);
	return byte;
}

/* What the old launcher passes, by index; -1 where there is none. */
enum { LISTENER, LOCK, SOCKET, HTTP, HTTP_LOCK, PASSED };

static int receive(int fd, pid_t pid, int got[PASSED], struct why *why)
{
	static const char words[] = {TAKEOVER_LISTENER, TAKEOVER_LOCK,      TAKEOVER_SOCKET,
				     TAKEOVER_HTTP,     TAKEOVER_HTTP_LOCK, 0};

	for (;;) {
		int brought;
		char word = hear(fd, &brought);
		const char *at = word ? strchr(words, word) : NULL;

		if (word == TAKEOVER_REFUSED)
			return refused(fd, why);
		if (at && brought >= 0 && got[at - words] < 0) {
			got[at - words] = brought;
			continue;
		}
		if (brought >= 0)
			close(brought);
		if (word == TAKEOVER_END)
			return 0;
		if (word)
			return fail(
				why, ERR_IO,
				"the running launcher answers what this one does not understand: it is of another version");
		return errno == EAGAIN
			       ? fail(why, ERR_BUSY,
				      "the running launcher, process %d, does not answer for %d s: if it is stopped, kill -CONT "
				      "%d lets it go on; if it hangs, end it and start without --takeover",
				      (int)pid, ANSWER_S, (int)pid)
			       : fail(why, ERR_IO, "the running launcher, process %d, went away", (int)pid);
	}
}

/* got: as receive() fills it, also where this fails. */
static int ask(struct launcher *l, int fd, const char *what, int got[PASSED], struct why *why)
{
	struct takeover *t = &l->takeover;
	char text[40];

	for (int i = 0; i < PASSED; i++)
		got[i] = -1;
	/* Root may take over from any user. */
	if (!takeover_trusts(fd, &t->from) && geteuid())
		return fail(why, ERR_DENIED, "%s belongs to another user, %u", t->path, t->from.uid);
	if (!process_hold(&t->old, t->from.pid))
		return fail(why, ERR_IO, "%s: process %d, which serves it, is gone", t->path, (int)t->from.pid);
	snprintf(text, sizeof text, TAKEOVER_REQUEST "%s\n", what);
	if (send(fd, text, strlen(text), MSG_NOSIGNAL) < 0 && errno != EPIPE) /* a refusal may have come already */
		return fail(why, ERR_IO, "%s: %s", t->path, strerror(errno));
	return receive(fd, t->from.pid, got, why);
}

static void drop(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static int take_all(struct launcher *l, int fd, struct why *why)
{
	struct takeover *t = &l->takeover;
	int got[PASSED], err = ask(l, fd, names[t->from.how], got, why);

	if (!err && (got[LISTENER] < 0 || got[SOCKET] < 0))
		err = fail(why, ERR_IO, "%s: the running launcher passes on no socket", t->path);
	t->fd = got[SOCKET];
	drop(&got[HTTP]);
	drop(&got[HTTP_LOCK]);
	if (!err)
		return rpc_listen_taken(&l->listener, l->socket_path, got[LISTENER], got[LOCK], why);
	drop(&got[LISTENER]);
	drop(&got[LOCK]);
	return err;
}

/* False: there is nothing to take over. */
static bool is_there(struct takeover *t, const char *socket)
{
	snprintf(t->path, sizeof t->path, "%.107s.takeover", socket);
	return t->how != TAKEOVER_NONE && !access(t->path, F_OK);
}

int takeover_borrow(struct launcher *l, struct rpc_listener *out, struct why *why)
{
	struct takeover *t = &l->takeover;
	int fd, got[PASSED] = {-1, -1, -1, -1, -1}, err;
	bool found = false;

	*out = (struct rpc_listener){.fd = -1, .lock_fd = -1};
	if (!l->gateway.n || !is_there(t, l->socket_path))
		return 0;
	err = reach(t->path, &fd, &found, why);
	if (!err && found)
		err = ask(l, fd, TAKEOVER_BORROW, got, why);
	process_drop(&t->old);
	drop(&fd);
	for (int i = 0; i < HTTP; i++)
		drop(&got[i]);
	out->fd = got[HTTP];
	out->lock_fd = got[HTTP_LOCK];
	return err;
}

int takeover_begin(struct launcher *l, bool *found, struct why *why)
{
	struct takeover *t = &l->takeover;
	int fd, err;

	if (!is_there(t, l->socket_path)) {
		if (t->how != TAKEOVER_NONE)
			log_at(LOG_INFO, "no launcher serves this socket: there is nothing to take over");
		return 0;
	}
	t->from.how = t->how == TAKEOVER_AUTO ? takeover_plan(l) : t->how;
	err = reach(t->path, &fd, found, why);
	if (!err && *found)
		err = take_all(l, fd, why);
	if (err || !*found) {
		if (fd >= 0)
			close(fd);
		return err;
	}
	t->from.fd = fd;
	t->from.stage = t->from.how == TAKEOVER_AFTER ? STAGE_DRAINS : STAGE_LOADS;
	log_event(LOG_INFO, "taking over from another launcher", " pid=%d how=%s", (int)t->from.pid,
		  names[t->from.how]);
	return 0;
}

static void take(struct launcher *l, const char *how)
{
	struct takeover *t = &l->takeover;

	t->from.stage = STAGE_OVER;
	handover_order(l->job.beat_fd, HANDOVER_ACCEPT);
	takeover_own(l);
	beside_own(&l->gateway);
	log_event(LOG_INFO, how, " pid=%d", (int)t->from.pid);
}

void takeover_ready(struct launcher *l)
{
	struct takeover *t = &l->takeover;
	const char words[] = {TAKEOVER_HTTP, TAKEOVER_READY};
	size_t first = l->gateway.shared ? 0 : 1;

	if (t->from.stage != STAGE_LOADS || t->from.fd < 0)
		return;
	take(l, "took over: this launcher serves now");
	if (send(t->from.fd, words + first, sizeof words - first, MSG_NOSIGNAL) < 0)
		log_at(LOG_DEBUG, "the launcher before this one is gone: %s", strerror(errno));
}

void takeover_drain_old(struct launcher *l)
{
	const struct takeover_peer *p = &l->takeover.from;

	if (p->fd >= 0 && p->stage == STAGE_OVER)
		process_signal(&l->takeover.old, l->hurried ? SIGQUIT : SIGTERM);
}

void takeover_look_new(struct launcher *l)
{
	struct takeover_peer *p = &l->takeover.from;
	char byte = 0;
	ssize_t n = p->fd < 0 ? -1 : recv(p->fd, &byte, 1, MSG_DONTWAIT);

	if (p->fd < 0 || (n < 0 && (errno == EAGAIN || errno == EINTR)))
		return;
	if (n == 1 && byte == TAKEOVER_EMPTY && p->stage == STAGE_DRAINS)
		p->stage = STAGE_LOADS;
	if (n == 1)
		return;
	takeover_forget(p);
	if (takeover_pending(l))
		take(l, "the launcher that was being replaced is gone: this one serves now");
}

void takeover_bye(struct launcher *l)
{
	struct takeover *t = &l->takeover;
	char bye = TAKEOVER_BYE;

	if (t->from.fd >= 0 && send(t->from.fd, &bye, 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		log_at(LOG_DEBUG, "the launcher before this one is gone: %s", strerror(errno));
	takeover_forget(&t->from);
	process_drop(&t->old);
}

void takeover_close_new(struct launcher *l)
{
	if (takeover_pending(l))
		rpc_listen_leave(&l->listener);
	else
		takeover_bye(l);
	takeover_forget(&l->takeover.from);
}
