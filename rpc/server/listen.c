/* A listening Unix socket at a path that no other process serves. */
#include "rpc/server/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/process.h"

/* mpirun ends ranks within 5 s of its own end. */
enum { ORPHANS_MS = 10000, ORPHANS_LOOK_MS = 20, FOLDER = 256 };

static int check_handed_over(int fd, struct why *why)
{
	int domain = 0, type = 0, listening = 0;
	socklen_t n = sizeof(int);

	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &n) || getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n) ||
	    getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &n))
		return fail(why, ERR_IO, "descriptor %d that was handed over: %s", fd, strerror(errno));
	if (domain != AF_UNIX || type != SOCK_STREAM || !listening)
		return fail(why, ERR_INVALID, "descriptor %d that was handed over is not a listening Unix socket", fd);
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	return 0;
}

static int served_by(const char *path, int pid, struct why *why)
{
	char at[64], name[32] = "";
	FILE *f;

	snprintf(at, sizeof at, "/proc/%d/comm", pid);
	f = pid > 0 ? fopen(at, "re") : NULL;
	if (f && fgets(name, sizeof name, f))
		name[strcspn(name, "\n")] = 0;
	if (f)
		fclose(f);
	return fail(why, ERR_BUSY, "%s is served by process %d (%s)", path, pid,
		    *name ? name : "gone or not to be seen");
}

static const char *folder_of(const char *path, char folder[FOLDER])
{
	const char *slash = strrchr(path, '/');

	snprintf(folder, FOLDER, "%.*s/", slash ? (int)(slash - path) : 1, slash ? path : ".");
	return folder;
}

/* What is wrong with the place, so that the user can mend it. */
static int bad_place(const char *what, int error, struct why *why)
{
	char folder[FOLDER];
	struct stat st;

	if (error == ENOENT && !stat(folder_of(what, folder), &st))
		error = EPERM; /* as in /proc */
	switch (error) {
	case ENOENT:
		return fail(why, ERR_DENIED,
			    "%s: its folder does not exist: make it, or name another socket with --uds", what);
	case EROFS:
	case EACCES:
	case EPERM:
		return fail(why, ERR_DENIED, "%s: its folder may not be written: %s (--uds names another place)", what,
			    strerror(error));
	default:
		return fail(why, ERR_DENIED, "%s: %s", what, strerror(error));
	}
}

static int not_locked(struct rpc_listener *l, const char *name, int error, struct why *why)
{
	char pid[32] = "";

	if (error != EWOULDBLOCK) /* no other process holds the lock, so the file is ours to remove */
		return fail(why, ERR_DENIED, "%s: the file system knows no locks: %s (--uds names another place)", name,
			    strerror(error));
	if (read(l->lock_fd, pid, sizeof pid - 1) < 1)
		pid[0] = 0; /* it was only just taken */
	close(l->lock_fd);
	l->lock_fd = -1;
	return served_by(l->path, atoi(pid), why);
}

static int write_pid(int lock_fd, const char *name, struct why *why)
{
	char pid[32];

	snprintf(pid, sizeof pid, "%d", (int)getpid());
	if (ftruncate(lock_fd, 0) || pwrite(lock_fd, pid, strlen(pid), 0) < 0)
		return bad_place(name, errno, why);
	return 0;
}

/* The lock file belongs to the process that holds the lock, and it is unlinked under the lock: look whether it is
 * still there. */
static int lock_path(struct rpc_listener *l, const char *name, struct why *why)
{
	struct stat mine, there;

	for (;;) {
		int failed;
		l->lock_fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (l->lock_fd < 0)
			return bad_place(name, errno, why);
		do
			failed = flock(l->lock_fd, LOCK_EX | LOCK_NB);
		while (failed && errno == EINTR);
		if (failed)
			return not_locked(l, name, errno, why);
		if (!fstat(l->lock_fd, &mine) && !stat(name, &there) && mine.st_ino == there.st_ino)
			break;
		close(l->lock_fd);
	}
	return write_pid(l->lock_fd, name, why);
}

