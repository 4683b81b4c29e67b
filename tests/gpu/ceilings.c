/* ceilings.c - what this device can do at best: reading, copying, one large product, and the gap between two kernels.
 */
#include "tests/gpu/bench.h"

#include <cublasLt.h>

struct block {
	char *a, *b;
	size_t bytes;
};

static void copy(struct bench *t, int i, void *arg)
{
	struct block *c = arg;

	(void)i;
	cuda_check(cudaMemcpyAsync(c->a, c->b, c->bytes, cudaMemcpyDeviceToDevice, device(t)->stream), "a copy");
}

static void read_block(struct bench *t, int i, void *arg)
{
	struct block *c = arg;

	cuda_check(k_read(device(t)->stream, (float *)c->a, i % 2 ? c->a : c->b, c->bytes), "a read");
}

static void print(struct bench *t, const char *name, double seconds, double amount, const char *unit)
{
	if (bench_wants(t, "ceilings"))
		bench_line(t, name, seconds, amount, 0, unit);
}

static void memory(struct bench *t)
{
	struct block c = {.bytes = t->how.tiny ? 1 << 16 : (size_t)1 << 30};
	double s, n = (double)c.bytes;

	c.a = bench_random(t, c.bytes), c.b = bench_random(t, c.bytes);
	s = bench_time(t, copy, &c);
	t->copy = 2 * n / s;
	print(t, "ceiling: copy, bytes read and written", s, 2 * n, "GB/s");
	s = bench_time(t, read_block, &c);
	t->read = n / s;
	print(t, "ceiling: read", s, n, "GB/s");
	backend_free(t->b, c.a, c.bytes), backend_free(t->b, c.b, c.bytes);
}

/* ---- a large product: the best of what cuBLASLt proposes ---- */
enum { PROPOSALS = 8, WORKSPACE = 32 << 20 };

struct large {
	cublasLtHandle_t lt;
	cublasLtMatmulDesc_t desc;
	cublasLtMatrixLayout_t in, out;
	cublasLtMatmulHeuristicResult_t found[PROPOSALS];
	int n, n_found, now;
	void *a, *b, *c, *workspace;
};

static void lt_check(cublasStatus_t s, const char *what)
{
	if (s)
		die("cuBLASLt, %s: status %d", what, (int)s);
}

static void multiply(struct bench *t, int i, void *arg)
{
	struct large *l = arg;
	const float one = 1, zero = 0;

	(void)i;
	lt_check(cublasLtMatmul(l->lt, l->desc, &one, l->a, l->in, l->b, l->in, &zero, l->c, l->out, l->c, l->out,
				&l->found[l->now].algo, l->workspace, WORKSPACE, device(t)->stream),
		 "a product");
}

static void open_large(struct bench *t, struct large *l, int n)
{
	cublasLtMatmulPreference_t want;
	cublasOperation_t turn = CUBLAS_OP_T;
	uint64_t room = WORKSPACE, side = (uint64_t)n;
	size_t bytes = (size_t)n * (size_t)n * 2;

	*l = (struct large){.n = n, .a = bench_random(t, bytes), .b = bench_random(t, bytes)};
	l->c = backend_alloc(t->b, bytes), l->workspace = backend_alloc(t->b, WORKSPACE);
	lt_check(cublasLtCreate(&l->lt), "start");
	lt_check(cublasLtMatmulDescCreate(&l->desc, CUBLAS_COMPUTE_32F, CUDA_R_32F), "a description");
	lt_check(cublasLtMatmulDescSetAttribute(l->desc, CUBLASLT_MATMUL_DESC_TRANSA, &turn, sizeof turn),
		 "a description");
	lt_check(cublasLtMatrixLayoutCreate(&l->in, CUDA_R_16BF, side, side, n), "a layout");
	lt_check(cublasLtMatrixLayoutCreate(&l->out, CUDA_R_16BF, side, side, n), "a layout");
	lt_check(cublasLtMatmulPreferenceCreate(&want), "a preference");
	lt_check(cublasLtMatmulPreferenceSetAttribute(want, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &room,
						      sizeof room),
		 "a preference");
	lt_check(cublasLtMatmulAlgoGetHeuristic(l->lt, l->desc, l->in, l->in, l->out, l->out, want, PROPOSALS, l->found,
						&l->n_found),
		 "algorithms");
	cublasLtMatmulPreferenceDestroy(want);
}

static void close_large(struct bench *t, struct large *l)
{
	size_t bytes = (size_t)l->n * (size_t)l->n * 2;

	cublasLtMatrixLayoutDestroy(l->in), cublasLtMatrixLayoutDestroy(l->out);
	cublasLtMatmulDescDestroy(l->desc);
	cublasLtDestroy(l->lt);
	backend_free(t->b, l->a, bytes), backend_free(t->b, l->b, bytes), backend_free(t->b, l->c, bytes);
	backend_free(t->b, l->workspace, WORKSPACE);
}

/* An idle device runs at a fraction of its clock. */
static void warm_up(struct bench *t, struct large *l)
{
	uint64_t end = now_ns() + (t->how.tiny ? 1000000 : 300000000);

	for (int i = 0; now_ns() < end; i++) {
		multiply(t, i, l);
		cuda_drain(device(t));
	}
}

void bench_ceilings(struct bench *t)
{
	int n = t->how.tiny ? 64 : 8192;
	double flop = 2.0 * n * (double)n * n, best = 0, first = 0;
	struct large l;
	char text[80];

	open_large(t, &l, n);
	if (!l.n_found)
		die("cuBLASLt proposes nothing for a product of %d cubed", n);
	warm_up(t, &l);
	memory(t);
	for (l.now = 0; l.now < l.n_found; l.now++) {
		double s = l.found[l.now].state ? 0 : bench_time(t, multiply, &l);
		first = first ? first : s;
		best = s && (!best || s < best) ? s : best;
	}
	if (!best)
		die("no proposal of cuBLASLt works for a product of %d cubed", n);
	t->flops = flop / best;
	snprintf(text, sizeof text, "ceiling: a product of %d^3, bf16, best of %d proposals", n, l.n_found);
	print(t, text, best, flop, "GFLOP/s");
	snprintf(text, sizeof text, "ceiling: a product of %d^3, bf16, first proposal", n);
	print(t, text, first, flop, "GFLOP/s");
	close_large(t, &l);
}

/* ---- from kernel to kernel ---- */
struct tick {
	char *data;
	int32_t *row;
};

static void tick(struct bench *t, int i, void *arg)
{
	struct tick *g = arg;

	cuda_check(k_rows(device(t)->stream, g->data + 16 * (i % 2), g->data + 16 * !(i % 2), g->row, 1, 16),
		   "a kernel");
}

/* Time from the start of a kernel that moves 16 bytes to the start of the next one, in a graph. */
void bench_gaps(struct bench *t)
{
	struct tick g = {backend_alloc(t->b, 64), backend_alloc(t->b, sizeof *g.row)};
	char text[40];

	for (int on = 0; on <= (int)t->can_overlap; on++) {
		bench_overlap(t, on);
		snprintf(text, sizeof text, "%.2f us", bench_nodes(t, tick, &g) * 1e6);
		bench_say(t,
			  on ? "kernel after kernel in a graph, overlapping"
			     : "kernel after kernel in a graph, one by one",
			  text);
	}
	bench_overlap(t, true);
	backend_free(t->b, g.data, 64), backend_free(t->b, g.row, sizeof *g.row);
}
