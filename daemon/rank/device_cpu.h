/* device_cpu.h - ranks that compute on the CPU. */
#ifndef DAEMON_RANK_DEVICE_CPU_H
#define DAEMON_RANK_DEVICE_CPU_H

#include "daemon/rank/rank.h"

int device_cpu_use(struct rank *self, struct why *why); /* ERR_UNSUPPORTED: an option is for GPUs */

#endif
