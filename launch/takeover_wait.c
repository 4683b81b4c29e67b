/* Where a launcher waits for the other one while it runs no job, or its last one has ended. */
#include "launch/inside.h"

enum { MARGIN_S = 10, GATEWAY_S = 30 /* what the gateway gives its requests, unless its options say otherwise */ };

bool takeover_wait(struct launcher *l)
{
	while (l->takeover.from.stage == STAGE_DRAINS && !l->draining)
		job_wait(l);
	return !l->draining || !takeover_pending(l);
}

void takeover_wait_for_old(struct launcher *l)
{
	uint64_t end = l->awake_ns + (uint64_t)(l->options.shutdown_timeout_s + MARGIN_S) * 1000000000u;

	while (l->takeover.from.fd >= 0 && l->takeover.from.stage == STAGE_OVER && l->draining && l->awake_ns < end)
		job_wait(l);
}

void takeover_wait_for_requests(struct launcher *l)
{
	int64_t patience_s = l->options.shutdown_timeout_s > GATEWAY_S ? l->options.shutdown_timeout_s : GATEWAY_S;
	uint64_t limit = (uint64_t)(patience_s + MARGIN_S) * 1000000000u, asked = 0;

	while ((takeover_left(l) || l->gateway.foreign) && beside_is_busy(&l->gateway) && !l->hurried &&
	       (!asked || l->awake_ns - asked < limit)) {
		job_wait(l);
		if (l->draining && !asked)
			asked = l->awake_ns;
	}
}

bool takeover_replaced(struct launcher *l)
{
	struct takeover_peer *p = &l->takeover.taker;

	takeover_empty(l);
	while (takeover_yields(l) && p->fd >= 0 && !l->draining)
		job_wait(l);
	if (takeover_left(l) || l->draining)
		return true;
	if (takeover_yields(l))
		p->stage = STAGE_NONE;
	return false;
}
