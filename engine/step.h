/* step.h - one forward pass, as plain numbers. Rank 0 plans it, all ranks run it.
 *
 * A step does not distinguish prefill from decode: it is a list of sequences, each with one or more new tokens. The
 * plan is one flat block of int32, of which only the first `head->bytes` are sent. */
#ifndef ENGINE_STEP_H
#define ENGINE_STEP_H

#include "base/base.h"

/* STEP_LORA_READ, STEP_LORA_SWITCH: struct step_order; its `no` is a question of parallel/ballot.h. */
enum step_kind { STEP_STOP, STEP_RUN, STEP_LORA_READ, STEP_LORA_SWITCH };

/* Upper bounds, which size the block and every buffer. */
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
	int32_t *token;       /* (pad_tokens) token -1-r: what was sampled for row r of step no-1 */
	int32_t *pos;         /* (pad_tokens) place in its sequence */
	int32_t *slot;        /* (pad_tokens) where its K and V are stored: block*block_size + offset; -1: nowhere */
	int32_t *seq;         /* (pad_seqs) index that stays the same for a sequence's life, < max_num_seqs */
	int32_t *q_start;     /* (pad_seqs + 1) first token of each sequence */
	int32_t *adapter;     /* (pad_seqs) 0: the model alone; i: with the adapter in slot i - 1 */
	int32_t *kv_len;      /* (pad_seqs) keys that its last token attends to */
	int32_t *block_start; /* (pad_seqs + 1) first of its blocks in `blocks` */
	int32_t *blocks;      /* (n_blocks) */
	int32_t *row;         /* (pad_rows) tokens that need logits, ascending */
};

/* A step without tokens: an order. */
struct step_order {
	struct step_head head;
	int32_t ends[2];
};
struct step_order step_order(enum step_kind kind, int no);

size_t step_bytes_max(const struct step_limits *lim);
/* Allocates the block for the largest step; step_layout() then places the arrays. */
void step_init(struct step *s, const struct step_limits *lim);
void step_finish(struct step *s);
/* Places the arrays by head->pad_* and head->n_blocks and sets head->bytes. */
void step_layout(struct step *s);
/* How many rows of the previous step, from the first on, this step's tokens refer to; 0: none. */
int step_named(const struct step *s);
/* On ranks other than 0, after the block was copied to s->head: checks it against the limits (REQUIRE) and places the
 * arrays. */
void step_receive(struct step *s, const struct step_limits *lim, size_t bytes);

#endif
