/* agree.h - one rank's refusal ends the start of all, and what must be the same on all is compared. */
#ifndef PARALLEL_AGREE_H
#define PARALLEL_AGREE_H

#include "base/error.h"
#include "parallel/collect.h"

/* Collective. Returns 0 if err is 0 on every rank, else the error of the lowest rank that has one; *why gets its reason
 * on the ranks that have no error of their own, with rank and host where it is on another node than rank 0. */
int world_agree(const struct world *w, int err, struct why *why);

enum { AGREE_VALUE = 64 };
/* Collective. ERR_MISMATCH on all ranks unless `value`, a text of less than AGREE_VALUE bytes, is the same on all; *why
 * names the hosts and both values, and what to do. */
int world_same(const struct world *w, const char *what, const char *value, const char *mend, struct why *why);

#endif
