/* prefill_wgmma.cu - prefill attention for compute capability 9.0 and a 16-bit cache (FlashAttention-3,
 * arXiv:2407.08608). A block has 128 queries of one head, 64 a warpgroup. Products are asynchronous: while those of the
 * weights with V and of the next keys run, the warps turn scores into weights (section 3.2 there). K and V are loaded
 * by cp.async, a tile ahead. */
#include "engine/cuda/gpu_wgmma.h"
#include "engine/cuda/kernels.h"

enum { GROUPS = 2, THREADS = 128 * GROUPS, KEYS = 128 /* of a tile */, ROWS = ATTN_TILE, COLS = 64 /* of a panel */ };
enum { PANEL = 128 * GPU_PANEL_ROW /* bytes: (128, COLS) */ };

/* Returns where the 16 bytes `unit` of row `row` lie (the 128-byte swizzle). */
GPU int place(int row, int unit)
{
	return unit / 8 * PANEL + row * GPU_PANEL_ROW + ((unit ^ row) & 7) * 16;
}

/* Loads keys [first, first + KEYS) of one head, or their values, with zeros beyond the sequence. */
template <int DIM>
GPU void fetch(char *to, const struct attn_args &a, const struct attn_tile &t, int kv, bool values, int first, int keys)
{
	enum { UNITS = DIM / 8, STEP = THREADS / UNITS /* rows */ };
	const size_t head_bytes = K_HEAD_BYTES(DIM, false), half = a.cache.kv_heads * head_bytes;
	const int row = threadIdx.x / UNITS, unit = threadIdx.x % UNITS;
	const char *head =
		(const char *)a.cache.pool + kv * head_bytes + (values ? half : 0) + (row * DIM + unit * 8) * 2;

#pragma unroll
	for (int page = 0; page < KEYS; page += KV_BLOCK) {
		const char *from =
			head +
			(first + page < keys ? a.blocks[t.block_at + (first + page) / KV_BLOCK] * (2 * half) : 0);
#pragma unroll
		for (int i = 0; i < KV_BLOCK; i += STEP)
			gpu_copy16(to + place(page + i + row, unit), from + i * DIM * 2, first + page + i + row < keys);
	}
}

template <int DIM> GPU void fetch_q(char *to, const struct attn_args &a, const struct attn_tile &t, int head)
{
	const size_t width = (size_t)(a.heads + 2 * a.cache.kv_heads) * DIM;
	const uint16_t *from = (const uint16_t *)a.qkv + (size_t)t.token * width + (size_t)head * DIM;

#pragma unroll 4
	for (int x = threadIdx.x; x < ROWS * DIM / 8; x += THREADS) {
		int row = x / (DIM / 8), unit = x % (DIM / 8);
		bool there = row < t.rows;
		gpu_copy16(to + place(row, unit), from + (there ? row * width + unit * 8 : 0), there);
	}
}

/* Loads, while tile j is being worked on, K of the next tile and V of this one. */
template <int DIM>
GPU void fetch_next(char *k, char *v, const struct attn_args &a, const struct attn_tile &t, int kv, int j, int origin,
		    int keys)
{
	enum { BYTES = PANEL * (DIM / COLS) };

	if (origin + (j + 1) * KEYS < keys)
		fetch<DIM>(k + (~j & 1) * BYTES, a, t, kv, false, origin + (j + 1) * KEYS, keys);
	fetch<DIM>(v + (j & 1) * BYTES, a, t, kv, true, origin + j * KEYS, keys);
	gpu_copy_commit();
}

#ifdef GPU_HAS_WGMMA
/* After it all threads see what was loaded, and nothing reads what the next copies overwrite. */
GPU void arrived()
{
	gpu_copy_wait<0>();
	gpu_products_may_read();
	__syncthreads();
}

/* This thread's rows are lane / 4 and 8 more of its warp's 16; sum i belongs to row i / 2 % 2 and column i / 4 * 8 +
 * lane % 4 * 2 + i % 2. */
