/* attention.c - launches the attention kernels over the work lists that step.c has made. */
#include "engine/cuda/cuda.h"

#include <stdlib.h>

/* Groups neighbouring q heads that use one K/V head, up to attn_group() together. A model's first call makes the tables
 * on the device. */
static void know_heads(struct cuda *c, const struct attn_shape *shape)
{
	struct attn_run *runs = xalloc((size_t)shape->heads + 1, sizeof *runs);

	REQUIRE(shape->heads <= c->how.heads && shape->head_dim == c->how.head_dim);
	c->n_runs = 0, c->group = 1;
	for (int h = 0, n; h < shape->heads; h += n) {
		for (n = 1; n < attn_group(shape->head_dim) && h + n < shape->heads &&
			    shape->kv_of_head[h + n] == shape->kv_of_head[h];
		     n++)
			;
		runs[c->n_runs++] = (struct attn_run){h, n, shape->kv_of_head[h]};
		c->group = max_int(c->group, n);
	}
	backend_upload(&c->base, c->runs, runs, (size_t)c->n_runs * sizeof *runs);
	backend_upload(&c->base, c->kv_of_head, shape->kv_of_head, (size_t)shape->heads * sizeof(int32_t));
	if (shape->slopes)
		backend_upload(&c->base, c->slopes, shape->slopes, (size_t)shape->heads * sizeof(float));
	c->known_heads = shape->kv_of_head;
	free(runs);
}

static const struct cuda_step *step_of(const struct cuda *c, const struct step *s)
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
	const struct cuda_step *to = step_of(c, s);
	const struct cuda_work *w = &to->work[shape->window > 0];
	struct attn_args a;

	REQUIRE(!shape->window || shape->window == c->how.window);

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
			       .cache = cuda_cache_of(pool, kv),
			       .heads = shape->heads,
			       .n_runs = c->n_runs,
			       .scale = shape->scale,
			       .range = c->how.fixed ? FIXED_RANGE : 0,
			       .pos = s->pos,
			       .slopes = shape->slopes ? c->slopes : NULL,
			       .cap = shape->soft_cap,
			       .window = shape->window};
	if (w->n)
		cuda_check(k_attention_decode(c->stream, c->type, a, w->items, w->n, c->group), "decode attention");
	if (to->n_tiles)
		cuda_check((c->wgmma && a.cache.kv == K_KV_16 ? k_attention_prefill_wgmma : k_attention_prefill)(
				   c->stream, c->type, a, to->tiles, to->n_tiles),
			   "prefill attention");
}
