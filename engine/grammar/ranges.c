/* ranges.c - sets of code points as sorted ranges. */
#include "engine/grammar/inside.h"

#include <stdlib.h>

void ranges_add(struct ranges *s, uint32_t lo, uint32_t hi)
{
	if (s->n == s->room) {
		int room = s->room ? 2 * s->room : 16;
		struct range32 *r = room > RANGES_MOST ? NULL : heap_grow(s->r, (size_t)room, sizeof *r);
		if (!r) {
			s->failed = true;
			return;
		}
		s->r = r, s->room = room;
	}
	s->r[s->n++] = (struct range32){lo, hi};
}

static int by_lo(const void *a, const void *b)
{
	const struct range32 *x = a, *y = b;

	return (x->lo > y->lo) - (x->lo < y->lo);
}

void ranges_sort(struct ranges *s)
{
	int n = 0;

	if (s->n)
		qsort(s->r, (size_t)s->n, sizeof *s->r, by_lo);
	for (int i = 0; i < s->n; i++) {
		if (n && s->r[i].lo <= s->r[n - 1].hi + 1)
			s->r[n - 1].hi = s->r[i].hi > s->r[n - 1].hi ? s->r[i].hi : s->r[n - 1].hi;
		else
			s->r[n++] = s->r[i];
	}
	s->n = n;
}

void ranges_invert(struct ranges *s)
{
	struct ranges out = {.failed = s->failed};
	uint32_t at = 0;

	ranges_add(s, 0xd800, 0xdfff);
	ranges_sort(s);
	for (int i = 0; i < s->n; i++) {
		if (s->r[i].lo > at)
			ranges_add(&out, at, s->r[i].lo - 1);
		at = s->r[i].hi + 1;
	}
	if (at <= CODE_MAX)
		ranges_add(&out, at, CODE_MAX);
	out.failed |= s->failed;
	ranges_finish(s);
	*s = out;
}

void ranges_finish(struct ranges *s)
{
	heap_free(s->r);
	*s = (struct ranges){.n = 0};
}