template <class E, int DIM, bool BENT> struct group_state {
	float o[DIM / 2], m[2], l[2];
	uint32_t p[KEYS / 16][4]; /* weights */

	GPU void scores(float (&s)[KEYS / 2], const char *q, const char *k)
	{
#pragma unroll
		for (int d = 0; d < DIM; d += 16) {
			int at = d / COLS * PANEL + d % COLS * 2;
			gpu_product_scores<E>(s, gpu_matrix(q + at, 0), gpu_matrix(k + at, 0), d > 0);
		}
		gpu_products_commit();
	}
	GPU void values(const char *v)
	{
#pragma unroll
		for (int n = 0; n < KEYS / 16; n++)
			gpu_product_values<E>(o, p[n], gpu_matrix(v + n * 16 * GPU_PANEL_ROW, PANEL));
		gpu_products_commit();
	}
	/* Turns scores into weights; by[]: the factors for earlier sums. Bent scores are scaled, and a row may have
	 * none so far. */
	GPU void soften(float (&s)[KEYS / 2], float scale, float by[2])
	{
		if (BENT)
			scale = 1;
		float top[2] = {m[0], m[1]}, sum[2] = {0, 0};
#pragma unroll
		for (int i = 0; i < KEYS / 2; i++)
			top[i >> 1 & 1] = fmaxf(top[i >> 1 & 1], s[i]);
#pragma unroll
		for (int h = 0; h < 2; h++) {
			top[h] = fmaxf(top[h], __shfl_xor_sync(0xffffffffu, top[h], 1));
			top[h] = fmaxf(top[h], __shfl_xor_sync(0xffffffffu, top[h], 2));
			const float low = top[h];
			if (BENT && low == -INFINITY)
				top[h] = 0;
			by[h] = gpu_exp2((m[h] - top[h]) * scale);
			m[h] = low;
		}
#pragma unroll
		for (int i = 0; i < KEYS / 2; i++)
			sum[i >> 1 & 1] += s[i] = gpu_exp2(s[i] * scale - top[i >> 1 & 1] * scale);
		l[0] = l[0] * by[0] + sum[0], l[1] = l[1] * by[1] + sum[1];
	}
	/* Packs the weights of the next products with V, once the products before are done. */
	GPU void take(const float (&s)[KEYS / 2], const float by[2])
	{
		gpu_products_wait<0>(o);
#pragma unroll
		for (int i = 0; i < DIM / 2; i++)
			o[i] *= by[i >> 1 & 1];
#pragma unroll
		for (int i = 0; i < KEYS / 2; i += 2)
			p[i / 8][i / 2 % 4] = E::pack(s[i], s[i + 1]);
	}
};

/* Hides keys that some of the rows must not attend to. */
GPU void hide(float (&s)[KEYS / 2], int first, int pos_of_row, int lane)
{
#pragma unroll
	for (int i = 0; i < KEYS / 2; i++)
		if (first + i / 4 * 8 + 2 * (lane & 3) + (i & 1) > pos_of_row + 8 * (i >> 1 & 1))
			s[i] = -INFINITY;
}
/* Soft cap, ALiBi and window: scores become those in base 2. far: key - pos of the thread's first row and key. */
GPU void bend_scores(float (&s)[KEYS / 2], const struct attn_args &a, float slope, int far)
{
	const float scale = a.scale * 1.44269504f, cap = a.cap * 1.44269504f,
		    twice = a.cap > 0 ? __fdividef(2, a.cap) : 0;
	const int window = a.window ? a.window : 0x7fffffff;

#pragma unroll
	for (int i = 0; i < KEYS / 2; i++) {
		const int d = far + i / 4 * 8 + (i & 1) - 8 * (i >> 1 & 1);
		float v = s[i] * scale;
		if (cap > 0)
			v = gpu_soft_cap(v, cap, twice);
		v += slope * (float)d;
		s[i] = d > 0 || d <= -window ? -INFINITY : v;
	}
}
#endif

/* Grid (heads, tiles): all heads of the longest tile start first, since a long tile that starts last would run alone.
 * Shared memory: queries, K twice, V twice. */
