/* gemm_lt.c - cuBLASLt: what it is asked for, what it proposed, and one product. */
#include "engine/cuda/gemm_lt.h"

#include <stdlib.h>

void gemm_check(cublasStatus_t s, const char *what)
{
	if (s)
		die("cuBLASLt, %s: status %d", what, (int)s);
}

void gemm_describe(struct numbers *n, cudaDataType_t type)
{
	cublasOperation_t turn = CUBLAS_OP_T;

	gemm_check(cublasLtMatmulDescCreate(&n->desc, CUBLAS_COMPUTE_32F, CUDA_R_32F), "a description");
	gemm_check(cublasLtMatmulDescSetAttribute(n->desc, CUBLASLT_MATMUL_DESC_TRANSA, &turn, sizeof turn),
		   "a description");
	gemm_check(cublasLtMatrixLayoutCreate(&n->w, type, 1, 1, 1), "a layout");
	gemm_check(cublasLtMatrixLayoutCreate(&n->x, type, 1, 1, 1), "a layout");
}

void gemm_forget(struct numbers *n)
{
	if (!n->desc)
		return;
	cublasLtMatrixLayoutDestroy(n->w), cublasLtMatrixLayoutDestroy(n->x);
	cublasLtMatmulDescDestroy(n->desc);
}

struct gemm *gemm_create(struct cuda *c)
{
	struct gemm *g = xalloc(1, sizeof *g);
	cudaDataType_t type = c->type == K_F16 ? CUDA_R_16F : CUDA_R_16BF;
	uint64_t room = WORKSPACE;

	g->workspace = cuda_take(c, WORKSPACE);
	if (c->how.dry)
		return g;
	gemm_check(cublasLtCreate(&g->lt), "start");
	gemm_describe(&g->half, type);
	gemm_check(cublasLtMatrixLayoutCreate(&g->out[0], CUDA_R_32F, 1, 1, 1), "a layout");
	gemm_check(cublasLtMatrixLayoutCreate(&g->out[1], type, 1, 1, 1), "a layout");
	gemm_check(cublasLtMatmulPreferenceCreate(&g->want), "a preference");
	gemm_check(cublasLtMatmulPreferenceSetAttribute(g->want, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &room,
							sizeof room),
		   "a preference");
	return g;
}

void gemm_destroy(struct gemm *g, struct cuda *c)
{
	if (!g)
		return;
	cuda_give(c, g->workspace, WORKSPACE);
	cuda_give(c, g->room, g->room_bytes);
	cuda_give(c, g->x8, g->x8_bytes);
	cuda_give(c, g->x_scale, (size_t)c->how.limits.max_tokens * sizeof *g->x_scale);
	if (!c->how.dry) {
		cublasLtMatmulPreferenceDestroy(g->want);
		gemm_forget(&g->half), gemm_forget(&g->fp8);
		cublasLtMatrixLayoutDestroy(g->out[0]), cublasLtMatrixLayoutDestroy(g->out[1]);
		cublasLtDestroy(g->lt);
	}
	free(g);
}

/* Rows of w that are multiplied at a time with m rows of x: of 8 and 4 bits, as many as their room is for. */
int gemm_rows_at_once(const struct cuda_weight *w, int m, bool narrow)
{
	const struct cuda *c = cuda_of(w->base.b);
	size_t rows = (size_t)w->base.rows;

	if (cuda_in_parts(w))
		rows = c->parts_room / sizeof(uint16_t) / (size_t)max_int(1, w->ld);
	else if (w->base.quant == QUANT_FP8 && narrow && !c->gemm->scales)
		rows = c->fp8_room / sizeof(float) / (size_t)max_int(1, m);
	return rows >= (size_t)w->base.rows ? w->base.rows : max_int(GEMM_PART, (int)rows / GEMM_PART * GEMM_PART);
}

static void shape(cublasLtMatrixLayout_t l, int rows, int cols, int ld)
{
	uint64_t r = (uint64_t)rows, c = (uint64_t)cols;
	int64_t d = ld;

	gemm_check(cublasLtMatrixLayoutSetAttribute(l, CUBLASLT_MATRIX_LAYOUT_ROWS, &r, sizeof r), "a layout");
	gemm_check(cublasLtMatrixLayoutSetAttribute(l, CUBLASLT_MATRIX_LAYOUT_COLS, &c, sizeof c), "a layout");
	gemm_check(cublasLtMatrixLayoutSetAttribute(l, CUBLASLT_MATRIX_LAYOUT_LD, &d, sizeof d), "a layout");
}

