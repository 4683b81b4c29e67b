/* serve.h - rank 0's engine thread: commands in, steps out to all ranks, reports back. */
#ifndef DAEMON_RANK_SERVE_H
#define DAEMON_RANK_SERVE_H

#include "daemon/link.h"
#include "daemon/rank/rank.h"

/* Until COMMAND_STOP; then the other ranks are told to stop too. ready(arg) is called once calls are taken. */
void serve(struct rank *rank, struct link *l, void (*ready)(void *), void *arg);

#endif
