/* backend.c - the front functions: they check what an operation is given, once for every backend. A mismatch is our own
 * fault and dies. */
#include "engine/backend/backend.h"

#include "engine/step.h"

#include <stdlib.h>

static void op(struct backend *b)
{
	if (b->on_op)
		b->on_op(b->on_op_arg);
}

static bool act_or_f32(const struct backend *b, const struct tensor *t)
{
	return t->type == b->act || t->type == DT_F32;
}

void backend_destroy(struct backend *b)
{
	if (b)
		b->ops->destroy(b);
}

void *backend_alloc(struct backend *b, size_t bytes)
{
	return b->ops->alloc(b, bytes);
}

void backend_free(struct backend *b, void *p, size_t bytes)
{
	if (p)
		b->ops->free(b, p, bytes);
}

void *backend_host_alloc(struct backend *b, size_t bytes)
{
	return b->ops->host_alloc ? b->ops->host_alloc(b, bytes) : xalloc_touched(bytes, 1);
}

void backend_host_free(struct backend *b, void *p)
{
	if (b->ops->host_free)
		b->ops->host_free(b, p);
	else
		free(p);
}

void backend_ready(struct backend *b)
{
	if (b->ops->ready)
		b->ops->ready(b);
}

void backend_plan(struct backend *b, int (*pass)(void *arg, const struct step *s), void *arg)
{
	if (b->ops->plan)
		b->ops->plan(b, pass, arg);
}

bool backend_warm(struct backend *b, int i, struct step *s)
{
	return b->ops->warm && b->ops->warm(b, i, s);
}

void backend_upload(struct backend *b, void *dst, const void *src, size_t bytes)
{
	if (bytes)
		b->ops->upload(b, dst, src, bytes);
}

void backend_download(struct backend *b, void *dst, const void *src, size_t bytes)
{
	if (bytes)
		b->ops->download(b, dst, src, bytes);
}

void backend_sync(struct backend *b)
{
	b->ops->sync(b);
}

bool backend_busy(struct backend *b)
{
	return b->ops->busy && b->ops->busy(b);
}

const struct step *backend_step(struct backend *b, const struct step *s)
{
	return b->ops->step(b, s);
}

void backend_run(struct backend *b, uint64_t key, void (*fn)(void *arg), void *arg)
{
	b->ops->run(b, key, fn, arg);
}

void backend_embed(struct backend *b, struct tensor *out, const int32_t *ids, const struct weight *table, int first_id)
{
	REQUIRE(table->b == b && out->type == DT_F32 && out->cols == table->cols && first_id >= 0);
	op(b);
	b->ops->embed(b, out, ids, table, first_id);
}

const char *backend_lacks(unsigned needs, unsigned covers)
{
	static const char *const words[] = {"attention with ALiBi",
					    "attention over a window",
					    "a soft cap of attention's scores",
					    "norms of queries and keys",
					    "an FFN without a gate (relu, gelu)",
					    "biases of queries, keys and values or of an FFN's first product",
					    "biases of gate and up",
					    "biases behind attention and FFN",
					    "attention and FFN beside each other",
					    "mixtures of experts"};
	int i = 0;

	while (needs & ~covers && !(needs & ~covers & 1u << i))
		i++;
	return needs & ~covers ? words[i] : NULL;
}

/* Dies where the backend does not cover what the network needs: a start must have found that. */
static void require(const struct backend *b, bool used, enum backend_need need)
{
	REQUIRE(!used || (b->ops->covers & (unsigned)need));
}

void backend_add_norm(struct backend *b, struct tensor *out, struct tensor *x, struct delta delta,
		      const struct norm *norm)
{
	REQUIRE(x->type == DT_F32 && act_or_f32(b, out) && out->rows == x->rows && out->cols == x->cols);
	REQUIRE(delta.type == DT_F32 || delta.type == b->sum);
	REQUIRE(norm->w && (norm->kind == NORM_RMS || norm->kind == NORM_LAYER) && (delta.data || !delta.shift));
	require(b, delta.shift, NEED_SHIFT);
	op(b);
	b->ops->add_norm(b, out, x, delta, norm);
}

void backend_add(struct backend *b, struct tensor *x, struct delta delta)
{
	REQUIRE(x->type == DT_F32 && delta.data && (delta.type == DT_F32 || delta.type == b->sum));
	require(b, true, NEED_ADD);
	op(b);
	b->ops->add(b, x, delta);
}

