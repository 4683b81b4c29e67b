/* The forward pass of Llama-shaped networks: Llama (arXiv:2302.13971) and XVERSE, with grouped heads
 * (arXiv:2305.13245). */
#include "engine/models/llama.h"

static struct tensor act(const struct model *m, int rows, int cols)
{
	return tensor_of(m->work.act, m->b->act, rows, cols);
}

static struct tensor f32(float *data, int rows, int cols)
{
	return tensor_of(data, DT_F32, rows, cols);
}

/* Where this rank writes what is summed to `out`. */
static float *parts_of(struct model *m, float *out, const struct split *k, int rows)
{
	return m->comm->alone ? out : comm_parts(m->comm, k, rows, m->cfg.hidden);
}

static void add_up(struct model *m, float *out, const struct split *k, int rows)
{
	if (!m->comm->alone)
		comm_sum(m->comm, out, k, rows, m->cfg.hidden);
}

/* delta (n, hidden) = sum over ranks of x * w^T, w split by columns. */
static void linear_sum(struct model *m, float *delta, const struct tensor *x, const struct weight *w,
		       const struct split *k)
{
	float *parts = parts_of(m, delta, k, x->rows);

	if (w)
		backend_linear(m->b, parts, x, w, NULL);
	add_up(m, delta, k, x->rows);
}

/* delta = attention of norm(x + delta), projected. */
static void attention_block(struct model *m, const struct layer *l, struct kv *kv, int layer, const struct step *s)
{
	int n = s->head->pad_tokens, heads = m->attn.heads, width = (heads + 2 * m->attn.kv_heads) * m->cfg.head_dim;
	struct tensor x = f32(m->work.x, n, m->cfg.hidden), h = act(m, n, m->cfg.hidden);
	struct tensor qkv = tensor_of(m->work.qkv, m->b->mid, n, width), out = act(m, n, heads * m->cfg.head_dim);

	backend_add_norm(m->b, &h, &x, layer ? m->work.delta : NULL, l->norm_att, NULL, NORM_RMS, m->cfg.norm_eps);
	backend_linear_mid(m->b, &qkv, &h, l->qkv);
	backend_rope_store(m->b, &qkv, &m->attn, &m->rope, kv->pool[layer], &kv->shape, s);
	backend_attention(m->b, &out, &qkv, &m->attn, kv->pool[layer], &kv->shape, s);
	linear_sum(m, m->work.delta, &out, l->o, &m->shard.o);
}

/* delta = FFN of norm(x + delta). */
static void ffn_block(struct model *m, const struct layer *l, float *x_data, float *delta, int n)
{
	int ffn = m->shard.ffn.count;
	struct tensor x = f32(x_data, n, m->cfg.hidden), h = act(m, n, m->cfg.hidden);
	struct tensor gate_up = tensor_of(m->work.gate_up, m->b->mid, n, 2 * ffn), out = act(m, n, ffn);

	backend_add_norm(m->b, &h, &x, delta, l->norm_ffn, NULL, NORM_RMS, m->cfg.norm_eps);
	if (l->gate_up)
		out = backend_linear_silu_mul(m->b, &out, &gate_up, &h, l->gate_up);
	linear_sum(m, delta, &out, l->down, &m->shard.down);
}

static void embed(struct model *m, const struct step *s)
{
	int n = s->head->pad_tokens;
	struct tensor out = f32(parts_of(m, m->work.x, &m->shard.vocab_sum, n), n, m->cfg.hidden);

	backend_embed(m->b, &out, s->token, m->embed, m->shard.vocab.first);
	add_up(m, m->work.x, &m->shard.vocab_sum, n);
}

/* From here on only wanted rows matter: all K and V are stored, so this changes no bits. */
static void keep_rows(struct model *m, const struct step *s)
{
	int n = s->head->pad_tokens, r = s->head->pad_rows;
	struct tensor x = f32(m->work.x, n, m->cfg.hidden), delta = f32(m->work.delta, n, m->cfg.hidden);
	struct tensor x_rows = f32(m->work.x_rows, r, m->cfg.hidden);
	struct tensor delta_rows = f32(m->work.delta_rows, r, m->cfg.hidden);

	backend_rows(m->b, &x_rows, &x, s->row);
	backend_rows(m->b, &delta_rows, &delta, s->row);
}

struct pass {
	struct model *m;
	struct kv *kv;
	const struct step *s;
};

static void run_pass(void *arg)
{
	struct model *m = ((struct pass *)arg)->m;
	struct kv *kv = ((struct pass *)arg)->kv;
	const struct step *s = ((struct pass *)arg)->s;
	int last = m->cfg.layers - 1;

	embed(m, s);
	nan_look(m, m->work.x, false, NAN_EMBED);
	for (int i = 0; i < last; i++) {
		attention_block(m, &m->layer[i], kv, i, s);
		nan_look(m, m->work.delta, false, NAN_ATTENTION + 2 * i);
		ffn_block(m, &m->layer[i], m->work.x, m->work.delta, s->head->pad_tokens);
		nan_look(m, m->work.delta, false, NAN_FFN + 2 * i);
	}
	attention_block(m, &m->layer[last], kv, last, s);
	nan_look(m, m->work.delta, false, NAN_ATTENTION + 2 * last);
	if (!s->head->n_rows)
		return;
	keep_rows(m, s);
	ffn_block(m, &m->layer[last], m->work.x_rows, m->work.delta_rows, s->head->pad_rows);
	nan_look(m, m->work.delta_rows, true, NAN_FFN + 2 * last);
}

void model_forward(struct model *m, struct kv *kv, const struct step *step)
{
	int named = step_named(step);
	struct pass p = {m, kv, backend_step(m->b, step)};

	REQUIRE(!named || m->b->drawn);
	if (named)
		comm_bcast(m->comm, m->b->drawn, named);
	if (!m->how.debug_nan) {
		backend_run(m->b, (uint64_t)(uintptr_t)m, run_pass, &p);
		return;
	}
	nan_begin(m, step); /* what is looked at between layers is no part of a graph */
	run_pass(&p);
	nan_end(m);
}

void model_logits(struct model *m, int first, int count, float *rows)
{
	size_t at = (size_t)first * (size_t)m->cfg.hidden;
	struct tensor x = f32(m->work.x_rows + at, count, m->cfg.hidden), h = act(m, count, m->cfg.hidden);
	float *mine;

	REQUIRE(count <= m->how.limits.rows);
	mine = comm_columns(m->comm, count, m->shard.vocab.count);
	backend_add_norm(m->b, &h, &x, m->work.delta_rows + at, m->norm_out, NULL, NORM_RMS, m->cfg.norm_eps);
	if (m->head)
		backend_linear(m->b, mine, &h, m->head, NULL);
	comm_gather(m->comm, rows, count, m->cols_of_rank);
}

void model_rows(struct model *m, int first, int count, float *rows)
{
	model_logits(m, first, count, rows);
	backend_sync(m->b);
}
