/* serve.h - rank 0's engine thread: takes commands, hands steps to all ranks, reports events. */
#ifndef DAEMON_RANK_SERVE_H
#define DAEMON_RANK_SERVE_H

#include "daemon/link.h"
#include "daemon/rank/rank.h"

/* Returns after COMMAND_STOP, once the other ranks were sent STEP_STOP. Calls ready(arg) once calls are accepted. */
void serve(struct rank *rank, struct link *l, void (*ready)(void *), void *arg);

#endif
