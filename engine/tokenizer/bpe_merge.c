#include <stdlib.h>
#include <string.h>

#include "engine/tokenizer/bpe_merge.h"
#include "base/base.h"

enum { SHORT = 24 }; /* symbols; up to here, searching all pairs is faster than keeping lists */

static const struct pair_slot *pair_of(const struct pairs *pairs, int left, int right)
{
	return left < 0 || right < 0 ? NULL : pairs_find(pairs, (uint32_t)left, (uint32_t)right);
}

void bpe_work_finish(struct bpe_work *w)
{
	heap_free(w->symbol);
	heap_free(w->merge);
	heap_free(w->urgent);
	heap_free(w->batch);
	free(w->of_rank);
	heap_free(w->rank_heap);
	*w = (struct bpe_work){0};
}

/* Merges a short word: searches for the lowest rank again and again. Symbols are adjacent in memory. */
static void merge_short(const struct pairs *pairs, struct bpe_work *w)
{
	const struct pair_slot *pair[SHORT];
	struct bpe_symbol *s = w->symbol;
	int n = w->n;

	for (int i = 0; i + 1 < n; i++)
		pair[i] = pair_of(pairs, s[i].id, s[i + 1].id);
	for (;;) {
		int best = -1;

		for (int i = 0; i + 1 < n; i++)
			if (pair[i] && (best < 0 || pair[i]->rank < pair[best]->rank))
				best = i;
		if (best < 0)
			break;
		s[best].id = pair[best]->id;
		s[best].len += s[best + 1].len;
		n--;
		memmove(s + best + 1, s + best + 2, (size_t)(n - best - 1) * sizeof *s);
		if (n - best - 1 > 0)
			memmove(pair + best, pair + best + 1, (size_t)(n - best - 1) * sizeof *pair);
		if (best + 1 < n)
			pair[best] = pair_of(pairs, s[best].id, s[best + 1].id);
		if (best > 0)
			pair[best - 1] = pair_of(pairs, s[best - 1].id, s[best].id);
	}
	w->n = n;
}

static bool before(const struct bpe_merge *a, const struct bpe_merge *b)
{
	return a->rank != b->rank ? a->rank < b->rank : a->pos < b->pos;
}

/* Makes room for one more entry of the list; returns false without memory. */
static bool room(struct bpe_work *w, void *list, int n, int *max, size_t size)
{
	int more = *max + *max / 2 + 256;
	void *to;

	if (n < *max)
		return true;
	memcpy(&to, list, sizeof to);
	to = heap_grow(to, (size_t)more, size);
	w->failed |= !to;
	if (!to)
		return false;
	memcpy(list, &to, sizeof to);
	*max = more;
	return true;
}

static void push_rank(struct bpe_work *w, int rank)
{
	int i = w->n_heap;

	if (!room(w, &w->rank_heap, i, &w->max_heap, sizeof *w->rank_heap))
		return;
	w->n_heap++;
	for (; i > 0 && w->rank_heap[(i - 1) / 2] > rank; i = (i - 1) / 2)
		w->rank_heap[i] = w->rank_heap[(i - 1) / 2];
	w->rank_heap[i] = rank;
}

static int pop_rank(struct bpe_work *w)
{
	int32_t *h = w->rank_heap, top = h[0], last = h[--w->n_heap];
	int i = 0, child;

	for (; (child = 2 * i + 1) < w->n_heap; i = child) {
		if (child + 1 < w->n_heap && h[child + 1] < h[child])
			child++;
		if (h[child] >= last)
			break;
		h[i] = h[child];
	}
	h[i] = last;
	return top;
}

static void push_urgent(struct bpe_work *w, struct bpe_merge m)
{
	int i = w->n_urgent;

	if (!room(w, &w->urgent, i, &w->max_urgent, sizeof *w->urgent))
		return;
	w->n_urgent++;
	for (; i > 0 && before(&m, &w->urgent[(i - 1) / 2]); i = (i - 1) / 2)
		w->urgent[i] = w->urgent[(i - 1) / 2];
	w->urgent[i] = m;
}

static struct bpe_merge pop_urgent(struct bpe_work *w)
{
	struct bpe_merge *h = w->urgent, top = h[0], last = h[--w->n_urgent];
	int i = 0, child;

	for (; (child = 2 * i + 1) < w->n_urgent; i = child) {
		if (child + 1 < w->n_urgent && before(&h[child + 1], &h[child]))
			child++;
		if (!before(&h[child], &last))
			break;
		h[i] = h[child];
	}
	h[i] = last;
	return top;
}

