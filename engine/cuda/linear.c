/* linear.c - matrix products, by our own kernels or by cuBLASLt. */
#include "engine/cuda/cuda.h"

/* Gives each row the same bits for any number of rows. */
static cudaError_t in_order(struct cuda *c, void *out, enum k_form form, const struct tensor *x,
			    const struct cuda_weight *w, const float *bias)
{
	return k_linear_fixed(c->stream, c->type, out, form, x->data, cuda_matrix(w, 0), bias, w->segments,
			      w->n_segments, x->rows, w->base.rows, w->base.cols);
}

/* Reads weights at the speed of memory, once for 8 to 32 rows. */
static cudaError_t of_few_rows(struct cuda *c, void *out, enum k_form form, const struct tensor *x,
			       const struct cuda_weight *w, const float *bias)
{
	return k_linear_skinny(c->stream, c->type, out, form, x->data, cuda_matrix(w, 0), bias, x->rows, w->base.rows,
			       w->base.cols);
}

/* Uses our own kernels, which write every form of output. False: cuBLASLt is faster. */
static bool by_kernel(struct cuda *c, void *out, enum k_form form, const struct tensor *x, const struct cuda_weight *w,
		      const float *bias)
{
	int few = cuda_in_parts(w) ? SKINNY_ROWS_PARTS : SKINNY_ROWS;

	if (!c->how.fixed && x->rows > few && w->base.cols && w->base.cols % 8 == 0)
		return false;
	cuda_check((c->how.fixed ? in_order : of_few_rows)(c, out, form, x, w, bias), "linear");
	return true;
}

/* x: in the order of w's columns. */
static void multiply(struct cuda *c, void *out, enum k_form form, const struct tensor *x, const struct cuda_weight *w,
		     const float *bias)
{
	if (by_kernel(c, out, form, x, w, bias))
		return;
	if (!gemm_run(c, out, form == K_OUT_16, x->data, w, x->rows))
		cuda_check(of_few_rows(c, out, form, x, w, bias), "linear");
	else if (bias)
		cuda_check(k_add_bias(c->stream, c->type, out, form, bias, x->rows, w->base.rows), "bias");
}

static void linear(struct backend *b, void *out, enum k_form form, const struct tensor *x, const struct weight *weight,
		   const float *bias)
{
	const struct cuda_weight *w = (const struct cuda_weight *)weight;
	struct tensor in;

	if (!x->rows || !weight->rows)
		return;
	in = cuda_ordered(cuda_of(b), x, w);
	multiply(cuda_of(b), out, form, &in, w, bias);
}

void cuda_linear(struct backend *b, float *out, const struct tensor *x, const struct weight *w, const float *bias)
{
	linear(b, out, K_OUT_F32, x, w, bias);
}

void cuda_linear_mid(struct backend *b, struct tensor *out, const struct tensor *x, const struct weight *w,
		     const float *bias)
{
	linear(b, out->data, K_OUT_16, x, w, bias);
}

/* silu_mul as an epilogue is written while x, whose memory `out` may be, is still read. So it goes to gate_up's memory.
 */
struct tensor cuda_linear_silu_mul(struct backend *b, struct tensor *out, struct tensor *gate_up,
				   const struct tensor *x, const struct weight *w, const float *bias)
{
	const struct cuda_weight *weight = (const struct cuda_weight *)w;
	struct cuda *c = cuda_of(b);
	struct tensor in;

	if (!out->rows || !out->cols)
		return *out;
	in = cuda_ordered(c, x, weight);
	if (by_kernel(c, gate_up->data, K_OUT_SILU, &in, weight, bias))
		return tensor_of(gate_up->data, out->type, out->rows, out->cols);
	multiply(c, gate_up->data, K_OUT_16, &in, weight, NULL);
	cuda_check(k_silu_mul(c->stream, c->type, out->data, gate_up->data, bias, out->rows, out->cols), "silu");
	return *out;
}
