/* decode.cu - attention of few tokens over long caches: bound by reading K and V once. DIM/8 lanes hold one key (16 bytes a
 * lane), so a block of 128 threads reads 8 or 16 keys at a time, four times that in flight; online softmax in base 2
 * (arXiv:1805.02867); the key axis is cut over blocks by the host's work list (Flash-Decoding). */
#include "engine/cuda/gpu.h"
#include "engine/cuda/kernels.h"

enum { THREADS = 128, UNROLL = 4 };

struct state {
	float o, m, l;
};

/* s followed by t. Written with explicit roundings: both kernels below must fold alike. */
GPU void fold(struct state *s, struct state t)
{
	float m = fmaxf(s->m, t.m), a = s->m == -INFINITY ? 0 : gpu_exp2(s->m - m), b = t.m == -INFINITY ? 0 : gpu_exp2(t.m - m);

	s->l = __fmaf_rn(t.l, b, __fmul_rn(s->l, a));
	s->o = __fmaf_rn(t.o, b, __fmul_rn(s->o, a));
	s->m = m;
}
template <class E> GPU uint16_t finish(struct state s)
{
	return gpu_down<E>(s.l == 0 ? 0 : __fdividef(s.o, s.l)); /* a NaN stays one */
}

/* One lane's part of its keys: sums over the 8 dimensions it holds. */
template <class E, int DIM, int G> struct lane_state {
	float q[G][8], o[G][8], m[G], l[G];

	GPU void clear()
	{
#pragma unroll
		for (int g = 0; g < G; g++) {
			m[g] = -INFINITY, l[g] = 0;
#pragma unroll
			for (int i = 0; i < 8; i++)
				o[g][i] = 0;
		}
	}

	/* UNROLL keys, whose rows the lanes hold; in[u] false: not there. */
	GPU void take(const uint4 *k, const uint4 *v, const bool *in)
	{
		float s[G][UNROLL];
#pragma unroll
		for (int u = 0; u < UNROLL; u++) {
			float f[8];
			gpu_up8<E>(f, k[u]);
#pragma unroll
			for (int g = 0; g < G; g++) {
				s[g][u] = 0;
#pragma unroll
				for (int i = 0; i < 8; i++)
					s[g][u] += q[g][i] * f[i];
#pragma unroll
				for (int x = DIM / 16; x; x >>= 1)
					s[g][u] += __shfl_xor_sync(0xffffffffu, s[g][u], x);
				s[g][u] = in[u] ? s[g][u] : -INFINITY;
			}
		}
#pragma unroll
		for (int g = 0; g < G; g++) {
			float top = m[g];
#pragma unroll
			for (int u = 0; u < UNROLL; u++)
				top = fmaxf(top, s[g][u]);
			float safe = top == -INFINITY ? 0 : top, old = gpu_exp2(m[g] - safe);
			l[g] *= old, m[g] = top;
#pragma unroll
			for (int i = 0; i < 8; i++)
				o[g][i] *= old;
#pragma unroll
			for (int u = 0; u < UNROLL; u++)
				l[g] += s[g][u] = gpu_exp2(s[g][u] - safe);
		}
#pragma unroll
		for (int u = 0; u < UNROLL; u++) {
			float f[8];
			gpu_up8<E>(f, v[u]);
#pragma unroll
			for (int g = 0; g < G; g++)
#pragma unroll
				for (int i = 0; i < 8; i++)
					o[g][i] += s[g][u] * f[i];
		}
	}
};

