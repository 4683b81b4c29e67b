/* gemm.c - products with many rows, by cuBLASLt: bf16 or f16 in, f32 sums, f32 or the same 16-bit type out. */
#include "engine/cuda/cuda.h"

#include <cublasLt.h>
#include <stdlib.h>

enum { WORKSPACE = 32 << 20, KNOWN = 1024 /* shapes; a power of two */ };

struct known {
	int m, n, k; /* m 0: empty */
	bool narrow;
	cublasLtMatmulAlgo_t algo;
};

struct gemm {
	cublasLtHandle_t lt;
	cublasLtMatmulDesc_t desc;
	cublasLtMatrixLayout_t w, x, out[2]; /* out: f32, narrow */
	cublasLtMatmulPreference_t want;
	void *workspace;
	struct known known[KNOWN];
	int n_known;
};

static void check(cublasStatus_t s, const char *what)
{
	if (s)
		die("cuBLASLt, %s: status %d", what, (int)s);
}

struct gemm *gemm_create(struct cuda *c)
{
	struct gemm *g = xalloc(1, sizeof *g);
	cudaDataType_t type = c->type == K_F16 ? CUDA_R_16F : CUDA_R_16BF;
	cublasOperation_t turn = CUBLAS_OP_T;
	uint64_t room = WORKSPACE;

	g->workspace = cuda_take(c, WORKSPACE);
	if (c->how.dry)
		return g;
	check(cublasLtCreate(&g->lt), "start");
	check(cublasLtMatmulDescCreate(&g->desc, CUBLAS_COMPUTE_32F, CUDA_R_32F), "a description");
	check(cublasLtMatmulDescSetAttribute(g->desc, CUBLASLT_MATMUL_DESC_TRANSA, &turn, sizeof turn), "a description");
	check(cublasLtMatrixLayoutCreate(&g->w, type, 1, 1, 1), "a layout");
	check(cublasLtMatrixLayoutCreate(&g->x, type, 1, 1, 1), "a layout");
	check(cublasLtMatrixLayoutCreate(&g->out[0], CUDA_R_32F, 1, 1, 1), "a layout");
	check(cublasLtMatrixLayoutCreate(&g->out[1], type, 1, 1, 1), "a layout");
	check(cublasLtMatmulPreferenceCreate(&g->want), "a preference");
	check(cublasLtMatmulPreferenceSetAttribute(g->want, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &room, sizeof room),
	      "a preference");
	return g;
}

void gemm_destroy(struct gemm *g, struct cuda *c)
{
	if (!g)
		return;
	cuda_give(c, g->workspace, WORKSPACE);
	if (!c->how.dry) {
		cublasLtMatmulPreferenceDestroy(g->want);
		cublasLtMatrixLayoutDestroy(g->w), cublasLtMatrixLayoutDestroy(g->x), cublasLtMatrixLayoutDestroy(g->out[0]);
		cublasLtMatrixLayoutDestroy(g->out[1]);
		cublasLtMatmulDescDestroy(g->desc);
		cublasLtDestroy(g->lt);
	}
	free(g);
}

static void shape(cublasLtMatrixLayout_t l, int rows, int cols, int ld)
{
	uint64_t r = (uint64_t)rows, c = (uint64_t)cols;
	int64_t d = ld;

	check(cublasLtMatrixLayoutSetAttribute(l, CUBLASLT_MATRIX_LAYOUT_ROWS, &r, sizeof r), "a layout");
	check(cublasLtMatrixLayoutSetAttribute(l, CUBLASLT_MATRIX_LAYOUT_COLS, &c, sizeof c), "a layout");
	check(cublasLtMatrixLayoutSetAttribute(l, CUBLASLT_MATRIX_LAYOUT_LD, &d, sizeof d), "a layout");
}

/* The place of a shape in the table; one that is full forgets. */
static struct known *find(struct gemm *g, bool narrow, int m, int n, int k)
{
	uint32_t h = ((uint32_t)m * 0x9e3779b1u) ^ ((uint32_t)n * 0x85ebca6bu) ^ ((uint32_t)k * 0xc2b2ae35u);

	h ^= h >> 15;
	for (int i = 0; i < 8; i++) {
		struct known *e = &g->known[(h + (uint32_t)i) % KNOWN];
		if (!e->m || (e->m == m && e->n == n && e->k == k && e->narrow == narrow))
			return e;
	}
	g->known[h % KNOWN].m = 0;
	return &g->known[h % KNOWN];
}

static void choose(struct gemm *g, struct known *e, bool narrow, int m, int n, int k)
{
	cublasLtMatmulHeuristicResult_t best;
	int found = 0;

	check(cublasLtMatmulAlgoGetHeuristic(g->lt, g->desc, g->w, g->x, g->out[narrow], g->out[narrow], g->want, 1, &best, &found), "an algorithm");
	if (!found)
		die("cuBLASLt has no algorithm for a product of %d x %d x %d", m, n, k);
	*e = (struct known){m, n, k, narrow, best.algo};
}

/* cuBLASLt counts by columns: out^T (n, m) = w (k, n)^T x (k, m). */
void gemm_run(struct cuda *c, void *out, bool narrow, const void *x, const void *w, int m, int n, int k, int ld)
{
	struct gemm *g = c->gemm;
	struct known *e = find(g, narrow, m, n, k);
	const float one = 1, zero = 0;

	shape(g->w, k, n, ld);
	shape(g->x, k, m, k);
	shape(g->out[narrow], n, m, n);
	if (!e->m)
		choose(g, e, narrow, m, n, k);
	check(cublasLtMatmul(g->lt, g->desc, &one, w, g->w, x, g->x, &zero, out, g->out[narrow], out, g->out[narrow], &e->algo, g->workspace, WORKSPACE,
			     c->stream),
	      "a product");
}
