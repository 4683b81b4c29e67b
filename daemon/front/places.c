/* A call's place in the queue, and its share of it. */
#include "daemon/front/inside.h"

#include <inttypes.h>

#include "base/log_limit.h"

void front_accounts_follow(struct front *f)
{
	front_accounts_limit(&f->accounts, SHARE_CALLS, f->opt->max_queued_reqs + f->model->max_seqs);
	front_accounts_limit(&f->accounts, SHARE_TOKENS, f->opt->max_queued_tokens);
}

/* Counts waiting calls as the engine last published them, and calls that it has not taken yet. */
static bool queue_full(const struct front *f)
{
	int64_t unseen = (int64_t)(f->adds_posted - atomic_load(&f->link->adds_taken));

	return atomic_load(&f->link->waiting) + unseen >= f->opt->max_queued_reqs + f->model->max_seqs ||
	       atomic_load(&f->link->waiting_tokens) >= f->opt->max_queued_tokens;
}

int front_take_place(struct front *f, struct front_call *c, struct why *why)
{
	static struct log_limit limit = {.event = "an account's share of the queue is used up"};
	const struct front_account *a = c->stake.account;
	int err;

	if (queue_full(f))
		return fail(why, ERR_BUSY, "%d calls are waiting", atomic_load(&f->link->waiting));
	err = front_stake_hold(&c->stake, SHARE_CALLS, 1, why);
	if (!err)
		err = front_stake_hold(&c->stake, SHARE_TOKENS, c->call.n_prompt + c->call.n_resume, why);
	if (err && log_limit(&limit))
		log_event(LOG_INFO, limit.event, " uid=%u with_key=%d open_calls=%" PRId64 " waiting_tokens=%" PRId64,
			  a->uid, *a->key != 0, a->held[SHARE_CALLS], a->held[SHARE_TOKENS]);
	return err;
}

uint32_t front_place(void *front, uint64_t call)
{
	struct front *f = front;
	const struct front_call *mine = front_find(f, call);
	int earlier = 0;

	if (!mine && front_find_held(f, call)) { /* behind those of its own that are held, as if it entered now */
		for (mine = f->held; mine->id != call; mine = mine->next)
			earlier++;
		return (uint32_t)(earlier + 1 + atomic_load(&f->link->waiting));
	}
	if (!mine || !mine->stake.waits)
		return 0;
	for (int i = 0; i < FRONT_BUCKETS && mine->stake.account->turn.waiting > 1; i++)
		for (const struct front_call *c = f->bucket[i]; c; c = c->next)
			earlier += c->stake.waits && c->stake.account == mine->stake.account && c->id < call;
	return (uint32_t)(front_stake_place(&mine->stake, earlier) + atomic_load(&f->link->preempted));
}
