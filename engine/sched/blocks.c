/* blocks.c - lists of free and cached blocks, and a hash table of the published ones. */
#include "engine/sched/blocks.h"

#include <stdlib.h>
#include <string.h>

#include "base/mix.h"

enum { NONE = -1 };

struct block {
	int refs;
	bool published;
	int chain;      /* next in its hash bucket */
	int prev, next; /* neighbours in the cached list; next also links the free list */
	int parent;
	uint64_t gen; /* rises whenever the block is forgotten: children of the old content find no parent */
	uint64_t parent_gen, scope, hash;
};

struct blocks {
	int n, size, n_buckets;
	bool caching;
	struct block *block; /* (n) */
	int32_t *ids;        /* (n, size) what a published block holds */
	int *bucket;         /* (n_buckets) a power of two */
	int free;
	int oldest, newest; /* cached: unreferenced and published */
	int n_free, n_cached, n_held;
};

struct blocks *blocks_create(int n_blocks, int block_size, bool prefix_caching)
{
	struct blocks *b = xalloc(1, sizeof *b);

	b->n = n_blocks;
	b->size = block_size;
	b->caching = prefix_caching;
	b->n_buckets = 1;
	while (b->n_buckets < 2 * n_blocks)
		b->n_buckets *= 2;
	b->block = xalloc((size_t)n_blocks, sizeof *b->block);
	b->ids = xalloc((size_t)n_blocks * (size_t)block_size, sizeof *b->ids);
	b->bucket = xalloc((size_t)b->n_buckets, sizeof *b->bucket);
	memset(b->bucket, 0xff, (size_t)b->n_buckets * sizeof *b->bucket);
	for (int i = 0; i < n_blocks; i++)
		b->block[i].next = i + 1 < n_blocks ? i + 1 : NONE;
	b->free = n_blocks ? 0 : NONE;
	b->oldest = b->newest = NONE;
	b->n_free = n_blocks;
	return b;
}

uint64_t blocks_bytes(int block_size)
{
	return sizeof(struct block) + (size_t)block_size * sizeof(int32_t) + 4 * sizeof(int);
}

void blocks_destroy(struct blocks *b)
{
	if (!b)
		return;
	free(b->block);
	free(b->ids);
	free(b->bucket);
	free(b);
}

int blocks_size(const struct blocks *b)
{
	return b->size;
}

int blocks_total(const struct blocks *b)
{
	return b->n;
}

int blocks_available(const struct blocks *b)
{
	return b->n_free + b->n_cached;
}

int blocks_held(const struct blocks *b)
{
	return b->n_held;
}

static int32_t *ids_of(const struct blocks *b, int i)
{
	return b->ids + (size_t)i * (size_t)b->size;
}

static void cached_append(struct blocks *b, int i)
{
	struct block *k = &b->block[i];

	k->prev = b->newest;
	k->next = NONE;
	*(b->newest == NONE ? &b->oldest : &b->block[b->newest].next) = i;
	b->newest = i;
	b->n_cached++;
}

static void cached_remove(struct blocks *b, int i)
{
	struct block *k = &b->block[i];

	*(k->prev == NONE ? &b->oldest : &b->block[k->prev].next) = k->next;
	*(k->next == NONE ? &b->newest : &b->block[k->next].prev) = k->prev;
	b->n_cached--;
}

static int *bucket_of(struct blocks *b, uint64_t hash)
{
	return &b->bucket[hash & (uint64_t)(b->n_buckets - 1)];
}

static void forget(struct blocks *b, int i)
{
	int *at = bucket_of(b, b->block[i].hash);

	while (*at != i)
		at = &b->block[*at].chain;
	*at = b->block[i].chain;
	b->block[i].published = false;
	b->block[i].gen++;
}

int blocks_take(struct blocks *b)
{
	int i = b->free;

	if (i != NONE) {
		b->free = b->block[i].next;
		b->n_free--;
	} else {
		i = b->oldest;
		if (i == NONE)
			return -1;
		cached_remove(b, i);
		forget(b, i);
	}
	b->block[i].refs = 1;
	b->n_held++;
	return i;
}

