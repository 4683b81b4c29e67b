/* stop_text.h - stop strings across token borders: text that may be the beginning of one is held back. */
#ifndef DAEMON_FRONT_STOP_TEXT_H
#define DAEMON_FRONT_STOP_TEXT_H

#include "base/base.h"

struct front_stop {
	int n;
	char **stop; /* (n) not empty */
	size_t *len; /* (n) */
	size_t longest;
	bool include;                    /* the stop string itself is part of the answer */
	char *held;                      /* text not yet let go */
	size_t n_held, max_held, let_go; /* let_go: bytes of `held` already shown */
	size_t past; /* bytes at the front of `held`: a stop string that ends in them does not count */
};

/* Copies the strings. */
void front_stop_init(struct front_stop *s, const char *const *stop, int n, bool include);
void front_stop_finish(struct front_stop *s);
/* Takes text; counts: a stop string that it completes ends the stream (not before min_tokens). *out (valid until the
 * next call) is what may be shown now. Returns the index of the stop string that was found (the first to complete; of
 * several complete at once, the one listed first), or -1. After a hit nothing more comes. */
int front_stop_next(struct front_stop *s, const char *text, size_t len, bool counts, const char **out, size_t *out_len);
/* The stream ended without a hit: what is still held. */
size_t front_stop_rest(struct front_stop *s, const char **out);

#endif
