/* wait.h - how a thread waits for another, in the process or in another rank: spin a little, then futex.
 *
 * Spinning helps only where every compute thread of the node has a core of its own; wait_policy() decides
 * once, at start. Elsewhere it sleeps at once: a core given away by sched_yield comes back after the time slice
 * of whatever else runs. Every futex wait has a time-out, so that waiting ranks look at the board (board.h). */
#ifndef BASE_WAIT_H
#define BASE_WAIT_H

#include <stdatomic.h>
#include <stdint.h>

/* ns to spin before sleeping: 0 where threads outnumber allowed cores. Set before the first wait. */
void wait_policy(int64_t spin_ns);
int64_t wait_spin_ns(void);

/* Waits until *word differs from `old`; returns its new value. Calls `idle` (may be NULL) about every 100 ms
 * while asleep: it may end the process. `shared`: the word lies in memory shared with other processes. */
uint32_t wait_change(_Atomic uint32_t *word, uint32_t old, int shared, void (*idle)(void *), void *arg);
/* As wait_change, until (int32_t)(*word - at_least) >= 0. */
void wait_reach(_Atomic uint32_t *word, uint32_t at_least, int shared, void (*idle)(void *), void *arg);
/* Wakes all who wait on the word, after the caller changed it. Cheap where nobody sleeps is not promised. */
void wait_wake(_Atomic uint32_t *word, int shared);

#endif
