/* bpe_inside.h - between bpe.c and bpe_merge.c. */
#ifndef ENGINE_TOKENIZER_BPE_INSIDE_H
#define ENGINE_TOKENIZER_BPE_INSIDE_H

#include "engine/tokenizer/bpe.h"

enum { BPE_SHORT = 24 }; /* symbols; up to here looking at all pairs is faster than keeping lists */

static inline const struct pair_slot *bpe_pair(const struct bpe *b, int left, int right)
{
	return left < 0 || right < 0 ? NULL : pairs_find(&b->pairs, (uint32_t)left, (uint32_t)right);
}

/* Merges w->symbol (n of them, none of length 0). */
void bpe_merge_all(const struct bpe *b, struct bpe_work *w);

#endif
