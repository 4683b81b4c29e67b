#include "engine/sched/turns.h"

void turns_wait(struct turns *t, struct turn *c)
{
	if (c->waiting++)
		return;
	c->since = ++t->clock;
	c->prev = t->last;
	c->next = NULL;
	if (t->last)
		t->last->next = c;
	else
		t->first = c;
	t->last = c;
}

void turns_leave(struct turns *t, struct turn *c)
{
	REQUIRE(c->waiting > 0);
	if (--c->waiting)
		return;
	if (c->prev)
		c->prev->next = c->next;
	else
		t->first = c->next;
	if (c->next)
		c->next->prev = c->prev;
	else
		t->last = c->prev;
}

void turns_take(struct turns *t, struct turn *c)
{
	turns_leave(t, c);
	c->running++;
	c->since = ++t->clock;
}

/* It has been served until now; so places that were reported before hold where calls end one by one. */
void turns_end(struct turns *t, struct turn *c)
{
	REQUIRE(c->running > 0);
	c->running--;
	c->since = ++t->clock;
}

bool turns_before(const struct turn *a, const struct turn *b)
{
	return a->running != b->running ? a->running < b->running : a->since < b->since;
}

/* The number of calls of `d` that run before the call of `c` that runs when c has `level` running calls: those at a
 * lower level, and the one at the same level where d has waited longer. */
static int before_level(const struct turn *d, const struct turn *c, int level)
{
	int lower = min_int(d->waiting, max_int(0, level - d->running));
	bool there_first = d->running > c->running || (d->running == c->running && d->since < c->since);

	return lower + (there_first && d->running <= level && d->waiting > level - d->running);
}

int turns_place(const struct turns *t, const struct turn *c, int k)
{
	int place = k;

	for (const struct turn *d = t->first; d; d = d->next)
		if (d != c)
			place += before_level(d, c, c->running + k - 1);
	return place;
}
