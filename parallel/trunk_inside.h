/* trunk_inside.h - private to trunk*.c. */
#ifndef PARALLEL_TRUNK_INSIDE_H
#define PARALLEL_TRUNK_INSIDE_H

#include <pthread.h>
#include <stdatomic.h>

#include "parallel/trunk.h"

enum { TRUNK_BEAT = 4096 };

struct trunk_link { /* to one other node */
	struct trunk *trunk;
	int node, data, beat; /* sockets */
	pthread_t thread;
	bool running;
	pthread_mutex_t sending;
	_Atomic uint64_t sent, received;
	char out[TRUNK_BEAT], in[TRUNK_BEAT]; /* heartbeats on their way */
	size_t out_at, out_left, in_at;
};

struct trunk {
	int n, mine;
	struct trunk_link *link; /* (n) */
	struct trunk_sink sink[TRUNK_KINDS];
	void (*lost)(void *arg, int node, const char *why);
	void *lost_arg;
	atomic_bool ending;
};

/* trunk_join.c, for trunk_files.c. A socket as links use it. */
void trunk_settle(int fd);
bool trunk_same_secret(const uint8_t *a, const uint8_t *b); /* in a time that does not depend on how much is right */
bool trunk_wait_for(int fd, short what, uint64_t until);    /* poll(2) events; until: now_ns() */
bool trunk_read_all(int fd, void *buf, size_t bytes);
/* Calls from `own`, sends hello (bytes) and waits until `until` (now_ns()) for `answer` (TRUNK_SECRET). -1: in vain. */
int trunk_call(const struct trunk_place *own, const struct trunk_place *to, const void *hello, size_t bytes,
	       const uint8_t *answer, uint64_t until);

#endif
