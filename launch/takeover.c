/* What both launchers of a takeover have in common. */
#include "launch/takeover.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/rank/files.h"
#include "launch/inside.h"

bool takeover_address(const char *path, struct sockaddr_un *at, int *dir)
{
	const char *slash = strrchr(path, '/');
	char folder[sizeof((struct takeover *)0)->path];

	*at = (struct sockaddr_un){.sun_family = AF_UNIX};
	snprintf(folder, sizeof folder, "%.*s", slash ? max_int(1, (int)(slash - path)) : 1, slash ? path : ".");
	*dir = open(folder, O_DIRECTORY | O_PATH | O_CLOEXEC);
	return *dir >= 0 && snprintf(at->sun_path, sizeof at->sun_path, "/proc/self/fd/%d/%s", *dir,
				     slash ? slash + 1 : path) < (int)sizeof at->sun_path;
}

bool takeover_trusts(int fd, struct takeover_peer *p)
{
	struct ucred c;
	socklen_t len = sizeof c;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &c, &len))
		return false;
	p->pid = c.pid;
	p->uid = c.uid;
	return c.uid == geteuid() || c.uid == 0;
}

void takeover_forget(struct takeover_peer *p)
{
	if (p->fd >= 0)
		close(p->fd);
	p->fd = -1;
}

void takeover_own(struct launcher *l)
{
	struct why why;

	rpc_listen_own(&l->listener);
	if (l->takeover.fd >= 0)
		listen(l->takeover.fd, TAKEOVER_WAITING); /* who connects sees who called this last (SO_PEERCRED) */
	if (pid_file_write(l->options.pid_file, &why))
		log_at(LOG_ERROR, "%s", why.text);
}

bool takeover_pending(const struct launcher *l)
{
	enum takeover_stage stage = l->takeover.from.stage;

	return stage == STAGE_DRAINS || stage == STAGE_LOADS;
}

bool takeover_holds(const struct launcher *l)
{
	return l->takeover.from.stage == STAGE_LOADS && l->takeover.from.how == TAKEOVER_BESIDE;
}

bool takeover_left(const struct launcher *l)
{
	return l->takeover.taker.stage == STAGE_OVER;
}

bool takeover_goes_on(const struct launcher *l)
{
	const struct takeover_peer *p = &l->takeover.taker;

	return p->fd >= 0 && (p->stage == STAGE_DRAINS || p->stage == STAGE_LOADS);
}

bool takeover_yields(const struct launcher *l)
{
	const struct takeover_peer *p = &l->takeover.taker;

	return p->how == TAKEOVER_AFTER && (p->stage == STAGE_DRAINS || p->stage == STAGE_LOADS);
}

int takeover_polls(const struct launcher *l, struct pollfd *p)
{
	const struct takeover *t = &l->takeover;
	bool listens = !takeover_pending(l) && !takeover_left(l);

	p[0] = (struct pollfd){.fd = listens ? t->fd : -1, .events = POLLIN};
	p[1] = (struct pollfd){.fd = t->taker.fd, .events = POLLIN};
	p[2] = (struct pollfd){.fd = t->from.fd, .events = POLLIN};
	return TAKEOVER_POLLS;
}
