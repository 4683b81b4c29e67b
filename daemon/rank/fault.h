/* fault.h - planted faults, for tests of what happens then (--fault, not in any real use):
 * "slow=MS" makes every step so much longer, "stick=RANK@STEP" stops a rank for ever in the middle of a step,
 * "die=RANK@STEP" is a broken invariant there, "oom=RANK" is memory that cannot be had at start, "poison=ID" crashes
 * rank 0 when a call comes whose prompt begins with this token. Several with commas. */
#ifndef DAEMON_RANK_FAULT_H
#define DAEMON_RANK_FAULT_H

#include "base/base.h"

struct fault {
	int slow_ms, stick_rank, stick_step, die_rank, die_step, oom_rank, poison; /* -1: none */
};

int fault_parse(struct fault *f, const char *text /* NULL: none */, struct why *why);
void fault_step(const struct fault *f, int rank, int step);
void fault_call(const struct fault *f, int32_t first_id);
void fault_start(const struct fault *f, int rank);

#endif
