/* seq.c - one sequence: what it may need, its blocks and its slot, the events that report on it. */
#include "engine/sched/inside.h"

#include <limits.h>
#include <string.h>

int seq_most(const struct sched *s, const struct seq *q)
{
	int64_t most = (int64_t)q->call->n_prompt + (q->call->score ? 0 : q->call->max_tokens);

	return most < s->lim.max_model_len ? (int)most : s->lim.max_model_len;
}

/* The last prompt token is computed only where a token is sampled after it. */
int seq_todo(const struct sched *s, const struct seq *q)
{
	int known = q->n_tokens + q->pending;

	if (!seq_draws(q))
		return q->call->n_prompt - 1 - q->computed;
	return known < seq_most(s, q) ? known - q->computed : 0;
}

struct event *event_put(struct sched *s, const struct seq *q)
{
	struct event *e = &s->event[(s->first_event + s->n_events) % s->max_events];

	REQUIRE(s->n_events < s->max_events);
	s->n_events++;
	*e = (struct event){.call = q->id, .step = s->done, .detail = UINT32_MAX, .stop_id = -1};
	return e;
}

static int look_ahead(const struct sched *s, const struct seq *q)
{
	return q->call->open_ended ? min_int(s->lim.look_ahead, s->lim.open_look_ahead) : s->lim.look_ahead;
}

bool seq_is_reserved(const struct sched *s, const struct seq *q)
{
	return look_ahead(s, q) == INT_MAX;
}

int seq_need(const struct sched *s, const struct seq *q)
{
	int64_t ahead = (int64_t)q->n_tokens + look_ahead(s, q), most = seq_most(s, q);

	return blocks_for(s, (int)(ahead < most ? ahead : most));
}

void running_remove(struct sched *s, struct seq *q)
{
	int i = 0;

	while (s->running[i] != q)
		i++;
	s->n_running--;
	memmove(s->running + i, s->running + i + 1, (size_t)(s->n_running - i) * sizeof *s->running);
}

/* The tail is freed first, so that of the cached blocks the prefix is reused last. */
void seq_drop_blocks(struct sched *s, struct seq *q)
{
	while (q->n_blocks)
		blocks_drop(s->blocks, seq_blocks(s, q)[--q->n_blocks]);
	q->n_published = 0;
}

void seq_release(struct sched *s, struct seq *q)
{
	if (q->slot >= 0) {
		seq_drop_blocks(s, q);
		s->free_slot[s->n_free_slots++] = q->slot;
	}
	q->next = s->pool;
	s->pool = q;
}

void event_account(struct event *e, const struct seq *q, uint64_t now)
{
	e->n_prompt = q->call->n_prompt;
	e->n_output = seq_output(q);
	e->n_cached = q->n_cached;
	e->queue_ns = (q->admitted_ns ? q->admitted_ns : now) - q->added_ns;
	if (q->admitted_ns)
		e->prefill_ns = (q->first_ns ? q->first_ns : now) - q->admitted_ns;
	if (q->first_ns)
		e->decode_ns = now - q->first_ns;
}
