/* walk.c - which tokens of the vocabulary a state takes.
 *
 * Inside a JSON string nearly every token is allowed, and to walk through all of them takes milliseconds. So tokens
 * that are pure text have masks of their own, by their class and their number of characters, for states that all
 * characters of a class lead through alike; only the others are walked through. */
#include "engine/grammar/step.h"

#include <string.h>

static struct pool *pool_of(struct grammar_room *r)
{
	return &r->pool[r->active];
}

/* ---- which states take all pure text ---- */

/* Whether all characters that go on with `left` bytes, the first of them of lo to hi, lead to `end`. */
static bool follow_all(struct pool *p, int32_t end, int32_t at, int left, unsigned lo, unsigned hi)
{
	const uint8_t *class_of = p->state[at].grammar->class_of;
	int last = -1;

	for (unsigned b = lo; b <= hi && at >= 0; b++) {
		int32_t to;
		if (class_of[b] == last)
			continue;
		last = class_of[b];
		to = pool_to(p, at, (uint8_t)b);
		if (left == 1 ? to != end : to < 0 || !follow_all(p, end, to, left - 1, 0x80, 0xbf))
			return false;
	}
	return at >= 0;
}

static bool takes_ascii(struct pool *p, int32_t state, int32_t end, int class)
{
	const uint8_t *class_of = p->state[state].grammar->class_of;
	uint8_t done[256] = {0};

	for (unsigned b = 0x20; b < 0x7f; b++) {
		if (pure_class[b] > class || done[class_of[b]])
			continue;
		done[class_of[b]] = 1;
		if (pool_to(p, state, (uint8_t)b) != end)
			return false;
	}
	return true;
}

static bool lead(struct pool *p, int32_t state, int32_t end, unsigned byte, int left, unsigned lo, unsigned hi)
{
	int32_t at = pool_to(p, state, (uint8_t)byte);

	return at >= 0 && follow_all(p, end, at, left, lo, hi);
}

/* E2 80 A8 and A9 are no pure characters. */
static bool lead_e2(struct pool *p, int32_t state, int32_t end)
{
	int32_t at = pool_to(p, state, 0xe2), to = at < 0 ? -1 : pool_to(p, at, 0x80);

	return to >= 0 && follow_all(p, end, to, 1, 0x80, 0xa7) && follow_all(p, end, to, 1, 0xaa, 0xbf) &&
	       follow_all(p, end, at, 2, 0x81, 0xbf);
}

static bool takes_wide(struct pool *p, int32_t state, int32_t end)
{
	for (unsigned b = 0xc2; b <= 0xf4; b++) {
		int left = b < 0xe0 ? 1 : b < 0xf0 ? 2 : 3;
		unsigned lo = b == 0xe0 || b == 0xc2 ? 0xa0
			      : b == 0xf0            ? 0x90
						     : 0x80,
			 hi = b == 0xed   ? 0x9f
			      : b == 0xf4 ? 0x8f
					  : 0xbf;
		if (b == 0xe2 ? !lead_e2(p, state, end) : !lead(p, state, end, b, left, lo, hi))
			return false;
	}
	return true;
}

/* The state that every character of a class leads to, or STATE_DEAD. */
static int32_t after_any(struct pool *p, int32_t state, int class)
{
	int32_t end = pool_to(p, state, 'a');

	return end >= 0 && takes_ascii(p, state, end, class) && (class < PURE_WIDE || takes_wide(p, state, end))
		       ? end
		       : STATE_DEAD;
}

static bool begins_pure(const struct grammar *g, const struct frame *f)
{
	const struct node *n = &g->g.node[f->node];

	for (unsigned b = 0x20; b < 256; b++) {
		const struct table *t = n->kind == NODE_TABLE ? &g->g.table[n->other] : NULL;
		if (b < 0x80 ? pure_class[b] == PURE_CLASSES : b < 0xc2)
			continue;
		if (t ? t->to[(size_t)(f->node - t->first) * (size_t)t->classes + t->class_of[b]] >= 0
		      : set_has(&g->g.set[n->other], b))
			return true;
	}
	return false;
}

/* Characters that the counted characters of a JSON string still have room for; only where no other stack of the state
 * begins with pure text, unless that is enough for every token. */