void backend_linear(struct backend *b, float *out, const struct tensor *x, const struct weight *w, const float *bias)
{
	REQUIRE(w->b == b && x->type == b->act && x->cols == w->cols && x->rows >= 0);
	if (bias) /* with several parts or ranks it would be added several times */
		REQUIRE(w->k.n_leaves == w->k.count && !(w->k.count & (w->k.count - 1)));
	op(b);
	b->ops->linear(b, out, x, w, bias);
}

void backend_linear_mid(struct backend *b, struct tensor *out, const struct tensor *x, const struct weight *w,
			const float *bias)
{
	REQUIRE(out->type == b->mid && out->rows == x->rows && out->cols == w->rows);
	REQUIRE(w->k.n_leaves == 1 || (b->sum != DT_F32 && b->sum == b->mid && !bias));
	REQUIRE(!bias || !w->paired || !b->ops->paired_columns);
	require(b, bias, NEED_BIAS);
	if (b->mid == DT_F32) {
		backend_linear(b, out->data, x, w, bias);
		return;
	}
	REQUIRE(w->b == b && x->type == b->act && x->cols == w->cols && x->rows >= 0);
	op(b);
	b->ops->linear_mid(b, out, x, w, bias);
}

static void check_kv(struct backend *b, const struct kv_shape *kv)
{
	struct why why;

	REQUIRE(kv->kv_heads >= 0 && kv->head_dim > 0 && kv->block_size > 0);
	if (backend_kv_check(b, kv, &why))
		die("%s", why.text);
}

int backend_kv_check(struct backend *b, const struct kv_shape *shape, struct why *why)
{
	return b->ops->kv_check ? b->ops->kv_check(b, shape, why) : 0;
}

size_t backend_kv_bytes(struct backend *b, const struct kv_shape *shape)
{
	check_kv(b, shape);
	return b->ops->kv_bytes(b, shape);
}

static void check_attention(struct backend *b, const struct tensor *qkv, const struct attn_shape *shape,
			    const struct kv_shape *kv)
{
	check_kv(b, kv);
	REQUIRE(qkv->type == b->mid && qkv->cols == (shape->heads + 2 * shape->kv_heads) * shape->head_dim);
	REQUIRE(kv->kv_heads == shape->kv_heads && kv->head_dim == shape->head_dim);
	for (int h = 0; h < shape->heads; h++)
		REQUIRE(shape->kv_of_head[h] >= 0 && shape->kv_of_head[h] < shape->kv_heads);
}

void backend_rope_store(struct backend *b, struct tensor *qkv, const struct attn_shape *shape, const struct rope *rope,
			void *pool, const struct kv_shape *kv, const struct step *s)
{
	check_attention(b, qkv, shape, kv);
	REQUIRE(qkv->rows == s->head->pad_tokens);
	if (rope)
		REQUIRE(rope->n_rot >= 0 && rope->n_rot <= shape->head_dim && rope->n_rot % 2 == 0);
	op(b);
	b->ops->rope_store(b, qkv, shape, rope, pool, kv, s);
}

void backend_attention(struct backend *b, struct tensor *out, const struct tensor *qkv, const struct attn_shape *shape,
		       const void *pool, const struct kv_shape *kv, const struct step *s)
{
	check_attention(b, qkv, shape, kv);
	REQUIRE(qkv->rows == s->head->pad_tokens && out->rows == qkv->rows && out->type == b->act);
	REQUIRE(out->cols == shape->heads * shape->head_dim && shape->window >= 0 && shape->soft_cap >= 0);
	require(b, shape->slopes, NEED_ALIBI);
	require(b, shape->window, NEED_WINDOW);
	require(b, shape->soft_cap > 0, NEED_SOFT_CAP);
	op(b);
	b->ops->attention(b, out, qkv, shape, pool, kv, s);
}

void backend_silu_mul(struct backend *b, struct tensor *out, const struct tensor *gate_up, const float *bias)
{
	REQUIRE(!bias || b->ops->paired_columns);
	require(b, bias, NEED_GATED_BIAS);
	REQUIRE(gate_up->type == b->mid && out->type == b->act && out->rows == gate_up->rows &&
		gate_up->cols == 2 * out->cols);
	op(b);
	b->ops->silu_mul(b, out, gate_up, bias);
}

