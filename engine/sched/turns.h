/* turns.h - whose turn it is: waiting clients share the places that become free. It has integers only, and the caller
 * owns the memory.
 *
 * The client with the fewest running calls is first. Among equals it is the one whose calls last began or ended, or
 * whose first waiting call arrived, longest ago. So a new client waits for at most one call of each other waiting
 * client, however many calls those have, and no client waits for ever. The scheduler uses it, and so does the front,
 * which reports to each call its place in the queue. */
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
void turns_leave(struct turns *t, struct turn *c); /* a waiting call ends without having run */
void turns_take(struct turns *t, struct turn *c);  /* its first waiting call runs from now on */
void turns_end(struct turns *t, struct turn *c);   /* a running call has ended */
bool turns_before(const struct turn *a, const struct turn *b);
/* The place of c's k-th waiting call (from 1): how many calls run up to it, if no call ends and none arrives. */
int turns_place(const struct turns *t, const struct turn *c, int k);

#endif
