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
				      k_type_of(delta.type), norm->w, norm->bias, norm->kind == NORM_LAYER, norm->eps,
				      x->rows, x->cols),
			   "norm");
}

void cuda_rows(struct backend *b, struct tensor *out, const struct tensor *x, const int32_t *row)
{
	if (out->rows)
		cuda_check(k_rows(cuda_of(b)->stream, out->data, x->data, row, out->rows,
				  (int)((size_t)x->cols * dtype_size(x->type))),
			   "rows");
}
