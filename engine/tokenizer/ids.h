/* ids.h - a list of token ids, and the bytes of the text that each stands for. */
#ifndef ENGINE_TOKENIZER_IDS_H
#define ENGINE_TOKENIZER_IDS_H

#include "base/base.h"

/* Where an id came from in the text. */
struct span_bytes {
	uint32_t first, end;
};
/* Growing list of ids; zero-initialise, ids_finish() frees. offsets stays NULL unless want_offsets was set. */
struct ids {
	int32_t *id;
	struct span_bytes *offset;
	int n, max;
	int most; /* set by the caller; more are left out, and `over` is set. 0: no bound */
	bool want_offsets, over;
};
void ids_finish(struct ids *ids);

#endif
