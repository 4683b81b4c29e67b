/* folder.c - a folder that appears under its name once it is complete. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/file/file.h"
#include "engine/convert/inside.h"

static int failed(const struct folder *f, const char *name, int code)
{
	if (code == ENOSPC || code == EDQUOT)
		return fail(f->why, ERR_IO, "%s: no space is left for %s (%s): free some, or name a folder elsewhere",
			    f->final, name, strerror(code));
	return fail(f->why, ERR_IO, "%s: cannot write %s: %s", f->final, name, strerror(code));
}

static int exists(const struct folder *f)
{
	return fail(f->why, ERR_IO, "%s exists already: remove it, or name another folder", f->final);
}

/* The folder that it lies in. */
static char *parent(const char *path)
{
	const char *slash = strrchr(path, '/');

	return !slash ? xstrdup(".") : slash == path ? xstrdup("/") : xprintf("%.*s", (int)(slash - path), path);
}

static int check_space(const struct folder *f, uint64_t bytes)
{
	char *in = parent(f->final);
	struct statvfs s;
	bool known = !statvfs(in, &s);
	uint64_t rest = known ? (uint64_t)s.f_bavail * s.f_frsize : 0;

	free(in);
	return known && rest < bytes
		       ? fail(f->why, ERR_IO, "%s: %.2f GiB are to be written, and its file system has %.2f GiB left",
			      f->final, (double)bytes / (1 << 30), (double)rest / (1 << 30))
		       : 0;
}

int folder_open(struct folder *f, const char *final, uint64_t bytes, struct why *why)
{
	size_t n = strlen(final);
	struct stat st;
	int err;

	while (n > 1 && final[n - 1] == '/')
		n--;
	*f = (struct folder){.final = xprintf("%.*s", (int)n, final), .why = why};
	if (!lstat(f->final, &st))
		return exists(f);
	if ((err = check_space(f, bytes)))
		return err;
	f->path = xprintf("%s.part-%d", f->final, (int)getpid());
	if (!mkdir(f->path, 0777))
		return 0;
	err = fail(why, ERR_IO, "%s: cannot make this folder: %s", f->final, file_error(f->final, errno));
	free(f->path);
	f->path = NULL;
	return err;
}

int folder_create(const struct folder *f, const char *name)
{
	char *path = xprintf("%s/%s", f->path, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666), code = errno;

	free(path);
	return fd < 0 ? failed(f, name, code) : fd;
}

int folder_put(const struct folder *f, int fd, const char *name, uint64_t at, const void *bytes, size_t n)
{
	for (const char *p = bytes; n;) {
		ssize_t put = pwrite(fd, p, n, (off_t)at);
		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return failed(f, name, errno);
		p += put, n -= (size_t)put, at += (uint64_t)put;
	}
	return 0;
}

/* Some file systems find only now that there is no space. */
int folder_end(const struct folder *f, int fd, const char *name)
{
	int code = fsync(fd) && errno != EINVAL && errno != EROFS ? errno : 0;

	if (close(fd) && !code)
		code = errno;
	return code ? failed(f, name, code) : 0;
}

int folder_file(const struct folder *f, const char *name, const void *bytes, size_t n)
{
	int fd = folder_create(f, name), err;

	if (fd < 0)
		return fd;
	err = folder_put(f, fd, name, 0, bytes, n);
	if (!err)
		return folder_end(f, fd, name);
	close(fd);
	return err;
}

static void sync_folder(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0)
		fsync(fd), close(fd);
}

/* A folder of this name is not replaced; without RENAME_NOREPLACE an empty one is. */
int folder_keep(struct folder *f)
{
	char *in = parent(f->final);
	int r;

	sync_folder(f->path);
	r = renameat2(AT_FDCWD, f->path, AT_FDCWD, f->final, RENAME_NOREPLACE);
	if (r && (errno == EINVAL || errno == ENOSYS))
		r = rename(f->path, f->final);
	if (!r) {
		sync_folder(in);
		free(f->path);
		f->path = NULL;
	} else if (errno == EEXIST || errno == ENOTEMPTY) {
		r = exists(f);
	} else {
		r = failed(f, "the folder's name", errno);
	}
	free(in);
	return r;
}

static void remove_all(const char *path)
{
	DIR *d = opendir(path);

	for (struct dirent *e; d && (e = readdir(d));)
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
			unlinkat(dirfd(d), e->d_name, 0);
	if (d)
		closedir(d);
	rmdir(path);
}

void folder_close(struct folder *f)
{
	if (f->path)
		remove_all(f->path);
	free(f->path);
	free(f->final);
}
