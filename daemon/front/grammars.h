/* grammars.h - grammars by source. Requests of one form share one: it is compiled once, and what a run of it has found
 * out, states and masks, serves all others. */
#ifndef DAEMON_FRONT_GRAMMARS_H
#define DAEMON_FRONT_GRAMMARS_H

#include <pthread.h>

#include "engine/grammar/grammar.h"

enum {
	GRAMMARS_MOST = 64,
	GRAMMARS_BYTES = 8 << 20, /* of all sources and grammars; of one, a quarter */
};

struct kept_grammar {
	char *key; /* (key_len) the source */
	size_t key_len, bytes;
	uint64_t hash, used;
	struct grammar *grammar;
};
/* Threads may share it. Those that were not used for longest make room. */
struct front_grammars {
	pthread_mutex_t lock;
	struct kept_grammar kept[GRAMMARS_MOST];
	int n;
	size_t bytes;
	uint64_t clock;
};

void front_grammars_init(struct front_grammars *all);
void front_grammars_finish(struct front_grammars *all);
/* grammar_compile(), or the grammar of an equal source. Either is the caller's, to be destroyed. */
int front_grammars_compile(struct front_grammars *all, struct grammar **out, const struct grammar_source *source,
			   struct why *why);

#endif
