/* follow.h - the loop of ranks above 0. */
#ifndef DAEMON_RANK_FOLLOW_H
#define DAEMON_RANK_FOLLOW_H

#include "daemon/rank/rank.h"

/* Runs the steps that rank 0 plans, until it sends STEP_STOP. */
void follow(struct rank *self);

#endif