template <class E, int DIM, bool BENT>
__global__ void __launch_bounds__(THREADS, 1) prefill_wgmma(struct attn_args a, const struct attn_tile *tiles)
{
	BOUNDS(THREADS);
	gpu_take_turn();
#ifdef GPU_HAS_WGMMA
	enum { BYTES = PANEL * (DIM / COLS) };
	SMEM_PATTERN(char, q);
	char *k = q + BYTES, *v = k + 2 * BYTES;
	const struct attn_tile t = tiles[blockIdx.y];
	const int head = blockIdx.x, lane = threadIdx.x & 31, keys = t.pos + t.rows, group_row = threadIdx.x / 128 * 64;
	const int origin = BENT && a.window ? max(t.pos + 1 - a.window, 0) / KV_BLOCK * KV_BLOCK : 0;
	const int row0 = threadIdx.x / 32 * 16 + (lane >> 2), kv = a.kv_of_head[head],
		  n = (keys - origin + KEYS - 1) / KEYS;
	/* key - pos of the thread's first row and key */
	const int far = origin + 2 * (lane & 3) - t.pos - row0;
	const char *q_group = q + group_row * GPU_PANEL_ROW;
	const float scale = a.scale * 1.44269504f;
	const float slope = BENT && a.slopes ? a.slopes[head] * 1.44269504f : 0;
	group_state<E, DIM, BENT> mine;
	float s[KEYS / 2], by[2];

	if (!t.rows)
		return;
	fetch_q<DIM>(q, a, t, head);
	fetch<DIM>(k, a, t, kv, false, origin, keys);
	gpu_copy_commit();
#pragma unroll
	for (int i = 0; i < DIM / 2; i++)
		mine.o[i] = 0;
	mine.m[0] = mine.m[1] = -INFINITY, mine.l[0] = mine.l[1] = 0;
	arrived();
	gpu_products_begin();
	mine.scores(s, q_group, k);
	fetch_next<DIM>(k, v, a, t, kv, 0, origin, keys);
	gpu_products_wait<0>(s);
	if (BENT)
		bend_scores(s, a, slope, far);
	else if (KEYS > t.pos + group_row)
		hide(s, 0, t.pos + row0, lane);
	mine.soften(s, scale, by);
	for (int j = 1; j < n; j++) {
		mine.take(s, by);
		arrived();
		gpu_products_begin();
		mine.scores(s, q_group, k + (j & 1) * BYTES);
		mine.values(v + (~j & 1) * BYTES);
		fetch_next<DIM>(k, v, a, t, kv, j, origin, keys);
		gpu_products_wait<1>(s);
		if (BENT)
			bend_scores(s, a, slope, far + j * KEYS);
		else if ((j + 1) * KEYS > t.pos + group_row)
			hide(s, j * KEYS, t.pos + row0, lane);
		mine.soften(s, scale, by); /* overlaps the products with V, which the next turn waits for */
	}
	mine.take(s, by);
	arrived();
	gpu_products_begin();
	mine.values(v + (~n & 1) * BYTES);
	gpu_products_wait<0>(mine.o);
#pragma unroll
	for (int h = 0; h < 2; h++) {
		int row = row0 + 8 * h;
		float l = mine.l[h];
		l += __shfl_xor_sync(0xffffffffu, l, 1);
		l += __shfl_xor_sync(0xffffffffu, l, 2);
		float r = __fdividef(1, l);
		if (row < t.rows) {
			uint16_t *out =
				(uint16_t *)a.out + ((size_t)(t.token + row) * a.heads + head) * DIM + 2 * (lane & 3);
#pragma unroll
			for (int i = 0; i < DIM / 2; i += 4)
				*(uint32_t *)(out + 2 * i) = E::pack(mine.o[i + 2 * h] * r, mine.o[i + 2 * h + 1] * r);
		}
	}
#else
	__trap();
#endif
}

template <int DIM> static constexpr int shared_bytes()
{
	return 5 * PANEL * (DIM / COLS);
}
template <class E, int DIM>
static cudaError_t launch(cudaStream_t s, struct attn_args a, const struct attn_tile *tiles, int n)
{
	auto kernel = attn_bent(&a) ? prefill_wgmma<E, DIM, true> : prefill_wgmma<E, DIM, false>;

	return gpu_launch(kernel, dim3(a.heads, n), THREADS, shared_bytes<DIM>(), s, a, tiles);
}
template <class E>
static cudaError_t choose_dim(cudaStream_t s, struct attn_args a, const struct attn_tile *tiles, int n)
{
	return a.cache.dim == 64 ? launch<E, 64>(s, a, tiles, n) : launch<E, 128>(s, a, tiles, n);
}
template <class E, bool BENT> static cudaError_t init()
{
	const cudaFuncAttribute most = cudaFuncAttributeMaxDynamicSharedMemorySize;
	cudaError_t e = cudaFuncSetAttribute((const void *)prefill_wgmma<E, 64, BENT>, most, shared_bytes<64>());

	return e ? e : cudaFuncSetAttribute((const void *)prefill_wgmma<E, 128, BENT>, most, shared_bytes<128>());
}

extern "C" {
cudaError_t k_attention_prefill_wgmma(cudaStream_t s, enum k_type type, struct attn_args a,
				      const struct attn_tile *tiles, int n)
{
	return (type == K_F16 ? choose_dim<F16> : choose_dim<Bf16>)(s, a, tiles, n);
}
cudaError_t k_attention_wgmma_init(void)
{
	cudaError_t e = init<Bf16, false>();

	e = e ? e : init<Bf16, true>();
	e = e ? e : init<F16, false>();
	return e ? e : init<F16, true>();
}
}
