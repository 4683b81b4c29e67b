/* plan.c - the next step: who runs, with which tokens, in which blocks. */
#include "engine/sched/inside.h"

#include <limits.h>
#include <string.h>

static struct plan *plan_of(const struct sched *s, int no)
{
	return (struct plan *)&s->plan[no & 1];
}

static bool in_flight(const struct sched *s)
{
	return s->planned > s->done;
}

static void expire(struct sched *s)
{
	uint64_t now = now_ns();

	for (int i = s->n_running - 1; i >= 0; i--)
		if (s->running[i]->call->deadline_ns && now >= s->running[i]->call->deadline_ns)
			sched_cancel(s, s->running[i]->id, FINISH_DEADLINE);
	queue_expire(s, now);
}

static int growth(const struct sched *s, const struct seq *q)
{
	return max_int(0, seq_need(s, q) - q->n_blocks);
}

/* The number of blocks that are neither held nor reserved. */
static int unreserved(const struct sched *s)
{
	int n = blocks_available(s->blocks);

	for (int i = 0; i < s->n_running; i++)
		if (seq_is_reserved(s, s->running[i]))
			n -= growth(s, s->running[i]);
	return n;
}

static void preempt(struct sched *s, struct seq *q)
{
	running_remove(s, q);
	seq_drop_blocks(s, q);
	q->computed = 0;
	queue_return(s, q);
	s->stats.preemptions++;
}

/* The sequence that is pre-empted for `q`, which has no blocks reserved: the youngest without reserved blocks, which
 * may be `q` itself. The oldest is never pre-empted: for it even one with reserved blocks is, where no other is left.
 */
static struct seq *victim_for(const struct sched *s, const struct seq *q)
{
	for (int i = s->n_running - 1; i > 0; i--)
		if (!seq_is_reserved(s, s->running[i]))
			return s->running[i];
	REQUIRE(q == s->running[0] && s->n_running > 1);
	return s->running[s->n_running - 1];
}

/* Takes blocks for `tokens` tokens; returns false where q was pre-empted. The oldest always gets them, since a call
 * that does not fit alone is refused. */
static bool get_blocks(struct sched *s, struct seq *q, int tokens)
{
	int need = blocks_for(s, tokens) - q->n_blocks;

	while (!seq_is_reserved(s, q) && need > 0 && unreserved(s) < need) {
		struct seq *victim = victim_for(s, q);
		REQUIRE(!in_flight(s));
		preempt(s, victim);
		if (victim == q)
			return false;
	}
	while (need-- > 0)
		seq_blocks(s, q)[q->n_blocks++] = blocks_take(s->blocks);
	return true;
}

static void plan_part(struct plan *p, struct seq *q, int n)
{
	struct part *part = &p->part[p->n_parts++];
	int end = q->computed + n;

	*part = (struct part){.q = q, .first = q->computed, .n = n};
	if (seq_scores(q)) {
		part->score_from = max_int(q->computed, q->scored);
		part->n_score = max_int(0, min_int(end, q->call->n_prompt - 1) - part->score_from);
		q->scored += part->n_score;
	}
	part->draws = seq_draws(q) && end == q->n_tokens + q->pending;
	q->computed = end;
	q->last_step = p->no;
	p->n_tokens += n;
}

/* A sequence with one token left to compute always has its place; the rest of the budget is for longer ones, oldest
 * first. */
static void plan_running(struct sched *s, struct plan *p)
{
	int singles = 0, left;

	for (int i = 0; i < s->n_running; i++)
		singles += seq_todo(s, s->running[i]) == 1;
	left = s->lim.step.max_tokens - singles;
	for (int i = 0; i < s->n_running; i++) {
		struct seq *q = s->running[i];
		int todo = seq_todo(s, q), n = todo == 1 ? 1 : min_int(todo, left);

		if (n <= 0)
			continue;
		if (!get_blocks(s, q, q->computed + n)) {
			i--; /* those behind it have moved up */
			continue;
		}
		left -= todo == 1 ? 0 : n;
		plan_part(p, q, n);
	}
}

/* Whether a sequence would have to be pre-empted whose blocks the step in flight may still read. */
static bool must_wait(const struct sched *s)
{
	int need = 0;

	for (int i = 0; i < s->n_running; i++) {
		const struct seq *q = s->running[i];
		int n = min_int(seq_todo(s, q), s->lim.step.max_tokens);
		if (!seq_is_reserved(s, q))
			need += max_int(0, blocks_for(s, q->computed + n) - q->n_blocks);
	}
	return in_flight(s) && need > unreserved(s);
}

/* A call that scores its prompt shares no prefix: a cached block has no logits. */
static void match_prefix(struct sched *s, struct seq *q)
{
	int32_t *tokens = seq_tokens(s, q);

	if (seq_scores(q) && q->scored < q->call->n_prompt - 1)
		return;
	q->n_blocks = blocks_match(s->blocks, q->call->scope, tokens, q->n_tokens, seq_blocks(s, q));
	q->n_published = q->n_blocks;
	q->computed = q->n_blocks * blocks_size(s->blocks);
}

static void take_slot(struct sched *s, struct seq *q)
{
	if (q->slot >= 0)
		return;
	q->slot = s->free_slot[--s->n_free_slots];
	memcpy(seq_tokens(s, q), q->call->ids, (size_t)q->n_tokens * sizeof(int32_t));
}

static void return_slot(struct sched *s, struct seq *q)
{
	seq_drop_blocks(s, q);
	q->computed = 0;
	if (!q->admitted_ns) {
		s->free_slot[s->n_free_slots++] = q->slot;
		q->slot = -1;
	}
}

