/* model.c - makes and destroys one rank's part of a model. */
#include "engine/models/model.h"
#include "engine/models/inside.h"
#include "engine/models/lora_inside.h"
#include "engine/models/nan.h"
#include "engine/models/plan.h"
#include "engine/models/rope.h"
#include "engine/models/weights.h"

#include <math.h>
#include <stdlib.h>

static void *work_alloc(struct model *m, int i, size_t cols, size_t size)
{
	m->work.bytes[i] = (size_t)m->how.limits.max_tokens * cols * size;
	return backend_alloc(m->b, m->work.bytes[i]);
}

/* Memory that sums are written to: the communicator's where it has some for that. */
static float *result_alloc(struct model *m, int i, int which)
{
	float *p = m->comm ? comm_result(m->comm, which) : NULL;

	return p ? p : work_alloc(m, i, (size_t)m->cfg.hidden, sizeof(float));
}

static void work_create(struct model *m)
{
	const struct shard *s = &m->shard;
	size_t hidden = (size_t)m->cfg.hidden, d = (size_t)m->cfg.head_dim;
	size_t qkv = (size_t)(s->heads.count + 2 * s->kv_heads.count) * d, ffn = (size_t)s->ffn.count;

	m->act_cols = max_int(m->cfg.hidden, max_int(s->heads.count * m->cfg.head_dim, s->ffn.count));
	m->work.x = result_alloc(m, 0, 0);
	m->work.delta = result_alloc(m, 1, 1);
	m->work.x_rows = work_alloc(m, 2, hidden, sizeof(float));
	m->work.delta_rows = result_alloc(m, 3, 2);
	m->work.act = work_alloc(m, 4, (size_t)m->act_cols, dtype_size(m->b->act));
	m->work.qkv = work_alloc(m, 5, qkv, dtype_size(m->b->mid));
	m->work.gate_up = work_alloc(m, 6, max_int(1, (int)(2 * ffn)), dtype_size(m->b->mid));
	if (!m->cfg.experts)
		return;
	m->work.router = work_alloc(m, 7, (size_t)m->cfg.experts, sizeof(float));
	m->work.shared = work_alloc(m, 8, 1, sizeof(float));
	m->work.expert = work_alloc(m, 9, (size_t)m->cfg.experts_per_token, sizeof(int32_t));
	m->work.expert_weight = work_alloc(m, 10, (size_t)m->cfg.experts_per_token + 1, sizeof(float));
}

static void work_destroy(struct model *m)
{
	void *all[11] = {m->work.x,      m->work.delta,  m->work.x_rows,       m->work.delta_rows,
			 m->work.act,    m->work.qkv,    m->work.gate_up,      m->work.router,
			 m->work.shared, m->work.expert, m->work.expert_weight};

	for (int i = 0; i < 11; i++)
		if (m->work.bytes[i])
			backend_free(m->b, all[i], m->work.bytes[i]);
}

static size_t rope_bytes(const struct model *m)
{
	return (size_t)m->how.max_context * (size_t)model_n_rot(&m->cfg) / 2 * sizeof(float);
}

/* ALiBi's slope of head h of n: powers of 2^(-8/p), p the largest power of two that is not above n, and between them,
 * for the heads beyond p, the odd powers of its root. */
static float slope_of(int h, int n)
{
	int p = 1;

	while (2 * p <= n)
		p *= 2;
	return (float)rope_pow(2, h < p ? -8.0 * (h + 1) / p : -4.0 * (2 * (h - p) + 1) / p);
}

static void slopes_create(struct model *m)
{
	const struct span *heads = &m->shard.heads;

	m->slopes = xalloc((size_t)heads->count + 1, sizeof *m->slopes);
	for (int h = 0; h < heads->count; h++)
		m->slopes[h] = slope_of(heads->first + h, m->cfg.heads);
	m->attn.slopes = m->slopes;
}

static void attn_create(struct model *m)
{
	const struct shard *s = &m->shard;
	int group = m->cfg.heads / m->cfg.kv_heads;

	m->kv_of_head = xalloc((size_t)s->heads.count, sizeof *m->kv_of_head);
	for (int h = 0; h < s->heads.count; h++)
		m->kv_of_head[h] = (s->heads.first + h) / group - s->kv_heads.first;
	m->attn = (struct attn_shape){.heads = s->heads.count,
				      .kv_heads = s->kv_heads.count,
				      .head_dim = m->cfg.head_dim,
				      .kv_of_head = m->kv_of_head,
				      .scale = 1.0f / sqrtf((float)m->cfg.head_dim),
				      .window = m->cfg.window < m->how.max_context ? m->cfg.window : 0};
	if (m->cfg.positions == POSITIONS_ALIBI)
		slopes_create(m);
}

