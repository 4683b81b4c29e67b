/* gemm.c - products with many rows by cuBLASLt: bf16 or f16 in, f32 sums, f32 or the same 16-bit type out. */
#include "engine/cuda/cuda.h"

#include <cublasLt.h>
#include <math.h>
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
	cublasLtMatrixLayout_t w, x, out[2]; /* out: f32, 16-bit */
	cublasLtMatmulPreference_t want;
	void *workspace, *room; /* integers expanded to 16-bit numbers; NULL: no weight is of integers */
	size_t room_bytes;
	struct known known[KNOWN];
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
	check(cublasLtMatmulDescSetAttribute(g->desc, CUBLASLT_MATMUL_DESC_TRANSA, &turn, sizeof turn),
	      "a description");
	check(cublasLtMatrixLayoutCreate(&g->w, type, 1, 1, 1), "a layout");
	check(cublasLtMatrixLayoutCreate(&g->x, type, 1, 1, 1), "a layout");
	check(cublasLtMatrixLayoutCreate(&g->out[0], CUDA_R_32F, 1, 1, 1), "a layout");
	check(cublasLtMatrixLayoutCreate(&g->out[1], type, 1, 1, 1), "a layout");
	check(cublasLtMatmulPreferenceCreate(&g->want), "a preference");
	check(cublasLtMatmulPreferenceSetAttribute(g->want, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &room,
						   sizeof room),
	      "a preference");
	return g;
}

/* Rows of integers that are expanded to 16-bit numbers at a time. */
static int rows_at_once(const struct cuda_weight *w)
{
	size_t rows = cuda_of(w->base.b)->int8_room / sizeof(uint16_t) / (size_t)max_int(1, w->ld);

	return rows >= (size_t)w->base.rows ? w->base.rows : max_int(1, (int)rows / 128 * 128);
}

void gemm_destroy(struct gemm *g, struct cuda *c)
{
	if (!g)
		return;
	cuda_give(c, g->workspace, WORKSPACE);
	cuda_give(c, g->room, g->room_bytes);
	if (!c->how.dry) {
		cublasLtMatmulPreferenceDestroy(g->want);
		cublasLtMatrixLayoutDestroy(g->w), cublasLtMatrixLayoutDestroy(g->x),
			cublasLtMatrixLayoutDestroy(g->out[0]);
		cublasLtMatrixLayoutDestroy(g->out[1]);
		cublasLtMatmulDescDestroy(g->desc);
		cublasLtDestroy(g->lt);
	}
	free(g);
}

void gemm_room(struct cuda *c, const struct cuda_weight *w)
{
	struct gemm *g = c->gemm;
	size_t need = (size_t)w->ld * sizeof(uint16_t) * (size_t)rows_at_once(w);

	if (need <= g->room_bytes)
		return;
	cuda_give(c, g->room, g->room_bytes);
	g->room_bytes = need;
	g->room = cuda_take(c, need);
}

static void shape(cublasLtMatrixLayout_t l, int rows, int cols, int ld)
{
	uint64_t r = (uint64_t)rows, c = (uint64_t)cols;
	int64_t d = ld;

	check(cublasLtMatrixLayoutSetAttribute(l, CUBLASLT_MATRIX_LAYOUT_ROWS, &r, sizeof r), "a layout");
	check(cublasLtMatrixLayoutSetAttribute(l, CUBLASLT_MATRIX_LAYOUT_COLS, &c, sizeof c), "a layout");
	check(cublasLtMatrixLayoutSetAttribute(l, CUBLASLT_MATRIX_LAYOUT_LD, &d, sizeof d), "a layout");
}

/* Finds the entry of a shape, or a free one. Where the table is full an old entry is dropped. */
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

/* ldo: numbers from one row of out to the next. */
static void shapes(struct gemm *g, bool narrow, int m, int n, int k, int ld, int ldo)
{
	shape(g->w, k, n, ld);
	shape(g->x, k, m, k);
	shape(g->out[narrow], n, m, ldo);
}

static void multiply(struct cuda *c, bool narrow, void *out, const void *x, const void *w,
		     const cublasLtMatmulAlgo_t *algo)
{
	struct gemm *g = c->gemm;
	const float one = 1, zero = 0;

	check(cublasLtMatmul(g->lt, g->desc, &one, w, g->w, x, g->x, &zero, out, g->out[narrow], out, g->out[narrow],
			     algo, g->workspace, WORKSPACE, c->stream),
	      "a product");
}

/* Returns the row count whose timing stands for m: a power of two. */
static int bucket_of(int m)
{
	int b = 64;

	while (b < m)
		b *= 2;
	return b;
}

