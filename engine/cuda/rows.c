/* rows.c - launches operations on one row at a time. */
#include "engine/cuda/cuda.h"

static enum k_type k_type_of(enum dtype t)
{
	return t == DT_F32 ? K_F32 : t == DT_F16 ? K_F16 : K_BF16;
}

void cuda_add_norm(struct backend *b, struct tensor *out, struct tensor *x, struct delta delta, const struct norm *norm)
{
	if (x->rows)
		cuda_check(k_add_norm(cuda_of(b)->stream, k_type_of(out->type), out->data, x->data, delta.data,
				      k_type_of(delta.type), delta.shift, norm->w, norm->bias, norm->kind == NORM_LAYER,
				      norm->eps, x->rows, x->cols),
			   "norm");
}

void cuda_add(struct backend *b, struct tensor *x, struct delta delta)
{
	if (x->rows)
		cuda_check(k_add(cuda_of(b)->stream, x->data, delta.data, k_type_of(delta.type), delta.shift, x->rows,
				 x->cols),
			   "sum");
}

void cuda_activate(struct backend *b, struct tensor *out, const struct tensor *x, enum activation kind)
{
	static const enum k_activation kinds[] = {
		[ACT_RELU] = K_RELU, [ACT_GELU] = K_GELU, [ACT_GELU_TANH] = K_GELU_TANH};
	size_t n = (size_t)x->rows * (size_t)x->cols;

	if (n)
		cuda_check(k_activate(cuda_of(b)->stream, cuda_of(b)->type, out->data, x->data, kinds[kind], n),
			   "activation");
}

void cuda_head_norm(struct backend *b, struct tensor *qkv, const struct attn_shape *shape, const float *q,
		    const float *k, float eps)
{
	if (qkv->rows && shape->heads)
		cuda_check(k_head_norm(cuda_of(b)->stream, cuda_of(b)->type, qkv->data, q, k, eps, shape->heads,
				       shape->kv_heads, shape->head_dim, qkv->rows),
			   "norms of heads");
}

void cuda_rows(struct backend *b, struct tensor *out, const struct tensor *x, const int32_t *row)
{
	if (out->rows)
		cuda_check(k_rows(cuda_of(b)->stream, out->data, x->data, row, out->rows,
				  (int)((size_t)x->cols * dtype_size(x->type))),
			   "rows");
}