/* Grid (items, runs). */
template <class E, int DIM, int G>
__global__ void __launch_bounds__(THREADS, G == 1 ? 8 : G == 2 ? 4 : 3) decode(struct attn_args a, const struct attn_item *items)
{
	BOUNDS(THREADS);
	enum { LANES = DIM / 8, SETS = THREADS / LANES, ELEMS = (G * DIM + THREADS - 1) / THREADS };
	SHARED(float, sums, [SETS][G][DIM]);
	SHARED(float, tops, [SETS][G]);
	SHARED(float, weights, [SETS][G]);
	const struct attn_item it = items[blockIdx.x];
	const struct attn_run run = a.runs[blockIdx.y];
	const int lane = threadIdx.x % LANES, set = threadIdx.x / LANES, end = it.first + it.keys, range = a.range ? a.range : it.keys;
	const size_t head_size = (size_t)KV_BLOCK * DIM, block_size = 2 * a.cache.kv_heads * head_size;
	const uint16_t *pool = (const uint16_t *)a.cache.pool + run.kv * head_size + lane * 8;
	const uint16_t *q_row = (const uint16_t *)a.qkv + (size_t)it.token * (a.heads + 2 * a.cache.kv_heads) * DIM;
	struct state all[ELEMS];
	lane_state<E, DIM, G> mine;

	if (!it.keys) /* padding of a captured graph */
		return;
#pragma unroll
	for (int g = 0; g < G; g++) {
		gpu_up8<E>(mine.q[g], *(const uint4 *)(q_row + (size_t)(run.head + min(g, run.heads - 1)) * DIM + lane * 8));
#pragma unroll
		for (int i = 0; i < 8; i++)
			mine.q[g][i] *= a.scale * 1.44269504f;
	}
#pragma unroll
	for (int e = 0; e < ELEMS; e++)
		all[e] = {0, -INFINITY, 0};
	for (int from = it.first; from < end; from += range) {
		int to = min(from + range, end);
		mine.clear();
		for (int base = from; base < to; base += SETS * UNROLL) {
			uint4 k[UNROLL], v[UNROLL];
			bool in[UNROLL];
#pragma unroll
			for (int u = 0; u < UNROLL; u++) {
				int at = base + set + u * SETS;
				in[u] = at < to;
				at = in[u] ? at : from;
				const uint16_t *p = pool + a.blocks[it.block_at + at / KV_BLOCK] * block_size + at % KV_BLOCK * DIM;
				k[u] = gpu_load_once(p);
				v[u] = gpu_load_once(p + a.cache.kv_heads * head_size);
			}
			mine.take(k, v, in);
		}
		__syncthreads(); /* the last range's sums have been read */
#pragma unroll
		for (int g = 0; g < G; g++) {
#pragma unroll
			for (int i = 0; i < 8; i++)
				sums[set][g][lane * 8 + i] = mine.o[g][i];
			if (lane == 0)
				tops[set][g] = mine.m[g], weights[set][g] = mine.l[g];
		}
		__syncthreads();
#pragma unroll
		for (int e = 0; e < ELEMS; e++) {
			int i = threadIdx.x + e * THREADS, g = i / DIM;
			struct state here = {0, -INFINITY, 0};
			if (i >= G * DIM)
				continue;
			for (int x = 0; x < SETS; x++)
				here.m = fmaxf(here.m, tops[x][g]);
			for (int x = 0; x < SETS; x++) {
				float c = tops[x][g] == -INFINITY ? 0 : gpu_exp2(tops[x][g] - here.m);
				here.l = __fmaf_rn(weights[x][g], c, here.l);
				here.o = __fmaf_rn(sums[x][g][i % DIM], c, here.o);
			}
			fold(&all[e], here);
		}
	}
#pragma unroll
	for (int e = 0; e < ELEMS; e++) {
		int i = threadIdx.x + e * THREADS, head = run.head + i / DIM, d = i % DIM;
		if (i >= run.heads * DIM)
			continue;
		if (it.part < 0) {
			((uint16_t *)a.out)[((size_t)it.token * a.heads + head) * DIM + d] = finish<E>(all[e]);
			continue;
		}
		float *part = a.partial + ((size_t)it.part * a.heads + head) * (DIM + 2);
		part[d] = all[e].o;
		if (d == 0)
			part[DIM] = all[e].m, part[DIM + 1] = all[e].l;
	}
}

/* Grid (joins, heads), DIM threads. */
template <class E, int DIM> __global__ void __launch_bounds__(DIM) join(struct attn_args a, const struct attn_join *joins)
{
	BOUNDS(DIM);
	const struct attn_join j = joins[blockIdx.x];
	const int head = blockIdx.y, d = threadIdx.x;
	struct state all = {0, -INFINITY, 0};

	if (!j.count) /* padding of a captured graph */
		return;
	for (int i = 0; i < j.count; i++) {
		const float *part = a.partial + ((size_t)(j.first + i) * a.heads + head) * (DIM + 2);
		fold(&all, {part[d], part[DIM], part[DIM + 1]});
	}
	((uint16_t *)a.out)[((size_t)j.token * a.heads + head) * DIM + d] = finish<E>(all);
}

template <class E, int DIM> static cudaError_t pick_group(cudaStream_t s, struct attn_args a, const struct attn_item *items, int n, int group)
{
	auto kernel = group == 1 ? decode<E, DIM, 1> : group == 2 ? decode<E, DIM, 2> : decode<E, DIM, 4>;

	return gpu_launch(kernel, dim3(n, a.n_runs), THREADS, 0, s, a, items);
}
template <class E> static cudaError_t pick_decode(cudaStream_t s, struct attn_args a, const struct attn_item *items, int n, int group)
{
	return (a.cache.dim == 64 ? pick_group<E, 64> : pick_group<E, 128>)(s, a, items, n, group);
}
template <class E> static cudaError_t pick_join(cudaStream_t s, struct attn_args a, const struct attn_join *joins, int n)
{
	return gpu_launch(a.cache.dim == 64 ? join<E, 64> : join<E, 128>, dim3(n, a.heads), a.cache.dim, 0, s, a, joins);
}

extern "C" {
cudaError_t k_attention_decode(cudaStream_t s, enum k_type type, struct attn_args a, const struct attn_item *items, int n, int group)
{
	return (type == K_F16 ? pick_decode<F16> : pick_decode<Bf16>)(s, a, items, n, group);
}
cudaError_t k_attention_join(cudaStream_t s, enum k_type type, struct attn_args a, const struct attn_join *joins, int n)
{
	return (type == K_F16 ? pick_join<F16> : pick_join<Bf16>)(s, a, joins, n);
}
}
