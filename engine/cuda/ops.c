/* ops.c - the operations of the table, as launches. */
#include "engine/cuda/cuda.h"

#include <stdlib.h>

static enum k_type k_type_of(enum dtype t)
{
	return t == DT_F32 ? K_F32 : t == DT_F16 ? K_F16 : K_BF16;
}

void cuda_embed(struct backend *b, struct tensor *out, const int32_t *ids, const struct weight *table, int first_id)
{
	const struct cuda_weight *w = (const struct cuda_weight *)table;
	struct cuda *c = cuda_of(b);

	if (out->rows)
		cuda_check((table->quant ? k_embed_int8 : k_embed)(c->stream, c->type, out->data, ids, c->drawn,
								   c->how.limits.max_tokens, w->data, out->rows,
								   out->cols, w->ld, table->rows, first_id),
			   "embed");
}

void cuda_add_norm(struct backend *b, struct tensor *out, struct tensor *x, const float *delta, const float *w,
		   const float *bias, enum norm_kind kind, float eps)
{
	if (x->rows)
		cuda_check(k_add_norm(cuda_of(b)->stream, k_type_of(out->type), out->data, x->data, delta, w, bias,
				      kind == NORM_LAYER, eps, x->rows, x->cols),
			   "norm");
}

void cuda_rows(struct backend *b, struct tensor *out, const struct tensor *x, const int32_t *row)
{
	if (out->rows)
		cuda_check(k_rows(cuda_of(b)->stream, out->data, x->data, row, out->rows,
				  (int)((size_t)x->cols * dtype_size(x->type))),
			   "rows");
}

int cuda_kv_check(struct backend *b, const struct kv_shape *s, struct why *why)
{
	if (s->type != b->act && s->type != DT_I8 && s->type != DT_F8)
		return fail(
			why, ERR_UNSUPPORTED,
			"a K/V cache of type %s is not supported yet with compute class %s on CUDA: only %s, int8 and fp8",
			dtype_name(s->type), dtype_name(b->act), dtype_name(b->act));
	if (s->block_size != KV_BLOCK)
		return fail(why, ERR_UNSUPPORTED, "K/V blocks of %d tokens: the CUDA backend has %d", s->block_size,
			    KV_BLOCK);
	if (s->type != b->act && cuda_of(b)->wgmma)
		b->prompt_attention = "mma.sync: wgmma takes a 16-bit cache";
	return 0;
}

static struct k_cache cache_of(const void *pool, const struct kv_shape *s)
{
	enum k_kv kv = s->type == DT_I8 ? K_KV_INT8 : s->type == DT_F8 ? K_KV_FP8 : K_KV_16;

	return (struct k_cache){(void *)(uintptr_t)pool, s->kv_heads, s->head_dim, kv, 0};
}

size_t cuda_kv_bytes(struct backend *b, const struct kv_shape *s)
{
	(void)b;
	return (size_t)2 * (size_t)s->kv_heads * (size_t)K_HEAD_BYTES(s->head_dim, cache_of(NULL, s).kv != K_KV_16);
}

void cuda_rope_store(struct backend *b, struct tensor *qkv, const struct attn_shape *shape, const struct rope *rope,
		     void *pool, const struct kv_shape *kv, const struct step *s)
{
	struct cuda *c = cuda_of(b);
	struct k_cache cache = cache_of(pool, kv);

	REQUIRE(!rope || rope->n_rot % 8 == 0);
	if (qkv->rows)
		cuda_check(k_rope_store(c->stream, c->type, qkv->data, cache, shape->heads, rope ? rope->cos : NULL,
					rope ? rope->sin : NULL, rope ? rope->n_rot : 0, s->pos, s->slot, qkv->rows),
			   "rope");
}

/* q heads side by side that use one K/V head, up to ATTN_GROUP together. The first call of a model makes the tables. */
static void know_heads(struct cuda *c, const struct attn_shape *shape)
{
	struct attn_run *runs = xalloc((size_t)shape->heads + 1, sizeof *runs);

	REQUIRE(shape->heads <= c->how.heads);
	c->n_runs = 0, c->group = 1;
	for (int h = 0, n; h < shape->heads; h += n) {
		for (n = 1; n < ATTN_GROUP && h + n < shape->heads && shape->kv_of_head[h + n] == shape->kv_of_head[h];
		     n++)
			;
		runs[c->n_runs++] = (struct attn_run){h, n, shape->kv_of_head[h]};
		c->group = max_int(c->group, n);
	}
	backend_upload(&c->base, c->runs, runs, (size_t)c->n_runs * sizeof *runs);
	backend_upload(&c->base, c->kv_of_head, shape->kv_of_head, (size_t)shape->heads * sizeof(int32_t));
	c->known_heads = shape->kv_of_head;
	free(runs);
}

static const struct cuda_step *work_of(const struct cuda *c, const struct step *s)
{
	for (int i = 0; i < STEPS; i++)
		if (&c->steps[i].step == s)
			return &c->steps[i];
	die("attention of a step that backend_step() did not give");
}

void cuda_attention(struct backend *b, struct tensor *out, const struct tensor *qkv, const struct attn_shape *shape,
		    const void *pool, const struct kv_shape *kv, const struct step *s)
{
	struct cuda *c = cuda_of(b);
	const struct cuda_step *w = work_of(c, s);
	struct attn_args a;

	if (!shape->heads)
		return;
	if (c->known_heads != shape->kv_of_head)
		know_heads(c, shape);
	a = (struct attn_args){.qkv = qkv->data,
			       .out = out->data,
			       .partial = c->partial,
			       .joins = w->joins,
			       .tickets = c->tickets,
			       .blocks = s->blocks,
			       .runs = c->runs,
			       .kv_of_head = c->kv_of_head,
			       .cache = cache_of(pool, kv),
			       .heads = shape->heads,
			       .n_runs = c->n_runs,
			       .scale = shape->scale,
			       .range = c->how.fixed ? FIXED_RANGE : 0};
	if (w->n_items)
		cuda_check(k_attention_decode(c->stream, c->type, a, w->items, w->n_items, c->group),
			   "decode attention");
	if (w->n_tiles)
		cuda_check((c->wgmma && a.cache.kv == K_KV_16 ? k_attention_prefill_wgmma : k_attention_prefill)(
				   c->stream, c->type, a, w->tiles, w->n_tiles),
			   "prefill attention");
}