struct tensor backend_linear_silu_mul(struct backend *b, struct tensor *out, struct tensor *gate_up,
				      const struct tensor *x, const struct weight *w, const float *bias)
{
	REQUIRE(w->paired);
	require(b, bias, NEED_GATED_BIAS);
	if (!b->ops->linear_silu_mul) {
		backend_linear_mid(b, gate_up, x, w, bias);
		backend_silu_mul(b, out, gate_up, NULL);
		return *out;
	}
	REQUIRE(w->b == b && w->k.n_leaves == 1 && x->type == b->act && x->cols == w->cols && x->rows == out->rows);
	REQUIRE(out->type == b->act && gate_up->type == b->mid && gate_up->cols == w->rows && w->rows == 2 * out->cols);
	op(b);
	return b->ops->linear_silu_mul(b, out, gate_up, x, w, bias);
}

void backend_activate(struct backend *b, struct tensor *out, const struct tensor *x, enum activation kind)
{
	REQUIRE(x->type == b->mid && out->type == b->act && out->rows == x->rows && out->cols == x->cols);
	REQUIRE(kind > ACT_SILU_GATED && kind <= ACT_GELU_TANH);
	require(b, true, NEED_ACTIVATE);
	op(b);
	b->ops->activate(b, out, x, kind);
}

void backend_route(struct backend *b, const struct routing *r, const struct tensor *logits, const float *shared)
{
	REQUIRE(logits->type == DT_F32 && logits->cols == r->experts && r->k >= 1 && r->k <= r->experts);
	require(b, true, NEED_EXPERTS);
	op(b);
	b->ops->route(b, r, logits, shared);
}

/* Gate and up of one stack make what its down reads. */
static void check_stack(const struct backend *b, const struct tensor *x, const struct weight *gate_up,
			const struct weight *down, int experts)
{
	REQUIRE(down->b == b && down->experts == experts && down->each == x->cols && !gate_up == !down->cols);
	if (gate_up)
		REQUIRE(gate_up->b == b && gate_up->experts == experts && gate_up->k.n_leaves == 1 &&
			gate_up->cols == x->cols && gate_up->each == 2 * down->cols);
}

void backend_experts(struct backend *b, void *out, const struct tensor *x, const struct routing *r,
		     const struct expert_weights *w)
{
	REQUIRE(x->type == b->act && r->k >= 1 && r->k <= r->experts);
	check_stack(b, x, w->gate_up, w->down, r->experts);
	if (w->shared_down) {
		check_stack(b, x, w->shared_gate_up, w->shared_down, 1);
		REQUIRE(w->shared_down->k.n_leaves == w->down->k.n_leaves &&
			w->shared_down->k.first == w->down->k.first && w->shared_down->k.count == w->down->k.count);
	}
	require(b, true, NEED_EXPERTS);
	op(b);
	b->ops->experts(b, out, x, r, w);
}

void backend_head_norm(struct backend *b, struct tensor *qkv, const struct attn_shape *shape, const float *q,
		       const float *k, float eps)
{
	REQUIRE(qkv->type == b->mid && qkv->cols == (shape->heads + 2 * shape->kv_heads) * shape->head_dim && q && k);
	require(b, true, NEED_HEAD_NORM);
	op(b);
	b->ops->head_norm(b, qkv, shape, q, k, eps);
}

void backend_rows(struct backend *b, struct tensor *out, const struct tensor *x, const int32_t *row)
{
	REQUIRE(out->type == x->type && out->cols == x->cols);
	op(b);
	b->ops->rows(b, out, x, row);
}

float *backend_sample_open(struct backend *b, int rows, int vocab)
{
	REQUIRE(rows > 0 && vocab > 0);
	return b->ops->sample_open ? b->ops->sample_open(b, rows, vocab) : NULL;
}

void backend_sample(struct backend *b, int first, int n, const struct sample *what, bool *left)
{
	REQUIRE(first >= 0 && n > 0);
	op(b);
	b->ops->sample(b, first, n, what, left);
}

void backend_sampled(struct backend *b, int n, struct sampled *out)
{
	b->ops->sampled(b, n, out);
}
