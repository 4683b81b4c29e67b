/* fault.h - planted faults for tests (--fault): "slow=MS" makes every step longer, "stick=RANK@STEP" hangs a rank in a
 * step, "die=RANK@STEP" calls die() there, "oom=RANK" fails an allocation at start, "poison=ID" crashes rank 0 at a
 * call whose prompt begins with this token. Several are separated by commas. */
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
