/* sched.c - the scheduler itself: memory, calls that arrive and are cancelled, statistics. plan.c plans a step, done.c
 * takes in its result, queue.c knows who waits, seq.c is one sequence. */
#include "engine/sched/inside.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static int objects_of(const struct sched_limits *lim)
{
	return lim->max_waiting + 3 * lim->step.max_seqs;
}

static int events_of(const struct sched_limits *lim)
{
	return 2 * objects_of(lim) + 2 * (lim->step.max_tokens + 2 * lim->step.max_seqs);
}

uint64_t sched_bytes(const struct sched_limits *lim, int block_size)
{
	uint64_t seqs = (uint64_t)lim->step.max_seqs, tokens = (uint64_t)lim->step.max_tokens,
		 length = (uint64_t)lim->max_model_len;
	uint64_t of_seq = sizeof(struct seq *) + sizeof(int) + 2 * sizeof(struct part) + length * sizeof(int32_t) +
			  (length / (uint64_t)block_size + 1) * sizeof(int);

	return sizeof(struct sched) + (uint64_t)objects_of(lim) * (sizeof(struct seq) + sizeof(struct grammar_run)) +
	       seqs * of_seq + tokens * (sizeof(struct sample) + sizeof(struct sampled)) +
	       (uint64_t)events_of(lim) * sizeof(struct event);
}

struct sched *sched_create(const struct sched_limits *lim, struct blocks *blocks)
{
	struct sched *s = xalloc(1, sizeof *s);
	size_t seqs = (size_t)lim->step.max_seqs, tokens = (size_t)lim->step.max_tokens;

	s->lim = *lim;
	s->blocks = blocks;
	s->n_objects = objects_of(lim);
	s->pool_memory = xalloc_touched((size_t)s->n_objects, sizeof *s->pool_memory);
	s->runs = xalloc_touched((size_t)s->n_objects, sizeof *s->runs);
	for (int i = 0; i < s->n_objects; i++) {
		s->pool_memory[i].next = s->pool;
		s->pool = &s->pool_memory[i];
	}
	queue_init(s);
	s->running = xalloc(seqs, sizeof *s->running);
	s->free_slot = xalloc(seqs, sizeof *s->free_slot);
	while (s->n_free_slots < lim->step.max_seqs) {
		s->free_slot[s->n_free_slots] = lim->step.max_seqs - 1 - s->n_free_slots;
		s->n_free_slots++;
	}
	s->blocks_per_seq = div_up(lim->max_model_len, blocks_size(blocks));
	s->tokens = xalloc_touched(seqs * (size_t)lim->max_model_len, sizeof *s->tokens);
	s->blocks_of = xalloc_touched(seqs * (size_t)s->blocks_per_seq, sizeof *s->blocks_of);
	for (int i = 0; i < 2; i++)
		s->plan[i].part = xalloc(seqs, sizeof *s->plan[i].part);
	s->samples = xalloc_touched(tokens, sizeof *s->samples);
	s->details = xalloc_touched(tokens, sizeof *s->details);
	s->max_events = events_of(lim);
	s->event = xalloc_touched((size_t)s->max_events, sizeof *s->event);
	s->idle = sampling_default();
	s->idle.temperature = 0;
	return s;
}

void sched_destroy(struct sched *s)
{
	if (!s)
		return;
	free(s->pool_memory);
	free(s->runs);
	queue_finish(s);
	free(s->running);
	free(s->free_slot);
	free(s->tokens);
	free(s->blocks_of);
	free(s->plan[0].part);
	free(s->plan[1].part);
	free(s->samples);
	free(s->details);
	free(s->event);
	free(s);
}

int sched_events(struct sched *s, struct event *out, int max)
{
	int n = min_int(max, s->n_events);

	for (int i = 0; i < n; i++)
		out[i] = s->event[(s->first_event + i) % s->max_events];
	s->first_event = (s->first_event + n) % s->max_events;
	s->n_events -= n;
	return n;
}

/* ---- calls arrive ---- */

static int check_call(const struct sched *s, const struct call *c, struct why *why)
{
	int most = s->lim.max_model_len, need;
	struct seq q = {.call = c};

	if (c->n_prompt < 1)
		return fail(why, ERR_INVALID, "prompt: empty");
	if (c->n_prompt > most - (c->score || !c->max_tokens ? 0 : 1) || c->n_resume > most - c->n_prompt)
		return fail(why, ERR_LIMIT, "the prompt has %d tokens; --max-model-len is %d",
			    c->n_prompt + c->n_resume, most);
	if (c->max_tokens < 0 || c->n_resume < 0)
		return fail(why, ERR_INVALID, "max_tokens: %d is negative", c->max_tokens);
	if (!c->score && c->how.min_tokens > c->max_tokens)
		return fail(why, ERR_INVALID, "min_tokens: %d is more than max_tokens %d", c->how.min_tokens,
			    c->max_tokens);
	need = blocks_for(s, seq_most(s, &q));
	if (need > blocks_total(s->blocks))
		return fail(why, ERR_LIMIT, "the call may need %d blocks of %d tokens; the KV cache has %d", need,
			    blocks_size(s->blocks), blocks_total(s->blocks));
	for (int i = 0; i < c->n_prompt + c->n_resume; i++)
		if (c->ids[i] < 0 || c->ids[i] >= s->lim.vocab)
			return fail(why, ERR_INVALID, "prompt: id %d is outside the vocabulary of %d", c->ids[i],
				    s->lim.vocab);
	return 0;
}