static void count_admitted(struct sched *s, struct seq *q)
{
	if (q->admitted_ns)
		return;
	q->admitted_ns = now_ns();
	q->n_cached = q->computed;
	s->stats.prompt_tokens += (uint64_t)q->call->n_prompt;
	s->stats.cached_tokens += (uint64_t)q->computed;
	s->stats.prefix_queries += (uint64_t)q->n_tokens;
	event_put(s, q)->admitted = true;
}

static bool has_place(const struct sched *s, const struct seq *q)
{
	return s->n_running < s->lim.step.max_seqs && (q->slot >= 0 || s->n_free_slots);
}

/* A call is admitted if its blocks, and those that the running ones may still need, are available. */
static bool admit(struct sched *s, struct seq *q)
{
	int need = 0;

	for (int i = 0; i < s->n_running; i++)
		need += growth(s, s->running[i]);
	take_slot(s, q);
	match_prefix(s, q);
	if (need + growth(s, q) > blocks_available(s->blocks)) {
		return_slot(s, q);
		return false;
	}
	queue_take(s, q);
	s->running[s->n_running++] = q;
	count_admitted(s, q);
	return true;
}

/* Where the first call lacks blocks, one that needs a single block, or at most an eighth of what the first needs,
 * passes it; after eight of them all wait for it. */
static bool admit_small(struct sched *s, struct seq *first)
{
	enum { PASSES = 8 };
	int need = seq_need(s, first);
	struct seq *q = need > 1 && first->passed < PASSES ? queue_small(s, first, max_int(1, need / PASSES)) : NULL;

	if (!q || !has_place(s, q) || !admit(s, q))
		return false;
	first->passed++;
	s->stats.passes++;
	return true;
}

static bool admit_next(struct sched *s)
{
	struct seq *first = queue_first(s);

	return first && has_place(s, first) && (admit(s, first) || admit_small(s, first));
}

static void plan_waiting(struct sched *s, struct plan *p)
{
	while (p->n_tokens < s->lim.step.max_tokens && admit_next(s)) {
		struct seq *q = s->running[s->n_running - 1];
		int n = min_int(seq_todo(s, q), s->lim.step.max_tokens - p->n_tokens);

		REQUIRE(n > 0 && get_blocks(s, q, q->computed + n));
		plan_part(p, q, n);
	}
}

/* ---- the plan as arrays ---- */

static void fill_head(const struct sched *s, const struct plan *p, struct step_head *h)
{
	*h = (struct step_head){.kind = STEP_RUN, .no = p->no, .n_seqs = p->n_parts, .n_tokens = p->n_tokens};
	for (int i = 0; i < p->n_parts; i++) {
		struct part *part = &p->part[i];
		part->row = h->n_rows;
		h->n_rows += part->n_score + part->draws;
		h->n_blocks += blocks_for(s, part->first + part->n);
	}
	h->pad_seqs = h->n_seqs;
	h->pad_tokens = h->n_tokens;
	h->pad_rows = h->n_rows;
}

static void fill_tokens(const struct sched *s, const struct part *part, struct step *step, int at)
{
	const struct seq *q = part->q;
	const int *blocks = seq_blocks(s, q);
	int size = blocks_size(s->blocks);

	for (int i = 0; i < part->n; i++) {
		int pos = part->first + i;
		step->token[at + i] = pos < q->n_tokens ? seq_tokens(s, q)[pos] : -1 - q->pending_row;
		step->pos[at + i] = pos;
		step->slot[at + i] = blocks[pos / size] * size + pos % size;
	}
}

static void fill_part(const struct sched *s, const struct part *part, struct step *step, int i)
{
	int at = step->q_start[i], row = part->row, n_blocks = blocks_for(s, part->first + part->n);

	fill_tokens(s, part, step, at);
	step->seq[i] = part->q->slot;
	step->adapter[i] = part->q->call->adapter;
	step->q_start[i + 1] = at + part->n;
	step->kv_len[i] = part->first + part->n;
	step->block_start[i + 1] = step->block_start[i] + n_blocks;
	memcpy(step->blocks + step->block_start[i], seq_blocks(s, part->q), (size_t)n_blocks * sizeof(int));
	for (int k = 0; k < part->n_score; k++)
		step->row[row++] = at + part->score_from - part->first + k;
	if (part->draws)
		step->row[row] = at + part->n - 1;
}

static void fill_step(const struct sched *s, struct plan *p, struct step *step)
{
	fill_head(s, p, step->head);
	step_layout(step);
	step->q_start[0] = step->block_start[0] = 0;
	for (int i = 0; i < p->n_parts; i++)
		fill_part(s, &p->part[i], step, i);
	for (int i = 0; i < p->n_parts; i++) { /* only now: rows of the step in flight were named above */
		struct part *part = &p->part[i];
		part->q->pending = part->draws;
		part->q->pending_row = part->row + part->n_score;
	}
}

bool sched_next(struct sched *s, struct step *step)
{
	struct plan *p = plan_of(s, s->planned + 1);

	REQUIRE(s->planned - s->done < 2);
	expire(s);
	p->no = s->planned + 1;
	p->n_parts = p->n_tokens = 0;
	if (must_wait(s))
		return false;
	plan_running(s, p);
	plan_waiting(s, p);
	if (!p->n_parts)
		return false;
	s->stats.ahead += in_flight(s);
	s->planned++;
	fill_step(s, p, step);
	return true;
}