void blocks_drop(struct blocks *b, int i)
{
	struct block *k = &b->block[i];

	REQUIRE(i >= 0 && i < b->n && k->refs > 0);
	if (--k->refs)
		return;
	b->n_held--;
	if (k->published) {
		cached_append(b, i);
		return;
	}
	k->next = b->free;
	b->free = i;
	b->n_free++;
}

/* FNV-1a over 64-bit words, then mixed as in splitmix64 (Steele et al. 2014). Only speed depends on it: a hit
 * is verified. */
static uint64_t hash_word(uint64_t h, uint64_t word)
{
	return (h ^ word) * 0x100000001b3u;
}

static uint64_t hash_of(const struct blocks *b, uint64_t scope, int parent, const int32_t *ids)
{
	uint64_t h = hash_word(0xcbf29ce484222325u, scope);

	h = hash_word(h, (uint64_t)parent);
	h = hash_word(h, parent == NONE ? 0 : b->block[parent].gen);
	for (int i = 0; i < b->size; i++)
		h = hash_word(h, (uint32_t)ids[i]);
	return mix64(h);
}

static bool holds(const struct blocks *b, int i, uint64_t scope, int parent, const int32_t *ids)
{
	const struct block *k = &b->block[i];

	return k->scope == scope && k->parent == parent && (parent == NONE || k->parent_gen == b->block[parent].gen) &&
	       !memcmp(ids_of(b, i), ids, (size_t)b->size * sizeof *ids);
}

static int find(struct blocks *b, uint64_t hash, uint64_t scope, int parent, const int32_t *ids)
{
	int i = *bucket_of(b, hash);

	while (i != NONE && !(b->block[i].hash == hash && holds(b, i, scope, parent, ids)))
		i = b->block[i].chain;
	return i;
}

int blocks_match(struct blocks *b, uint64_t scope, const int32_t *ids, int n, int *out)
{
	int found = 0, parent = NONE;

	while (b->caching && (found + 1) * b->size < n) {
		const int32_t *run = ids + found * b->size;
		int i = find(b, hash_of(b, scope, parent, run), scope, parent, run);
		if (i == NONE)
			break;
		if (!b->block[i].refs++) {
			cached_remove(b, i);
			b->n_held++;
		}
		out[found++] = parent = i;
	}
	return found;
}

/* Content that is already published, or whose parent is not, stays private: no lookup could reach it. */
void blocks_publish(struct blocks *b, uint64_t scope, int parent, int i, const int32_t *ids)
{
	struct block *k = &b->block[i];
	uint64_t hash;

	REQUIRE(k->refs > 0 && !k->published);
	if (!b->caching || (parent != NONE && !b->block[parent].published))
		return;
	hash = hash_of(b, scope, parent, ids);
	if (find(b, hash, scope, parent, ids) != NONE)
		return;
	k->scope = scope;
	k->parent = parent;
	k->parent_gen = parent == NONE ? 0 : b->block[parent].gen;
	k->hash = hash;
	k->published = true;
	k->chain = *bucket_of(b, hash);
	*bucket_of(b, hash) = i;
	memcpy(ids_of(b, i), ids, (size_t)b->size * sizeof *ids);
}

void blocks_forget(struct blocks *b, int i)
{
	REQUIRE(b->block[i].refs > 0);
	if (b->block[i].published)
		forget(b, i);
}

static int count_list(const struct blocks *b, int first, bool published)
{
	int n = 0;

	for (int i = first; i != NONE; i = b->block[i].next, n++) {
		REQUIRE(n < b->n && !b->block[i].refs && b->block[i].published == published);
		REQUIRE(!published || b->block[i].next == NONE || b->block[b->block[i].next].prev == i);
	}
	return n;
}

void blocks_check(const struct blocks *b)
{
	int held = 0, published = 0, hashed = 0;

	for (int i = 0; i < b->n; i++) {
		held += b->block[i].refs > 0;
		published += b->block[i].published;
	}
	for (int k = 0; published && k < b->n_buckets; k++)
		for (int i = b->bucket[k]; i != NONE; i = b->block[i].chain, hashed++)
			REQUIRE(hashed < b->n && b->block[i].published);
	REQUIRE(hashed == published && held == b->n_held);
	REQUIRE(count_list(b, b->free, false) == b->n_free);
	REQUIRE(count_list(b, b->oldest, true) == b->n_cached);
	REQUIRE(b->n_free + b->n_cached + b->n_held == b->n);
}
