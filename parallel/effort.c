/* effort.c - what one client's request may take of a thread: bytes and CPU time. */
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "parallel/base.h"

static _Thread_local struct effort *current;

static uint64_t cpu_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void effort_begin(struct effort *w)
{
	w->starved = false;
	w->left = w->bytes ? w->bytes : SIZE_MAX;
	w->end_ns = w->cpu_ns ? cpu_now() + w->cpu_ns : 0;
	w->outer = current;
	current = w;
}

void effort_end(void)
{
	current = current->outer;
}

void effort_stop(struct effort *w)
{
	__atomic_store_n(&w->stop, true, __ATOMIC_RELAXED);
}

bool effort_goes_on(void)
{
	struct effort *w = current;

	return !w || !(w->starved || __atomic_load_n(&w->stop, __ATOMIC_RELAXED) || (w->end_ns && cpu_now() > w->end_ns));
}

int effort_check(struct why *why)
{
	struct effort *w = current;

	if (!w || effort_goes_on())
		return 0;
	if (__atomic_load_n(&w->stop, __ATOMIC_RELAXED))
		return fail(why, ERR_CANCELLED, "cancelled");
	if (w->starved)
		return fail(why, ERR_BUSY, "there is no memory for this request now: %zu MiB of working memory are the most",
			    (w->bytes ? w->bytes : SIZE_MAX) >> 20);
	return fail(why, ERR_LIMIT, "the request takes more than %.2f s of CPU time before it can run: send less text",
		    (double)w->cpu_ns / 1e9);
}

static void *starve(size_t count, size_t size)
{
	if (!current)
		die("out of memory: %zu x %zu bytes", count, size);
	current->starved = true;
	return NULL;
}

/* A block of `old` bytes has become one of `now`. */
static void count(size_t old, size_t now)
{
	if (!current || current->left == SIZE_MAX)
		return;
	current->left = old < current->bytes - current->left ? current->left + old : current->bytes;
	current->left -= now < current->left ? now : current->left;
}

void *heap_grow(void *p, size_t n, size_t size)
{
	size_t old = malloc_usable_size(p), bytes;
	void *to;

	if (__builtin_mul_overflow(n ? n : 1, size ? size : 1, &bytes) || (current && bytes > old && bytes - old > current->left))
		return starve(n, size);
	to = realloc(p, bytes);
	if (!to)
		return starve(n, size);
	count(old, malloc_usable_size(to));
	return to;
}

void *heap_take(size_t n, size_t size)
{
	void *p = heap_grow(NULL, n, size);

	return p ? memset(p, 0, (n ? n : 1) * (size ? size : 1)) : NULL;
}

void *heap_malloc(size_t size)
{
	return heap_grow(NULL, size, 1);
}

void heap_free(void *p)
{
	count(malloc_usable_size(p), 0);
	free(p);
}

void heap_init(void)
{
	mallopt(M_MMAP_THRESHOLD, 256 << 10);
	mallopt(M_TRIM_THRESHOLD, 1 << 20);
}

void heap_trim(void)
{
	malloc_trim(0);
}
