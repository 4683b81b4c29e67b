/* route.cu - mixtures of experts: which experts each token takes, and which tokens each expert has. */
#include "engine/cuda/gpu.h"
#include "engine/cuda/kernels.h"

enum { WARPS = 4, THREADS = 32 * WARPS, ALL = 512 /* threads of the one block that orders rows */ };

/* The place of a logit among those of its token: larger ones come first, of equal ones the lower number. NaN has one,
 * too, so that there are k experts in any case. */
GPU uint64_t place_of(float logit, int expert)
{
	const uint32_t bits = gpu_float_bits(logit + 0.0f), up = bits & 0x80000000u ? ~bits : bits | 0x80000000u;

	return (uint64_t)up << 32 | (0xffffffffu - (uint32_t)expert);
}
GPU uint64_t warp_max(uint64_t v)
{
	for (int i = 16; i; i >>= 1) {
		const uint32_t low = __shfl_xor_sync(0xffffffffu, (uint32_t)v, i),
			       high = __shfl_xor_sync(0xffffffffu, (uint32_t)(v >> 32), i);
		const uint64_t other = (uint64_t)high << 32 | low;
		v = other > v ? other : v;
	}
	return v;
}
/* What is above or equal to it is chosen: the k-th place. *most: the first. */
GPU uint64_t last_place(const float *x, int experts, int k, uint64_t *most)
{
	uint64_t last = ~(uint64_t)0;

	for (int i = 0; i < k; i++) {
		uint64_t best = 0;
		for (int e = threadIdx.x & 31; e < experts; e += 32) {
			const uint64_t at = place_of(x[e], e);
			best = at < last && at > best ? at : best;
		}
		last = warp_max(best);
		if (!i)
			*most = last;
	}
	return last;
}
GPU float exponent(float x)
{
	return gpu_exp2(x * 1.44269504f);
}

/* A warp a token. */
__global__ void __launch_bounds__(THREADS) route(int32_t *expert, float *weight, const float *logits,
						 const float *shared, int n, int experts, int k, bool norm)
{
	BOUNDS(THREADS);
	gpu_take_turn();
	const int lane = threadIdx.x & 31, row = blockIdx.x * WARPS + (threadIdx.x >> 5);
	if (row >= n)
		return;
	const float *x = logits + (size_t)row * experts;
	uint64_t first = 0;
	const uint64_t last = last_place(x, experts, k, &first);
	const float most = x[0xffffffffu - (uint32_t)first];
	float sum = 0;
	int done = 0;

	expert += (size_t)row * k, weight += (size_t)row * (k + 1);
	for (int e = lane; e < experts; e += 32)
		if (!norm || place_of(x[e], e) >= last)
			sum += exponent(x[e] - most);
	sum = gpu_warp_sum(sum);
	for (int e = lane; e < experts + lane; e += 32) { /* all lanes as often */
		const bool chosen = e < experts && place_of(x[e], e) >= last;
		const uint32_t who = __ballot_sync(0xffffffffu, chosen);
		const int at = done + __popc(who & ((1u << lane) - 1));
		if (chosen) {
			expert[at] = e;
			weight[at] = __fdividef(exponent(x[e] - most), sum);
		}
		done += __popc(who);
	}
	if (!lane)
		weight[k] = shared ? __fdividef(1, 1 + exponent(-shared[row])) : 1;
}

/* Makes of this thread's number the sum of those before it in the block. */
GPU int before(int *room, int mine, int *all)
{
	int sum = mine;

	for (int step = 1; step < ALL; step *= 2) {
		room[threadIdx.x] = sum;
		__syncthreads();
		sum += (int)threadIdx.x >= step ? room[threadIdx.x - step] : 0;
		__syncthreads();
	}
	room[threadIdx.x] = sum;
	__syncthreads();
	*all = room[ALL - 1];
	__syncthreads();
	return sum - mine;
}

/* One block. Where rows of one expert lie among each other changes no bits of theirs. */
__global__ void __launch_bounds__(ALL) order_rows(struct k_rows_of r, const int32_t *expert, int n, int experts, int k)
{
	BOUNDS(ALL);
	gpu_take_turn();
	SMEM(int, count); /* (experts), then the next free row of each */
	SHARED(int, room, [ALL]);
	const int per = (experts + ALL - 1) / ALL, from = min(experts, (int)threadIdx.x * per),
		  to = min(experts, from + per);
	int rows = 0, groups = 0, all;

	for (int e = threadIdx.x; e < experts; e += ALL)
		count[e] = 0;
	__syncthreads();
	for (int i = threadIdx.x; i < n * k; i += ALL)
		atomicAdd(&count[expert[i]], 1);
	__syncthreads();
	for (int e = from; e < to; e++)
		rows += count[e], groups += (count[e] + r.most - 1) / r.most;
	rows = before(room, rows, &all);
	groups = before(room, groups, &all);
	for (int e = from; e < to; e++) {
		const int here = count[e];
		count[e] = rows;
		for (int at = 0; at < here; at += r.most)
			r.group[groups++] = {e, rows + at, min(r.most, here - at), 0};
		rows += here;
	}
	if (!threadIdx.x)
		*r.n_groups = all;
	__syncthreads();
	for (int i = threadIdx.x; i < n * k; i += ALL) {
		const int at = atomicAdd(&count[expert[i]], 1);
		r.place[i] = at, r.token[at] = i / k;
	}
}

extern "C" {
cudaError_t k_route(cudaStream_t s, int32_t *expert, float *weight, const float *logits, const float *shared, int n,
		    int experts, int k, bool norm)
{
	return gpu_launch(route, (n + WARPS - 1) / WARPS, THREADS, 0, s, expert, weight, logits, shared, n, experts, k,
			  norm);
}
cudaError_t k_order_rows(cudaStream_t s, struct k_rows_of r, const int32_t *expert, int n, int experts, int k)
{
	return gpu_launch(order_rows, 1, ALL, (size_t)experts * sizeof(int), s, r, expert, n, experts, k);
}
}