static int counted(const struct pool *p, const struct state *s)
{
	int room = 0;
	bool others = false;

	for (int i = 0; i < s->n; i++) {
		int32_t item = p->item[s->first + i];
		const struct frame *f = item < 0 ? NULL : &p->frame[item],
				   *up = f && f->parent >= 0 ? &p->frame[f->parent] : NULL;
		const struct node *loop = up ? &s->grammar->g.node[up->node] : NULL;
		if (f && s->grammar->g.node[f->node].pure && loop && loop->kind == NODE_REPEAT) {
			const struct repeat *r = &s->grammar->g.repeat[loop->other];
			room = max_int(room, r->max == REPEAT_ALWAYS ? PURE_CHARS
								     : min_int(r->max - up->count + 1, PURE_CHARS));
		} else if (f) {
			others |= begins_pure(s->grammar, f);
		}
	}
	return room >= PURE_CHARS ? PURE_ALL : room && !others ? room : PURE_NONE;
}

static bool takes_none(struct pool *p, int32_t state, int class)
{
	for (unsigned b = 0x20; b < 0xf5; b++)
		if ((b < 0x80 ? pure_class[b] <= class : b >= 0xc2 && class >= PURE_WIDE) &&
		    pool_to(p, state, (uint8_t)b) >= 0)
			return false;
	return true;
}

/* Every character of the class leads to the state itself, or through a chain of states: to one that takes none, or
 * further than pure tokens reach. */
static int chained(struct pool *p, int32_t state, int class)
{
	int32_t at = state;

	for (int n = 0; n < PURE_CHARS; n++) {
		int32_t to = after_any(p, at, class);
		if (p->full)
			return PURE_NONE;
		if (to < 0)
			return takes_none(p, at, class) ? n : PURE_NONE;
		if (to == at)
			return PURE_ALL;
		at = to;
	}
	return PURE_ALL;
}

/* The classes lie in each other: where one does not go through alike, no later one does. */
static int pure_of(struct pool *p, int32_t state, int class)
{
	struct state *s = &p->state[state];

	if (s->pure[class] != PURE_UNKNOWN)
		return s->pure[class];
	if (counted(p, s) != PURE_NONE)
		s->pure[class] = (int8_t)counted(p, s);
	else if (class && pure_of(p, state, class - 1) == PURE_NONE)
		s->pure[class] = PURE_NONE;
	else
		s->pure[class] = (int8_t)chained(p, state, class);
	return s->pure[class];
}

/* ---- walking ---- */

static void put_range(const struct trie *t, int from, int to, uint32_t *mask, bool on)
{
	for (int i = from; i < to; i++) {
		int32_t id = t->order[i];
		if (on)
			mask[id / 32] |= 1u << id % 32;
		else
			mask[id / 32] &= ~(1u << id % 32);
	}
}

/* A subtree below a state that takes its characters as long as it is allowed as a whole. `most`: all tokens are in the
 * mask already, and those that are not allowed are taken out. */
static void walk_below(struct grammar_room *r, const struct trie *t, int i, uint32_t *mask, bool most)
{
	enum { FEW = 4 }; /* nodes, for which that is not worth finding out */
	struct pool *p = pool_of(r);

	for (int end = i + t->node[i].skip; i < end && !p->full;) {
		const struct trie_node *n = &t->node[i];
		int32_t to = pool_to(p, r->path[n->depth], n->byte);
		bool all = to >= 0 && n->skip > FEW && n->below < PURE_CLASSES && n->height <= PURE_CHARS &&
			   pure_of(p, to, n->below) >= n->height;
		if (to < 0 || all) {
			if (all != most)
				put_range(t, n->first, n[n->skip].first, mask, all);
			i += n->skip;
			continue;
		}
		r->path[n->depth + 1] = to;
		if (!most)
			put_range(t, n->first, n[1].first, mask, true);
		i++;
	}
}

static void walk(struct grammar_room *r, int32_t state, const struct trie *t, uint32_t *mask, bool most)
{
	r->path[0] = state;
	for (int k = 0; k < t->n_roots; k++)
		if (most || pool_to(pool_of(r), state, t->first[k]) >= 0)
			walk_below(r, t, t->root[k], mask, most);
}

static void put_all(uint32_t *mask, const uint32_t *more, int words)
{
	for (int w = 0; w < words; w++)
		mask[w] |= more[w];
}

