/* log_out.c - writes lines to standard error without ever waiting for its reader.
 *
 * Standard error may be a pipe that a stalled collector no longer reads. Its file description is shared with other
 * processes, so it must not be made non-blocking. A pipe or a terminal is therefore opened again through /proc, which
 * gives a description of its own. If that fails, poll() says whether a line fits. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"
#include "base/log_out.h"

static struct {
	pthread_mutex_t lock; /* protects the other fields; held for no longer than an open() */
	int fd; /* our description; -1: none yet. The number never changes, since another thread may be writing to it */
	bool usable; /* fd is what standard error is */
	dev_t dev;   /* of the file that fd was opened for */
	ino_t ino;
	_Atomic uint64_t lost;
} out = {.lock = PTHREAD_MUTEX_INITIALIZER, .fd = -1};

/* A descriptor of our own for the present standard error; -1: none. */
static int own_descriptor(const struct stat *now)
{
	int fd;

	pthread_mutex_lock(&out.lock);
	if (out.dev != now->st_dev || out.ino != now->st_ino) {
		fd = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
		out.usable = fd >= 0;
		if (fd >= 0 && out.fd >= 0) {
			dup3(fd, out.fd, O_CLOEXEC);
			close(fd);
		} else if (fd >= 0) {
			out.fd = fd;
		}
		out.dev = now->st_dev;
		out.ino = now->st_ino;
	}
	fd = out.usable ? out.fd : -1;
	pthread_mutex_unlock(&out.lock);
	return fd;
}

/* Returns 0 or an errno; EAGAIN: the write would block. */
static int put(const char *line, size_t n)
{
	struct pollfd err = {.fd = STDERR_FILENO, .events = POLLOUT};
	struct stat now;
	int fd = STDERR_FILENO;
	bool waits = !fstat(STDERR_FILENO, &now) && (S_ISFIFO(now.st_mode) || S_ISCHR(now.st_mode));

	if (waits)
		fd = own_descriptor(&now);
	if (fd < 0)
		fd = STDERR_FILENO;
	if (fd == STDERR_FILENO && poll(&err, 1, 0) <= 0)
		return EAGAIN;
	return write(fd, line, n) < 0 ? errno : 0;
}

void log_out(const char *line, size_t n, size_t (*lost_line)(char *out, size_t size, uint64_t lost))
{
	uint64_t lost = atomic_exchange(&out.lost, 0);
	char text[300];
	int err = lost ? put(text, lost_line(text, sizeof text, lost)) : 0;

	if (!err) {
		lost = 0;
		err = put(line, n);
	}
	if (err == EAGAIN || err == EINTR || lost)
		atomic_fetch_add(&out.lost, lost + 1);
}