static struct numbers *numbers_of(struct gemm *g, const struct product *p)
{
	return p->fp8 ? &g->fp8 : &g->half;
}

/* ld: numbers from one row of the weight to the next; ldo: of out. */
void gemm_shapes(struct gemm *g, const struct product *p, int ld, int ldo)
{
	shape(numbers_of(g, p)->w, p->k, p->n, ld);
	shape(numbers_of(g, p)->x, p->k, p->m, p->k);
	shape(g->out[p->narrow], p->n, p->m, ldo);
}

/* Fills in the best algorithms that cuBLASLt proposes, `most` at most; returns how many. */
int gemm_propose(struct gemm *g, const struct product *p, cublasLtMatmulHeuristicResult_t *r, int most)
{
	const struct numbers *n = numbers_of(g, p);
	int found = 0;
	cublasStatus_t s = cublasLtMatmulAlgoGetHeuristic(g->lt, n->desc, n->w, n->x, g->out[p->narrow],
							  g->out[p->narrow], g->want, most, r, &found);

	if (!p->fp8) /* which product of e4m3 numbers a library and a device have is asked, not known */
		gemm_check(s, "an algorithm");
	return s ? 0 : found;
}

static bool same(const struct product *a, const struct product *b)
{
	return a->m == b->m && a->n == b->n && a->k == b->k && a->narrow == b->narrow && a->fp8 == b->fp8;
}

/* Finds the entry of a shape, or a free one. Where the table is full an old entry is dropped. */
struct known *gemm_find(struct gemm *g, const struct product *p)
{
	uint32_t h = ((uint32_t)p->m * 0x9e3779b1u) ^ ((uint32_t)p->n * 0x85ebca6bu) ^ ((uint32_t)p->k * 0xc2b2ae35u);

	h ^= h >> 15;
	for (int i = 0; i < 8; i++) {
		struct known *e = &g->known[(h + (uint32_t)i) % KNOWN];
		if (!e->of.m || same(&e->of, p))
			return e;
	}
	g->known[h % KNOWN].of.m = 0;
	return &g->known[h % KNOWN];
}

void gemm_multiply(struct cuda *c, const struct product *p, void *out, const void *x, const void *w,
		   const cublasLtMatmulAlgo_t *algo)
{
	struct gemm *g = c->gemm;
	const struct numbers *n = numbers_of(g, p);
	const float one = 1, zero = 0;

	gemm_check(cublasLtMatmul(g->lt, n->desc, &one, w, n->w, x, n->x, &zero, out, g->out[p->narrow], out,
				  g->out[p->narrow], algo, g->workspace, WORKSPACE, c->stream),
		   "a product");
}

/* Returns the row count whose timing stands for m: a power of two. */
int gemm_bucket(int m)
{
	int b = 64;

	while (b < m)
		b *= 2;
	return b;
}

/* Uses the algorithm timed for m's bucket if it supports m too, else cuBLASLt's first proposal. False: it has none. */
static bool choose(struct gemm *g, struct known *e, const struct product *p)
{
	struct product timed = *p;
	const struct known *t;
	const struct numbers *n = numbers_of(g, p);
	cublasLtMatmulHeuristicResult_t best;

	timed.m = gemm_bucket(p->m);
	t = gemm_find(g, &timed);
	if (t->of.m && t != e &&
	    !cublasLtMatmulAlgoCheck(g->lt, n->desc, n->w, n->x, g->out[p->narrow], g->out[p->narrow], &t->algo,
				     &best) &&
	    best.workspaceSize <= WORKSPACE) {
		*e = (struct known){*p, t->algo};
		return true;
	}
	if (!gemm_propose(g, p, &best, 1))
		return false;
	*e = (struct known){*p, best.algo};
	return true;
}

/* cuBLASLt is column-major: out^T (n, m) = w (k, n)^T x (k, m). */
bool gemm_run_rows(struct cuda *c, const struct product *p, void *out, int ldo, const void *x, const void *w, int ld)
{
	struct gemm *g = c->gemm;
	struct known *e = gemm_find(g, p);

	gemm_shapes(g, p, ld, ldo);
	if (!e->of.m && !choose(g, e, p))
		return false;
	gemm_multiply(c, p, out, x, w, &e->algo);
	return true;
}