/* Uses the algorithm timed for m's bucket if it supports m too, else cuBLASLt's first proposal. */
static void choose(struct gemm *g, struct known *e, bool narrow, int m, int n, int k)
{
	const struct known *t = find(g, narrow, bucket_of(m), n, k);
	cublasLtMatmulHeuristicResult_t best;
	int found = 0;

	if (t->m && t != e &&
	    !cublasLtMatmulAlgoCheck(g->lt, g->desc, g->w, g->x, g->out[narrow], g->out[narrow], &t->algo, &best) &&
	    best.workspaceSize <= WORKSPACE) {
		*e = (struct known){m, n, k, narrow, t->algo};
		return;
	}
	check(cublasLtMatmulAlgoGetHeuristic(g->lt, g->desc, g->w, g->x, g->out[narrow], g->out[narrow], g->want, 1,
					     &best, &found),
	      "an algorithm");
	if (!found)
		die("cuBLASLt has no algorithm for a product of %d x %d x %d", m, n, k);
	*e = (struct known){m, n, k, narrow, best.algo};
}

/* cuBLASLt is column-major: out^T (n, m) = w (k, n)^T x (k, m). */
static void run_rows(struct cuda *c, void *out, bool narrow, const void *x, const void *w, const struct cuda_weight *of,
		     int m, int n)
{
	struct gemm *g = c->gemm;
	int k = of->base.cols;
	struct known *e = find(g, narrow, m, n, k);

	shapes(g, narrow, m, n, k, of->ld, of->base.rows);
	if (!e->m)
		choose(g, e, narrow, m, n, k);
	multiply(c, narrow, out, x, w, &e->algo);
}

static void to_room(struct cuda *c, const struct cuda_weight *w, int first, int rows)
{
	cuda_check(k_from_int8(c->stream, c->type, c->gemm->room, w->data + (size_t)first * w->pitch, rows, w->ld),
		   "integers");
}

void gemm_run(struct cuda *c, void *out, bool narrow, const void *x, const struct cuda_weight *w, int m)
{
	int rows = w->base.rows, per = w->base.quant ? rows_at_once(w) : rows;
	size_t size = narrow ? sizeof(uint16_t) : sizeof(float);

	for (int at = 0, n; at < rows; at += n) {
		n = min_int(per, rows - at);
		if (w->base.quant)
			to_room(c, w, at, n);
		run_rows(c, (char *)out + (size_t)at * size, narrow, x, w->base.quant ? c->gemm->room : w->data, w, m,
			 n);
	}
}

/* ---- timing at start ---- */
enum {
	PROPOSALS = 8,
	MOST = 64,
	COLD = 4 /* weights used in turn, or more, until they are many times the size of L2 */,
	RUNS = 4
};
static const size_t cold_bytes = 256 << 20;

struct trial {
	const struct cuda_weight *w[MOST];
	int n_w, rows, n /* rows multiplied at a time */, k, ld;
	unsigned turn; /* continues from one trial to the next */
	bool narrow;
	void *x, *out;
	cudaEvent_t from, to;
};

/* Integers have just been expanded into `room`, as in a step. */
static const void *next_numbers(struct cuda *c, struct trial *t)
{
	return t->w[0]->base.quant ? c->gemm->room : t->w[t->turn++ % (unsigned)t->n_w]->data;
}

static float time_of(struct cuda *c, struct trial *t, const cublasLtMatmulAlgo_t *algo)
{
	float ms = 0;

	multiply(c, t->narrow, t->out, t->x, next_numbers(c, t),
		 algo); /* so that what is loaded on first use is loaded before the timing */
	cuda_check(cudaEventRecord(t->from, c->stream), "an event");
	for (int i = 0; i < RUNS; i++)
		multiply(c, t->narrow, t->out, t->x, next_numbers(c, t), algo);
	cuda_check(cudaEventRecord(t->to, c->stream), "an event");
	cuda_wait(c, t->to, "timing a product");
	cuda_check(cudaEventElapsedTime(&ms, t->from, t->to), "an event");
	return ms;
}

