/* decode.cu - decode attention: few tokens over long caches, bound by reading K and V once. A lane holds 16 bytes of a
 * key, so a block of 128 threads reads 4 to 32 keys at a time and has four times that in flight. Online softmax in base
 * 2 (arXiv:1805.02867); the host's work list splits the key axis over blocks (flash-decoding). Scales of an 8-bit cache
 * are applied to the scores and, after the weights are summed, to the weights. */
#include "engine/cuda/gpu.h"
#include "engine/cuda/kernels.h"

enum { THREADS = 128, UNROLL = 4 };

struct state {
	float o, m, l;
};

/* Folds t, which follows s, into s. Roundings are explicit, since ranges and partials must fold alike. */
GPU void fold(struct state *s, struct state t)
{
	float m = fmaxf(s->m, t.m), a = s->m == -INFINITY ? 0 : gpu_exp2(s->m - m),
	      b = t.m == -INFINITY ? 0 : gpu_exp2(t.m - m);

	s->l = __fmaf_rn(t.l, b, __fmul_rn(s->l, a));
	s->o = __fmaf_rn(t.o, b, __fmul_rn(s->o, a));
	s->m = m;
}
template <class E> GPU uint16_t finish(struct state s)
{
	return gpu_down<E>(s.l == 0 ? 0 : __fdividef(s.o, s.l)); /* a NaN stays one */
}

/* What a lane has loaded of its keys. */
template <class C> struct lane_keys {
	uint4 k[UNROLL], v[UNROLL];
	float k_scale[UNROLL], v_scale[UNROLL]; /* 8-bit caches only */
	bool in[UNROLL];                        /* false: beyond the end */
};

/* Where a lane's keys lie, and how their scores are bent. */
struct lane_bend {
	float slope[ATTN_GROUP], cap, twice; /* slope and cap times log2(e); twice: 2 / cap */
	int pos, low /* the first key of the window */, key /* the lane's first */;
};

