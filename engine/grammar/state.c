/* state.c - a grammar's automaton, made deterministic as it is used: a state is a set of stacks, and where a class of
 * bytes leads is looked up once. */
#include "engine/grammar/inside.h"

#include <stdlib.h>
#include <string.h>

static uint32_t mix(uint32_t h, int32_t v)
{
	h = (h ^ (uint32_t)v) * 0x9e3779b1u;
	return h ^ h >> 15;
}

static uint32_t frame_hash(const struct frame *f)
{
	return mix(mix(mix(mix(1, (int32_t)f->grammar), f->node), f->count), f->parent);
}

static bool frame_same(const struct frame *a, const struct frame *b)
{
	return a->grammar == b->grammar && a->node == b->node && a->count == b->count && a->parent == b->parent;
}

void pool_init(struct pool *p)
{
	*p = (struct pool){.frame = xalloc_touched(POOL_FRAMES, sizeof *p->frame),
			   .state = xalloc_touched(POOL_STATES, sizeof *p->state),
			   .item = xalloc_touched(POOL_ITEMS, sizeof *p->item),
			   .row = xalloc_touched(POOL_ROWS, sizeof *p->row),
			   .frame_slot = xalloc_touched(2 * (size_t)POOL_FRAMES, sizeof *p->frame_slot),
			   .state_slot = xalloc_touched(2 * (size_t)POOL_STATES, sizeof *p->state_slot),
			   .set = xalloc_touched(GRAMMAR_STACKS + 1, sizeof *p->set),
			   .todo = xalloc_touched(VISITS, sizeof *p->todo),
			   .seen = xalloc_touched(VISITS, sizeof *p->seen),
			   .visited = xalloc_touched(2 * (size_t)VISITS, sizeof *p->visited)};
}

size_t pool_bytes(void)
{
	return (size_t)POOL_FRAMES * (sizeof(struct frame) + 8) + (size_t)POOL_STATES * (sizeof(struct state) + 8) +
	       4 * (size_t)(POOL_ITEMS + POOL_ROWS) + (size_t)VISITS * (2 * sizeof(struct frame) + 8);
}

void pool_finish(struct pool *p)
{
	free(p->frame), free(p->state), free(p->item), free(p->row), free(p->frame_slot), free(p->state_slot);
	free(p->set), free(p->todo), free(p->seen), free(p->visited);
}

void pool_clear(struct pool *p)
{
	memset(p->frame_slot, 0, 2 * (size_t)POOL_FRAMES * sizeof *p->frame_slot);
	memset(p->state_slot, 0, 2 * (size_t)POOL_STATES * sizeof *p->state_slot);
	p->n_frames = p->n_states = p->n_items = p->n_rows = 0;
	p->full = p->deep = false;
}

/* ---- interning ---- */

/* The frame's number, or -2: it lies too deep, or the pool is full. */
static int32_t push(struct pool *p, struct frame f)
{
	uint32_t h = frame_hash(&f);

	f.depth = f.parent < 0 ? 1 : p->frame[f.parent].depth + 1;
	if (f.depth > GRAMMAR_DEPTH) {
		p->deep = true;
		return -2;
	}
	for (;; h++) {
		int32_t *slot = &p->frame_slot[h % (2 * POOL_FRAMES)];
		if (*slot && frame_same(&p->frame[*slot - 1], &f))
			return *slot - 1;
		if (*slot)
			continue;
		if (p->n_frames == POOL_FRAMES) {
			p->full = true;
			return -2;
		}
		p->frame[p->n_frames] = f;
		*slot = ++p->n_frames;
		return p->n_frames - 1;
	}
}

/* Shell's sort (1959), since qsort() may allocate. */
static void sort(int32_t *v, int n)
{
	static const int gaps[] = {701, 301, 132, 57, 23, 10, 4, 1};

	for (size_t g = 0; g < sizeof gaps / sizeof *gaps; g++)
		for (int i = gaps[g]; i < n; i++) {
			int32_t x = v[i];
			int k = i;
			for (; k >= gaps[g] && v[k - gaps[g]] > x; k -= gaps[g])
				v[k] = v[k - gaps[g]];
			v[k] = x;
		}
}

static void sort_set(struct pool *p)
{
	int n = 0;

	sort(p->set, p->n_set);
	for (int i = 0; i < p->n_set; i++)
		if (!n || p->set[n - 1] != p->set[i])
			p->set[n++] = p->set[i];
	p->n_set = n;
}

