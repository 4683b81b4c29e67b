/* wait.h - waits for a thread of this process or of another rank: spins a little, then sleeps on a futex.
 *
 * Spinning helps only if every compute thread of the node has a core of its own; wait_policy() sets that once, at
 * start. Otherwise a wait sleeps at once, since after sched_yield() the core returns only when another program's time
 * slice ends. Every futex wait has a time-out, so that waiting ranks check the board (board.h). */
#ifndef BASE_WAIT_H
#define BASE_WAIT_H

#include <stdatomic.h>
#include <stdint.h>

/* ns to spin before sleeping; 0 if threads outnumber allowed cores. Must be called before the first wait. */
void wait_policy(int64_t spin_ns);
int64_t wait_spin_ns(void);

/* Waits until *word differs from `old` and returns its new value. Calls `idle` (may be NULL), which may end the
 * process, about every 100 ms while asleep. `shared`: *word lies in memory shared with other processes. */
uint32_t wait_change(_Atomic uint32_t *word, uint32_t old, int shared, void (*idle)(void *), void *arg);
/* As wait_change, until (int32_t)(*word - at_least) >= 0. */
void wait_reach(_Atomic uint32_t *word, uint32_t at_least, int shared, void (*idle)(void *), void *arg);
/* Wakes all waiters of *word after the caller changed it. Always a system call, also if there are none. */
void wait_wake(_Atomic uint32_t *word, int shared);

#endif