/* Whether a process listens at `path`, and which one began to. */
static int is_live(const char *path, bool *live, pid_t *pid, struct why *why)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	struct ucred who = {0};
	socklen_t n = sizeof who;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return fail(why, ERR_IO, "socket: %s", strerror(errno));
	strcpy(to.sun_path, path);
	*live = !connect(fd, (struct sockaddr *)&to, sizeof to) || errno == EAGAIN || errno == EACCES;
	getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &n);
	close(fd);
	*pid = who.pid;
	return 0;
}

static int no_socket(const char *path, struct why *why)
{
	return fail(why, ERR_INVALID, "%s exists and is not a socket", path);
}

static bool has_ended(pid_t pid)
{
	struct process p = {.fd = -1};
	bool ended = pid > 0 && !process_hold(&p, pid);

	process_drop(&p);
	return ended;
}

/* A socket without our lock may still be live: another program's, or that of a job whose launcher was killed and whose
 * ranks are just ending. */
static int check_stale(const char *path, struct why *why)
{
	uint64_t end = now_ns() + ORPHANS_MS * NS_PER_MS;
	struct stat st;
	bool live = false;
	pid_t pid = 0;
	int err;

	if (lstat(path, &st))
		return errno == ENOENT ? 0 : fail(why, ERR_IO, "%s: %s", path, strerror(errno));
	if (!S_ISSOCK(st.st_mode))
		return no_socket(path, why);
	while (!(err = is_live(path, &live, &pid, why)) && live) {
		if (!has_ended(pid))
			return served_by(path, (int)pid, why);
		if (now_ns() > end)
			return fail(
				why, ERR_BUSY,
				"%s: process %d, which served it, was killed, and what it had started still holds the socket: "
				"end that first",
				path, (int)pid);
		poll(NULL, 0, ORPHANS_LOOK_MS);
	}
	return err;
}

/* Bound under a short name of its own, through /proc so that the limit of 107 bytes does not count the folder
 * twice. */
static int bind_aside(struct rpc_listener *l, int dir, const char *aside, struct why *why)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};

	snprintf(at.sun_path, sizeof at.sun_path, "/proc/self/fd/%d/%s", dir, aside);
	unlinkat(dir, aside, 0);
	l->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (l->fd < 0 || bind(l->fd, (struct sockaddr *)&at, sizeof at))
		return bad_place(l->path, errno, why);
	return 0;
}

static int publish(struct rpc_listener *l, int dir, const char *aside, const char *name, gid_t group, struct why *why)
{
	struct stat st;

	if (group != (gid_t)-1 && fchownat(dir, aside, (uid_t)-1, group, AT_SYMLINK_NOFOLLOW))
		return fail(why, ERR_DENIED, "%s: group %d: %s", l->path, (int)group, strerror(errno));
	if (fchmodat(dir, aside, 0660, 0) || listen(l->fd, SOMAXCONN) ||
	    fstatat(dir, aside, &st, AT_SYMLINK_NOFOLLOW) || renameat(dir, aside, dir, name))
		return bad_place(l->path, errno, why);
	l->dev = st.st_dev;
	l->ino = st.st_ino;
	return 0;
}

static int bind_path(struct rpc_listener *l, gid_t group, struct why *why)
{
	char aside[32], *slash = strrchr(l->path, '/'), *folder;
	int dir, err;

	snprintf(aside, sizeof aside, ".xversed-%d", (int)getpid());
	folder = slash ? xprintf("%.*s", (int)max_int(1, (int)(slash - l->path)), l->path) : xstrdup(".");
	dir = open(folder, O_DIRECTORY | O_PATH | O_CLOEXEC);
	if (dir < 0)
		err = bad_place(l->path, errno, why);
	else
		err = bind_aside(l, dir, aside, why);
	if (!err) {
		err = publish(l, dir, aside, slash ? slash + 1 : l->path, group, why);
		if (err)
			unlinkat(dir, aside, 0);
	}
	free(folder);
	if (dir >= 0)
		close(dir);
	return err;
}

static int listener_take(struct rpc_listener *l, gid_t group, struct why *why)
{
	char *lock = xprintf("%s.lock", l->path);
	int err = lock_path(l, lock, why);

	if (!err)
		err = check_stale(l->path, why);
	if (!err)
		err = bind_path(l, group, why);
	free(lock);
	return err;
}

