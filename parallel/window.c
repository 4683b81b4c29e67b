#include "parallel/window.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "parallel/pass.h"
#include "parallel/collect.h"

enum { PASS_MS = 60000 };

/* The size is sealed, since touching a page beyond a truncated file would be a bus error. */
static int window_make(const char *name, size_t bytes)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0 || ftruncate(fd, (off_t)bytes))
		die("cannot make the shared window \"%s\" of %zu bytes: %s", name, bytes, strerror(errno));
	fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
	return fd;
}

/* Whether fd is the window that the first rank of this node made. */
static bool window_right(int fd, const char *name, size_t bytes)
{
	char link[64], target[256], wanted[256];
	struct stat st;
	ssize_t n;

	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	n = readlink(link, target, sizeof target - 1);
	target[n > 0 ? n : 0] = 0;
	snprintf(wanted, sizeof wanted, "/memfd:%s", name);
	return !strncmp(target, wanted, strlen(wanted)) && !fstat(fd, &st) && st.st_size == (off_t)bytes &&
	       (fcntl(fd, F_GET_SEALS) & (F_SEAL_SHRINK | F_SEAL_GROW)) == (F_SEAL_SHRINK | F_SEAL_GROW);
}

static int window_give(const struct world *world, const char *name, size_t bytes)
{
	struct pass_ticket ticket;
	int socket, fd = window_make(name, bytes);

	if (world->local_size == 1)
		return fd;
	socket = pass_listen(&ticket);
	node_bcast(world, &ticket, sizeof ticket);
	if (!pass_give(socket, &ticket, fd, world->local_size, PASS_MS))
		die("the other ranks did not fetch the shared window \"%s\" within %d s: all ranks of a node need one network namespace",
		    name, PASS_MS / 1000);
	close(socket);
	return fd;
}

static int window_take(const struct world *world, const char *name, size_t bytes)
{
	struct pass_ticket ticket;
	int fd;

	node_bcast(world, &ticket, sizeof ticket);
	fd = pass_take(&ticket, world->local_rank, PASS_MS);
	if (fd < 0)
		die("cannot get the shared window \"%s\" from the first rank of this node: %s; all ranks of a node need one network namespace",
		    name, strerror(errno));
	if (!window_right(fd, name, bytes))
		die("what the first rank of this node gave is not the shared window \"%s\" of %zu bytes", name, bytes);
	return fd;
}

void window_open(struct window *w, const struct world *world, const char *name, size_t bytes)
{
	size_t whole = round_up(bytes, (size_t)sysconf(_SC_PAGESIZE));
	int fd;

	REQUIRE(bytes > 0);
	REQUIRE(node_min(world, (int64_t)bytes) == (int64_t)bytes);
	fd = world->local_rank == 0 ? window_give(world, name, whole) : window_take(world, name, whole);
	w->bytes = whole;
	w->base = mmap(NULL, whole, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (w->base == MAP_FAILED)
		die("cannot map the shared window \"%s\" of %zu bytes: %s", name, whole, strerror(errno));
	madvise(w->base, whole, MADV_DONTDUMP); /* sums and steps add nothing to a core dump */
	close(fd);
}

void window_map(const struct window *w)
{
	for (size_t i = 0; i < w->bytes; i += 4096)
		(void)((const volatile char *)w->base)[i];
}

void window_close(struct window *w)
{
	munmap(w->base, w->bytes);
	w->base = NULL;
}
