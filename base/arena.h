/* arena.h - many small pieces of memory that end together, with a budget so that hostile input cannot ask for
 * much. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <setjmp.h>

#include "base/base.h"

struct arena {
	struct arena_block *blocks; /* newest first; NULL: nothing taken yet */
	char *at;                   /* (left) free bytes of the newest block */
	size_t left;
	size_t budget;   /* bytes that may still be taken */
	bool refused;    /* something was over the budget */
	bool starved;    /* the machine has no memory */
	jmp_buf *starve; /* where to go then; NULL: arena_take() returns NULL, and the others die */
};

/* NULL when over the budget or without memory; 16-byte aligned, not zeroed. */
void *arena_take(struct arena *a, size_t size);
/* The same, zeroed; the caller's budget is SIZE_MAX. */
void *arena_zeroed(struct arena *a, size_t count, size_t size);
void arena_finish(struct arena *a);
/* The blocks alone, for memory that outlives its arena. NULL is fine. */
void arena_free(void *blocks);
size_t arena_size(const void *blocks);
/* Bytes of all arenas of the process. */
size_t arena_held(void);

#endif
