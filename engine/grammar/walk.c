/* walk.c - which tokens of the vocabulary a state takes.
 *
 * Inside a JSON string nearly every token is allowed, and to walk through all of them takes milliseconds. So tokens
 * that are pure text have masks of their own, by their number of characters, and only the others are walked through. */
#include "engine/grammar/inside.h"

#include <string.h>

static struct pool *pool_of(struct grammar_room *r)
{
	return &r->pool[r->active];
}

/* ---- which states take all pure text ---- */

/* Bytes from which characters of pure tokens are made: no control characters, no quote, no backslash, no DEL, and none
 * of U+0080 to U+009F, U+2028 and U+2029, which "." leaves out. */
static bool is_there(struct pool *p, int32_t at, const char *bytes, int32_t to)
{
	for (; *bytes && at >= 0; bytes++)
		at = pool_step(p, at, (uint8_t)*bytes);
	return at == to;
}

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
		to = pool_step(p, at, (uint8_t)b);
		if (left == 1 ? to != end : to < 0 || !follow_all(p, end, to, left - 1, 0x80, 0xbf))
			return false;
	}
	return at >= 0;
}

static bool takes_ascii(struct pool *p, int32_t state, int32_t end)
{
	const uint8_t *class_of = p->state[state].grammar->class_of;
	uint8_t done[256] = {0};

	for (unsigned b = 0x20; b < 0x7f; b++) {
		if (b == '"' || b == '\\' || done[class_of[b]])
			continue;
		done[class_of[b]] = 1;
		if (pool_step(p, state, (uint8_t)b) != end)
			return false;
	}
	return true;
}

static bool lead(struct pool *p, int32_t state, int32_t end, unsigned byte, int left, unsigned lo, unsigned hi)
{
	int32_t at = pool_step(p, state, (uint8_t)byte);

	return at >= 0 && follow_all(p, end, at, left, lo, hi);
}

/* E2 80 A8 and A9 are no pure characters. */
static bool lead_e2(struct pool *p, int32_t state, int32_t end)
{
	int32_t at = pool_step(p, state, 0xe2), to = at < 0 ? -1 : pool_step(p, at, 0x80);

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

/* The state that every pure character leads to, or STATE_DEAD. */
static int32_t after_any(struct pool *p, int32_t state)
{
	int32_t end = pool_step(p, state, 'a');

	return end >= 0 && is_there(p, state, " ", end) && takes_ascii(p, state, end) && takes_wide(p, state, end)
		       ? end
		       : STATE_DEAD;
}

static bool begins_pure(const struct grammar *g, const struct frame *f)
{
	const struct node *n = &g->g.node[f->node];

	for (unsigned b = 0x20; b < 256; b++) {
		const struct table *t = n->kind == NODE_TABLE ? &g->g.table[n->other] : NULL;
		if (b == '"' || b == '\\' || b == 0x7f || (b >= 0x80 && b < 0xc2))
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

static bool takes_none(const struct pool *p, const struct state *s)
{
	for (int i = 0; i < s->n; i++) {
		int32_t item = p->item[s->first + i];
		if (item >= 0 && begins_pure(s->grammar, &p->frame[item]))
			return false;
	}
	return true;
}

/* Every pure character leads to the state itself, or through a chain of states: to one that takes none, or further than
 * pure tokens reach. */
static int chained(struct pool *p, int32_t state)
{
	int32_t at = state;

	for (int n = 0; n < PURE_CHARS; n++) {
		int32_t to = after_any(p, at);
		if (p->full)
			return PURE_NONE;
		if (to < 0)
			return n && takes_none(p, &p->state[at]) ? n : PURE_NONE;
		if (to == at)
			return PURE_ALL;
		at = to;
	}
	return PURE_ALL;
}

static int pure_of(struct pool *p, int32_t state)
{
	struct state *s = &p->state[state];

	if (s->pure != PURE_UNKNOWN)
		return s->pure;
	s->pure = (int16_t)counted(p, s);
	if (s->pure == PURE_NONE)
		s->pure = (int16_t)chained(p, state);
	return s->pure;
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

static void walk_below(struct grammar_room *r, const struct trie *t, int i, uint32_t *mask)
{
	struct pool *p = pool_of(r);

	for (int end = i + t->node[i].skip; i < end && !p->full;) {
		const struct trie_node *n = &t->node[i];
		int32_t to = pool_step(p, r->path[n->depth], n->byte);
		if (to < 0) {
			i += n->skip;
			continue;
		}
		r->path[n->depth + 1] = to;
		put_range(t, n->first, n->first + n->own, mask, true);
		i++;
	}
}

static void walk(struct grammar_room *r, int32_t state, const struct trie *t, uint32_t *mask)
{
	r->path[0] = state;
	for (int b = 0; b < 256; b++)
		if (t->root[b] >= 0 && pool_step(pool_of(r), state, (uint8_t)b) >= 0)
			walk_below(r, t, t->root[b], mask);
}

/* Whether most pure tokens are allowed, judged by their first byte. */
static bool takes_most(struct grammar_room *r, int32_t state)
{
	const struct trie *t = &r->pure;
	struct pool *p = pool_of(r);
	int tokens = 0;

	for (int b = 0; b < 256; b++) {
		int32_t to = t->root[b] < 0 ? STATE_DEAD : pool_step(p, state, (uint8_t)b);
		if (to >= 0 && pure_of(p, to) == PURE_ALL)
			tokens += t->tokens[b];
	}
	return 2 * tokens > t->n_tokens;
}

static void put_all(uint32_t *mask, const uint32_t *more, int words)
{
	for (int w = 0; w < words; w++)
		mask[w] |= more[w];
}

/* A subtree below a state that takes all pure text is allowed as a whole. `most`: all are in the mask already, and
 * those that are not allowed are taken out. */
static void walk_pure_below(struct grammar_room *r, int i, uint32_t *mask, bool most)
{
	const struct trie *t = &r->pure;
	struct pool *p = pool_of(r);

	for (int end = i + t->node[i].skip; i < end && !p->full;) {
		const struct trie_node *n = &t->node[i];
		int32_t to = pool_step(p, r->path[n->depth], n->byte);
		bool all = to >= 0 && pure_of(p, to) == PURE_ALL;
		if (to < 0 || all) {
			if (all != most)
				put_range(t, n->first, n->end, mask, all);
			i += n->skip;
			continue;
		}
		r->path[n->depth + 1] = to;
		if (!most)
			put_range(t, n->first, n->first + n->own, mask, true);
		i++;
	}
}

static void walk_pure(struct grammar_room *r, int32_t state, uint32_t *mask)
{
	const struct trie *t = &r->pure;
	bool most = takes_most(r, state);

	if (most)
		put_all(mask, r->pure_upto + (size_t)PURE_CHARS * (size_t)r->words, r->words);
	r->path[0] = state;
	for (int b = 0; b < 256; b++)
		if (t->root[b] >= 0 && (most || pool_step(pool_of(r), state, (uint8_t)b) >= 0))
			walk_pure_below(r, t->root[b], mask, most);
}

bool walk_mask(struct grammar_room *r, int32_t state, uint32_t *mask)
{
	int pure = pure_of(pool_of(r), state);

	memset(mask, 0, (size_t)r->words * sizeof *mask);
	walk(r, state, &r->rest, mask);
	if (pure == PURE_NONE)
		walk_pure(r, state, mask);
	else
		put_all(mask, r->pure_upto + (size_t)min_int(pure, PURE_CHARS) * (size_t)r->words, r->words);
	return !pool_of(r)->full;
}
