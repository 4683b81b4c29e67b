/* event.h - what the scheduler reports about a call. */
#ifndef ENGINE_SCHED_EVENT_H
#define ENGINE_SCHED_EVENT_H

#include "base/base.h"

/* FINISH_BROKEN: a row of its logits held NaN or infinity. FINISH_LOST: nothing goes on as its grammar says. */
enum finish { FINISH_NONE, FINISH_STOP, FINISH_LENGTH, FINISH_CANCEL, FINISH_DEADLINE, FINISH_BROKEN, FINISH_LOST };

/* What happened to a call: it is admitted (n = 0, once), or tokens were sampled or scored in one step (n may be 0 with
 * a finish). */
struct event {
	uint64_t call;
	int step;
	enum finish finish;
	int n;
	bool admitted; /* it runs from now on, its wait is over */
	bool scored;   /* these are prompt tokens that were scored, in order */
	int32_t id[8];
	uint32_t detail; /* with logprobs asked for: index of the first of n `struct sampled` in sched_details(); else
			    UINT32_MAX */
	/* so far, with sampled tokens and with a finish (the front may end a call at a stop string): */
	int n_prompt, n_output, n_cached;
	int32_t stop_id;       /* the id that ended it, -1 */
	int32_t broken_pos;    /* FINISH_BROKEN: the position whose token the row was for */
	int16_t broken_origin; /* of its struct sampled */
	const char *lost;      /* FINISH_LOST: why; a constant */
	uint64_t queue_ns, prefill_ns, decode_ns;
};

#endif
