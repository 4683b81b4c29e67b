/* run.c - one answer's place in its grammar. */
#include "engine/grammar/step.h"

#include <string.h>

const char grammar_run_left[] = "a token does not go on as the grammar says";

static struct pool *pool_of(const struct grammar_run *run)
{
	return &run->room->pool[run->room->active];
}

static void lose(struct grammar_run *run, const char *text)
{
	if (!run->lost)
		run->lost = text;
}

/* The pool is full: its live states move to the other one. */
static void move_on(struct grammar_room *r)
{
	struct pool *from = &r->pool[r->active], *to = &r->pool[!r->active];

	pool_clear(to);
	for (struct grammar_run *run = r->runs; run; run = run->next) {
		if (run->lost)
			continue;
		run->state = pool_move(to, from, run->state);
		if (run->state < 0)
			lose(run, "the grammars of all running calls need more states than there is room for");
		to->full = false;
	}
	for (int i = 0; i < r->n_masks; i++)
		r->owner[i].state = -1;
	r->active = !r->active;
}

static void lose_large(struct grammar_run *run)
{
	lose(run,
	     "the grammar is too ambiguous here: its readings of the answer need more states than there is room for");
}

void grammar_run_begin(struct grammar_run *run, struct grammar_room *room, const struct grammar *g, const int32_t *stop,
		       int n_stop)
{
	*run = (struct grammar_run){.room = room, .grammar = g, .stop = stop, .n_stop = n_stop};
	run->state = pool_start(pool_of(run), g);
	if (pool_of(run)->full) {
		move_on(room);
		run->state = pool_start(pool_of(run), g);
	}
	if (pool_of(run)->full)
		lose_large(run);
	else if (run->state < 0)
		lose(run, "its rules lie too deep in each other: every reading of an answer begins below 256 of them");
	pool_of(run)->full = false;
	run->next = room->runs;
	run->at = &room->runs;
	if (run->next)
		run->next->at = &run->next;
	room->runs = run;
}

void grammar_run_end(struct grammar_run *run)
{
	if (!run->room)
		return;
	*run->at = run->next;
	if (run->next)
		run->next->at = run->at;
	run->room = NULL;
}

bool grammar_run_may_end(const struct grammar_run *run)
{
	return !run->lost && pool_of(run)->state[run->state].ends;
}

/* ---- masks ---- */

static uint64_t hash_stops(const struct grammar_run *run)
{
	uint64_t h = 1469598103934665603u;

	for (int i = 0; i < run->n_stop; i++)
		h = (h ^ (uint32_t)run->stop[i]) * 1099511628211u;
	return h;
}

static int oldest(const struct grammar_room *r)
{
	int best = 0;

	for (int i = 1; i < r->n_masks; i++)
		if (r->owner[i].used < r->owner[best].used)
			best = i;
	return best;
}

/* End tokens are allowed where the text may end, and nowhere else. */
static void put_stops(const struct grammar_run *run, bool ends, uint32_t *mask)
{
	for (int i = 0; i < run->n_stop; i++) {
		int32_t id = run->stop[i];
		if (id < 0 || id >= run->room->vocab)
			continue;
		if (ends)
			mask[id / 32] |= 1u << id % 32;
		else
			mask[id / 32] &= ~(1u << id % 32);
	}
}

static int first_word(const uint32_t *mask, int from, int words)
{
	while (from < words && !mask[from])
		from++;
	return from;
}

/* Whether there is a token, and whether it is the only one. */
static void look_at(struct mask_of *o, const uint32_t *mask, int words)
{
	int w = first_word(mask, 0, words);

	o->any = w < words;
	o->only = -1;
	if (o->any && !(mask[w] & (mask[w] - 1)) && first_word(mask, w + 1, words) == words)
		o->only = 32 * w + __builtin_ctz(mask[w]);
}

