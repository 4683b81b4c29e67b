/* memory.h - what this process may use: cores of its mask, memory of the machine or its control group. */
#ifndef DAEMON_RANK_MEMORY_H
#define DAEMON_RANK_MEMORY_H

#include "base/base.h"

int memory_allowed_cores(void);
/* CPU time that the control groups of this process (v2 cpu.max, v1 cpu.cfs_quota_us) leave it, in thousandths of a CPU;
 * 0: no quota. *group tells apart the groups that set it. */
int64_t memory_cpu_quota(uint64_t *group);
/* Bytes: min(RAM, cgroup v2 or v1 limit). */
uint64_t memory_limit(void);

#endif
