/* kv.h - the KV cache's memory on every rank. sched/blocks.h decides which sequence owns which block. */
#ifndef ENGINE_BACKEND_KV_H
#define ENGINE_BACKEND_KV_H

#include "engine/backend/backend.h"

struct kv {
	struct backend *b; /* borrowed */
	struct kv_shape shape;
	int n_layers, n_blocks;
	size_t layer_bytes;
	void **pool; /* [n_layers] (n_blocks, bytes of a block) */
};

void kv_init(struct kv *kv, struct backend *b, const struct kv_shape *shape, int n_layers, int n_blocks);
/* The same, layer by layer; `progress` counts bytes that are allocated and touched. */
struct load_progress;
void kv_init_counted(struct kv *kv, struct backend *b, const struct kv_shape *shape, int n_layers, int n_blocks,
		     struct load_progress *progress);
void kv_finish(struct kv *kv);

#endif
