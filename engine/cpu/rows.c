/* rows.c - operations on one row at a time: norms, sums, activations, and selecting rows. */
#include "engine/cpu/cpu.h"

#include <string.h>

struct rows_job {
	const struct cpu_kernels *k;
	struct norm_job norm; /* of row 0 */
	size_t out_row;       /* bytes */
	int rows, per;        /* rows of a unit */
};

static void norm_unit(void *arg, int unit, int worker)
{
	const struct rows_job *j = arg;

	(void)worker;
	for (int r = unit * j->per; r < min_int(j->rows, (unit + 1) * j->per); r++) {
		struct norm_job one = j->norm;
		one.out = (char *)one.out + (size_t)r * j->out_row;
		one.x += (size_t)r * (size_t)one.cols;
		if (one.delta.data)
			one.delta.data = (const float *)one.delta.data + (size_t)r * (size_t)one.cols;
		j->k->norm(&one);
	}
}

void cpu_add_norm(struct backend *b, struct tensor *out, struct tensor *x, struct delta delta, const struct norm *norm)
{
	struct rows_job j = {.k = cpu_of(b)->k, .rows = x->rows, .out_row = (size_t)out->cols * dtype_size(out->type)};

	j.norm = (struct norm_job){out->data, out->type, x->data, delta, *norm, x->cols};
	j.per = max_int(1, CHUNK / max_int(1, x->cols));
	pool_each(cpu_of(b)->pool, div_up(x->rows, j.per), norm_unit, &j);
}

static void add_unit(void *arg, int row, int worker)
{
	const struct rows_job *j = arg;
	size_t at = (size_t)row * (size_t)j->norm.cols;

	(void)worker;
	j->k->add(j->norm.x + at, (const float *)j->norm.delta.data + at, j->norm.delta.shift, j->norm.cols);
}

void cpu_add(struct backend *b, struct tensor *x, struct delta delta)
{
	struct rows_job j = {.k = cpu_of(b)->k, .norm = {.x = x->data, .delta = delta, .cols = x->cols}};

	pool_each(cpu_of(b)->pool, x->rows, add_unit, &j);
}

struct head_norm_job {
	const struct cpu_kernels *k;
	float *qkv;
	const struct attn_shape *shape;
	const float *q, *k_gain;
	float eps;
};

static void head_norm_unit(void *arg, int row, int worker)
{
	const struct head_norm_job *j = arg;
	const int dim = j->shape->head_dim, heads = j->shape->heads, all = heads + 2 * j->shape->kv_heads;
	float *x = j->qkv + (size_t)row * (size_t)all * (size_t)dim;

	(void)worker;
	for (int h = 0; h < heads + j->shape->kv_heads; h++, x += dim) {
		struct norm_job one = {.out = x, .out_type = DT_F32, .x = x, .cols = dim};
		one.norm = (struct norm){h < heads ? j->q : j->k_gain, NULL, NORM_RMS, j->eps};
		j->k->norm(&one);
	}
}

void cpu_head_norm(struct backend *b, struct tensor *qkv, const struct attn_shape *shape, const float *q,
		   const float *k, float eps)
{
	struct head_norm_job j = {cpu_of(b)->k, qkv->data, shape, q, k, eps};

	pool_each(cpu_of(b)->pool, qkv->rows, head_norm_unit, &j);
}

struct silu_job {
	const struct cpu_kernels *k;
	struct tensor *out;
	const float *gate_up; /* or, without a gate, what is activated */
	int pieces;           /* pieces of a row */
	enum activation kind;
};

static void silu_unit(void *arg, int unit, int worker)
{
	const struct silu_job *j = arg;
	size_t row = (size_t)(unit / j->pieces), ffn = (size_t)j->out->cols;
	int col = unit % j->pieces * CHUNK, n = min_int(CHUNK, j->out->cols - col);
	const float *gate = j->gate_up + row * 2 * ffn + (size_t)col;

	(void)worker;
	j->k->silu_mul(j->out->data, row * ffn + (size_t)col, gate, gate + ffn, n, j->out->type);
}

void cpu_silu_mul(struct backend *b, struct tensor *out, const struct tensor *gate_up, const float *bias)
{
	struct silu_job j = {cpu_of(b)->k, out, gate_up->data, div_up(out->cols, CHUNK), ACT_SILU_GATED};

	(void)bias; /* linear has added it */
	pool_each(cpu_of(b)->pool, out->rows * j.pieces, silu_unit, &j);
}

static void activate_unit(void *arg, int unit, int worker)
{
	const struct silu_job *j = arg;
	int col = unit % j->pieces * CHUNK, n = min_int(CHUNK, j->out->cols - col);
	size_t at = (size_t)(unit / j->pieces) * (size_t)j->out->cols + (size_t)col;

	(void)worker;
	j->k->activate(j->out->data, at, j->gate_up + at, n, j->kind, j->out->type);
}

void cpu_activate(struct backend *b, struct tensor *out, const struct tensor *x, enum activation kind)
{
	struct silu_job j = {cpu_of(b)->k, out, x->data, div_up(out->cols, CHUNK), kind};

	pool_each(cpu_of(b)->pool, out->rows * j.pieces, activate_unit, &j);
}

void cpu_rows(struct backend *b, struct tensor *out, const struct tensor *x, const int32_t *row)
{
	size_t bytes = (size_t)x->cols * dtype_size(x->type);

	(void)b;
	for (int i = 0; i < out->rows; i++) {
		REQUIRE(row[i] >= 0 && row[i] < x->rows);
		memcpy((char *)out->data + (size_t)i * bytes, (const char *)x->data + (size_t)row[i] * bytes, bytes);
	}
}