/* One lane's part of its keys: sums over the dimensions that it holds. */
template <class C, int DIM, int G, bool BENT> struct lane_state {
	enum { N = C::PER16, LANES = GPU_LANES(DIM, N), SETS = THREADS / LANES };
	float q[G][N], o[G][N], m[G], l[G];

	GPU void clear()
	{
#pragma unroll
		for (int g = 0; g < G; g++) {
			m[g] = -INFINITY, l[g] = 0;
#pragma unroll
			for (int i = 0; i < N; i++)
				o[g][i] = 0;
		}
	}

	GPU void take(const lane_keys<C> &keys, const lane_bend &bend)
	{
		float s[G][UNROLL];
#pragma unroll
		for (int u = 0; u < UNROLL; u++) {
			float f[N];
			gpu_up_all<C>(f, keys.k[u]);
#pragma unroll
			for (int g = 0; g < G; g++) {
				s[g][u] = 0;
#pragma unroll
				for (int i = 0; i < N; i++)
					s[g][u] += q[g][i] * f[i];
#pragma unroll
				for (int x = LANES / 2; x; x >>= 1)
					s[g][u] += __shfl_xor_sync(0xffffffffu, s[g][u], x);
				if (N == 16)
					s[g][u] *= keys.k_scale[u];
				if (BENT && bend.cap > 0)
					s[g][u] = gpu_soft_cap(s[g][u], bend.cap, bend.twice);
				if (BENT)
					s[g][u] += bend.slope[g] * (float)(bend.key + u * SETS - bend.pos);
				s[g][u] = keys.in[u] ? s[g][u] : -INFINITY;
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
			for (int i = 0; i < N; i++)
				o[g][i] *= old;
#pragma unroll
			for (int u = 0; u < UNROLL; u++) {
				l[g] += s[g][u] = gpu_exp2(s[g][u] - safe);
				if (N == 16)
					s[g][u] *= keys.v_scale[u];
			}
		}
#pragma unroll
		for (int u = 0; u < UNROLL; u++) {
			float f[N];
			gpu_up_all<C>(f, keys.v[u]);
#pragma unroll
			for (int g = 0; g < G; g++)
#pragma unroll
				for (int i = 0; i < N; i++)
					o[g][i] += s[g][u] * f[i];
		}
	}
};

/* Loads keys base + u * SETS of this lane's set, as far as they lie in [low, to). dim: of the cache. */
template <class C, int SETS>
GPU void fetch(lane_keys<C> &keys, const struct attn_args &a, const int32_t *blocks, int kv, int dim, int lane,
	       int base, int from, int low, int to)
{
	const size_t head_bytes = K_HEAD_BYTES(dim, C::PER16 == 16), v_bytes = a.cache.kv_heads * head_bytes;
	const char *pool = (const char *)a.cache.pool + kv * head_bytes;

#pragma unroll
	for (int u = 0; u < UNROLL; u++) {
		int at = base + u * SETS;
		keys.in[u] = at < to && at >= low;
		at = keys.in[u] ? at : from;
		const char *head = pool + blocks[at / KV_BLOCK] * (2 * v_bytes),
			   *p = head + (at % KV_BLOCK * (dim / C::PER16) + lane) * 16;
		keys.k[u] = gpu_load_once(p);
		keys.v[u] = gpu_load_once(p + v_bytes);
		if (C::PER16 == 16) {
			const float *scale = (const float *)(head + KV_BLOCK * dim) + at % KV_BLOCK;
			keys.k_scale[u] = *scale;
			keys.v_scale[u] = *(const float *)((const char *)scale + v_bytes);
		}
	}
}

/* Blocks on an SM that the compiler must leave registers for. */
constexpr int resident(int per16, int group, int dim)
{
	return per16 == 8 ? (group == 1 ? dim > 128 ? 7 : 8 : group == 2 ? 4 : 3) : group == 1 ? 5 : group == 2 ? 3 : 2;
}

/* True, in all threads, in the last of `n` blocks to arrive, which sees what the others wrote before. The ticket
 * returns to 0. */
GPU bool last_of(uint32_t *ticket, unsigned n, int *last)
{
	__syncthreads();
	if (!threadIdx.x) {
		gpu_fence();
		*last = atomicInc(ticket, n - 1) == n - 1;
		gpu_fence();
	}
	__syncthreads();
	return *last;
}

/* Folds n partials, `row` numbers apart, in order: number d of `dim` of each. Several are asked for at a time, since
 * the reads of one after the other would take longer than a block's keys. */
GPU struct state fold_all(const float *part, int d, int dim, int n, size_t row)
{
	enum { AHEAD = 8 };
	struct state all = {0, -INFINITY, 0};

	for (int p = 0; p < n; p += AHEAD) {
		struct state next[AHEAD];
#pragma unroll
		for (int u = 0; u < AHEAD; u++) {
			const float *from = part + min(p + u, n - 1) * row;
			next[u] = {from[d], from[dim], from[dim + 1]};
		}
#pragma unroll
		for (int u = 0; u < AHEAD; u++)
			if (p + u < n)
				fold(&all, next[u]);
	}
	return all;
}

/* Writes this block's partial of its token. True in the last block: `all` is then folded over all parts, in order. */
template <int DIM, int ELEMS>
GPU bool folded(struct state *all, const struct attn_args &a, const struct attn_item &it, const struct attn_run &run,
		int dim, int *last)
{
	const struct attn_join j = a.joins[it.join];
	const size_t row = (size_t)a.heads * (dim + 2);

#pragma unroll
	for (int e = 0; e < ELEMS; e++) {
		int i = threadIdx.x + e * THREADS, d = i % DIM;
		float *part = a.partial + it.part * row + (run.head + i / DIM) * (dim + 2);
		if (i >= run.heads * DIM || d >= dim)
			continue;
		part[d] = all[e].o;
		if (d == 0)
			part[dim] = all[e].m, part[dim + 1] = all[e].l;
	}
	if (!last_of(a.tickets + it.join * a.n_runs + blockIdx.y, j.count, last))
		return false;
#pragma unroll
	for (int e = 0; e < ELEMS; e++) {
		int i = threadIdx.x + e * THREADS, d = i % DIM;
		const float *part = a.partial + j.first * row + (run.head + i / DIM) * (dim + 2);
		if (i < run.heads * DIM && d < dim)
			all[e] = fold_all(part, d, dim, j.count, row);
	}
	return true;
}

template <int G> GPU struct lane_bend bend_of(const struct attn_args &a, int token, const struct attn_run &run)
{
	struct lane_bend b;

	b.pos = a.pos[token], b.low = a.window ? max(b.pos + 1 - a.window, 0) : 0;
#pragma unroll
	for (int g = 0; g < G; g++)
		b.slope[g] = a.slopes ? a.slopes[run.head + min(g, run.heads - 1)] * 1.44269504f : 0;
	b.cap = a.cap * 1.44269504f, b.twice = a.cap > 0 ? __fdividef(2, a.cap) : 0;
	return b;
}

GPU uint32_t pair_of(const uint16_t *q, int d, int dim)
{
	return d < dim ? *(const uint32_t *)(q + d) : 0;
}
/* Loads eight numbers of a head's q from number d on, zeros beyond its end. Heads of any size begin at multiples of 4
 * bytes. */
template <class E, bool ANY> GPU void load_q(float *out, const uint16_t *q, int d, int dim)
{
	uint4 v;

	if (!ANY || (dim % 8 == 0 && d < dim))
		v = *(const uint4 *)(q + d);
	else
		v = make_uint4(pair_of(q, d, dim), pair_of(q, d + 2, dim), pair_of(q, d + 4, dim),
			       pair_of(q, d + 6, dim));
	gpu_up8<E>(out, v);
}

/* Grid (items, runs). A head's lanes are a power of two; those beyond its end hold zeros of q. Kernels that bend scores
 * of one head take heads of any size up to DIM. */
template <class E, class C, int DIM, int G, bool BENT>
__global__ void __launch_bounds__(THREADS, resident(C::PER16, G, DIM))
	decode(struct attn_args a, const struct attn_item *items)
{
	BOUNDS(THREADS);
	enum { N = C::PER16, LANES = GPU_LANES(DIM, N), SETS = THREADS / LANES };
	enum { ELEMS = (G * DIM + THREADS - 1) / THREADS, ANY = BENT && G == 1 };
	SHARED(float, sums, [SETS][G][DIM]);
	SHARED(float, tops, [SETS][G]);
	SHARED(float, weights, [SETS][G]);
	SHARED(int, last, [1]);
	const struct attn_item it = items[blockIdx.x]; /* before the wait: no kernel writes items or runs */
	const struct attn_run run = a.runs[blockIdx.y];
	const int dim = ANY ? a.cache.dim : DIM, stored = K_CACHE_DIM(dim), used = stored / N;
	const int lane = threadIdx.x % LANES, at_lane = min(lane, used - 1), set = threadIdx.x / LANES,
		  end = it.first + it.keys, range = a.range ? a.range : it.keys;
	const uint16_t *q_row = (const uint16_t *)a.qkv + (size_t)it.token * (a.heads + 2 * a.cache.kv_heads) * dim;
	struct state all[ELEMS];
	lane_state<C, DIM, G, BENT> mine;
	struct lane_bend bend = {};

	if (BENT)
		bend = bend_of<G>(a, it.token, run);
	gpu_take_turn();
	if (!it.keys) /* padding of a CUDA graph's step */
		return;
#pragma unroll
	for (int g = 0; g < G; g++) {
		const uint16_t *q = q_row + (size_t)(run.head + min(g, run.heads - 1)) * dim;
#pragma unroll
		for (int i = 0; i < N; i += 8)
			load_q<E, ANY>(mine.q[g] + i, q, at_lane * N + i, dim);
#pragma unroll
		for (int i = 0; i < N; i++)
			mine.q[g][i] *= lane < used ? a.scale * 1.44269504f : 0;
	}
#pragma unroll
	for (int e = 0; e < ELEMS; e++)
		all[e] = {0, -INFINITY, 0};
	for (int from = it.first; from < end; from += range) {
		int to = min(from + range, end);
		mine.clear();
		for (int base = from; base < to; base += SETS * UNROLL) {
			lane_keys<C> keys;
			bend.key = base + set;
			fetch<C, SETS>(keys, a, a.blocks + it.block_at, run.kv, stored, at_lane, base + set, from,
				       BENT ? bend.low : 0, to);
			mine.take(keys, bend);
		}
		__syncthreads(); /* the last range's sums have been read */
#pragma unroll
		for (int g = 0; g < G; g++) {
#pragma unroll
			for (int i = 0; i < N; i++)
				if (lane < used)
					sums[set][g][lane * N + i] = mine.o[g][i];
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
	if (it.join >= 0 && !folded<DIM, ELEMS>(all, a, it, run, dim, last))
		return;
#pragma unroll
	for (int e = 0; e < ELEMS; e++) {
		int i = threadIdx.x + e * THREADS, d = i % DIM;
		if (i < run.heads * DIM && d < dim)
			((uint16_t *)a.out)[((size_t)it.token * a.heads + run.head + i / DIM) * dim + d] =
				finish<E>(all[e]);
	}
}

/* Heads of 64 and 128 have kernels for several that share keys, and such without a bend. */
template <class E, class C, int DIM> static auto choose_group(int group, bool bent)
{
	if (bent)
		return group == 1 ? decode<E, C, DIM, 1, true> : decode<E, C, DIM, 4, true>;
	return group == 1   ? decode<E, C, DIM, 1, false>
	       : group == 2 ? decode<E, C, DIM, 2, false>
			    : decode<E, C, DIM, 4, false>;
}
template <class E, class C>
static cudaError_t choose_dim(cudaStream_t s, struct attn_args a, const struct attn_item *items, int n, int group)
{
	auto kernel = a.cache.dim > 128  ? decode<E, C, 256, 1, true>
		      : a.cache.dim > 64 ? choose_group<E, C, 128>(group, attn_bent(&a))
					 : choose_group<E, C, 64>(group, attn_bent(&a));

	return gpu_launch(kernel, dim3(n, a.n_runs), THREADS, 0, s, a, items);
}
template <class E>
static cudaError_t choose_decode(cudaStream_t s, struct attn_args a, const struct attn_item *items, int n, int group)
{
	if (a.cache.kv == K_KV_INT8)
		return choose_dim<E, Int8>(s, a, items, n, group);
	return (a.cache.kv == K_KV_FP8 ? choose_dim<E, Fp8> : choose_dim<E, E>)(s, a, items, n, group);
}

extern "C" {
cudaError_t k_attention_decode(cudaStream_t s, enum k_type type, struct attn_args a, const struct attn_item *items,
			       int n, int group)
{
	return (type == K_F16 ? choose_decode<F16> : choose_decode<Bf16>)(s, a, items, n, group);
}
}
