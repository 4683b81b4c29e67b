#include "base/file/own.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

int file_create_aside(const char *path, mode_t mode, char **aside)
{
	uint64_t number;
	int fd;

	if (getrandom(&number, sizeof number, 0) != sizeof number)
		return -1;
	*aside = xprintf("%s.%016llx", path, (unsigned long long)number);
	fd = open(*aside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
	if (fd < 0) {
		free(*aside);
		*aside = NULL;
	}
	return fd;
}

/* Writes the folder of `path` to out[]. */
static bool folder_of(const char *path, char *out, size_t size)
{
	const char *slash = strrchr(path, '/');
	size_t n = slash ? (size_t)(slash - path) : 0;

	if (n >= size)
		return false;
	memcpy(out, path, n);
	out[n] = 0;
	if (!n)
		memcpy(out, slash ? "/" : ".", 2);
	return true;
}

/* NAME.0123456789abcdef, a file of this user. */
static bool is_aside(int folder, const char *entry, const char *name)
{
	size_t n = strlen(name);
	struct stat st;

	return !strncmp(entry, name, n) && entry[n] == '.' && strspn(entry + n + 1, "0123456789abcdef") == 16 &&
	       !entry[n + 17] && !fstatat(folder, entry, &st, AT_SYMLINK_NOFOLLOW) && S_ISREG(st.st_mode) &&
	       st.st_uid == geteuid();
}

void file_remove_asides(const char *path)
{
	char folder[PATH_MAX];
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	DIR *d = folder_of(path, folder, sizeof folder) ? opendir(folder) : NULL;
	struct dirent *e;

	while (d && (e = readdir(d)))
		if (is_aside(dirfd(d), e->d_name, name))
			unlinkat(dirfd(d), e->d_name, 0);
	if (d)
		closedir(d);
}

/* In a folder where all users may create files, a file of another user other than the folder's owner and root must not
 * be written. This is the rule of the kernel's fs.protected_symlinks and fs.protected_regular, which may be off. */
static bool of_stranger(const char *path, const struct stat *it)
{
	char folder[PATH_MAX];
	struct stat dir;

	if (!folder_of(path, folder, sizeof folder) || stat(folder, &dir))
		return true;
	return (dir.st_mode & (S_ISVTX | S_IWOTH)) == (S_ISVTX | S_IWOTH) && it->st_uid != geteuid() &&
	       it->st_uid != 0 && it->st_uid != dir.st_uid;
}

char *file_behind(const char *path)
{
	char *at = xprintf("%s", path), to[PATH_MAX], folder[PATH_MAX];
	struct stat st;
	int links = 0;

	while (links++ < 40 && !lstat(at, &st) && S_ISLNK(st.st_mode) && !of_stranger(at, &st)) {
		ssize_t n = readlink(at, to, sizeof to - 1);
		char *next;

		if (n < 0 || !folder_of(at, folder, sizeof folder))
			break;
		to[n] = 0;
		next = to[0] == '/' ? xprintf("%s", to) : xprintf("%s/%s", folder, to);
		free(at);
		at = next;
	}
	return at;
}

int file_place_error(const char *path)
{
	char *real = file_behind(path), folder[PATH_MAX];
	struct stat st;
	int error = 0;

	if (!folder_of(real, folder, sizeof folder))
		error = ENAMETOOLONG;
	else if (stat(folder, &st))
		error = errno;
	else if (!S_ISDIR(st.st_mode))
		error = ENOTDIR;
	else if (access(folder, W_OK | X_OK))
		error = errno;
	else if (!stat(real, &st) && S_ISDIR(st.st_mode))
		error = EISDIR;
	free(real);
	return error;
}

int file_write_error(int error)
{
	return error == ENOSPC || error == EDQUOT || error == EFBIG ? ERR_LIMIT : ERR_IO;
}

int file_append(const char *path)
{
	int how = O_WRONLY | O_APPEND | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, fd;
	struct stat st;

	if (!lstat(path, &st)) {
		if (of_stranger(path, &st)) {
			errno = S_ISLNK(st.st_mode) ? ELOOP : EPERM;
			return -1;
		}
		return open(path, how | (S_ISLNK(st.st_mode) ? O_CREAT : O_NOFOLLOW), 0640);
	}
	fd = open(path, how | O_CREAT | O_EXCL, 0640);
	return fd < 0 && errno == EEXIST ? open(path, how | O_NOFOLLOW) : fd;
}

int file_folder_check(const char *path)
{
	char folder[PATH_MAX];

	if (!folder_of(path, folder, sizeof folder))
		return ENAMETOOLONG;
	return euidaccess(folder, W_OK | X_OK) ? errno : 0;
}

int file_append_check(const char *path)
{
	struct stat st, to;

	if (!lstat(path, &st)) {
		if (of_stranger(path, &st))
			return S_ISLNK(st.st_mode) ? ELOOP : EPERM;
		if (!stat(path, &to))
			return S_ISDIR(to.st_mode) ? EISDIR : euidaccess(path, W_OK) ? errno : 0;
	}
	return file_folder_check(path);
}

bool file_trusted(int fd)
{
	struct stat st;

	return !fstat(fd, &st) && (st.st_uid == geteuid() || st.st_uid == 0) && !(st.st_mode & (S_IWGRP | S_IWOTH));
}
