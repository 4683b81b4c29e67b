/* A process that is loaded with this reads files as from a file server that all nodes share: $SLOW_FILES is a folder on
 * a disk that all see, and $SLOW_MBPS how many megabytes the server sends in a second, to one reader after the other.
 * Each node keeps what it has read, in blocks of 256 KiB, as its page cache would (in its /dev/shm); the bytes that it
 * fetched are the size of $SLOW_FILES/HOST. Files named model* only. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { BLOCK = 256 << 10, BLOCKS = 1 << 20 };

static void *shared(const char *path, size_t bytes)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	void *at = fd >= 0 && !ftruncate(fd, (off_t)bytes)
			   ? mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)
			   : MAP_FAILED;

	if (fd >= 0)
		close(fd);
	return at == MAP_FAILED ? NULL : at;
}

static long long now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static void count(long long bytes)
{
	char path[4096], host[64] = "";
	_Atomic long long *all;

	gethostname(host, sizeof host - 1);
	snprintf(path, sizeof path, "%s/%s", getenv("SLOW_FILES"), host);
	all = shared(path, 4096);
	if (!all)
		return;
	atomic_fetch_add(all, bytes);
	munmap((void *)all, 4096);
}

/* One reader after the other. */
static void await(long long bytes)
{
	char path[4096];
	_Atomic long long *turn;
	long long take = bytes * 1000 / atoll(getenv("SLOW_MBPS")), old, end;

	snprintf(path, sizeof path, "%s/turn", getenv("SLOW_FILES"));
	turn = shared(path, 4096);
	if (!turn)
		return;
	old = atomic_load(turn);
	do
		end = (old > now() ? old : now()) + take;
	while (!atomic_compare_exchange_weak(turn, &old, end));
	munmap((void *)turn, 4096);
	for (long long left; (left = end - now()) > 0;)
		nanosleep(&(struct timespec){left / 1000000000, left % 1000000000}, NULL);
}

static void fetch(int fd, off_t at, size_t bytes)
{
	static _Atomic unsigned char *known;
	char link[64], target[4096];
	const char *name;
	struct stat st;
	long long new = 0;
	ssize_t n;

	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	n = getenv("SLOW_FILES") && bytes ? readlink(link, target, sizeof target - 1) : 0;
	target[n > 0 ? n : 0] = 0;
	name = strrchr(target, '/');
	if (!name || strncmp(name, "/model", 6) || fstat(fd, &st))
		return;
	if (!known)
		known = shared("/dev/shm/slow_files", BLOCKS);
	for (off_t b = at / BLOCK; known && b <= (at + (off_t)bytes - 1) / BLOCK; b++)
		new += !atomic_exchange(&known[((size_t)st.st_ino * 4096 + (size_t)b) % BLOCKS], 1);
	if (!new)
		return;
	count(new *BLOCK);
	await(new *BLOCK);
}

ssize_t pread(int fd, void *buf, size_t n, off_t at)
{
	static ssize_t (*real)(int, void *, size_t, off_t);

	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "pread");
	fetch(fd, at, n);
	return real(fd, buf, n, at);
}
ssize_t pread64(int fd, void *buf, size_t n, off64_t at) __attribute__((alias("pread")));

ssize_t sendfile(int to, int from, off_t *at, size_t n)
{
	static ssize_t (*real)(int, int, off_t *, size_t);

	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "sendfile");
	if (at)
		fetch(from, *at, n);
	return real(to, from, at, n);
}
ssize_t sendfile64(int to, int from, off64_t *at, size_t n) __attribute__((alias("sendfile")));
