#include "launch/systemd.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "engine/progress.h"
#include "launch/inside.h"

static void load_status(const struct launcher *l, char *out, size_t size)
{
	static const char *const phases[LOAD_PHASES] = {
		"preparing",
		"touching the memory of the weights",
		"reading weights",
		"writing the pack cache",
		"touching the KV cache",
		"capturing CUDA graphs",
		"warming up",
	};
	const struct job *j = &l->job;

	if (!j->hello)
		snprintf(out, size, "Starting %d rank%s", l->n_ranks, l->n_ranks > 1 ? "s" : "");
	else if (j->percent)
		snprintf(out, size, "Loading: %s, %d %%", phases[j->phase], j->percent);
	else
		snprintf(out, size, "Loading: %s", phases[j->phase]);
}

static void status_of(const struct launcher *l, char *out, size_t size)
{
	const struct job *j = &l->job;

	if (l->draining)
		snprintf(out, size, "Draining: open calls end, then the job");
	else if (takeover_yields(l))
		snprintf(out, size, "Draining for process %d, which takes over", (int)l->takeover.taker.pid);
	else if (!j->mpirun && l->takeover.from.fd >= 0 && takeover_pending(l))
		snprintf(out, size, "Waiting for process %d to drain", (int)l->takeover.from.pid);
	else if (!j->mpirun)
		snprintf(out, size, "The job ended; starting it again");
	else if (j->ready)
		snprintf(out, size, "Serving on %.107s", l->socket_path);
	else
		load_status(l, out, size);
}

static void say_status(struct launcher *l)
{
	struct notify *n = &l->notify;
	char status[sizeof n->status], text[sizeof n->status + 16];

	status_of(l, status, sizeof status);
	if (!strcmp(status, n->status))
		return;
	memcpy(n->status, status, sizeof status);
	snprintf(text, sizeof text, "STATUS=%s\n", status);
	manager_say(&n->manager, text);
}

/* A job that starts, or is about to be started again, has limits of its own in limits.c. */
static void ping(struct launcher *l)
{
	struct notify *n = &l->notify;
	const struct job *j = &l->job;
	bool well = !j->mpirun || !j->hello || j->n_well != n->n_well;

	if (!well || l->awake_ns - n->pinged_ns < 900000000u)
		return;
	n->n_well = j->n_well;
	n->pinged_ns = l->awake_ns;
	manager_say(&n->manager, "WATCHDOG=1\n");
}

void notify_look(struct launcher *l)
{
	struct notify *n = &l->notify;
	char text[64];

	if (n->manager.fd < 0 || takeover_left(l))
		return;
	say_status(l);
	if (l->job.ready && !n->ready && !takeover_pending(l)) {
		snprintf(text, sizeof text, "MAINPID=%d\nREADY=1\n", (int)getpid());
		manager_say(&n->manager, text);
		n->ready = true;
	}
	if (l->draining && !n->stopping && !takeover_pending(l)) {
		manager_say(&n->manager, "STOPPING=1\n");
		n->stopping = true;
	}
	if (!takeover_pending(l))
		ping(l);
}

void notify_again(struct launcher *l)
{
	l->notify.status[0] = 0;
	l->notify.ready = false;
}

static int check(int fd, struct sockaddr_un *at, struct why *why)
{
	int listening = 0, type = 0;
	socklen_t n = sizeof(int), len = sizeof *at;

	memset(at, 0, sizeof *at);
	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &n) || !listening ||
	    getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n) || type != SOCK_STREAM ||
	    getsockname(fd, (struct sockaddr *)at, &len) || at->sun_family != AF_UNIX)
		return fail(why, ERR_INVALID,
			    "the socket that was passed to this process (LISTEN_FDS) is no listening Unix socket: "
			    "ListenStream= must be a path");
	if (at->sun_path[0] != '/' || len == sizeof *at)
		return fail(
			why, ERR_INVALID,
			"the socket that was passed to this process (LISTEN_FDS) has no absolute path of at most %zu "
			"bytes",
			sizeof at->sun_path - 1);
	return 0;
}

int activation_take(int *fd, char *path, size_t size, struct why *why)
{
	enum { FIRST = 3 };
	const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
	int n = pid && fds && atoi(pid) == (int)getpid() ? atoi(fds) : 0, err;
	struct sockaddr_un at;

	*fd = -1;
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	if (n <= 0)
		return 0;
	if (n > 1)
		return fail(why, ERR_INVALID, "%d sockets were passed to this process (LISTEN_FDS), not one", n);
	err = check(FIRST, &at, why);
	if (err)
		return err;
	*fd = FIRST;
	fcntl(FIRST, F_SETFD, FD_CLOEXEC);
	snprintf(path, size, "%s", at.sun_path);
	return 0;
}
