/* process.h - another process, held so that its number, used again later, is never taken for it.
 *
 * By a pidfd. Where the kernel or a container's filter has none (before Linux 5.3, Docker before 20.10), by its number
 * and start time. No function allocates, waits or takes a lock. */
#ifndef BASE_PROCESS_H
#define BASE_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct process {
	pid_t pid;        /* 0: none */
	int fd;           /* pidfd, readable once the process has ended; -1: the kernel has none */
	uint64_t started; /* by /proc, in ticks since the machine started; 0: not to be seen */
};

bool process_hold(struct process *p, pid_t pid); /* false: there is no such process */
void process_drop(struct process *p);
bool process_gone(const struct process *p); /* ended; a zombie has */
void process_signal(const struct process *p, int signal);
bool process_dumps_core(const struct process *p); /* crashed and not gone, because its memory is being written */
/* The process `pid` or a parent of it, and so on, is `above`. */
bool process_is_below(pid_t pid, pid_t above);

#endif
