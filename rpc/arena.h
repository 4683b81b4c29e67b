/* arena.h - many small pieces of memory that end together, with a budget so that hostile input cannot ask for
 * much. */
#ifndef RPC_ARENA_H
#define RPC_ARENA_H

#include "parallel/base.h"

struct arena {
	struct arena_block *blocks; /* newest first; NULL: nothing taken yet */
	char *at;                   /* (left) free bytes of the newest block */
	size_t left;
	size_t budget; /* bytes that may still be taken */
	bool refused;  /* something was over the budget */
};

/* NULL when over the budget; 16-byte aligned, not zeroed. */
void *arena_take(struct arena *a, size_t size);
/* The same, zeroed; the caller's budget is SIZE_MAX, so it never returns NULL. */
void *arena_zeroed(struct arena *a, size_t count, size_t size);
void *arena_copy(struct arena *a, const void *from, size_t size);
void arena_finish(struct arena *a);
/* The blocks alone, for memory that outlives its arena. NULL is fine. */
void arena_free(void *blocks);
/* Bytes of all arenas of the process. */
size_t arena_held(void);

#endif
