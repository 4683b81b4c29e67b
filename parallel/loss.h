/* loss.h - judges a link by what TCP counts of it: whether it loses so much, for so long, that a job is better started
 * again than waited for.
 *
 * A burst, as when a switch fails over, and a cut are over after a few seconds in which TCP sends again what was lost.
 * They cost that time; a start costs the time to load the model. */
#ifndef PARALLEL_LOSS_H
#define PARALLEL_LOSS_H

#include "parallel/trunk.h"

enum { LOSS_TICK_MS = 250, LOSS_TICKS = 32 };

struct loss {
	struct loss_tick {
		int sent, lost; /* packets */
		bool moved;     /* some arrived */
	} tick[LOSS_TICKS];
	unsigned at; /* ticks so far */
	struct trunk_packets last;
};

/* Of the last LOSS_TICKS ticks. */
struct loss_sum {
	int sent, lost;
	bool harmful; /* one packet in six was lost, and the loss has lasted for more than 6 s */
};

/* A tick is over, until which `now` was counted since the link's start. */
struct loss_sum loss_look(struct loss *l, const struct trunk_packets *now);

#endif
