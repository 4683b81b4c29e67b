/* kv.c - the paged KV cache: the layout of its blocks, and rope_store, which fills it. */
#include "engine/cpu/cpu.h"

#include "engine/step.h"

#include <string.h>

enum { MAX_HEAD_DIM = 512 };

struct kv_layout cpu_kv_layout(const struct kv_shape *s)
{
	struct kv_layout l = {.elem = dtype_size(s->type)};

	l.scales = s->type == DT_I8 ? (size_t)s->block_size * sizeof(float) : 0;
	l.k_head = (size_t)s->head_dim * (size_t)s->block_size * l.elem + l.scales;
	l.v_head = round_up((size_t)s->head_dim, 16) * (size_t)s->block_size * l.elem + l.scales;
	l.v_at = (size_t)s->kv_heads * l.k_head;
	l.bytes = l.v_at + (size_t)s->kv_heads * l.v_head;
	return l;
}

int cpu_kv_check(struct backend *b, const struct kv_shape *s, struct why *why)
{
	(void)b;
	if (s->type != DT_F32 && s->type != DT_BF16 && s->type != DT_F16 && s->type != DT_I8)
		return fail(why, ERR_UNSUPPORTED,
			    "KV cache type %s is not supported on the CPU; f32, bf16, f16 and i8 are",
			    dtype_name(s->type));
	if (s->head_dim > MAX_HEAD_DIM)
		return fail(why, ERR_UNSUPPORTED, "head size %d is not supported on the CPU; at most %d is",
			    s->head_dim, MAX_HEAD_DIM);
	if (s->block_size < 16 || s->block_size > RANGE || (s->block_size & (s->block_size - 1)))
		return fail(why, ERR_UNSUPPORTED,
			    "KV block size %d is not supported on the CPU; 16, 32, 64, 128 and 256 are", s->block_size);
	return 0;
}

size_t cpu_kv_bytes(struct backend *b, const struct kv_shape *shape)
{
	(void)b;
	return cpu_kv_layout(shape).bytes;
}

struct store_job {
	const struct cpu_kernels *k;
	float *qkv;
	size_t row; /* floats of a row */
	const struct attn_shape *shape;
	const struct rope *rope;
	char *pool;
	const struct kv_shape *kv;
	struct kv_layout layout;
	const struct step *s;
};

/* Converts n numbers to the cache's type into t. For int8 their scale goes behind the head's numbers. */
static void to_cache(const struct store_job *j, void *t, const float *x, int n, char *head, size_t numbers, size_t at)
{
	if (j->kv->type == DT_I8)
		j->k->quantise(t, (float *)(head + numbers) + at, x, n);
	else
		j->k->convert(t, x, n, j->kv->type);
}

/* Stores one K head as a column of its block and one V head as a row. */
static void store_head(const struct store_job *j, const float *k, const float *v, int head, int slot)
{
	const struct kv_shape *kv = j->kv;
	const size_t at = (size_t)(slot % kv->block_size), size = j->layout.elem, dim = (size_t)kv->head_dim;
	const size_t blocks = (size_t)kv->block_size;
	char *block = j->pool + (size_t)(slot / kv->block_size) * j->layout.bytes;
	char *k_out = block + (size_t)head * j->layout.k_head;
	char *v_out = block + j->layout.v_at + (size_t)head * j->layout.v_head;
	uint32_t t[MAX_HEAD_DIM];

	to_cache(j, t, k, kv->head_dim, k_out, dim * blocks, at);
	for (size_t i = 0; i < dim; i++)
		memcpy(k_out + (i * blocks + at) * size, (char *)t + i * size, size);
	to_cache(j, t, v, kv->head_dim, v_out, round_up(dim, 16) * blocks, at);
	memcpy(v_out + at * round_up(dim, 16) * size, t, dim * size);
}

static void store_unit(void *arg, int token, int worker)
{
	const struct store_job *j = arg;
	const int dim = j->shape->head_dim, heads = j->shape->heads, kv_heads = j->shape->kv_heads,
		  pos = j->s->pos[token];
	float *row = j->qkv + (size_t)token * j->row, *k = row + (size_t)heads * (size_t)dim,
	      *v = k + (size_t)kv_heads * (size_t)dim;

	(void)worker;
	if (j->rope) {
		int half = j->rope->n_rot / 2;
		REQUIRE(pos >= 0 && pos < j->rope->positions);
		for (int h = 0; h < heads + kv_heads; h++)
			j->k->rope(row + (size_t)h * (size_t)dim, j->rope->cos + (size_t)pos * (size_t)half,
				   j->rope->sin + (size_t)pos * (size_t)half, half);
	}
	if (j->s->slot[token] >= 0)
		for (int h = 0; h < kv_heads; h++)
			store_head(j, k + (size_t)h * (size_t)dim, v + (size_t)h * (size_t)dim, h, j->s->slot[token]);
}

void cpu_rope_store(struct backend *b, struct tensor *qkv, const struct attn_shape *shape, const struct rope *rope,
		    void *pool, const struct kv_shape *kv, const struct step *s)
{
	struct store_job j = {cpu_of(b)->k, qkv->data, (size_t)qkv->cols, shape, rope, pool, kv, cpu_kv_layout(kv), s};

	pool_each(cpu_of(b)->pool, qkv->rows, store_unit, &j);
}
