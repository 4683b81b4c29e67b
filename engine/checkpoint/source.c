#include "engine/checkpoint/inside.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file/file.h"

int source_open(struct source *s, const char *dir, const char *name, struct why *why)
{
	char *path = dir ? xprintf("%s/%s", dir, name) : xstrdup(name);
	const char *slash = strrchr(path, '/');
	int fd;

	*s = (struct source){.name = xstrdup(slash ? slash + 1 : path)};
	fd = s->fd = file_open(path, &s->size, why);
	free(path);
	if (fd >= 0)
		return 0;
	source_close(s);
	return fd == ERR_UNKNOWN ? ERR_IO : fd;
}

struct source source_memory(const char *name, const void *data, size_t size)
{
	return (struct source){.name = xstrdup(name), .fd = -1, .mem = data, .size = size};
}

void source_close(struct source *s)
{
	if (s->fd >= 0)
		close(s->fd);
	free(s->name);
	*s = (struct source){.fd = -1};
}

static int read_file(const struct source *s, uint64_t offset, uint8_t *dst, size_t n, struct why *why)
{
	while (n) {
		ssize_t got = pread(s->fd, dst, n < 1u << 30 ? n : 1u << 30, (off_t)offset);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return fail(why, ERR_IO, "%s: reading %zu bytes at %" PRIu64 ": %s", s->name, n, offset,
				    strerror(errno));
		if (!got)
			return fail(why, ERR_IO, "%s: became shorter while it was read: no byte at %" PRIu64, s->name,
				    offset);
		dst += got;
		offset += (uint64_t)got;
		n -= (size_t)got;
	}
	return 0;
}

int source_read(const struct source *s, uint64_t offset, void *dst, size_t n, struct why *why)
{
	if (offset > s->size || n > s->size - offset)
		return fail(why, ERR_FORMAT, "%s: truncated: %" PRIu64 " bytes found, %" PRIu64 " expected", s->name,
			    s->size, offset > UINT64_MAX - n ? UINT64_MAX : offset + n);
	if (s->reader && n)
		return s->reader(s->reader_arg, s->number, offset, dst, n, why);
	if (s->fd >= 0)
		return read_file(s, offset, dst, n, why);
	if (n)
		memcpy(dst, s->mem + offset, n);
	return 0;
}

bool source_exists(const char *dir, const char *name)
{
	char *path = xprintf("%s/%s", dir, name);
	struct stat st;
	bool there = !lstat(path, &st);

	free(path);
	return there;
}
