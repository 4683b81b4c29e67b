/* gemm_fp8.c - products of e4m3 numbers by cuBLASLt, whose sums are scaled by rows of x and of the weight: by cuBLASLt
 * itself, or behind it. */
#include "engine/cuda/gemm_fp8.h"

#if CUBLAS_VERSION >= 120900
/* Scales of the rows of w (of columns of out; cuBLASLt calls w A) and of x: since CUDA 12.9, on
 * compute capability 9.0 alone. NULL: while algorithms are asked for, which need some address. */
void gemm_fp8_scales(struct gemm *g, const float *w, const float *x)
{
	const void *a = w ? (const void *)w : g->workspace, *b = x ? (const void *)x : g->workspace;

	gemm_check(cublasLtMatmulDescSetAttribute(g->fp8.desc, CUBLASLT_MATMUL_DESC_A_SCALE_POINTER, &a, sizeof a),
		   "scales");
	gemm_check(cublasLtMatmulDescSetAttribute(g->fp8.desc, CUBLASLT_MATMUL_DESC_B_SCALE_POINTER, &b, sizeof b),
		   "scales");
}

/* Whether cuBLASLt has a product with both vectors of scales, in both forms of out. */
static bool with_scales(struct gemm *g)
{
	const int32_t vector = CUBLASLT_MATMUL_MATRIX_SCALE_OUTER_VEC_32F;
	cublasLtMatmulHeuristicResult_t r;
	bool good;

	good = !cublasLtMatmulDescSetAttribute(g->fp8.desc, CUBLASLT_MATMUL_DESC_A_SCALE_MODE, &vector,
					       sizeof vector) &&
	       !cublasLtMatmulDescSetAttribute(g->fp8.desc, CUBLASLT_MATMUL_DESC_B_SCALE_MODE, &vector, sizeof vector);
	if (good)
		gemm_fp8_scales(g, NULL, NULL);
	for (int narrow = 0; good && narrow < 2; narrow++) {
		struct product p = {.m = 256, .n = 256, .k = 256, .narrow = narrow, .fp8 = true};
		gemm_shapes(g, &p, p.k, p.n);
		good = gemm_propose(g, &p, &r, 1) > 0;
	}
	if (good)
		return true;
	gemm_forget(&g->fp8);
	gemm_describe(&g->fp8, CUDA_R_8F_E4M3);
	return false;
}
#else
void gemm_fp8_scales(struct gemm *g, const float *w, const float *x)
{
	(void)g, (void)w, (void)x;
}
static bool with_scales(struct gemm *g)
{
	(void)g;
	return false;
}
#endif

void gemm_fp8_create(struct gemm *g)
{
	gemm_describe(&g->fp8, CUDA_R_8F_E4M3);
	g->scales = with_scales(g);
	log_event(LOG_INFO, "fp8 products", " scales=\"%s\"", g->scales ? "by cuBLASLt" : "by a kernel behind it");
}

/* Room for the sums that wait for their scales is planned for whatever device it will be: for all rows, or what
 * gemm_rows_at_once() takes of any number of tokens. */
size_t gemm_fp8_room(const struct cuda_weight *w)
{
	const struct cuda *c = cuda_of(w->base.b);
	size_t token = sizeof(float) * (size_t)c->how.limits.max_tokens, all = token * (size_t)w->base.rows,
	       part = token * GEMM_PART > c->fp8_room ? token * GEMM_PART : c->fp8_room;

	return all < part ? all : part;
}

/* The sums of some rows of w, where cuBLASLt does not scale them: in place, or by way of the room. */
static bool run_unscaled(struct cuda *c, struct product p, void *out, bool narrow, const struct cuda_weight *w, int at)
{
	struct gemm *g = c->gemm;
	float *sums = narrow ? g->room : out;
	int ld = narrow ? p.n : w->base.rows;

	p.narrow = false;
	if (!gemm_run_rows(c, &p, sums, ld, g->x8, w->data + (size_t)at * w->pitch, w->ld))
		return false;
	cuda_check(k_scale(c->stream, c->type, out, narrow ? K_OUT_16 : K_OUT_F32, sums, g->x_scale, w->scale + at, p.m,
			   p.n, ld, w->base.rows),
		   "scales");
	return true;
}

/* x becomes e4m3, padded with zeros as the weight is. cuBLASLt wants rows of out to begin at multiples of 16 bytes. */
bool gemm_fp8_run(struct cuda *c, void *out, bool narrow, const void *x, const struct cuda_weight *w, int m)
{
	struct gemm *g = c->gemm;
	int rows = w->base.rows, per = gemm_rows_at_once(w, m, narrow);
	struct product p = {.m = m, .k = w->ld, .narrow = narrow, .fp8 = true};
	bool good = true;

	if (rows % 16)
		return false;
	cuda_check(k_to_fp8(c->stream, c->type, g->x8, g->x_scale, x, m, w->base.cols, w->ld), "activations");
	for (int at = 0; good && at < rows; at += p.n) {
		char *to = (char *)out + (size_t)at * (narrow ? sizeof(uint16_t) : sizeof(float));
		p.n = min_int(per, rows - at);
		if (g->scales)
			gemm_fp8_scales(g, w->scale + at, g->x_scale);
		good = g->scales ? gemm_run_rows(c, &p, to, rows, g->x8, w->data + (size_t)at * w->pitch, w->ld)
				 : run_unscaled(c, p, to, narrow, w, at);
	}
	return good;
}
