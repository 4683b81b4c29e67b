/* rows.c - operations on one row at a time: norm, rope, silu, conversion. */
#include "engine/cpu/isa/inside.h"

void ISA_NAME(add)(float *x, const float *delta, const float *shift, int n)
{
	for (int i = 0; i < n; i += 16) {
		v16 d = v_load_n(delta + i, n - i);
		if (shift)
			d = v_add(d, v_load_n(shift + i, n - i));
		v_store_n(x + i, v_add(v_load_n(x + i, n - i), d), n - i);
	}
}

void ISA_NAME(scale_add)(float *acc, const float *x, float scale, int n)
{
	const v16 by = v_set1(scale);

	for (int i = 0; i < n; i += 16)
		v_store_n(acc + i, v_fma(by, v_load_n(x + i, n - i), v_load_n(acc + i, n - i)), n - i);
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
	bool layer = job->norm.kind == NORM_LAYER;
	v16 sum = v_zero();

	for (int i = 0; i < job->cols; i += 16) {
		v16 x = v_load_n(job->x + i, job->cols - i);
		if (layer)
			x = centred(job->x + i, job->cols - i, mean);
		sum = v_fma(x, x, sum);
	}
	sum = v_div(v_set1(v_sum(sum)), v_set1((float)job->cols));
	return v_div(v_set1(1), v_sqrt(v_add(sum, v_set1(job->norm.eps))));
}

void ISA_NAME(norm)(const struct norm_job *job)
{
	const struct norm *norm = &job->norm;
	v16 mean, factor;

	if (job->delta.data)
		ISA_NAME(add)(job->x, job->delta.data, job->delta.shift, job->cols);
	mean = norm->kind == NORM_LAYER ? mean_of(job->x, job->cols) : v_zero();
	factor = norm_factor(job, mean);
	for (int i = 0; i < job->cols; i += 16) {
		int n = job->cols - i;
		v16 v = v_load_n(job->x + i, n);
		if (norm->kind == NORM_LAYER)
			v = v_sub(v, mean);
		v = v_mul(v_mul(v, factor), v_load_n(norm->w + i, n));
		if (norm->bias)
			v = v_add(v, v_load_n(norm->bias + i, n));
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

/* x / (1 + exp(-2u)) is half of x times 1 + tanh(u). */
static v16 gelu_tanh(v16 x)
{
	const v16 one = v_set1(1), cubic = v_set1(0.044715f), minus = v_set1(-1.5957691216f);
	v16 u = v_mul(x, v_fma(v_mul(x, x), cubic, one));

	return v_div(x, v_add(one, v_exp(v_mul(u, minus))));
}

/* x * Phi(x) = max(0, x) - |x| * erfc(z) / 2, by erfc's fit over t = 1 / (1 + z/2), z = |x| / sqrt(2). */
static v16 gelu(v16 x)
{
	static const float fit[] = {-0.82215223f, 1.48851587f, -1.13520398f, 0.27886807f, -0.18628806f,
				    0.09678418f,  0.37409196f, 1.00002368f,  -1.26551223f};
	const v16 one = v_set1(1), half = v_set1(0.5f);
	v16 size = v_max(x, v_sub(v_zero(), x)), z = v_mul(size, v_set1(0.70710678f));
	v16 t = v_div(one, v_fma(z, half, one)), p = v_set1(0.17087277f);

	UNROLL for (int i = 0; i < 9; i++) p = v_fma(p, t, v_set1(fit[i]));
	p = v_fma(v_sub(v_zero(), z), z, p);
	return v_sub(v_max(v_zero(), x), v_mul(size, v_mul(v_mul(t, v_exp(p)), half)));
}

void ISA_NAME(activate)(void *out, size_t at, const float *x, int n, enum activation kind, enum dtype type)
{
	for (int i = 0; i < n; i += 16) {
		v16 v = v_load_n(x + i, n - i);
		v = kind == ACT_RELU ? v_max(v_zero(), v) : kind == ACT_GELU ? gelu(v) : gelu_tanh(v);
		v_store_as(out, at + (size_t)i, v, n - i, type);
	}
}

void ISA_NAME(exp)(float *out, const float *x, int n)
{
	for (int i = 0; i < n; i += 16)
		v_store_n(out + i, v_exp(v_load_n(x + i, n - i)), n - i);
}
