/* process.h - a handle of another process, so that a reused process number is never mistaken for it.
 *
 * The handle is a pidfd or, if the kernel or a container's filter has none (before Linux 5.3, Docker before 20.10), its
 * number and start time. No function allocates, waits or takes a lock. */
#ifndef BASE_PROCESS_H
#define BASE_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct process {
	pid_t pid;        /* 0: none */
	int fd;           /* pidfd, readable once the process has ended; -1: the kernel has none */
	uint64_t started; /* from /proc, in ticks since the machine started; 0: unknown */
};

bool process_hold(struct process *p, pid_t pid); /* false: no such process */
void process_drop(struct process *p);
bool process_gone(const struct process *p); /* true for a zombie */
void process_signal(const struct process *p, int signal);
bool process_dumps_core(const struct process *p); /* crashed, and the kernel still writes its memory */
/* Whether `above` is `pid` itself or an ancestor of it. */
bool process_is_below(pid_t pid, pid_t above);

#endif
