/* done.c - the rows to sample, and what their results mean for each call. */
#include "engine/sched/inside.h"

#include <string.h>

/* The tokens that its grammar allows. Where the text must end, an end token comes at once, whatever min_tokens says. */
static void constrain(struct sample *p, const struct seq *q)
{
	struct grammar_mask m = grammar_run_mask(q->run);
	const struct sampling *h = p->how;

	p->allow = m.allow;
	p->only = m.only + 1;
	if (m.allow && h->n_stop && p->n_tokens - p->n_prompt < h->min_tokens && grammar_run_must_end(q->run))
		p->only = h->stop[0] + 1;
}

/* A row of the plan: it scores the token after `pos`, or samples it. */
static struct sample sample_row(const struct sched *s, const struct seq *q, int pos, bool draws)
{
	struct sample p = {.call = q->id, .seq = q->slot, .pos = pos + 1, .given = -1, .n_top = -1};

	if (q->finish) {
		p.how = &s->idle;
		return p;
	}
	p.how = &q->call->how;
	p.tokens = seq_tokens(s, q);
	p.n_prompt = q->call->n_prompt;
	p.n_tokens = pos + 1;
	p.n_top = draws ? q->call->how.n_logprobs : q->call->prompt_logprobs;
	p.targets = draws && q->call->targets.n ? &q->call->targets : NULL;
	if (!draws)
		p.given = p.tokens[pos + 1];
	else if (q->call->grammar)
		constrain(&p, q);
	return p;
}

static const struct plan *plan_for(const struct sched *s, const struct step *step)
{
	const struct plan *p = &s->plan[step->head->no & 1];

	REQUIRE(p->no == step->head->no && p->no == s->done + 1);
	return p;
}

const struct sample *sched_samples(const struct sched *s, const struct step *step)
{
	const struct plan *p = plan_for(s, step);
	struct sample *out = s->samples;

	for (int i = 0; i < p->n_parts; i++) {
		const struct part *part = &p->part[i];
		for (int k = 0; k < part->n_score; k++)
			*out++ = sample_row(s, part->q, part->score_from + k, false);
		if (part->draws)
			*out++ = sample_row(s, part->q, part->first + part->n - 1, true);
	}
	return s->samples;
}

static void publish(struct sched *s, struct seq *q, int computed)
{
	int size = blocks_size(s->blocks), *blocks = seq_blocks(s, q);

	for (; (q->n_published + 1) * size <= computed; q->n_published++) {
		int i = q->n_published;
		blocks_publish(s->blocks, q->call->scope, i ? blocks[i - 1] : -1, blocks[i],
			       seq_tokens(s, q) + i * size);
	}
}

static void report_scores(struct sched *s, const struct part *part)
{
	enum { MOST = sizeof((struct event *)0)->id / sizeof(int32_t) };

	for (int k = 0; k < part->n_score; k += MOST) {
		struct event *e = event_put(s, part->q);
		e->n = min_int(MOST, part->n_score - k);
		e->scored = true;
		e->detail = (uint32_t)(part->row + k);
		memcpy(e->id, seq_tokens(s, part->q) + part->score_from + k + 1, (size_t)e->n * sizeof *e->id);
	}
}

/* Before min_tokens a stop id is masked. It is sampled only where masks leave nothing else, and then it does not end
 * the call. */
static enum finish finish_after(const struct sched *s, const struct seq *q, int32_t id)
{
	bool stops = call_stops_at(q->call, id);

	if (stops && seq_output(q) > q->call->how.min_tokens)
		return FINISH_STOP;
	if (q->call->grammar && (stops || !q->call->how.n_stop) && grammar_run_must_end(q->run))
		return FINISH_STOP;
	return q->n_tokens >= seq_most(s, q) ? FINISH_LENGTH : FINISH_NONE;
}

/* A token that its grammar does not allow is sampled only where nothing else is left. */
static void end_lost(struct sched *s, struct seq *q)
{
	struct event *e = event_put(s, q);

	e->lost = q->run->lost == grammar_run_left ? "the request allows none of the tokens that the grammar allows"
						   : q->run->lost;
	running_remove(s, q);
	seq_end(s, q, FINISH_LOST, e);
}

static void take_drawn(struct sched *s, struct seq *q, const struct sampled *sampled, int row)
{
	struct event *e;
	enum finish finish;

	if (q->call->grammar && !grammar_run_accept(q->run, sampled->id)) {
		end_lost(s, q);
		return;
	}
	e = event_put(s, q);
	seq_tokens(s, q)[q->n_tokens++] = sampled->id;
	if (q->last_step == s->done)
		q->pending = 0;
	if (!q->first_ns)
		q->first_ns = now_ns();
	s->stats.output_tokens += !q->call->targets.n;
	e->n = 1;
	e->id[0] = sampled->id;
	e->detail = q->call->how.n_logprobs >= 0 ? (uint32_t)row : UINT32_MAX;
	finish = finish_after(s, q, sampled->id);
	event_account(e, q, now_ns());
	if (!finish)
		return;
	e->stop_id = finish == FINISH_STOP && call_stops_at(q->call, sampled->id) ? sampled->id : -1;
	running_remove(s, q);
	seq_end(s, q, finish, e);
}

/* The first broken row of the part, or -1. */
static int broken_row(const struct part *part, const struct sampled *sampled)
{
	for (int row = part->row; row < part->row + part->n_score + part->draws; row++)
		if (sampled[row].broken)
			return row;
	return -1;
}

/* What it wrote to the KV cache may hold NaN, so no other call may find it. */
static void end_broken(struct sched *s, const struct part *part, int row, const struct sampled *sampled)
{
	struct seq *q = part->q;
	struct event *e = event_put(s, q);
	int k = row - part->row;

	e->broken_pos = (k < part->n_score ? part->score_from + k : part->first + part->n - 1) + 1;
	e->broken_origin = sampled[row].origin;
	for (int i = 0; i < q->n_blocks; i++)
		blocks_forget(s->blocks, seq_blocks(s, q)[i]);
	running_remove(s, q);
	seq_end(s, q, FINISH_BROKEN, e);
}

static void take_part(struct sched *s, const struct part *part, const struct sampled *sampled)
{
	struct seq *q = part->q;
	int row = part->row + part->n_score, broken = broken_row(part, sampled);

	if (q->finish)
		return;
	if (broken >= 0) {
		end_broken(s, part, broken, sampled);
		return;
	}
	publish(s, q, part->first + part->n);
	report_scores(s, part);
	if (part->draws) {
		take_drawn(s, q, &sampled[row], row);
	} else if (!seq_draws(q) && part->first + part->n == q->call->n_prompt - 1) {
		running_remove(s, q);
		seq_end(s, q, FINISH_LENGTH, NULL);
	}
}

static void release_ended(struct sched *s)
{
	struct seq **at = &s->ending, *q;

	while ((q = *at)) {
		if (q->last_step > s->done) {
			at = &q->next;
			continue;
		}
		*at = q->next;
		seq_release(s, q);
	}
}

void sched_done(struct sched *s, const struct step *step, const struct sampled *sampled)
{
	const struct plan *p = plan_for(s, step);

	s->done = p->no;
	memcpy(s->details, sampled, (size_t)step->head->n_rows * sizeof *sampled);
	for (int i = 0; i < p->n_parts; i++)
		take_part(s, &p->part[i], sampled);
	release_ended(s);
}
