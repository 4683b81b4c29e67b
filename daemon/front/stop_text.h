/* stop_text.h - finds stop strings across token borders: text that may begin one is held back. */
#ifndef DAEMON_FRONT_STOP_TEXT_H
#define DAEMON_FRONT_STOP_TEXT_H

#include "base/base.h"

struct front_stop {
	int n;
	char **stop; /* (n) not empty */
	size_t *len; /* (n) */
	size_t longest;
	bool include; /* the stop string is part of the output */
	char *held;   /* (n_held) text that was not output yet, behind let_go bytes that were */
	size_t n_held, max_held, let_go;
	size_t past; /* leading bytes of `held`: stop strings that end within them do not count */
};

/* Copies the strings, none of which is empty. */
void front_stop_init(struct front_stop *s, const char *const *stop, int n, bool include);
void front_stop_finish(struct front_stop *s);
/* Appends text. *out, valid until the next call, is what can be output now. Returns the index of the stop string that
 * is complete first (of several at the same byte, the first of the list), or -1; after a hit, only front_stop_finish()
 * may follow. counts false: stop strings that this text completes are ignored (before min_tokens). */
int front_stop_next(struct front_stop *s, const char *text, size_t len, bool counts, const char **out, size_t *out_len);
/* The stream ended without a hit: *out is the text still held; returns its length. */
size_t front_stop_rest(struct front_stop *s, const char **out);

#endif
