/* step.h - one forward pass, as plain numbers. Rank 0 plans it, all ranks run it.
 *
 * There is no prefill or decode: a step is a list of sequences, each bringing one or more new tokens. The plan
 * is one flat block of int32; only `head->bytes` of it are sent. */
#ifndef ENGINE_STEP_H
#define ENGINE_STEP_H

#include "base/base.h"

enum step_kind { STEP_STOP, STEP_RUN };

/* Upper bounds that size the block and every buffer. */
struct step_limits {
	int max_seqs;   /* per step */
	int max_tokens; /* per step */
	int max_blocks; /* block numbers named by one step, over all its sequences */
	int rows;       /* R: rows of logits held at a time */
};

struct step_head {
	int32_t kind, bytes, no; /* only `bytes` are sent; `no` counts steps */
	int32_t n_seqs, n_tokens, n_rows, n_blocks;
	int32_t pad_seqs, pad_tokens, pad_rows; /* padded shape (CUDA graph buckets); CPU: equal to n_* */
};

struct step {
	struct step_head *head;
	int32_t *token;       /* (pad_tokens) token -1-r: what row r of step no-1 drew */
	int32_t *pos;         /* (pad_tokens) place in its sequence */
	int32_t *slot;        /* (pad_tokens) where its K and V go: block*block_size + offset; -1: no store */
	int32_t *seq;         /* (pad_seqs) index that is stable for a sequence's life, < max_num_seqs */
	int32_t *q_start;     /* (pad_seqs + 1) first token of each sequence */
	int32_t *kv_len;      /* (pad_seqs) keys that its last token sees */
	int32_t *block_start; /* (pad_seqs + 1) first of its blocks in `blocks` */
	int32_t *blocks;      /* (n_blocks) */
	int32_t *row;         /* (pad_rows) tokens whose logits are wanted, ascending */
};

size_t step_bytes_max(const struct step_limits *lim);
/* The block for the largest step; arrays are placed by step_layout() from the head. */
void step_init(struct step *s, const struct step_limits *lim);
void step_finish(struct step *s);
/* Places the arrays by head->pad_* and head->n_blocks and sets head->bytes. */
void step_layout(struct step *s);
/* Rows of the step before, from the first on, that hold all that tokens of this one name; 0: none is named. */
int step_named(const struct step *s);
/* Follower: the block was copied to s->head; checks it against the limits (REQUIRE) and places the arrays. */
void step_receive(struct step *s, const struct step_limits *lim, size_t bytes);

#endif
