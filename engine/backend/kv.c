#include "engine/backend/kv.h"

#include <stdlib.h>

#include "engine/progress.h"

void kv_init(struct kv *kv, struct backend *b, const struct kv_shape *shape, int n_layers, int n_blocks)
{
	kv_init_counted(kv, b, shape, n_layers, n_blocks, &(struct load_progress){0});
}

void kv_init_counted(struct kv *kv, struct backend *b, const struct kv_shape *shape, int n_layers, int n_blocks,
		     struct load_progress *progress)
{
	REQUIRE(n_layers >= 0 && n_blocks >= 0);
	*kv = (struct kv){.b = b, .shape = *shape, .n_layers = n_layers, .n_blocks = n_blocks};
	kv->layer_bytes = (size_t)n_blocks * backend_kv_bytes(b, shape);
	kv->pool = xalloc((size_t)n_layers + 1, sizeof *kv->pool);
	load_begin(progress, LOAD_CACHE, (uint64_t)kv->layer_bytes * (uint64_t)n_layers);
	for (int i = 0; i < n_layers && kv->layer_bytes; i++) {
		kv->pool[i] = backend_alloc(b, kv->layer_bytes);
		load_add(progress, kv->layer_bytes);
	}
}

void kv_finish(struct kv *kv)
{
	for (int i = 0; i < kv->n_layers; i++)
		backend_free(kv->b, kv->pool[i], kv->layer_bytes);
	free(kv->pool);
	*kv = (struct kv){0};
}
