#include "launch/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define PREFIX "xverse-launch-"
#define LOCK "lock"
enum { BASE_MOST = 70 }; /* keeps the socket's path below 108 bytes */

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	(void)st;
	(void)kind;
	(void)at;
	if (remove(path))
		log_at(LOG_WARN, "%s cannot be removed: %s", path, strerror(errno));
	return 0;
}

static void remove_tree(const char *path)
{
	nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* The folder is ours and private, and its lock is free: its launcher died. */
static bool is_left(int base, const char *name)
{
	struct stat st;
	int dir = openat(base, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), lock = -1;
	bool left = false;

	if (dir >= 0 && !fstat(dir, &st) && st.st_uid == geteuid() && !(st.st_mode & 077))
		lock = openat(dir, LOCK, O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	if (lock >= 0) {
		left = !flock(lock, LOCK_EX | LOCK_NB);
		close(lock);
	}
	if (dir >= 0)
		close(dir);
	return left;
}

static void collect(const char *base)
{
	DIR *d = opendir(base);
	struct dirent *e;

	while (d && (e = readdir(d))) {
		char path[BASE_MOST + 300];
		if (strncmp(e->d_name, PREFIX, strlen(PREFIX)) || !is_left(dirfd(d), e->d_name))
			continue;
		snprintf(path, sizeof path, "%s/%s", base, e->d_name);
		remove_tree(path);
	}
	if (d)
		closedir(d);
}

static int make_in(struct folder *f, const char *base, struct why *why)
{
	char path[sizeof f->path + 8];

	if (strlen(base) > BASE_MOST)
		return fail(why, ERR_IO, "%s: longer than %d bytes", base, BASE_MOST);
	snprintf(f->path, sizeof f->path, "%s/" PREFIX "XXXXXX", base);
	if (!mkdtemp(f->path)) {
		int err = fail(why, ERR_IO, "%s: %s", base, strerror(errno));
		f->path[0] = 0;
		return err;
	}
	snprintf(path, sizeof path, "%s/" LOCK, f->path);
	f->lock_fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (f->lock_fd < 0) {
		int err = fail(why, ERR_IO, "%s: %s", path, strerror(errno));
		folder_remove(f);
		return err;
	}
	flock(f->lock_fd, LOCK_EX | LOCK_NB); /* without flock no folder is ever collected */
	return 0;
}

int folder_make(struct folder *f, const char *socket, struct why *why)
{
	const char *slash = strrchr(socket, '/');
	char beside[108] = ".";
	const char *const bases[] = {getenv("XDG_RUNTIME_DIR"), getenv("TMPDIR"), "/tmp", beside, "/dev/shm"};
	struct why first = {""}, last;

	if (slash)
		snprintf(beside, sizeof beside, "%.*s", max_int(1, (int)(slash - socket)), socket);
	*f = (struct folder){.lock_fd = -1};
	for (size_t i = 0; i < sizeof bases / sizeof *bases; i++) {
		if (!bases[i] || !*bases[i])
			continue;
		if (!make_in(f, bases[i], first.text[0] ? &last : &first)) {
			collect(bases[i]);
			return 0;
		}
	}
	return fail(
		why, ERR_IO,
		"no folder for the launcher's own files (%.300s): XDG_RUNTIME_DIR or TMPDIR must name one that can be written",
		first.text);
}

void folder_remove(struct folder *f)
{
	if (f->path[0])
		remove_tree(f->path);
	if (f->lock_fd >= 0)
		close(f->lock_fd);
	*f = (struct folder){.lock_fd = -1};
}
