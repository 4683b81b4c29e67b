/* ids.h - a list of token ids, with the bytes of the text that each stands for. */
#ifndef ENGINE_TOKENIZER_IDS_H
#define ENGINE_TOKENIZER_IDS_H

#include "base/base.h"

/* The bytes of the text that an id stands for. */
struct span_bytes {
	uint32_t first, end;
};
/* A growing list of ids; zero-initialise it, ids_finish() frees it. `offset` stays NULL unless want_offsets is set. */
struct ids {
	int32_t *id;
	struct span_bytes *offset;
	int n, max;
	int most; /* set by the caller: more ids are dropped and set `over`; 0: no bound */
	bool want_offsets, over;
};
void ids_finish(struct ids *ids);

#endif
