/* Who asks: a call's place in the queue, its share of it, and when one that finds no place may come again. */
#include "daemon/front/front.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log_limit.h"

/* ---- the queue's pace ---- */

/* Nanoseconds from one place that becomes free to the next: of late, else when calls last waited, else a guess, which
 * is short: who comes again too soon is told better then. */
static uint64_t pace_interval(const struct pace *p)
{
	const uint64_t guess = 25 * 1000000;
	uint64_t n = p->n < PACE_ENDS ? p->n : PACE_ENDS;

	if (n >= 4)
		return (now_ns() - p->at[(p->n - n) % PACE_ENDS]) / n;
	return p->last_ns ? p->last_ns : guess;
}

/* A call has ended. Only while others wait do such times say how fast places become free. */
void front_count_pace(struct front *f)
{
	struct pace *p = &f->pace;

	if (atomic_load(&f->link->waiting)) {
		p->at[p->n++ % PACE_ENDS] = now_ns();
		return;
	}
	p->last_ns = pace_interval(p);
	p->n = 0;
}

/* Those who are refused are told one after the other to come again, not all at once; a client that keeps asking puts
 * off itself alone. */
uint32_t front_retry_ms(struct front *f, struct account *a)
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

/* ---- places ---- */

/* Waiting calls as the engine told last, and those it has not seen yet. */
static bool queue_full(const struct front *f)
{
	int64_t unseen = (int64_t)(f->adds_posted - atomic_load(&f->link->adds_taken));

	return atomic_load(&f->link->waiting) + unseen >= f->opt->max_queued_reqs + f->node->limits.max_seqs ||
	       atomic_load(&f->link->waiting_tokens) >= f->opt->max_queued_tokens;
}

int front_take_place(struct front *f, struct open_call *c, struct why *why)
{
	static struct log_limit limit = {.event = "an account's share of the queue is used up"};
	const struct account *a = c->stake.account;
	int err;

	if (queue_full(f))
		return fail(why, ERR_BUSY, "%d calls are waiting", atomic_load(&f->link->waiting));
	err = stake_hold(&c->stake, SHARE_CALLS, 1, why);
	if (!err)
		err = stake_hold(&c->stake, SHARE_TOKENS, c->call.n_prompt + c->call.n_resume, why);
	if (err && log_limit(&limit))
		log_event(LOG_INFO, limit.event, " uid=%u with_key=%d open_calls=%" PRId64 " waiting_tokens=%" PRId64,
			  a->uid, *a->key != 0, a->held[SHARE_CALLS], a->held[SHARE_TOKENS]);
	return err;
}

uint32_t front_place(void *front, uint64_t call)
{
	struct front *f = front;
	const struct open_call *mine = front_find(f, call);
	int earlier = 0;

	if (!mine || !mine->stake.waits)
		return 0;
	for (int i = 0; i < FRONT_BUCKETS && mine->stake.account->turn.waiting > 1; i++)
		for (const struct open_call *c = f->bucket[i]; c; c = c->next)
			earlier += c->stake.waits && c->stake.account == mine->stake.account && c->id < call;
	return (uint32_t)(stake_place(&mine->stake, earlier) + atomic_load(&f->link->preempted));
}

/* ---- who may do what ---- */

bool front_is_owner(struct front *f, uint64_t call, const struct rpc_peer *peer, const char *what)
{
	char text[160];

	if (peer->owner)
		return true;
	snprintf(text, sizeof text, "%s: only root and the user that the server runs as may do this, user %u may not",
		 what, peer->uid);
	front_error(f, call, ERR_DENIED, text);
	return false;
}