static void tune_rows(struct cuda *c, struct trial *t, int m)
{
	struct gemm *g = c->gemm;
	cublasLtMatmulHeuristicResult_t r[PROPOSALS];
	struct known *e = find(g, t->narrow, m, t->n, t->k);
	float best = INFINITY, ms;
	int found = 0;

	shapes(g, t->narrow, m, t->n, t->k, t->ld, t->rows);
	check(cublasLtMatmulAlgoGetHeuristic(g->lt, g->desc, g->w, g->x, g->out[t->narrow], g->out[t->narrow], g->want,
					     PROPOSALS, r, &found),
	      "algorithms");
	for (int i = 0; i < found; i++) {
		if (r[i].state || r[i].workspaceSize > WORKSPACE)
			continue;
		ms = time_of(c, t, &r[i].algo);
		if (ms < best) {
			best = ms;
			*e = (struct known){m, t->n, t->k, t->narrow, r[i].algo};
		}
	}
}

/* Whether products of w are written as 16 bits: those of a split axis are partial sums. */
static bool narrow_out(const struct cuda *c, const struct cuda_weight *w)
{
	return w->base.k.n_leaves == 1 || c->base.sum != DT_F32;
}

/* Collects weights from `first` on that have the shape of the first one. False: this shape was collected before. */
static bool gather(struct cuda *c, int first, struct trial *t)
{
	const struct cuda_weight *w = c->weights[first];

	t->turn = 0, t->n_w = 0, t->rows = w->base.rows, t->k = w->base.cols, t->ld = w->ld,
	t->narrow = narrow_out(c, w);
	t->n = w->base.quant ? rows_at_once(w) : t->rows;
	for (int i = 0;
	     i < c->n_weights && t->n_w < MOST && (t->n_w < COLD || (size_t)t->n_w * w->base.bytes < cold_bytes); i++) {
		const struct cuda_weight *o = c->weights[i];
		if (o->base.rows != t->rows || o->base.quant != w->base.quant || o->base.cols != t->k ||
		    narrow_out(c, o) != t->narrow)
			continue;
		if (i < first)
			return false;
		t->w[t->n_w++] = o;
	}
	return t->rows && t->k && t->k % 8 == 0 && c->how.limits.max_tokens > 32;
}

/* Numbers in [1, 2) and their negatives, of either 16-bit type: on zeros a device draws less power and runs faster,
 * which may favour another algorithm. */
static void fill_random(struct cuda *c, void *to, size_t bytes)
{
	uint16_t one = c->type == K_F16 ? 0x3c00 : 0x3f80, mask = c->type == K_F16 ? 0x83ff : 0x807f;
	struct cuda_stage *s = cuda_stage(c);
	uint64_t h = 88172645463325252u;

	for (size_t i = 0; i < STAGE_BYTES / sizeof one; i++) {
		h ^= h << 13, h ^= h >> 7, h ^= h << 17;
		((uint16_t *)(void *)s->memory)[i] = (uint16_t)(one | ((uint16_t)(h >> 32) & mask));
	}
	for (size_t at = 0, n; at < bytes; at += n) {
		n = bytes - at < STAGE_BYTES ? bytes - at : STAGE_BYTES;
		cuda_check(cudaMemcpyAsync((char *)to + at, s->memory, n, cudaMemcpyHostToDevice, c->stream),
			   "random numbers");
	}
	cuda_stage_sent(c, s);
}

void gemm_tune(struct cuda *c)
{
	int most = bucket_of(c->how.limits.max_tokens), shapes_timed = 0;
	uint64_t start = now_ns();
	struct trial t;

	cuda_check(cudaEventCreate(&t.from), "an event");
	cuda_check(cudaEventCreate(&t.to), "an event");
	for (int i = 0; i < c->n_weights; i++) {
		if (!gather(c, i, &t) || t.n_w < 2) /* a single one is the vocabulary, which only sees few rows */
			continue;
		t.x = t.out = NULL;
		if (!cudaMalloc(&t.x, (size_t)most * (size_t)t.k * 2) &&
		    !cudaMalloc(&t.out, (size_t)most * (size_t)t.rows * 4)) {
			fill_random(c, t.x, (size_t)most * (size_t)t.k * 2);
			for (int m = 64; m <= most; m *= 2)
				tune_rows(c, &t, m);
			shapes_timed++;
		} else {
			cudaGetLastError(); /* no memory for a trial: cuBLASLt's first proposal will do */
			log_event(LOG_WARN, "not enough device memory to time cuBLASLt algorithms",
				  " outputs=%d inputs=%d", t.rows, t.k);
		}
		cuda_drain(c);
		cudaFree(t.x), cudaFree(t.out);
	}
	cudaEventDestroy(t.from), cudaEventDestroy(t.to);
	log_event(LOG_INFO, "cuBLASLt algorithms chosen by timing", " shapes=%d seconds=%.2f", shapes_timed,
		  (double)(now_ns() - start) / 1e9);
}
