/* linear.c - matrix products, by our own kernels or by cuBLASLt. */
#include "engine/cuda/cuda.h"

/* Uses our own kernels, which write every form of output. False: cuBLASLt is faster. */
static bool by_kernel(struct cuda *c, void *out, enum k_form form, const struct tensor *x, const struct cuda_weight *w,
		      const float *bias)
{
	int m = x->rows, n = w->base.rows, k = w->base.cols;

	if (c->how.fixed)
		cuda_check((w->base.quant ? k_linear_fixed_int8 : k_linear_fixed)(c->stream, c->type, out, form,
										  x->data, w->data, bias, w->segments,
										  w->n_segments, m, n, k, w->ld),
			   "linear");
	else if (m <= (w->base.quant ? SKINNY_ROWS_INT8 : SKINNY_ROWS) || k % 8 || bias)
		cuda_check((w->base.quant ? k_linear_skinny_int8 : k_linear_skinny)(
				   c->stream, c->type, out, form, x->data, w->data, bias, m, n, k, w->ld),
			   "linear");
	else
		return false;
	return true;
}

static void linear(struct backend *b, void *out, enum k_form form, const struct tensor *x, const struct weight *weight,
		   const float *bias)
{
	const struct cuda_weight *w = (const struct cuda_weight *)weight;

	if (x->rows && weight->rows && !by_kernel(cuda_of(b), out, form, x, w, bias))
		gemm_run(cuda_of(b), out, form == K_OUT_16, x->data, w, x->rows);
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
	struct cuda *c = cuda_of(b);

	REQUIRE(!bias);
	if (!out->rows || !out->cols)
		return *out;
	if (by_kernel(c, gate_up->data, K_OUT_SILU, x, (const struct cuda_weight *)w, NULL))
		return tensor_of(gate_up->data, out->type, out->rows, out->cols);
	linear(b, gate_up->data, K_OUT_16, x, w, NULL);
	cuda_check(k_silu_mul(c->stream, c->type, out->data, gate_up->data, out->rows, out->cols), "silu");
	return *out;
}
