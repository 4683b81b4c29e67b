#include "base/arena.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static _Atomic size_t held;

size_t arena_held(void)
{
	return atomic_load(&held);
}

struct arena_block {
	struct arena_block *next;
	size_t size;
	_Alignas(16) char data[];
};

/* False: out of memory. */
static bool arena_grow(struct arena *a, size_t need)
{
	size_t size = a->blocks ? a->blocks->size * 2 : 512;
	struct arena_block *b;

	if (size > 1 << 20)
		size = 1 << 20;
	if (size < need)
		size = need;
	b = malloc(sizeof *b + size);
	if (!b)
		return false;
	atomic_fetch_add(&held, size);
	*b = (struct arena_block){.next = a->blocks, .size = size};
	a->blocks = b;
	a->at = b->data;
	a->left = size;
	return true;
}

void *arena_take(struct arena *a, size_t size)
{
	void *p;

	if (size > a->budget || size > SIZE_MAX / 2) {
		a->refused = true;
		return NULL;
	}
	size = round_up(size ? size : 1, 16);
	a->budget -= size < a->budget ? size : a->budget;
	if (size > a->left && !arena_grow(a, size)) {
		a->starved = true;
		if (a->starve)
			longjmp(*a->starve, 1);
		return NULL;
	}
	p = a->at;
	a->at += size;
	a->left -= size;
	return p;
}

void *arena_zeroed(struct arena *a, size_t count, size_t size)
{
	void *p;

	REQUIRE(!count || size <= SIZE_MAX / 4 / count);
	p = arena_take(a, count * size);
	if (!p)
		die("out of memory: %zu x %zu bytes", count, size);
	return memset(p, 0, count * size);
}

size_t arena_size(const void *blocks)
{
	size_t size = 0;

	for (const struct arena_block *b = blocks; b; b = b->next)
		size += b->size;
	return size;
}

void arena_free(void *blocks)
{
	for (struct arena_block *b = blocks, *next; b; b = next) {
		next = b->next;
		atomic_fetch_sub(&held, b->size);
		free(b);
	}
}

void arena_finish(struct arena *a)
{
	arena_free(a->blocks);
	*a = (struct arena){0};
}
