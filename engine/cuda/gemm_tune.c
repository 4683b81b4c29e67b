/* gemm_tune.c - times what cuBLASLt proposes, at start. */
#include "engine/cuda/gemm_fp8.h"

#include <math.h>

enum {
	PROPOSALS = 8,
	MOST = 64,
	COLD = 4 /* weights used in turn, or more, until they are many times the size of L2 */,
	RUNS = 4
};
static const size_t cold_bytes = 256 << 20;

struct trial {
	const struct cuda_weight *w[MOST];
	int n_w;
	unsigned turn; /* continues from one trial to the next */
	bool narrow;
	void *x, *out;
	cudaEvent_t from, to;
};

/* Weights in parts have just been expanded into `room`, as in a step. */
static const void *next_numbers(struct cuda *c, struct trial *t)
{
	const struct cuda_weight *w = t->w[t->turn++ % (unsigned)t->n_w];

	if (w->scale && c->gemm->scales)
		gemm_fp8_scales(c->gemm, w->scale, c->gemm->x_scale);
	return cuda_in_parts(w) ? c->gemm->room : w->data;
}

static float time_of(struct cuda *c, struct trial *t, const struct product *p, const cublasLtMatmulAlgo_t *algo)
{
	float ms = 0;

	gemm_multiply(c, p, t->out, t->x, next_numbers(c, t),
		      algo); /* so that what is loaded on first use is loaded before the timing */
	cuda_check(cudaEventRecord(t->from, c->stream), "an event");
	for (int i = 0; i < RUNS; i++)
		gemm_multiply(c, p, t->out, t->x, next_numbers(c, t), algo);
	cuda_check(cudaEventRecord(t->to, c->stream), "an event");
	cuda_wait(c, t->to, "timing a product");
	cuda_check(cudaEventElapsedTime(&ms, t->from, t->to), "an event");
	return ms;
}

/* Sums of e4m3 numbers that wait for scales are f32, and as far apart as run_unscaled() puts them. */
static void tune_rows(struct cuda *c, struct trial *t, int m)
{
	struct gemm *g = c->gemm;
	const struct cuda_weight *w = t->w[0];
	cublasLtMatmulHeuristicResult_t r[PROPOSALS];
	bool fp8 = w->base.quant == QUANT_FP8, unscaled = fp8 && !g->scales;
	struct product p = {.m = m,
			    .n = gemm_rows_at_once(w, m, t->narrow),
			    .k = fp8 ? w->ld : w->base.cols,
			    .narrow = t->narrow && !unscaled,
			    .fp8 = fp8};
	struct known *e = gemm_find(g, &p);
	float best = INFINITY, ms;
	int found;

	gemm_shapes(g, &p, w->ld, unscaled && t->narrow ? p.n : w->base.rows);
	found = gemm_propose(g, &p, r, PROPOSALS);
	for (int i = 0; i < found; i++) {
		if (r[i].state || r[i].workspaceSize > WORKSPACE)
			continue;
		ms = time_of(c, t, &p, &r[i].algo);
		if (ms < best) {
			best = ms;
			*e = (struct known){p, r[i].algo};
		}
	}
}

/* Whether products of w are written as 16 bits: those of a split axis are partial sums. */
static bool narrow_out(const struct cuda *c, const struct cuda_weight *w)
{
	return w->base.k.n_leaves == 1 || c->base.sum != DT_F32;
}

/* Collects weights from `first` on that have the shape of the first one. False: this shape was collected before, or
 * cuBLASLt does not multiply with it. */
static bool gather(struct cuda *c, int first, struct trial *t)
{
	const struct cuda_weight *w = c->weights[first];

	t->turn = 0, t->n_w = 0, t->narrow = narrow_out(c, w);
	for (int i = 0;
	     i < c->n_weights && t->n_w < MOST && (t->n_w < COLD || (size_t)t->n_w * w->base.bytes < cold_bytes); i++) {
		const struct cuda_weight *o = c->weights[i];
		if (o->base.rows != w->base.rows || o->base.quant != w->base.quant || o->base.cols != w->base.cols ||
		    narrow_out(c, o) != t->narrow)
			continue;
		if (i < first)
			return false;
		t->w[t->n_w++] = o;
	}
	return !w->base.experts && w->base.rows && w->base.cols && w->base.cols % 8 == 0 &&
	       c->how.limits.max_tokens > 32 && !(w->base.quant == QUANT_FP8 && w->base.rows % 16);
}

/* Numbers in [1, 2) and their negatives, of either 16-bit type, or any of e4m3: on zeros a device draws less power and
 * runs faster, which may favour another algorithm. */
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
	int most = gemm_bucket(c->how.limits.max_tokens), shapes_timed = 0;
	uint64_t start = now_ns();
	struct trial t;
	size_t bytes;

	cuda_check(cudaEventCreate(&t.from), "an event");
	cuda_check(cudaEventCreate(&t.to), "an event");
	for (int i = 0; i < c->n_weights; i++) {
		if (!gather(c, i, &t) || t.n_w < 2) /* a single one is the vocabulary, which only sees few rows */
			continue;
		t.x = t.out = NULL;
		bytes = (size_t)most * (size_t)t.w[0]->ld * sizeof(uint16_t);
		if (!cudaMalloc(&t.x, bytes) && !cudaMalloc(&t.out, (size_t)most * (size_t)t.w[0]->base.rows * 4)) {
			fill_random(c, t.x, bytes);
			for (int m = 64; m <= most; m *= 2)
				tune_rows(c, &t, m);
			shapes_timed++;
		} else {
			cudaGetLastError(); /* no memory for a trial: cuBLASLt's first proposal will do */
			log_event(LOG_WARN, "not enough device memory to time cuBLASLt algorithms",
				  " outputs=%d inputs=%d", t.w[0]->base.rows, t.w[0]->base.cols);
		}
		cuda_drain(c);
		cudaFree(t.x), cudaFree(t.out);
	}
	cudaEventDestroy(t.from), cudaEventDestroy(t.to);
	log_event(LOG_INFO, "cuBLASLt algorithms chosen by timing", " shapes=%d seconds=%.2f", shapes_timed,
		  (double)(now_ns() - start) / 1e9);
}
