/* memory.h - what this process may use: cores of its mask, memory of the machine or its control group. */
#ifndef DAEMON_MEMORY_H
#define DAEMON_MEMORY_H

#include "parallel/base.h"

int memory_allowed_cores(void);
/* Bytes: min(RAM, cgroup v2 or v1 limit). */
uint64_t memory_limit(void);

#endif
