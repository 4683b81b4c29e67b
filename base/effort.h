/* effort.h - memory and CPU time that a thread may spend for one client, and a flag that stops it.
 *
 * During an effort heap_grow() and heap_take() return NULL where memory or the effort's bytes have run out, and from
 * then on the effort is starved; outside of any effort they die as xalloc() does. */
#ifndef BASE_EFFORT_H
#define BASE_EFFORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct why;

struct effort {
	size_t bytes;        /* the most that may be allocated; 0: no bound */
	uint64_t cpu_ns;     /* the most CPU time; 0: no bound */
	bool stop;           /* effort_stop() sets it, from any thread */
	bool starved, spent; /* starved: an allocation failed; spent: `bytes` did not suffice */
	size_t left;
	uint64_t looked_ns; /* when the CPU clock was read last */
	uint64_t end_ns;    /* of the thread's CPU clock */
	struct effort *outer;
};

/* The effort is the calling thread's until effort_end(). Efforts nest; only the innermost counts. */
void effort_begin(struct effort *w);
void effort_end(void);
void effort_stop(struct effort *w);
bool effort_goes_on(void); /* cheap enough for any loop */
/* 0, ERR_CANCELLED (stopped), ERR_LIMIT (CPU time or bytes are spent) or ERR_BUSY (no memory). */
int effort_check(struct why *why);

/* Memory whose size a client decides. */
void *heap_grow(void *p, size_t count, size_t size); /* new memory is not zeroed; p stays valid where it fails */
void *heap_take(size_t count, size_t size);          /* zeroed */
void *heap_malloc(size_t size);                      /* for libraries that accept an allocator; not zeroed */
void heap_free(void *p);                             /* returns the bytes to the effort, which free() would not */
/* Called once at the start of a program: freed large blocks go back to the system at once. */
void heap_init(void);
/* Returns free memory to the system. Takes some milliseconds. */
void heap_trim(void);

#endif