static void rope_create(struct model *m)
{
	float *cos, *sin;

	if (m->cfg.positions != POSITIONS_ROTARY)
		return;
	m->cos = backend_alloc(m->b, rope_bytes(m));
	m->sin = backend_alloc(m->b, rope_bytes(m));
	if (m->how.dry)
		return;
	cos = xalloc(rope_bytes(m), 1);
	sin = xalloc(rope_bytes(m), 1);
	rope_tables(&m->cfg, m->how.max_context, cos, sin);
	backend_upload(m->b, m->cos, cos, rope_bytes(m));
	backend_upload(m->b, m->sin, sin, rope_bytes(m));
	m->rope = (struct rope){m->cos, m->sin, model_n_rot(&m->cfg), m->how.max_context};
	free(cos);
	free(sin);
}

int model_create(struct model **out, const struct model_config *c, struct checkpoint *ck, struct backend *b,
		 struct comm *comm, const struct model_options *how, struct load_progress *progress, struct why *why)
{
	struct shard_shape shape = model_shard_shape(c);
	struct model *m = xalloc(1, sizeof *m);
	int err = 0;

	m->cfg = *c;
	m->family = family_of(c);
	m->how = *how;
	m->b = b;
	m->comm = comm;
	m->shard = shard_make(&shape, how->rank, how->size);
	m->cols_of_rank = xalloc((size_t)how->size, sizeof *m->cols_of_rank);
	for (int r = 0; r < how->size; r++)
		m->cols_of_rank[r] = shard_make(&shape, r, how->size).vocab.count;
	attn_create(m);
	for (int i = 0; !err && i < how->n_merge; i++)
		err = model_lora_check(c, how->merge[i], 0, why);
	if (!err)
		err = weights_load(m, ck, progress, why);
	if (err) {
		model_destroy(m);
		return err;
	}
	work_create(m);
	lora_create_slots(m);
	rope_create(m);
	plan_pass(m);
	if (how->debug_nan && !how->rank && !how->dry)
		m->nan = nan_create(b, c->hidden, how->limits.max_seqs);
	*out = m;
	return 0;
}

void model_destroy(struct model *m)
{
	if (!m)
		return;
	work_destroy(m);
	if (m->cos)
		backend_free(m->b, m->cos, rope_bytes(m));
	if (m->sin)
		backend_free(m->b, m->sin, rope_bytes(m));
	weights_free(m);
	lora_destroy_slots(m);
	nan_destroy(m->nan);
	free(m->kv_of_head);
	free(m->slopes);
	free(m->cols_of_rank);
	free(m);
}

const struct model_config *model_config(const struct model *m)
{
	return &m->cfg;
}

struct kv_shape model_kv_shape(const struct model *m, int block_size, enum dtype type)
{
	return (struct kv_shape){.kv_heads = m->shard.kv_heads.count,
				 .head_dim = m->cfg.head_dim,
				 .block_size = block_size,
				 .type = type};
}

size_t model_weight_bytes(const struct model *m)
{
	return weights_bytes(m);
}

int model_nan(const struct model *m, int seq)
{
	return nan_origin(m->nan, seq);
}

const char *model_nan_text(int origin, char out[MODEL_NAN_TEXT])
{
	nan_text(origin, out, MODEL_NAN_TEXT);
	return out;
}

unsigned model_needs(const struct model_config *c, int max_context)
{
	unsigned ffn_bias = c->act == ACT_SILU_GATED ? NEED_GATED_BIAS : NEED_BIAS, needs = 0;

	needs |= c->positions == POSITIONS_ALIBI ? NEED_ALIBI : 0;
	needs |= c->window && c->window < max_context ? NEED_WINDOW : 0;
	needs |= c->parts & PART_HEAD_NORM ? NEED_HEAD_NORM : 0;
	needs |= c->act != ACT_SILU_GATED ? NEED_ACTIVATE : 0;
	needs |= c->parts & PART_QKV_BIAS ? NEED_BIAS : 0;
	needs |= c->parts & PART_FFN_BIAS ? ffn_bias | NEED_SHIFT : 0;
	needs |= c->parts & PART_O_BIAS ? NEED_SHIFT : 0;
	needs |= c->experts ? NEED_EXPERTS : 0;
	return needs | (c->parallel ? NEED_ADD : 0);
}

struct comm_limits model_comm_limits(const struct model_config *c, const struct step_limits *lim, int size)
{
	struct shard_shape shape = model_shard_shape(c);
	struct comm_limits out = {.max_rows = lim->max_tokens,
				  .max_cols = c->hidden,
				  .max_parts = 1,
				  .gather_rows = lim->rows,
				  .gather_cols = c->vocab};
	struct part parts[SHARD_MAX_PARTS];

	for (int r = 0; r < size; r++) {
		struct shard s = shard_make(&shape, r, size);
		out.max_parts = max_int(out.max_parts, split_parts(&s.o, parts));
		out.max_parts = max_int(out.max_parts, split_parts(&s.down, parts));
		if (c->experts)
			out.max_parts = max_int(out.max_parts, split_parts(&s.expert, parts));
	}
	return out;
}
