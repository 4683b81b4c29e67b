/* kv.c - the paged KV cache: what it may hold, and rope_store, which fills it. */
#include "engine/cuda/cuda.h"

int cuda_kv_check(struct backend *b, const struct kv_shape *s, struct why *why)
{
	if (s->type != b->act && s->type != DT_I8 && s->type != DT_F8)
		return fail(why, ERR_UNSUPPORTED,
			    "KV cache type %s is not supported on CUDA with compute class %s yet; %s, int8 and fp8 are",
			    dtype_name(s->type), dtype_name(b->act), dtype_name(b->act));
	if (s->block_size != KV_BLOCK)
		return fail(why, ERR_UNSUPPORTED, "KV block size %d is not supported on CUDA; %d is", s->block_size,
			    KV_BLOCK);
	if (s->type != b->act && cuda_of(b)->wgmma)
		b->prompt_attention = "mma.sync: wgmma needs a 16-bit cache";
	return 0;
}

struct k_cache cuda_cache_of(const void *pool, const struct kv_shape *s)
{
	enum k_kv kv = s->type == DT_I8 ? K_KV_INT8 : s->type == DT_F8 ? K_KV_FP8 : K_KV_16;

	return (struct k_cache){(void *)(uintptr_t)pool, s->kv_heads, s->head_dim, kv, 0};
}

size_t cuda_kv_bytes(struct backend *b, const struct kv_shape *s)
{
	(void)b;
	return (size_t)2 * (size_t)s->kv_heads *
	       (size_t)K_HEAD_BYTES(s->head_dim, cuda_cache_of(NULL, s).kv != K_KV_16);
}

void cuda_rope_store(struct backend *b, struct tensor *qkv, const struct attn_shape *shape, const struct rope *rope,
		     void *pool, const struct kv_shape *kv, const struct step *s)
{
	struct cuda *c = cuda_of(b);
	struct k_cache cache = cuda_cache_of(pool, kv);

	if (qkv->rows)
		cuda_check(k_rope_store(c->stream, c->type, qkv->data, cache, shape->heads, rope ? rope->cos : NULL,
					rope ? rope->sin : NULL, rope ? rope->n_rot : 0, s->pos, s->slot, qkv->rows),
			   "rope");
}
