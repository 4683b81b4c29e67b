/* window.h - memory that all ranks of one node share: a memfd of its lowest rank, which the others receive over a
 * socket (pass.h). A memfd has no size limit of its own (Docker's /dev/shm is 64 MB) and leaves nothing behind. */
#ifndef PARALLEL_WINDOW_H
#define PARALLEL_WINDOW_H

#include "base/base.h"

struct world;

struct window {
	void *base;
	size_t bytes;
};

/* Collective on a node; `bytes` must be the same on all its ranks. Page-aligned and zeroed; each rank touches its own
 * parts first. Dies on failure. */
void window_open(struct window *w, const struct world *world, const char *name, size_t bytes);
/* Called once all parts are written: maps the pages that other ranks wrote, so that the first sum has no page faults.
 */
void window_map(const struct window *w);
void window_close(struct window *w);

#endif
