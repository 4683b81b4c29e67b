#include "base/file/file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *kind_of(mode_t mode)
{
	return S_ISDIR(mode)                    ? "a directory"
	       : S_ISFIFO(mode)                 ? "a named pipe"
	       : S_ISSOCK(mode)                 ? "a socket"
	       : S_ISCHR(mode) || S_ISBLK(mode) ? "a device"
						: "no regular file";
}

/* A descriptor that is refused stays open. */
static int file_check(int fd, const char *path, uint64_t *size, struct why *why)
{
	struct stat st;

	if (fstat(fd, &st))
		return fail(why, ERR_IO, "%.300s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return fail(why, ERR_IO, "%.300s: this is %s; a regular file must have this name", path,
			    kind_of(st.st_mode));
	*size = (uint64_t)st.st_size;
	return 0;
}

/* A socket (ENXIO) and another user's pipe cannot be opened: stat() says what it is. */
static int refuse_name(const char *path, int error, struct why *why)
{
	struct stat st;

	if (error == ENOENT && !lstat(path, &st) && S_ISLNK(st.st_mode))
		return fail(
			why, ERR_IO,
			"%.300s: a symbolic link whose target does not exist; a hub cache keeps the files in its folder blobs",
			path);
	if (error == ENOENT || error == ENOTDIR)
		return fail(why, ERR_UNKNOWN, "%.300s: %s", path, file_error(path, error));
	if (!stat(path, &st) && !S_ISREG(st.st_mode))
		return fail(why, ERR_IO, "%.300s: this is %s; a regular file must have this name", path,
			    kind_of(st.st_mode));
	return fail(why, ERR_IO, "%.300s: %s", path, file_error(path, error));
}

int file_open(const char *path, uint64_t *size, struct why *why)
{
	int fd, err;

	do
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	while (fd < 0 && errno == EINTR);
	if (fd < 0)
		return refuse_name(path, errno, why);
	err = file_check(fd, path, size, why);
	if (err) {
		close(fd);
		return err;
	}
	return fd;
}

const char *file_disguise(const char *head, size_t n)
{
	static const char lfs[] = "version https://git-lfs.github.com/spec/";
	static const char *const html[] = {"<!doctype html", "<html", "<?xml"};

	if (n >= sizeof lfs - 1 && !memcmp(head, lfs, sizeof lfs - 1))
		return "this is a Git LFS pointer, not the file itself; fetch it with: git lfs pull";
	while (n && strchr(" \t\r\n", *head) && *head)
		head++, n--;
	for (size_t i = 0; i < sizeof html / sizeof *html; i++)
		if (n >= strlen(html[i]) && !strncasecmp(head, html[i], strlen(html[i])))
			return "this is a page of a web server, not the file itself; download it again (a gated model needs a login)";
	return NULL;
}

const char *file_not_text(const char *head, size_t n)
{
	static const struct {
		const char *begin;
		size_t n;
		const char *is;
	} kinds[] = {
		{"\x1f\x8b", 2, "this is compressed by gzip; unpack it first: gunzip -k FILE"},
		{"PK\3\4", 4, "this is a zip archive; unpack it first"},
		{"\xfd"
		 "7zXZ",
		 5, "this is compressed by xz; unpack it first: unxz -k FILE"},
		{"\x28\xb5\x2f\xfd", 4, "this is compressed by zstd; unpack it first: unzstd FILE"},
		{"PAR1", 4, "this is Parquet, which is not read; export it as JSON lines"},
		{"\xff\xfe", 2, "this is text in UTF-16; convert it first: iconv -f UTF-16 -t UTF-8"},
		{"\xfe\xff", 2, "this is text in UTF-16; convert it first: iconv -f UTF-16 -t UTF-8"},
	};

	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if (n >= kinds[i].n && !memcmp(head, kinds[i].begin, kinds[i].n))
			return kinds[i].is;
	return file_disguise(head, n);
}

static int read_all(int fd, const char *path, char *bytes, size_t len, struct why *why)
{
	for (size_t at = 0; at < len;) {
		ssize_t n = pread(fd, bytes + at, len - at, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail(why, ERR_IO, "%.300s: %s", path, strerror(errno));
		if (!n)
			return fail(why, ERR_IO, "%.300s: it became shorter while it was read", path);
		at += (size_t)n;
	}
	return 0;
}

static file_inside *look_inside;

void file_look_inside(file_inside *inside)
{
	look_inside = inside;
}

/* FILE/NAME, where FILE is a file. */
static int read_inside(const char *path, char **bytes, size_t *len, struct why *why)
{
	const char *slash = strrchr(path, '/');
	char *file = slash && look_inside ? xprintf("%.*s", (int)(slash - path), path) : NULL;
	struct stat st;
	int err = ERR_UNKNOWN;

	if (file && !stat(file, &st) && S_ISREG(st.st_mode))
		err = look_inside(file, slash + 1, bytes, len, why);
	free(file);
	return err;
}

int file_read(const char *path, uint64_t most, char **bytes, size_t *len, struct why *why)
{
	uint64_t size;
	int fd, err;
	const char *disguise;

	*bytes = NULL;
	*len = 0;
	fd = file_open(path, &size, why);
	if (fd == ERR_UNKNOWN)
		return read_inside(path, bytes, len, why);
	if (fd < 0)
		return fd;
	if (size > most) {
		close(fd);
		return fail(why, ERR_LIMIT,
			    "%.300s: it has %" PRIu64 " bytes; at most %" PRIu64 " are read of a file of its kind",
			    path, size, most);
	}
	*bytes = xalloc((size_t)size + 1, 1);
	err = read_all(fd, path, *bytes, (size_t)size, why);
	close(fd);
	disguise = err ? NULL : file_disguise(*bytes, (size_t)size);
	if (disguise)
		err = fail(why, ERR_FORMAT, "%.300s: %s", path, disguise);
	if (err) {
		free(*bytes);
		*bytes = NULL;
		return err;
	}
	*len = (size_t)size;
	return 0;
}
