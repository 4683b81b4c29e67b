/* fits.h - what a rank holds beside weights and workspace, and how much KV cache fits beside all that. */
#ifndef DAEMON_RANK_FITS_H
#define DAEMON_RANK_FITS_H

#include "daemon/rank/rank.h"

/* Bytes of a rank's tables for sequences of up to `length` tokens: on rank 0 the scheduler's, the mailboxes, two steps
 * and the page that hands them over; elsewhere one step. */
uint64_t fits_tables(const struct rank *self, int rank, int length);
/* Rank 0 on the CPU: logits on the host, and scratch of sampling. */
uint64_t fits_sampler(const struct rank *self);
/* KV blocks for sequences of `length` that fit on a rank that holds `held` bytes, by options and memory; `block` bytes
 * each. */
int64_t fits_blocks(const struct rank *self, int rank, uint64_t held, uint64_t block, int local_size, int length);
/* Blocks of the longest sequence up to --max-model-len for which a rank has room, tables included; 0: not even one
 * block. */
int64_t fits_longest(const struct rank *self, int rank, uint64_t held, uint64_t block, int local_size);
/* Collective, before weights are read: ERR_LIMIT if memory does not hold them and, on the host, one sequence. */
int fits_start(const struct rank *self, struct why *why);
/* Sets the length of a sequence and the number of blocks for what all ranks have room for, or says why not. Collective;
 * held, block: of this rank. */
int fits_cache(struct rank *self, uint64_t held, uint64_t block, struct why *why);

#endif
