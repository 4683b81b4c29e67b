/* broadcast.h - who reads the model's files where ranks are on several nodes. */
#ifndef DAEMON_RANK_BROADCAST_H
#define DAEMON_RANK_BROADCAST_H

#include "daemon/rank/rank.h"

struct broadcast;

/* Collective. Under --load-format broadcast the ranks of other nodes than rank 0's read from it until
 * broadcast_close(); else each reads its slices from the files. Files go by their numbers, so all nodes
 * must have agreed on their list. *out is NULL where there is nothing to do. ERR_IO. */
int broadcast_open(struct broadcast **out, struct rank *self, struct why *why);
void broadcast_close(struct broadcast *b); /* when no rank reads any more. NULL is fine */

#endif