static int32_t new_state(struct pool *p, const struct grammar *g)
{
	if (p->n_states == POOL_STATES || p->n_items + p->n_set > POOL_ITEMS) {
		p->full = true;
		return STATE_DEAD;
	}
	memcpy(p->item + p->n_items, p->set, (size_t)p->n_set * sizeof *p->set);
	p->state[p->n_states] = (struct state){.first = p->n_items,
					       .n = p->n_set,
					       .row = -1,
					       .mask = -1,
					       .alike = STATE_UNKNOWN,
					       .loops = LOOPS_UNKNOWN,
					       .ends = p->set[0] < 0,
					       .grammar = g,
					       .number = (uint32_t)g->number};
	memset(p->state[p->n_states].pure, PURE_UNKNOWN, PURE_CLASSES);
	p->n_items += p->n_set;
	return p->n_states++;
}

/* The number of the state whose stacks `set` holds. */
static int32_t intern(struct pool *p, const struct grammar *g)
{
	uint32_t h = mix(7, (int32_t)g->number);

	sort_set(p);
	if (!p->n_set || p->full)
		return STATE_DEAD;
	for (int i = 0; i < p->n_set; i++)
		h = mix(h, p->set[i]);
	for (;; h++) {
		int32_t *slot = &p->state_slot[h % (2 * POOL_STATES)];
		const struct state *s = &p->state[*slot - 1];
		if (!*slot) {
			int32_t made = new_state(p, g);
			*slot = made + 1;
			return made;
		}
		if (s->grammar == g && s->number == (uint32_t)g->number && s->n == p->n_set &&
		    !memcmp(p->item + s->first, p->set, (size_t)s->n * sizeof *p->set))
			return *slot - 1;
	}
}

/* ---- what is reached without a byte ---- */

static void begin(struct pool *p)
{
	p->n_set = p->n_todo = 0;
	for (int i = 0; i < p->n_seen; i++) { /* only what the last step used is cleared */
		uint32_t h = frame_hash(&p->seen[i]);
		while (p->visited[h % (2 * VISITS)])
			p->visited[h++ % (2 * VISITS)] = 0;
	}
	p->n_seen = 0;
}

static void visit(struct pool *p, struct frame f)
{
	uint32_t h = frame_hash(&f);

	for (; p->visited[h % (2 * VISITS)]; h++)
		if (frame_same(&p->seen[p->visited[h % (2 * VISITS)] - 1], &f))
			return;
	if (p->n_seen == VISITS || p->n_todo == VISITS) {
		p->full = true;
		return;
	}
	p->seen[p->n_seen] = f;
	p->visited[h % (2 * VISITS)] = (uint32_t)++p->n_seen;
	p->todo[p->n_todo++] = f;
}

static void top(struct pool *p, int32_t frame)
{
	if (frame == -2)
		return;
	if (p->n_set > GRAMMAR_STACKS)
		p->full = true;
	else
		p->set[p->n_set++] = frame;
}

/* What is left of the rule after a call: its end needs no frame, so that loops by calls at the end need none either. */
static int32_t return_to(struct pool *p, const struct grammar *g, const struct frame *f, int32_t next)
{
	while (g->g.node[next].kind == NODE_JUMP)
		next = g->g.node[next].next;
	if (g->g.node[next].kind == NODE_RETURN)
		return f->parent;
	return push(p, (struct frame){.grammar = f->grammar, .node = next, .parent = f->parent});
}

static void enter(struct pool *p, const struct frame *f, int32_t node, int32_t parent)
{
	if (parent != -2)
		visit(p, (struct frame){.grammar = f->grammar, .node = node, .parent = parent});
}

/* `count` of the repetition's bodies are done. */
static void repeat(struct pool *p, const struct grammar *g, const struct frame *f)
{
	const struct node *n = &g->g.node[f->node];
	const struct repeat *r = &g->g.repeat[n->other];
	int32_t count = f->count;

	if (count >= r->min)
		enter(p, f, n->next, f->parent);
	if (count >= r->max)
		return;
	count = r->max == REPEAT_ALWAYS && count >= r->min ? r->min : count + 1;
	enter(p, f, g->g.rule[r->rule].start,
	      push(p, (struct frame){.grammar = f->grammar, .node = f->node, .count = count, .parent = f->parent}));
}

static void leave(struct pool *p, const struct frame *f)
{
	if (f->parent < 0)
		top(p, -1);
	else
		visit(p, p->frame[f->parent]);
}

static void expand(struct pool *p, const struct grammar *g, struct frame f)
{
	const struct node *n = &g->g.node[f.node];

	switch (n->kind) {
	case NODE_JUMP:
		enter(p, &f, n->next, f.parent);
		break;
	case NODE_SPLIT:
		enter(p, &f, n->next, f.parent);
		enter(p, &f, n->other, f.parent);
		break;
	case NODE_TABLE:
		if (n->next)
			enter(p, &f, n->next, f.parent);
		top(p, push(p, f));
		break;
	case NODE_BYTES:
		top(p, push(p, f));
		break;
	case NODE_CALL:
		enter(p, &f, g->g.rule[n->other].start, return_to(p, g, &f, n->next));
		break;
	case NODE_REPEAT:
		repeat(p, g, &f);
		break;
	case NODE_RETURN:
		leave(p, &f);
		break;
	default:
		break;
	}
}