/* Whether most tokens of a class are allowed, judged by their first byte. */
static bool takes_most(struct grammar_room *r, int32_t state, int class)
{
	const struct trie *t = &r->pure[class];
	struct pool *p = pool_of(r);
	int tokens = 0;

	for (int k = 0; k < t->n_roots; k++) {
		int32_t to = pool_to(p, state, t->first[k]);
		if (to >= 0 && pure_of(p, to, class) == PURE_ALL)
			tokens += t->tokens[k];
	}
	return 2 * tokens > t->n_tokens;
}

static void walk_pure(struct grammar_room *r, int32_t state, int class, uint32_t *mask)
{
	bool most = takes_most(r, state, class);

	if (most)
		put_all(mask, room_upto(r, class, PURE_CHARS), r->words);
	walk(r, state, &r->pure[class], mask, most);
}

/* ---- tokens of other characters, by the kinds that they hold ---- */

static uint64_t find_loops(struct pool *p, int32_t state)
{
	uint64_t yes = 0, no = 0;

	for (unsigned b = 0x20; b < 0x7f; b++)
		*(pool_to(p, state, (uint8_t)b) == state ? &yes : &no) |= pure_bit(b);
	if (takes_wide(p, state, state))
		yes |= PURE_WIDE_BIT;
	return yes & ~no;
}

static uint64_t loops(struct pool *p, int32_t state)
{
	struct state *s = &p->state[state];

	if (s->loops == LOOPS_UNKNOWN)
		s->loops = find_loops(p, state);
	return s->loops;
}

/* Kinds of pure characters that no token may hold in this state. */
static uint64_t never(const struct pool *p, const struct state *s)
{
	uint64_t may = 0;

	for (int i = 0; i < s->n; i++) {
		int32_t item = p->item[s->first + i];
		const struct frame *f = item < 0 ? NULL : &p->frame[item];
		const struct node *n = f ? &s->grammar->g.node[f->node] : NULL;
		if (!f)
			continue;
		if (n->kind != NODE_TABLE)
			return 0;
		const struct table *t = &s->grammar->g.table[n->other];
		may |= t->pure[f->node - t->first];
		if (may & PURE_LEAVES && f->parent >= 0) /* without a parent the answer ends behind the table */
			return 0;
		may &= ~PURE_LEAVES;
	}
	return ~may;
}

static void walk_bucket(struct grammar_room *r, int32_t state, const struct bucket *b, uint32_t *mask, bool most)
{
	const struct trie *t = &r->signs;

	for (int i = b->node; i < b[1].node; i += t->node[i].skip)
		if (most || pool_to(pool_of(r), state, t->node[i].byte) >= 0)
			walk_below(r, t, i, mask, most);
}

static void walk_other(struct grammar_room *r, int32_t state, uint32_t *mask)
{
	const struct trie *t = &r->signs;
	uint64_t in = loops(pool_of(r), state), out = never(pool_of(r), &pool_of(r)->state[state]);
	int taken = 0;
	bool most;

	for (int i = 0; i < r->n_buckets; i++)
		taken += r->bucket[i].kinds & ~in ? 0 : r->bucket[i + 1].first - r->bucket[i].first;
	if (!out && !taken) {
		walk_pure(r, state, PURE_OTHER, mask);
		return;
	}
	most = 2 * taken > t->n_tokens;
	if (most)
		put_all(mask, room_upto(r, PURE_OTHER, PURE_CHARS), r->words);
	r->path[0] = state;
	for (const struct bucket *b = r->bucket; b < r->bucket + r->n_buckets; b++) {
		bool all = !(b->kinds & ~in), none = b->kinds & out;
		if (!all && !none)
			walk_bucket(r, state, b, mask, most);
		else if (all != most)
			put_range(t, b->first, b[1].first, mask, all);
	}
}

bool walk_mask(struct grammar_room *r, int32_t state, uint32_t *mask)
{
	struct pool *p = pool_of(r);
	int all = pure_of(p, state, PURE_OTHER);

	memset(mask, 0, (size_t)r->words * sizeof *mask);
	walk(r, state, &r->rest, mask, false);
	if (all != PURE_NONE)
		put_all(mask, room_upto(r, PURE_CLASSES, all), r->words);
	for (int c = 0; c < PURE_OTHER && all == PURE_NONE; c++) {
		int chars = pure_of(p, state, c);
		if (chars == PURE_NONE)
			walk_pure(r, state, c, mask);
		else if (chars)
			put_all(mask, room_upto(r, c, chars), r->words);
	}
	if (all == PURE_NONE)
		walk_other(r, state, mask);
	return !p->full;
}
