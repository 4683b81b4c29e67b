/* bpe_merge.h - merges the symbols of one word: adjacent symbols of the lowest rank merge, until none can. */
#ifndef ENGINE_TOKENIZER_BPE_MERGE_H
#define ENGINE_TOKENIZER_BPE_MERGE_H

#include "engine/tokenizer/vocab.h"

/* Scratch of one thread; zero-initialise. */
struct bpe_work {
	struct bpe_symbol {
		int32_t id;
		uint32_t len; /* bytes; 0: merged into its left neighbour */
		int32_t prev, next;
	} * symbol;
	int n, max;
	struct bpe_merge {
		int32_t rank, pos, id;
		int32_t next; /* the next merge of this rank */
	} * merge, *urgent;
	struct bpe_merge *batch;
	int n_merges, max_merges, n_urgent, max_urgent, max_batch;
	int32_t *of_rank, *rank_heap; /* newest merge of each rank + 1; the ranks that have one */
	int n_heap, max_heap, n_ranks;
	bool failed; /* memory ran out, or the effort ended: the contents are meaningless */
};
void bpe_work_finish(struct bpe_work *w);

/* Merges w->symbol (n of them, none of length 0) by the pairs, whose ranks are below n_ranks. */
void bpe_merge_all(const struct pairs *pairs, int n_ranks, struct bpe_work *w);

#endif
