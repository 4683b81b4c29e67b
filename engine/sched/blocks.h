/* blocks.h - which KV blocks are free, held or cached. Rank 0 only, host only, integers only.
 *
 * A block is free (never written since it was last cleared, or forgotten), held (referenced by >= 1 sequences), or
 * cached: unreferenced but still findable by its content. A full block is known by a chain hash of (parent block
 * and its generation, its ids, the scope) and **verified by comparing ids**, so that a hash collision cannot
 * serve another's cache. Least recently used cached blocks are taken first when free ones run out. */
#ifndef ENGINE_SCHED_BLOCKS_H
#define ENGINE_SCHED_BLOCKS_H

#include "base/base.h"

struct blocks;

struct blocks *blocks_create(int n_blocks, int block_size, bool prefix_caching);
void blocks_destroy(struct blocks *b);
uint64_t blocks_bytes(int block_size); /* at most what blocks_create() allocates for each block */

int blocks_size(const struct blocks *b); /* tokens in a block */
int blocks_total(const struct blocks *b);
int blocks_available(const struct blocks *b); /* free + cached: what blocks_take() can give */
int blocks_held(const struct blocks *b);

/* Returns a block with one reference, or -1. Where none is free, the least recently used cached one is forgotten. */
int blocks_take(struct blocks *b);
/* Drops one reference; at zero a published block becomes cached, another free. */
void blocks_drop(struct blocks *b, int block);

/* Finds the longest run of cached full blocks that hold ids[0..n), takes a reference on each, writes their numbers to
 * `out` and returns how many there are. They never cover all n ids: at least one token is left to compute. */
int blocks_match(struct blocks *b, uint64_t scope, const int32_t *ids, int n, int *out);
/* Makes `block`, which holds the full run ids[0..block_size) after `parent` (-1: it is the first), findable. */
void blocks_publish(struct blocks *b, uint64_t scope, int parent, int block, const int32_t *ids);

/* Makes the content of a held block, and everything behind it, impossible to find. */
void blocks_forget(struct blocks *b, int block);

/* free + held + cached = total and all lists agree, or REQUIRE fails. The engine runs it whenever it is idle. */
void blocks_check(const struct blocks *b);

#endif
