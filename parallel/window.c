#include "parallel/window.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "parallel/world.h"

/* The size is sealed: a page of the window that is not there would be a bus error later. */
static int window_make(const char *name, size_t bytes)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0 || ftruncate(fd, (off_t)bytes))
		die("cannot make the shared window \"%s\" of %zu bytes: %s", name, bytes, strerror(errno));
	fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
	return fd;
}

static int window_find(const char *name, int pid, int remote_fd)
{
	char path[64];
	int fd;

	snprintf(path, sizeof path, "/proc/%d/fd/%d", pid, remote_fd);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		die("cannot open the shared window \"%s\" of rank 0 (%s): %s; ranks need one user and one "
		    "process "
		    "namespace",
		    name, path, strerror(errno));
	return fd;
}

void window_open(struct window *w, const struct world *world, const char *name, size_t bytes)
{
	size_t whole = round_up(bytes, (size_t)sysconf(_SC_PAGESIZE));
	int32_t from[2] = {getpid(), -1};
	int fd;

	REQUIRE(bytes > 0);
	REQUIRE(world_min(world, (int64_t)bytes) == (int64_t)bytes);
	if (world->rank == 0)
		from[1] = window_make(name, whole);
	world_bcast(world, from, sizeof from);
	fd = world->rank == 0 ? from[1] : window_find(name, from[0], from[1]);
	w->bytes = whole;
	w->base = mmap(NULL, whole, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (w->base == MAP_FAILED)
		die("cannot map the shared window \"%s\" of %zu bytes: %s", name, whole, strerror(errno));
	madvise(w->base, whole, MADV_DONTDUMP); /* sums and steps say nothing in a core dump that the heap does not */
	world_barrier(world); /* all have it open before rank 0's number goes */
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
