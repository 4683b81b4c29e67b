/* fits.h - how much memory a rank needs beside weights and workspace, and how much KV cache fits. */
#ifndef DAEMON_RANK_FITS_H
#define DAEMON_RANK_FITS_H

#include "daemon/rank/rank.h"

/* Bytes of a rank's tables for sequences of up to `length` tokens: on rank 0 the scheduler's, the mailboxes, two steps
 * and the page that hands them over; elsewhere one step. */
uint64_t fits_tables(const struct rank *self, int rank, int length);
/* Bytes of rank 0 on the CPU for logits on the host, scratch memory of sampling, and constrained answers. */
uint64_t fits_sampler(const struct rank *self);
/* KV blocks of `block` bytes that fit on a rank that holds `held` bytes, with tables for sequences of `length`, by
 * options and memory. */
int64_t fits_blocks(const struct rank *self, int rank, uint64_t held, uint64_t block, int local_size, int length);
/* Blocks of the longest sequence up to --max-model-len that fits on a rank with its tables; 0: not even one block fits.
 */
int64_t fits_longest(const struct rank *self, int rank, uint64_t held, uint64_t block, int local_size);
/* Collective, before weights are read: ERR_LIMIT if memory does not hold them and, on the host, one sequence. */
int fits_start(const struct rank *self, struct why *why);
/* Collective. Sets max_model_len and n_blocks to what fits on all ranks, or refuses with the reason. held, block: bytes
 * of this rank. */
int fits_cache(struct rank *self, uint64_t held, uint64_t block, struct why *why);

#endif
