/* still.h - how long a value has not changed, measured in the time that the observer itself ran.
 *
 * A machine, a container or a job that is frozen for seconds stops the observer, too. So a late look counts as at most
 * STILL_LATE_NS, and the watched value gets as long as the observer was away, at most STILL_GRACE_NS, to change again:
 * after a thaw processes may resume in any order. An observer that is always late still finds a stopped process, only
 * later.
 */
#ifndef BASE_STILL_H
#define BASE_STILL_H

#include <stdint.h>

#define STILL_LATE_NS 750000000ull
#define STILL_GRACE_NS 10000000000ull

struct still {
	uint64_t value, ns, grace_ns;
};

/* The time that counts for a look `since` ns after the one before. */
static inline uint64_t still_awake(uint64_t since)
{
	return since < STILL_LATE_NS ? since : STILL_LATE_NS;
}

/* A look at `value`, `since` ns after the look before. Returns how many ns it has not changed beyond its grace. */
static inline uint64_t still_look(struct still *s, uint64_t value, uint64_t since)
{
	uint64_t away = since < STILL_GRACE_NS ? since : STILL_GRACE_NS;

	if (s->value != value)
		*s = (struct still){.value = value};
	else
		s->ns += still_awake(since);
	if (since > STILL_LATE_NS && away > s->grace_ns)
		s->grace_ns = away;
	return s->ns > s->grace_ns ? s->ns - s->grace_ns : 0;
}

#endif
