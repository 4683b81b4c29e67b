#include "base/effort.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/die.h"
#include "base/error.h"

static _Thread_local struct effort *current;

static uint64_t cpu_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void effort_begin(struct effort *w)
{
	w->starved = w->spent = false;
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

static bool is_stopped(struct effort *w)
{
	return __atomic_load_n(&w->stop, __ATOMIC_RELAXED);
}

/* Reading the CPU clock is a system call, so it is read once every few milliseconds of a clock that costs none. */
static bool is_late(struct effort *w)
{
	struct timespec t;
	uint64_t now;

	if (!w->end_ns)
		return false;
	clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	now = (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
	if (now - w->looked_ns < 4000000)
		return false;
	w->looked_ns = now;
	return cpu_now() > w->end_ns;
}

bool effort_goes_on(void)
{
	struct effort *w = current;

	if (!w)
		return true;
	if (is_late(w))
		w->end_ns = 1; /* it stays late */
	return !(w->starved || w->spent || w->end_ns == 1 || is_stopped(w));
}

int effort_check(struct why *why)
{
	struct effort *w = current;

	if (!w || effort_goes_on())
		return 0;
	if (is_stopped(w))
		return fail(why, ERR_CANCELLED, "cancelled");
	if (w->spent)
		return fail(why, ERR_LIMIT,
			    "the request takes more than the %zu MiB of working memory that one may take",
			    w->bytes >> 20);
	if (w->starved)
		return fail(why, ERR_BUSY, "there is no memory for this request now");
	return fail(why, ERR_LIMIT,
		    "the request takes more than the %.2f s of CPU time that one may take before it runs",
		    (double)w->cpu_ns / 1e9);
}

static void *starve(size_t count, size_t size)
{
	if (!current)
		die("out of memory: %zu x %zu bytes", count, size);
	current->starved = true;
	return NULL;
}

/* Accounts for a block that changed from `old` to `now` bytes. */
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

	if (current && (current->starved || current->spent))
		return NULL; /* a caller that adds much calls again and again */
	if (__builtin_mul_overflow(n ? n : 1, size ? size : 1, &bytes))
		return starve(n, size);
	if (current && bytes > old && bytes - old > current->left) {
		current->spent = true;
		return NULL;
	}
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
