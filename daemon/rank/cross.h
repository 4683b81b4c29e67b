/* cross.h - what the sums of a job over several nodes move between them. */
#ifndef DAEMON_RANK_CROSS_H
#define DAEMON_RANK_CROSS_H

#include "daemon/rank/rank.h"

/* Bytes that the node with most to send sends for one token; 0 on one node. An estimate: on CUDA it is that of a ring
 * over all ranks. */
uint64_t cross_token_bytes(const struct rank *self);
/* A line of the plan. */
void cross_print(const struct rank *self);
/* Rank 0, at start: warns of it. Nothing on one node. */
void cross_warn(const struct rank *self);

#endif
