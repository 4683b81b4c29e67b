/* memory.c - memory in pages: huge ones where the kernel has them, zeroed, and touched before the daemon is ready. Core
 * dumps leave them out: weights and KV cache would make a dump tens of gigabytes large, and it would hold what clients
 * sent. */
#include "engine/cpu/cpu.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

enum { PAGE = 4096, HUGE = 2 << 20 };

struct touch {
	char *p;
	size_t bytes;
	int units;
};

static void touch_unit(void *arg, int unit, int worker)
{
	const struct touch *t = arg;
	size_t from = t->bytes / (size_t)t->units * (size_t)unit / PAGE * PAGE;
	size_t to = unit + 1 == t->units ? t->bytes : t->bytes / (size_t)t->units * (size_t)(unit + 1) / PAGE * PAGE;

	(void)worker;
	for (size_t i = from; i < to; i += PAGE)
		((volatile char *)t->p)[i] = 0;
}

size_t cpu_pages_bytes(size_t bytes)
{
	return round_up(bytes, PAGE);
}

/* Both are hints only. */
static void advise(char *p, size_t bytes)
{
	madvise(p, bytes, MADV_HUGEPAGE);
	madvise(p, bytes, MADV_DONTDUMP);
}

/* Maps a little more and unmaps the edges, so that large blocks start on a huge page. */
static char *map(size_t bytes)
{
	size_t edge = bytes >= HUGE ? HUGE : 0, before;
	char *p = mmap(NULL, bytes + edge, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		die("cannot allocate %zu bytes of memory: %s", bytes, strerror(errno));
	if (!edge) {
		madvise(p, bytes, MADV_DONTDUMP);
		return p;
	}
	before = round_up((uintptr_t)p, HUGE) - (uintptr_t)p;
	if (before)
		munmap(p, before);
	munmap(p + before + bytes, edge - before);
	advise(p + before, bytes);
	return p + before;
}

void *cpu_pages_reserve(size_t bytes)
{
	return bytes ? map(cpu_pages_bytes(bytes)) : NULL;
}

void cpu_pages_touch(struct pool *pool, void *p, size_t bytes, int units)
{
	struct touch t = {.p = p, .bytes = cpu_pages_bytes(bytes), .units = max_int(units, 1)};

	if (!bytes)
		return;
	if (mmap(p, t.bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
		die("cannot allocate %zu bytes of memory: %s", bytes, strerror(errno));
	advise(p, t.bytes);
	pool_each(pool, t.units, touch_unit, &t);
}

bool cpu_pages_map(void *p, size_t bytes, int fd, int64_t at)
{
	if (bytes && mmap(p, cpu_pages_bytes(bytes), PROT_READ, MAP_PRIVATE | MAP_FIXED, fd, at) == MAP_FAILED)
		return false;
	madvise(p, cpu_pages_bytes(bytes), MADV_DONTDUMP);
	mapped_add(
		p, cpu_pages_bytes(bytes),
		"a file of packed weights (--pack-cache) was cut short while it was in use: replace such files by renaming");
	return true;
}

void *cpu_pages(struct pool *pool, size_t bytes, int units)
{
	void *p = cpu_pages_reserve(bytes);

	if (pool)
		cpu_pages_touch(pool, p, bytes, units);
	return p;
}

void cpu_pages_free(void *p, size_t bytes)
{
	if (p)
		munmap(p, cpu_pages_bytes(bytes));
}

void *cpu_alloc(struct backend *b, size_t bytes)
{
	int units = (int)(bytes >> 21) + 1; /* a huge page each */

	b->held += cpu_pages_bytes(bytes);
	return cpu_pages(cpu_of(b)->pool, bytes, units);
}

void cpu_free(struct backend *b, void *p, size_t bytes)
{
	b->held -= cpu_pages_bytes(bytes);
	cpu_pages_free(p, bytes);
}

void cpu_copy(struct backend *b, void *dst, const void *src, size_t bytes)
{
	(void)b;
	memcpy(dst, src, bytes);
}