/* The place of the mask of a state; -1: the pool is full. */
static int find_mask(struct grammar_run *run, int32_t state)
{
	struct grammar_room *r = run->room;
	struct pool *p = pool_of(run);
	uint64_t stops = hash_stops(run);
	int at = p->state[state].mask;
	uint32_t *mask;

	if (at >= 0 && r->owner[at].state == state && r->owner[at].stops == stops) {
		r->owner[at].used = ++r->clock;
		return at;
	}
	at = oldest(r);
	mask = r->mask + (size_t)at * (size_t)r->words;
	r->owner[at].state = -1;
	if (!walk_mask(r, state, mask))
		return -1;
	r->owner[at] = (struct mask_of){.state = state, .stops = stops, .used = ++r->clock};
	put_stops(run, false, mask);
	r->owner[at].goes_on = first_word(mask, 0, r->words) < r->words;
	put_stops(run, p->state[state].ends, mask);
	look_at(&r->owner[at], mask, r->words);
	p->state[state].mask = at;
	return at;
}

static int mask_of_run(struct grammar_run *run)
{
	struct pool *p = pool_of(run);
	int32_t state = pool_alike(p, run->state, run->room->longest + 1);

	return p->full ? -1 : find_mask(run, state);
}

bool grammar_run_must_end(struct grammar_run *run)
{
	int at;

	if (!grammar_run_may_end(run))
		return false;
	if (pool_of(run)->state[run->state].n == 1)
		return true;
	at = mask_of_run(run);
	return at >= 0 && !run->room->owner[at].goes_on;
}

struct grammar_mask grammar_run_mask(struct grammar_run *run)
{
	struct grammar_mask none = {NULL, -1};
	int at;

	if (run->lost)
		return none;
	at = mask_of_run(run);
	if (at < 0) {
		move_on(run->room);
		at = run->lost ? -1 : mask_of_run(run);
	}
	if (at < 0) {
		lose_large(run);
		pool_of(run)->full = false;
		return none;
	}
	if (!run->room->owner[at].any) {
		lose(run,
		     pool_of(run)->deep
			     ? "no token of the vocabulary goes on as the grammar says: the answer lies too deep in it"
			     : "no token of the vocabulary goes on as the grammar says");
		return none;
	}
	return (struct grammar_mask){run->room->mask + (size_t)at * (size_t)run->room->words,
				     run->room->owner[at].only};
}

/* ---- tokens ---- */

static bool is_stop(const struct grammar_run *run, int32_t id)
{
	for (int i = 0; i < run->n_stop; i++)
		if (run->stop[i] == id)
			return true;
	return false;
}

static int32_t follow(struct grammar_run *run, int32_t id)
{
	const struct grammar_room *r = run->room;
	int32_t state = r->at[id] < r->at[id + 1] ? run->state : STATE_DEAD;

	for (int32_t i = r->at[id]; i < r->at[id + 1] && state >= 0; i++)
		state = pool_to(pool_of(run), state, (uint8_t)r->bytes[i]);
	return state;
}

bool grammar_run_accept(struct grammar_run *run, int32_t id)
{
	int32_t state;

	if (run->lost)
		return false;
	if (is_stop(run, id)) {
		if (!grammar_run_may_end(run))
			lose(run, "an end token came before the grammar allows the end");
		return !run->lost;
	}
	state = id < 0 || id >= run->room->vocab ? STATE_DEAD : follow(run, id);
	if (pool_of(run)->full) {
		move_on(run->room);
		state = run->lost ? STATE_DEAD : follow(run, id);
	}
	if (pool_of(run)->full)
		lose_large(run);
	pool_of(run)->full = false;
	if (state < 0)
		lose(run, grammar_run_left);
	else
		run->state = state;
	return !run->lost;
}

/* ---- whole texts ---- */

bool grammar_matches(const struct grammar *g, const char *text, size_t len)
{
	struct pool p;
	int32_t state;
	bool ends;

	pool_init(&p);
	state = pool_start(&p, g);
	for (size_t i = 0; i < len && state >= 0; i++) {
		state = pool_step(&p, state, (uint8_t)text[i]);
		if (p.full) {
			pool_finish(&p);
			return false;
		}
	}
	ends = state >= 0 && p.state[state].ends;
	pool_finish(&p);
	return ends;
}
