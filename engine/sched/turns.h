/* turns.h - whose turn it is: clients that wait share the places that become free. Integers only; the caller owns the
 * memory.
 *
 * The client with the fewest running calls goes first; among equals the one for which it is longest ago that a call of
 * it began or ended, or that it came with its first waiting one. So a newcomer waits for at most one call of each other
 * client that waits, however many calls they have in the queue, and nobody waits for ever. Used by the scheduler, and
 * by the front, which tells each call its place. */
#ifndef ENGINE_SCHED_TURNS_H
#define ENGINE_SCHED_TURNS_H

#include "base/base.h"

struct turn {                     /* of one client */
	struct turn *prev, *next; /* among those that wait */
	uint64_t since;           /* the clock when a call of it last began or ended, or when it began to wait */
	int waiting, running;     /* calls */
};

struct turns {
	struct turn *first, *last; /* clients with waiting calls */
	uint64_t clock;
};

void turns_wait(struct turns *t, struct turn *c);  /* one more call of it waits */
void turns_leave(struct turns *t, struct turn *c); /* a waiting call goes without having run */
void turns_take(struct turns *t, struct turn *c);  /* its first waiting call runs from now on */
void turns_end(struct turns *t, struct turn *c);   /* a running call has ended */
bool turns_before(const struct turn *a, const struct turn *b);
/* Calls that run before the k-th waiting one of c (from 1), and that one: its place if no call ends and nobody comes.
 */
int turns_place(const struct turns *t, const struct turn *c, int k);

#endif