/* Free places in the next step are not counted as queue. */
static int check_queue(const struct sched *s, const struct call *c, struct why *why)
{
	int places = s->lim.step.max_seqs - s->n_running, tokens = c->n_prompt + c->n_resume;

	if (s->n_waiting >= s->lim.max_waiting + places)
		return fail(why, ERR_BUSY, "%d calls are waiting", s->n_waiting);
	if (s->n_waiting && s->waiting_tokens + tokens > s->lim.max_waiting_tokens)
		return fail(why, ERR_BUSY, "%" PRId64 " tokens are waiting", s->waiting_tokens);
	if (!s->pool || s->n_events > s->n_objects)
		return fail(why, ERR_BUSY, "too many calls at once");
	return 0;
}

bool call_stops_at(const struct call *c, int32_t id)
{
	for (int i = 0; i < c->how.n_stop; i++)
		if (c->how.stop[i] == id)
			return true;
	return false;
}

/* The reason for which a call ends before it runs: it asks for nothing, or its resumed part is already complete. */
static enum finish ended_already(const struct seq *q)
{
	const struct call *c = q->call;

	if (c->grammar && !c->how.n_stop && grammar_run_must_end(q->run))
		return FINISH_STOP;
	if (c->score || !c->max_tokens)
		return c->n_prompt < 2 || (!c->score && c->prompt_logprobs < 0) ? FINISH_LENGTH : FINISH_NONE;
	if (c->n_resume && call_stops_at(c, c->ids[c->n_prompt + c->n_resume - 1]))
		return FINISH_STOP;
	return c->n_resume >= c->max_tokens ? FINISH_LENGTH : FINISH_NONE;
}

/* Tokens that were delivered before are followed first, so that the answer goes on inside the grammar. */
static int begin_run(struct seq *q, struct why *why)
{
	const struct call *c = q->call;

	*q->run = (struct grammar_run){.room = NULL};
	if (!c->grammar)
		return 0;
	grammar_run_begin(q->run, c->room, c->grammar, c->how.stop, c->how.n_stop);
	for (int i = 0; i < c->n_resume && !q->run->lost; i++)
		grammar_run_accept(q->run, c->ids[c->n_prompt + i]);
	if (!q->run->lost)
		return 0;
	fail(why, ERR_INVALID, "%s: %s", c->n_resume ? "resume: the tokens do not fit the grammar" : "constraint",
	     q->run->lost);
	grammar_run_end(q->run);
	return c->n_resume ? ERR_INVALID : ERR_LIMIT;
}

int sched_add(struct sched *s, const struct call *c, struct why *why)
{
	int err = check_call(s, c, why);
	struct seq *q;

	REQUIRE(c->prompt_logprobs <= SAMPLE_MAX_TOP && c->how.n_logprobs <= SAMPLE_MAX_TOP);
	if (!err)
		err = check_queue(s, c, why);
	if (err)
		return err;
	q = s->pool;
	*q = (struct seq){.next = q->next,
			  .call = c,
			  .id = c->call,
			  .run = &s->runs[q - s->pool_memory],
			  .slot = -1,
			  .n_tokens = c->n_prompt + c->n_resume,
			  .added_ns = now_ns()};
	err = begin_run(q, why);
	if (err)
		return err;
	s->pool = q->next;
	q->next = NULL;
	if (ended_already(q))
		seq_end(s, q, ended_already(q), NULL);
	else
		queue_append(s, q);
	return 0;
}

void sched_cancel(struct sched *s, uint64_t call, enum finish reason)
{
	struct seq *waiting = queue_find(s, call);

	if (waiting) {
		queue_remove(s, waiting);
		seq_end(s, waiting, reason, NULL);
		return;
	}
	for (int i = 0; i < s->n_running; i++)
		if (s->running[i]->id == call) {
			struct seq *q = s->running[i];
			running_remove(s, q);
			seq_end(s, q, reason, NULL);
			return;
		}
}

bool sched_has_work(const struct sched *s)
{
	return s->n_running || s->n_waiting || s->ending || s->planned > s->done;
}

const struct sampled *sched_details(const struct sched *s)
{
	return s->details;
}

void sched_stats(const struct sched *s, struct sched_stats *out)
{
	*out = s->stats;
	out->running = s->n_running;
	out->waiting = s->n_waiting;
	out->preempted = s->n_preempted;
	out->waiting_tokens = s->waiting_tokens;
	out->steps = (uint64_t)s->done;
}

void sched_check_idle(const struct sched *s)
{
	int objects = 0, clients = 0;

	REQUIRE(!sched_has_work(s) && s->waiting_tokens == 0);
	for (const struct client *c = s->clients; c; c = c->chain)
		clients++;
	REQUIRE(clients == s->n_objects && !s->turns.first && !s->n_preempted);
	REQUIRE(s->n_free_slots == s->lim.step.max_seqs && blocks_held(s->blocks) == 0);
	for (const struct seq *q = s->pool; q; q = q->next)
		objects++;
	REQUIRE(objects == s->n_objects);
	blocks_check(s->blocks);
}
