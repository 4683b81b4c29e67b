#include "base/log_limit.h"

#include <inttypes.h>

#include "base/base.h"

static _Thread_local struct log_limit *list;

static bool take(struct log_limit *l)
{
	const uint64_t burst = 10, second = NS_PER_S;
	uint64_t now = now_ns(), full = l->full_ns > now ? l->full_ns : now;

	if (full + second > now + burst * second)
		return false;
	l->full_ns = full + second;
	return true;
}

/* Dropped lines are reported before the next line, so that the order stays true. */
static void report(struct log_limit *l)
{
	uint64_t n = l->dropped;

	l->dropped = 0;
	log_event(LOG_INFO, l->event, " more_like_this=%" PRIu64, n);
}

bool log_limit(struct log_limit *l)
{
	if (!l->dropped && take(l))
		return true;
	l->dropped++;
	if (!l->listed) {
		l->listed = true;
		l->next = list;
		list = l;
	}
	return false;
}

void log_limit_flush(void)
{
	struct log_limit **at = &list, *l;

	while ((l = *at)) {
		if (l->dropped && !take(l)) {
			at = &l->next;
			continue;
		}
		if (l->dropped)
			report(l);
		*at = l->next;
		l->listed = false;
	}
}
