/* memory.h - what this process may use: CPU time and memory of the machine or its control group. */
#ifndef DAEMON_RANK_MEMORY_H
#define DAEMON_RANK_MEMORY_H

#include "base/base.h"

/* The CPU quota of this process's control groups (v2 cpu.max, v1 cpu.cfs_quota_us) in thousandths of a CPU; 0: none.
 * *group identifies the group that sets it. */
int64_t memory_cpu_quota(uint64_t *group);
/* Bytes: min(RAM, cgroup v2 or v1 limit). */
uint64_t memory_limit(void);
/* Bytes of that which could be taken now without pushing anything out: what the machine has available, and what is left
 * of each control group's limit beside memory that is no cache of files. */
uint64_t memory_available(void);

#endif
