/* bar.h - how far a long run is: one line on standard error, updated on a terminal, elsewhere a line
 * every half minute. */
#ifndef RPC_CLI_BAR_H
#define RPC_CLI_BAR_H

#include "base/base.h"

struct bar {
	const char *unit;      /* "question" */
	uint64_t total;        /* 0: unknown */
	uint64_t already;      /* of these, done by an earlier run */
	uint64_t done, failed; /* in this run; `done` counts those that failed, too */
	uint64_t prompt_tokens, cached_tokens;
	uint64_t begin_ns, drawn_ns;
	bool quiet, shown;
};

/* Draws where it is time to; `last` ends the line. `more` is text for its end. */
void bar_draw(struct bar *b, const char *more, bool last);

#endif