static int32_t close_over(struct pool *p, const struct grammar *g)
{
	while (p->n_todo && !p->full)
		expand(p, g, p->todo[--p->n_todo]);
	return intern(p, g);
}

int32_t pool_start(struct pool *p, const struct grammar *g)
{
	begin(p);
	visit(p, (struct frame){.grammar = (uint32_t)g->number, .node = g->start, .parent = -1});
	return close_over(p, g);
}

/* ---- a byte ---- */

static void advance(struct pool *p, const struct grammar *g, int32_t frame, uint8_t byte)
{
	const struct frame *f = &p->frame[frame];
	const struct node *n = &g->g.node[f->node];
	int32_t next = -1;

	if (n->kind == NODE_BYTES) {
		next = set_has(&g->g.set[n->other], byte) ? n->next : -1;
	} else {
		const struct table *t = &g->g.table[n->other];
		int32_t to = t->to[(size_t)(f->node - t->first) * (size_t)t->classes + t->class_of[byte]];
		next = to < 0 ? -1 : t->first + to;
	}
	if (next >= 0)
		visit(p, (struct frame){.grammar = f->grammar, .node = next, .parent = f->parent});
}

static int32_t compute(struct pool *p, int32_t state, uint8_t byte)
{
	const struct state *s = &p->state[state];

	begin(p);
	for (int i = 0; i < s->n; i++)
		if (p->item[s->first + i] >= 0)
			advance(p, s->grammar, p->item[s->first + i], byte);
	return close_over(p, s->grammar);
}

static bool take_row(struct pool *p, struct state *s)
{
	int n = s->grammar->classes;

	if (p->n_rows + n > POOL_ROWS) {
		p->full = true;
		return false;
	}
	s->row = p->n_rows;
	p->n_rows += n;
	for (int i = 0; i < n; i++)
		p->row[s->row + i] = STATE_UNKNOWN;
	return true;
}

int32_t pool_step(struct pool *p, int32_t state, uint8_t byte)
{
	struct state *s = &p->state[state];
	uint8_t class = s->grammar->class_of[byte];
	int32_t to;

	if (s->row < 0 && !take_row(p, s))
		return STATE_DEAD;
	to = p->row[s->row + class];
	if (to != STATE_UNKNOWN)
		return to;
	to = compute(p, state, s->grammar->byte_of[class]);
	if (!p->full)
		p->row[s->row + class] = to;
	return to;
}

/* ---- other frames for the same stacks ---- */

/* Rebuilds a stack in `to`, from its bottom; counts as change() has them. */
static int32_t rebuild(struct pool *to, const struct frame *from, int32_t top_frame, const struct grammar *g, int bytes)
{
	int32_t chain[GRAMMAR_DEPTH + 1], n = 0, parent = -1;

	for (int32_t at = top_frame; at >= 0; at = from[at].parent)
		chain[n++] = at;
	while (n && parent != -2) {
		struct frame f = from[chain[--n]];
		if (bytes && g->g.node[f.node].kind == NODE_REPEAT) {
			const struct repeat *r = &g->g.repeat[g->g.node[f.node].other];
			if (r->min - f.count > bytes)
				f.count = r->min - bytes - 1;
			else if (f.count >= r->min && r->max != REPEAT_ALWAYS && r->max - f.count > bytes)
				f.count = max_int(r->min, r->max - bytes - 1);
		}
		f.parent = parent;
		parent = push(to, f);
	}
	return parent;
}

static int32_t rebuild_all(struct pool *to, const struct pool *from, int32_t state, int bytes)
{
	struct state s = from->state[state];

	begin(to);
	for (int i = 0; i < s.n; i++) {
		int32_t item = from->item[s.first + i];
		top(to, item < 0 ? -1 : rebuild(to, from->frame, item, s.grammar, bytes));
	}
	return intern(to, s.grammar);
}

int32_t pool_move(struct pool *to, const struct pool *from, int32_t state)
{
	return rebuild_all(to, from, state, 0);
}

int32_t pool_alike(struct pool *p, int32_t state, int bytes)
{
	const struct grammar *g = p->state[state].grammar;

	if (p->state[state].alike == STATE_UNKNOWN)
		p->state[state].alike = g->g.n_repeats ? rebuild_all(p, p, state, bytes) : state;
	return p->state[state].alike;
}
