/* probe.c - finds grammars that have too many readings, before an answer does. */
#include "engine/grammar/inside.h"

#include "base/effort.h"

/* A mask steps through hundreds of states, and POOL_ITEMS holds the stacks of all of them. */
enum { PROBE_STEPS = 48, PROBE_STACKS = 1024 };

/* The state with most stacks that a byte leads to; STATE_DEAD: there is none. */
static int32_t widest(struct pool *p, const struct grammar *g, int32_t from)
{
	int32_t best = STATE_DEAD;

	for (int c = 0; c < g->classes && !p->full; c++) {
		int32_t to = pool_step(p, from, g->byte_of[c]);
		if (to >= 0 && (best < 0 || p->state[to].n > p->state[best].n))
			best = to;
	}
	return best;
}

int grammar_probe(const struct grammar *g, struct why *why)
{
	struct pool p;
	int32_t at;
	int err = 0;

	if (!g->g.n_repeats)
		return 0;
	pool_init(&p);
	at = pool_start(&p, g);
	for (int i = 0; i < PROBE_STEPS && at >= 0 && !err && !p.full; i++) {
		at = widest(&p, g, at);
		if (at >= 0 && p.state[at].n > PROBE_STACKS)
			err = fail(why, ERR_LIMIT,
				   "it is too ambiguous: %d bytes of an answer can be read in more than %d ways; "
				   "write its repetitions so that where one ends is seen from the text",
				   i + 1, PROBE_STACKS);
		if (!err)
			err = effort_check(why);
	}
	if (!err && p.full)
		err = fail(why, ERR_LIMIT, "it is too ambiguous: an answer can be read in too many ways");
	pool_finish(&p);
	return err;
}
