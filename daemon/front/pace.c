/* How fast places in the queue become free, and when a refused call may retry. */
#include "daemon/front/inside.h"

/* Nanoseconds from one free place to the next: the recent average, else that of the last time calls waited, else a
 * guess. The guess is short, since a client that retries too soon gets a better answer then. */
static uint64_t pace_interval(const struct front_pace *p)
{
	const uint64_t guess = 25 * 1000000;
	uint64_t n = p->n < PACE_ENDS ? p->n : PACE_ENDS;

	if (n >= 4)
		return (now_ns() - p->at[(p->n - n) % PACE_ENDS]) / n;
	return p->last_ns ? p->last_ns : guess;
}

/* Ends count only while other calls wait: otherwise they say nothing of how fast places become free. */
void front_count_end(struct front *f)
{
	struct front_pace *p = &f->pace;

	if (atomic_load(&f->link->waiting)) {
		p->at[p->n++ % PACE_ENDS] = now_ns();
		return;
	}
	p->last_ns = pace_interval(p);
	p->n = 0;
}

/* Refused calls of an account get times one behind the other, so that they do not all retry at once, and a client that
 * keeps asking delays itself alone. */
uint32_t front_retry_ms(struct front *f, struct front_account *a)
{
	const uint64_t ms = 1000000, least = 1000 * ms, most = 60000 * ms;
	uint64_t interval = pace_interval(&f->pace), now = now_ns(), wait;
	int place = atomic_load(&f->link->waiting) + 1;

	if (a)
		place = turns_place(&f->accounts.turns, &a->turn, a->turn.waiting + 1) +
			atomic_load(&f->link->preempted);
	wait = interval * (uint64_t)place;
	if (a && a->promised_ns + interval > now + wait)
		wait = a->promised_ns + interval - now;
	wait = wait < least ? least : wait < most ? wait : most;
	if (a)
		a->promised_ns = now + wait;
	return (uint32_t)(wait / ms);
}
