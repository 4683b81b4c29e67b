/* start.h - a rank from its options to its first step. */
#ifndef DAEMON_RANK_START_H
#define DAEMON_RANK_START_H

#include "daemon/rank/rank.h"

/* Everything that needs no weights: config, list of tensors, device, types, limits. Collective, unless it is a plan
 * (cores NULL); a refusal is the same on every rank. */
int rank_prepare(struct rank *self, const struct options *o, struct world *w, struct core_share *cores,
		 struct why *why);
/* Backend, communicator, weights, KV cache and warm-up. Collective; a refusal of one rank is returned by all. */
int rank_load(struct rank *self, struct load_progress *progress, struct why *why);

#endif
