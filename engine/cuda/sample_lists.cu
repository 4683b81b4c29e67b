/* sample_lists.cu - applies the lists of a row and its history to its logits, in the order of engine/sample/sample.c.
 * One block a row. */
#include "engine/cuda/gpu.h"
#include "engine/cuda/kernels.h"

enum { THREADS = 256 };

/* -0 becomes +0, as in sample.cu. */
GPU float clean(float x)
{
	return x + 0.0f;
}

/* Two entries of a list may name the same token. */
GPU void put(float *x, float v)
{
	atomicExch((uint32_t *)x, gpu_float_bits(v));
}
/* A token's first entry adds all its entries, in order: they are neighbours. */
GPU void add_bias(float *x, const int32_t *ids, const int32_t *values, int n)
{
	for (int j = threadIdx.x; j < n; j += THREADS) {
		float v;
		if (j && ids[j - 1] == ids[j])
			continue;
		v = x[ids[j]];
		for (int k = j; k < n && ids[k] == ids[j]; k++)
			v = __fadd_rn(v, gpu_bits((uint32_t)values[k]));
		x[ids[j]] = clean(v);
	}
}
/* Returns the row's history, valid after a barrier: new tokens are appended to those that are kept. */
GPU const int32_t *history_of(const struct sample_args &a, const struct sample_row &r, const int32_t *ids, int n)
{
	int32_t *all;

	if (r.seq < 0)
		return ids;
	all = a.history + (size_t)r.seq * a.max_history;
	for (int j = r.kept + threadIdx.x; j < n; j += THREADS)
		all[j] = ids[j - r.kept];
	return all;
}
enum { IN_PROMPT = 1 << 30 };
GPU float penalized(const struct sample_row &r, float x, uint32_t c)
{
	uint16_t n = (uint16_t)c;

	x = x > 0 ? (float)((double)x * r.per_repetition) : __fmul_rn(x, r.repetition);
	return clean(n ? __fadd_rn(__fadd_rn(x, -__fmul_rn(r.frequency, (float)n)), -r.presence) : x);
}

__global__ void __launch_bounds__(THREADS) sample_lists(struct sample_args a)
{
	BOUNDS(THREADS);
	gpu_take_turn();
	const struct sample_row &r = a.row[blockIdx.x];
	const int32_t *ids = a.ids + r.at;
	size_t at = (size_t)blockIdx.x * a.vocab;
	float *x = a.x + at;
	uint32_t *count = a.count + at;
	int n = r.n_prompt + r.n_output;

	if (r.skip)
		return;
	ids += r.n_mask; /* the first pass has applied the mask */
	add_bias(x, ids, ids + r.n_bias, r.n_bias);
	ids += 2 * r.n_bias;
	__syncthreads();
	for (int j = threadIdx.x; j < r.n_stop; j += THREADS)
		put(&x[ids[j]], -INFINITY);
	ids = history_of(a, r, ids + r.n_stop, n);
	__syncthreads();
	for (int j = threadIdx.x; j < n; j += THREADS)
		if (j < r.n_prompt)
			atomicOr(&count[ids[j]], (uint32_t)IN_PROMPT);
		else
			atomicAdd(&count[ids[j]], 1u);
	__syncthreads();
	for (int j = threadIdx.x; j < n; j += THREADS) {
		uint32_t c = atomicExch(&count[ids[j]], 0u);
		if (c)
			x[ids[j]] = penalized(r, x[ids[j]], c);
	}
}

extern "C" cudaError_t k_sample_lists(cudaStream_t s, struct sample_args a)
{
	return gpu_launch(sample_lists, a.rows, THREADS, 0, s, a);
}
