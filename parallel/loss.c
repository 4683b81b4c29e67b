#include "parallel/loss.h"

#include "base/base.h"

enum {
	LEAST = 6 /* packets */,
	SHARE = 6 /* one in so many */,
	RECENT = 1000 / LOSS_TICK_MS /* ticks */,
	QUARTER = LOSS_TICKS / 4,
};

/* What was lost in the ticks whose age is within [from, to). */
static int lost_within(const struct loss *l, int from, int to)
{
	int lost = 0;

	for (int age = from; age < to; age++)
		lost += l->tick[(l->at - 1 - (unsigned)age) % LOSS_TICKS].lost;
	return lost;
}

/* A loss that began long ago, went on and goes on. */
static bool lasts(const struct loss *l)
{
	bool all = lost_within(l, 0, RECENT) > 0;

	for (int age = QUARTER; age < LOSS_TICKS; age += QUARTER)
		all &= lost_within(l, age, age + QUARTER) > 0;
	return all;
}

struct loss_sum loss_look(struct loss *l, const struct trunk_packets *now)
{
	struct loss_sum sum = {0};
	int moved = 0;

	l->tick[l->at++ % LOSS_TICKS] = (struct loss_tick){
		(int)(now->sent - l->last.sent), (int)(now->lost - l->last.lost), now->arrived != l->last.arrived};
	l->last = *now;
	for (int i = 0; i < LOSS_TICKS; i++) {
		sum.sent += l->tick[i].sent;
		moved += l->tick[i].moved;
	}
	sum.lost = max_int(0, lost_within(l, 0, LOSS_TICKS));
	/* In a cut nothing arrives; heartbeats find one that does not end. */
	sum.harmful = sum.lost >= LEAST && sum.lost * SHARE >= sum.sent && moved >= LOSS_TICKS / 2 && lasts(l);
	return sum;
}
