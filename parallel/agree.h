/* agree.h - one rank's refusal ends the start of all. */
#ifndef PARALLEL_AGREE_H
#define PARALLEL_AGREE_H

#include "base/error.h"
#include "parallel/collect.h"

/* Collective. Returns 0 if err is 0 on every rank, else the error of the lowest rank that has one; *why gets its reason
 * on the ranks that have no error of their own. */
int world_agree(const struct world *w, int err, struct why *why);

#endif