/* Queues a merge found while rank `now` is in progress: an urgent one in the heap, others in the list of their rank. */
static void offer(const struct pairs *pairs, struct bpe_work *w, int pos, int now)
{
	const struct bpe_symbol *s = &w->symbol[pos];
	const struct pair_slot *p = s->next < 0 ? NULL : pair_of(pairs, s->id, w->symbol[s->next].id);
	struct bpe_merge m;

	if (!p)
		return;
	m = (struct bpe_merge){p->rank, pos, p->id, w->of_rank[p->rank] - 1};
	if (p->rank <= now) {
		push_urgent(w, m);
		return;
	}
	if (!room(w, &w->merge, w->n_merges, &w->max_merges, sizeof *w->merge))
		return;
	if (m.next < 0)
		push_rank(w, p->rank);
	w->merge[w->n_merges++] = m;
	w->of_rank[p->rank] = w->n_merges;
}

static void apply(const struct pairs *pairs, struct bpe_work *w, const struct bpe_merge *m, int now)
{
	struct bpe_symbol *left = &w->symbol[m->pos], *right;
	const struct pair_slot *p;

	if (!left->len || left->next < 0)
		return;
	right = &w->symbol[left->next];
	p = pair_of(pairs, left->id, right->id);
	if (!p || p->id != m->id)
		return; /* this pair has merged otherwise */
	left->id = m->id;
	left->len += right->len;
	right->len = 0;
	left->next = right->next;
	if (right->next >= 0)
		w->symbol[right->next].prev = m->pos;
	if (left->prev >= 0)
		offer(pairs, w, left->prev, now);
	offer(pairs, w, m->pos, now);
}

static int by_position(const void *a, const void *b)
{
	return ((const struct bpe_merge *)a)->pos - ((const struct bpe_merge *)b)->pos;
}

/* Takes all known merges of a rank, sorted by position. The list has the newest first. */
static int take_rank(struct bpe_work *w, int rank)
{
	bool sorted = true;
	int n = 0, at;

	for (at = w->of_rank[rank] - 1; at >= 0; at = w->merge[at].next)
		n++;
	while (n > w->max_batch)
		if (!room(w, &w->batch, w->max_batch, &w->max_batch, sizeof *w->batch))
			return 0;
	at = w->of_rank[rank] - 1;
	for (int i = n - 1; i >= 0; i--, at = w->merge[at].next) {
		w->batch[i] = w->merge[at];
		sorted &= i == n - 1 || w->batch[i].pos <= w->batch[i + 1].pos;
	}
	w->of_rank[rank] = 0;
	if (!sorted)
		qsort(w->batch, (size_t)n, sizeof *w->batch, by_position);
	return n;
}

/* Merges a long word: merges wait in a list per rank, and only ranks are in a heap. */
static void merge_long(const struct pairs *pairs, int n_ranks, struct bpe_work *w)
{
	unsigned turns = 0;
	int n = 0;

	if (w->n_ranks < n_ranks) {
		free(w->of_rank);
		w->of_rank = xalloc((size_t)n_ranks, sizeof *w->of_rank);
		w->n_ranks = n_ranks;
	}
	w->n_merges = w->n_heap = w->n_urgent = 0;
	for (int i = 0; i < w->n; i++) {
		w->symbol[i].prev = i - 1;
		w->symbol[i].next = i + 1 < w->n ? i + 1 : -1;
	}
	for (int i = 0; i + 1 < w->n; i++)
		offer(pairs, w, i, -1);
	while (w->n_heap && !w->failed) {
		int rank = pop_rank(w), count = take_rank(w, rank), i = 0;

		while ((i < count || w->n_urgent) && !w->failed) {
			struct bpe_merge m;

			if (w->n_urgent && (i == count || before(&w->urgent[0], &w->batch[i])))
				m = pop_urgent(w);
			else
				m = w->batch[i++];
			apply(pairs, w, &m, rank);
			if (++turns % 4096 == 0)
				w->failed |= !effort_goes_on();
		}
	}
	for (int i = 0; i < w->n; i++)
		if (w->symbol[i].len)
			w->symbol[n++] = w->symbol[i];
	w->n = n;
}

void bpe_merge_all(const struct pairs *pairs, int n_ranks, struct bpe_work *w)
{
	if (w->n <= SHORT)
		merge_short(pairs, w);
	else
		merge_long(pairs, n_ranks, w);
}