static int check_path(const char *path, struct why *why)
{
	enum { PATH_MOST = sizeof(((struct sockaddr_un *)0)->sun_path) - 1 };

	if (!path || !*path)
		return fail(why, ERR_INVALID, "the socket has no path");
	if (*path == '@')
		return fail(
			why, ERR_INVALID,
			"%s: abstract sockets are not supported, since any user may take their names (./%s names a file)",
			path, path);
	if (strlen(path) > PATH_MOST)
		return fail(why, ERR_INVALID, "%s: %zu bytes; the path of a Unix socket has at most %d", path,
			    strlen(path), PATH_MOST);
	return 0;
}

int rpc_listen_check(const char *path, struct why *why)
{
	char folder[FOLDER];
	struct stat st;
	int err = check_path(path, why);

	if (err)
		return err;
	if (!lstat(path, &st) && !S_ISSOCK(st.st_mode))
		return no_socket(path, why);
	return euidaccess(folder_of(path, folder), W_OK | X_OK) ? bad_place(path, errno, why) : 0;
}

int rpc_listen(struct rpc_listener *l, const char *path, gid_t group, struct why *why)
{
	int err = check_path(path, why);

	*l = (struct rpc_listener){.fd = -1, .lock_fd = -1};
	if (err)
		return err;
	l->path = xstrdup(path);
	err = listener_take(l, group, why);
	if (err)
		rpc_unlisten(l);
	return err;
}

int rpc_listen_on(struct rpc_listener *l, int fd, struct why *why)
{
	*l = (struct rpc_listener){.fd = fd, .lock_fd = -1};
	return check_handed_over(fd, why);
}

/* The flock belongs to the open file that both processes have: it is free once the last of them has closed it. */
static int check_taken(struct rpc_listener *l, struct why *why)
{
	char *lock = xprintf("%s.lock", l->path);
	struct stat mine = {0}, there = {0}, socket;
	bool same = !fstat(l->lock_fd, &mine) && !stat(lock, &there) && mine.st_ino == there.st_ino &&
		    mine.st_dev == there.st_dev;

	free(lock);
	if (!same || lstat(l->path, &socket) || !S_ISSOCK(socket.st_mode))
		return fail(why, ERR_INVALID, "%s: the files of the socket are not those of the process that serves it",
			    l->path);
	l->dev = socket.st_dev;
	l->ino = socket.st_ino;
	return 0;
}

int rpc_listen_taken(struct rpc_listener *l, const char *path, int fd, int lock_fd, struct why *why)
{
	int err = rpc_listen_on(l, fd, why);

	l->lock_fd = lock_fd;
	l->path = xstrdup(path);
	if (!err && lock_fd >= 0)
		err = check_taken(l, why);
	if (err) {
		rpc_listen_leave(l);
		rpc_unlisten(l);
	}
	return err;
}

void rpc_listen_own(const struct rpc_listener *l)
{
	struct why why;

	listen(l->fd, SOMAXCONN); /* clients see who called this last (SO_PEERCRED) */
	if (l->lock_fd >= 0 && write_pid(l->lock_fd, l->path, &why))
		log_at(LOG_WARN, "%s", why.text);
}

void rpc_listen_leave(struct rpc_listener *l)
{
	l->ino = 0;
	if (l->lock_fd >= 0)
		close(l->lock_fd);
	l->lock_fd = -1;
}

void rpc_unlink(const struct rpc_listener *l)
{
	char lock[sizeof(((struct sockaddr_un *)0)->sun_path) + sizeof ".lock"];
	struct stat st;

	if (l->ino && !lstat(l->path, &st) && st.st_ino == l->ino && st.st_dev == l->dev)
		unlink(l->path);
	if (l->lock_fd < 0)
		return;
	snprintf(lock, sizeof lock, "%s.lock", l->path);
	unlink(lock);
}

void rpc_unlisten(struct rpc_listener *l)
{
	if (l->fd >= 0)
		close(l->fd);
	rpc_unlink(l);
	if (l->lock_fd >= 0)
		close(l->lock_fd);
	free(l->path);
	*l = (struct rpc_listener){.fd = -1, .lock_fd = -1};
}
