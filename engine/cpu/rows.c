/* rows.c - operations on one row at a time: norm, silu, and selecting rows. */
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
		if (one.delta)
			one.delta += (size_t)r * (size_t)one.cols;
		j->k->norm(&one);
	}
}

void cpu_add_norm(struct backend *b, struct tensor *out, struct tensor *x, const float *delta, const float *w,
		  const float *bias, enum norm_kind kind, float eps)
{
	struct rows_job j = {.k = cpu_of(b)->k, .rows = x->rows, .out_row = (size_t)out->cols * dtype_size(out->type)};

	j.norm = (struct norm_job){out->data, out->type, x->data, delta, w, bias, kind, eps, x->cols};
	j.per = max_int(1, CHUNK / max_int(1, x->cols));
	pool_each(cpu_of(b)->pool, div_up(x->rows, j.per), norm_unit, &j);
}

struct silu_job {
	const struct cpu_kernels *k;
	struct tensor *out;
	const float *gate_up;
	int pieces; /* pieces of a row */
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

void cpu_silu_mul(struct backend *b, struct tensor *out, const struct tensor *gate_up)
{
	struct silu_job j = {cpu_of(b)->k, out, gate_up->data, div_up(out->cols, CHUNK)};

	pool_each(cpu_of(b)->pool, out->rows * j.pieces, silu_unit, &j);
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
