/* rows.c - operations on one row at a time: norm, rope, silu, conversion. */
#include "engine/cpu/isa/inside.h"

/* x += delta, in place. */
static void add_delta(const struct norm_job *job)
{
	for (int i = 0; i < job->cols; i += 16) {
		int n = job->cols - i;
		v_store_n(job->x + i, v_add(v_load_n(job->x + i, n), v_load_n(job->delta + i, n)), n);
	}
}

/* Returns the mean in every lane. */
static v16 mean_of(const float *x, int cols)
{
	v16 sum = v_zero();

	for (int i = 0; i < cols; i += 16)
		sum = v_add(sum, v_load_n(x + i, cols - i));
	return v_div(v_set1(v_sum(sum)), v_set1((float)cols));
}

/* x - mean, with +0 beyond the end of the row. */
INLINE v16 centred(const float *x, int n, v16 mean)
{
	return v_first(v_sub(v_load_n(x, n), mean), n, v_zero());
}

/* 1 / sqrt(mean square + eps) */
static v16 norm_factor(const struct norm_job *job, v16 mean)
{
	bool layer = job->kind == NORM_LAYER;
	v16 sum = v_zero();

	for (int i = 0; i < job->cols; i += 16) {
		v16 x = v_load_n(job->x + i, job->cols - i);
		if (layer)
			x = centred(job->x + i, job->cols - i, mean);
		sum = v_fma(x, x, sum);
	}
	sum = v_div(v_set1(v_sum(sum)), v_set1((float)job->cols));
	return v_div(v_set1(1), v_sqrt(v_add(sum, v_set1(job->eps))));
}

void ISA_NAME(norm)(const struct norm_job *job)
{
	v16 mean, factor;

	if (job->delta)
		add_delta(job);
	mean = job->kind == NORM_LAYER ? mean_of(job->x, job->cols) : v_zero();
	factor = norm_factor(job, mean);
	for (int i = 0; i < job->cols; i += 16) {
		int n = job->cols - i;
		v16 v = v_load_n(job->x + i, n);
		if (job->kind == NORM_LAYER)
			v = v_sub(v, mean);
		v = v_mul(v_mul(v, factor), v_load_n(job->w + i, n));
		if (job->bias)
			v = v_add(v, v_load_n(job->bias + i, n));
		v_store_as(job->out, (size_t)i, v, n, job->out_type);
	}
}

/* Rotates x[i] with x[i + half]: each product is rounded, then the sum. */
void ISA_NAME(rope)(float *x, const float *cos, const float *sin, int half)
{
	for (int i = 0; i < half; i += 16) {
		int n = half - i;
		v16 a = v_load_n(x + i, n), b = v_load_n(x + half + i, n);
		v16 c = v_load_n(cos + i, n), s = v_load_n(sin + i, n);
		v_store_n(x + i, v_sub(v_mul(a, c), v_mul(b, s)), n);
		v_store_n(x + half + i, v_add(v_mul(b, c), v_mul(a, s)), n);
	}
}

void ISA_NAME(convert)(void *out, const float *x, int n, enum dtype type)
{
	for (int i = 0; i < n; i += 16)
		v_store_as(out, (size_t)i, v_load_n(x + i, n - i), n - i, type);
}

void ISA_NAME(silu_mul)(void *out, size_t at, const float *gate, const float *up, int n, enum dtype type)
{
	const v16 one = v_set1(1);

	for (int i = 0; i < n; i += 16) {
		v16 g = v_load_n(gate + i, n - i);
		v16 down = v_add(one, v_exp(v_sub(v_zero(), g)));
		v_store_as(out, at + (size_t)i, v_mul(v_div(g, down), v_load_n(up + i, n - i)), n - i, type);
	}
}

void ISA_NAME(exp)(float *out, const float *x, int n)
{
	for (int i = 0; i < n; i += 16)
		v_store_n(out + i, v_exp(v_load_n(x + i, n - i)), n - i);
}
