/* prefill.cu - prefill attention: many tokens of one sequence over its paged cache, causal (FlashAttention-2,
 * arXiv:2307.08691). A block has 128 queries of one head, 32 a warp, so that one ldmatrix of K or V serves two row
 * tiles; of heads of 256, whose sums take twice the registers, 64, 16 a warp. K and V are loaded by cp.async, one tile
 * ahead; scores and sums stay in registers. An 8-bit cache is loaded as it is and expanded to 16 bits, scales included,
 * in shared memory. Kernels that bend scores take heads of any size up to theirs, filled up with zeros. */
#include "engine/cuda/gpu.h"
#include "engine/cuda/kernels.h"

enum {
	WARPS = 4,
	THREADS = 32 * WARPS,
	KEYS = 32 /* of a tile; 64 would need more registers than there are */,
	PAGES = KEYS / KV_BLOCK
};

/* What a head size makes of a block. */
template <int DIM> struct block_of {
	enum {
		MT = DIM > 128 ? 1 : 2 /* row tiles of a warp */,
		WARP_ROWS = 16 * MT,
		ROWS = WARP_ROWS * WARPS,
		SHARE = ATTN_TILE / ROWS /* blocks of a tile */,
		PITCH = (DIM + 63) / 64 * 64 /* numbers of a row in shared memory */
	};
};

/* Swizzle: puts 16-byte unit `unit` of row `row` where neither a column nor a row of units hits a bank twice. The place
 * of unit u ^ 2d is that of u with 16d xored in, one instruction in the loops below. */
template <int DIM> GPU int place(int row, int unit)
{
	return row * block_of<DIM>::PITCH + (unit ^ (row & 7)) * 8;
}
template <int DIM> GPU uint16_t *at(uint16_t *base, int row, int unit)
{
	return base + place<DIM>(row, unit);
}

/* What stands for the largest of no scores. */
GPU float safe(float top)
{
	return top == -INFINITY ? 0 : top;
}

template <class E, int DIM, bool BENT> struct tile_state {
	enum { MT = block_of<DIM>::MT, PITCH = block_of<DIM>::PITCH };
	float o[MT][DIM / 8][4], m[MT][2], l[MT][2];

	/* Computes the scores of this warp's rows with the tile's keys. */
	GPU void scores(float s[MT][KEYS / 8][4], uint16_t *q, uint16_t *k)
	{
		const int lane = threadIdx.x & 31;
		const int q_at = place<DIM>((threadIdx.x >> 5) * 16 * MT + (lane & 15), lane >> 4);
		const int k_at = place<DIM>((lane & 7) + (lane >> 4) * 8, lane >> 3 & 1);
#pragma unroll
		for (int i = 0; i < MT * (KEYS / 8) * 4; i++)
			s[i / (KEYS / 2)][i / 4 % (KEYS / 8)][i % 4] = 0;
#pragma unroll
		for (int d = 0; d < DIM / 16; d++) {
			uint32_t a[MT][4], b[4];
#pragma unroll
			for (int i = 0; i < MT; i++)
				gpu_ldmatrix4<false>(a[i], q + (q_at ^ 16 * d) + i * 16 * PITCH);
#pragma unroll
			for (int n = 0; n < KEYS / 16; n++) {
				gpu_ldmatrix4<false>(b, k + (k_at ^ 16 * d) + n * 16 * PITCH);
#pragma unroll
				for (int i = 0; i < MT; i++) {
					E::mma(s[i][2 * n], a[i], b);
					E::mma(s[i][2 * n + 1], a[i], b + 2);
				}
			}
		}
	}

	/* Turns scores into weights; earlier sums are scaled down where a maximum has grown. Bent scores are scaled,
	 * and a row may have none so far. */
	GPU void soften(float s[MT][KEYS / 8][4], float scale)
	{
		if (BENT)
			scale = 1;
#pragma unroll
		for (int i = 0; i < MT; i++) {
			float top[2] = {m[i][0], m[i][1]}, sum[2] = {0, 0};
#pragma unroll
			for (int n = 0; n < KEYS / 8; n++)
#pragma unroll
				for (int j = 0; j < 4; j++)
					top[j >> 1] = fmaxf(top[j >> 1], s[i][n][j]);
#pragma unroll
			for (int h = 0; h < 2; h++) {
				top[h] = fmaxf(top[h], __shfl_xor_sync(0xffffffffu, top[h], 1));
				top[h] = fmaxf(top[h], __shfl_xor_sync(0xffffffffu, top[h], 2));
			}
			if (__any_sync(0xffffffffu, top[0] > m[i][0] || top[1] > m[i][1])) {
#pragma unroll
				for (int h = 0; h < 2; h++) {
					float c = gpu_exp2((m[i][h] - (BENT ? safe(top[h]) : top[h])) * scale);
					l[i][h] *= c, m[i][h] = top[h];
#pragma unroll
					for (int n = 0; n < DIM / 8; n++)
						o[i][n][2 * h] *= c, o[i][n][2 * h + 1] *= c;
				}
			}
			if (BENT)
				top[0] = safe(top[0]), top[1] = safe(top[1]);
#pragma unroll
			for (int n = 0; n < KEYS / 8; n++)
#pragma unroll
				for (int j = 0; j < 4; j++)
					sum[j >> 1] += s[i][n][j] = gpu_exp2(s[i][n][j] * scale - top[j >> 1] * scale);
			l[i][0] += sum[0], l[i][1] += sum[1];
		}
	}

	GPU void values(const float s[MT][KEYS / 8][4], uint16_t *v)
	{
		const int lane = threadIdx.x & 31, v_at = place<DIM>(lane & 15, lane >> 4);
#pragma unroll
		for (int n = 0; n < KEYS / 16; n++) {
			uint32_t a[MT][4], b[4];
#pragma unroll
			for (int i = 0; i < MT; i++)
#pragma unroll
				for (int j = 0; j < 4; j++)
					a[i][j] = E::pack(s[i][2 * n + (j >> 1)][2 * (j & 1)],
							  s[i][2 * n + (j >> 1)][2 * (j & 1) + 1]);
#pragma unroll
			for (int d = 0; d < DIM / 16; d++) {
				gpu_ldmatrix4<true>(b, v + (v_at ^ 16 * d) + n * 16 * PITCH);
#pragma unroll
				for (int i = 0; i < MT; i++) {
					E::mma(o[i][2 * d], a[i], b);
					E::mma(o[i][2 * d + 1], a[i], b + 2);
				}
			}
		}
	}
};

/* Returns where K of one head of `dim` numbers lies in the block of key `key`; *v_bytes: how far behind it V lies. */
template <class C>
GPU const char *head_of(const struct attn_args &a, const struct attn_tile &t, int kv, int dim, int key, int keys,
			size_t *v_bytes)
{
	const size_t head_bytes = K_HEAD_BYTES(dim, C::PER16 == 16);

	*v_bytes = a.cache.kv_heads * head_bytes;
	return (const char *)a.cache.pool + kv * head_bytes +
	       (key < keys ? a.blocks[t.block_at + key / KV_BLOCK] * (2 * *v_bytes) : 0);
}

/* Loads keys [first, first + KEYS) of one head to shared memory, K then V, with zeros beyond the sequence and the head.
 * dim: of the cache. */
template <int DIM>
GPU void fetch(uint16_t *k, const struct attn_args &a, const struct attn_tile &t, int kv, int dim, int first, int keys)
{
	enum { UNITS = KV_BLOCK * DIM / 8 };
	uint16_t *v = k + KEYS * block_of<DIM>::PITCH;

#pragma unroll
	for (int page = 0; page < PAGES; page++) {
		int key = first + page * KV_BLOCK;
		size_t v_bytes;
		const char *head = head_of<Bf16>(a, t, kv, dim, key, keys, &v_bytes);
#pragma unroll
		for (int i = 0; i < UNITS; i += THREADS) {
			int x = i + threadIdx.x, row = x / (DIM / 8), unit = x % (DIM / 8);
			if (UNITS % THREADS && x >= UNITS)
				break;
			bool there = key + row < keys && unit * 8 < dim;
			const char *p = head + (there ? (row * dim + unit * 8) * 2 : 0);
			gpu_copy16(at<DIM>(k, page * KV_BLOCK + row, unit), p, there);
			gpu_copy16(at<DIM>(v, page * KV_BLOCK + row, unit), p + v_bytes, there);
		}
	}
	gpu_copy_commit();
}

/* Loads keys [first, first + KEYS) of one head in the cache's 8-bit form: K and its scales, then V and its scales. */
enum { SCALES = KEYS * 4 / 16 /* units of 16 bytes */ };
template <class C, int DIM>
GPU void fetch_raw(char *raw, const struct attn_args &a, const struct attn_tile &t, int kv, int dim, int first,
		   int keys)
{
	static_assert(PAGES == 1, "a tile is a block of the cache");
	size_t v_bytes;
	const char *head = head_of<C>(a, t, kv, dim, first, keys, &v_bytes);

#pragma unroll
	for (int x = threadIdx.x; x < KEYS * dim / 16 + SCALES; x += THREADS) {
		bool there =
			first + x / (dim / 16) < keys || x >= KEYS * dim / 16; /* scales beyond the end are not used */
		gpu_copy16(raw + x * 16, head + x * 16, there);
		gpu_copy16(raw + K_HEAD_BYTES(DIM, true) + x * 16, head + v_bytes + x * 16, there);
	}
	gpu_copy_commit();
}

/* Expands 16 numbers times their key's scale into two units of 16-bit numbers; zeros beyond a head's end. */
template <class E, class C, int DIM> GPU void expand_unit(uint16_t *to, const char *raw, int dim, int x, bool there)
{
	const int row = x / (DIM / 16), unit = x % (DIM / 16) * 2;
	const float scale = there ? ((const float *)(raw + KEYS * dim))[row] : 0;
	float f[16] = {};

	if (unit * 8 < dim)
		gpu_up_all<C>(f, ((const uint4 *)raw)[row * (dim / 16) + unit / 2]);
#pragma unroll
	for (int i = 0; i < 16; i += 8)
		*(uint4 *)at<DIM>(to, row, unit + i / 8) = make_uint4(
			E::pack(f[i] * scale, f[i + 1] * scale), E::pack(f[i + 2] * scale, f[i + 3] * scale),
			E::pack(f[i + 4] * scale, f[i + 5] * scale), E::pack(f[i + 6] * scale, f[i + 7] * scale));
}

template <class E, class C, int DIM> GPU void expand(uint16_t *k, const char *raw, int dim, int there /* keys */)
{
	enum { UNITS = KEYS * DIM / 16 };

#pragma unroll
	for (int i = 0; i < UNITS; i += THREADS) {
		int x = i + threadIdx.x;
		if (UNITS % THREADS && x >= UNITS)
			break;
		bool in = x / (DIM / 16) < there;
		expand_unit<E, C, DIM>(k, raw, dim, x, in);
		expand_unit<E, C, DIM>(k + KEYS * block_of<DIM>::PITCH, raw + K_HEAD_BYTES(DIM, true), dim, x, in);
	}
}

/* Heads of any size begin at multiples of 4 bytes. */
template <int DIM, bool ANY>
GPU void fetch_q(uint16_t *q, const struct attn_args &a, const struct attn_tile &t, int dim, int head)
{
	const size_t width = (size_t)(a.heads + 2 * a.cache.kv_heads) * dim;
	const uint16_t *from = (const uint16_t *)a.qkv + (size_t)t.token * width + (size_t)head * dim;

#pragma unroll 4
	for (int x = threadIdx.x; x < block_of<DIM>::ROWS * DIM / 8; x += THREADS) {
		int row = x / (DIM / 8), unit = x % (DIM / 8);
		bool there = row < t.rows && unit * 8 < dim;
		const uint16_t *p = from + (there ? row * width + unit * 8 : 0);
		if (!ANY || dim % 8 == 0)
			gpu_copy16(at<DIM>(q, row, unit), p, there);
		for (int i = 0; ANY && dim % 8 && i < 8; i += 2)
			gpu_copy4(at<DIM>(q, row, unit) + i, there && unit * 8 + i < dim ? p + i : from,
				  there && unit * 8 + i < dim);
	}
}

/* Soft cap, ALiBi and window: scores become those in base 2. */
struct tile_bend {
	float scale, slope, cap, twice; /* the first three times log2(e); twice: 2 / cap */
	int window;                     /* or more keys than there are */
};
GPU struct tile_bend bend_of(const struct attn_args &a, int head)
{
	return {a.scale * 1.44269504f, a.slopes ? a.slopes[head] * 1.44269504f : 0, a.cap * 1.44269504f,
		a.cap > 0 ? __fdividef(2, a.cap) : 0, a.window ? a.window : 0x7fffffff};
}
/* far: key - pos of the first row's first key. */
template <int MT> GPU void bend_scores(float s[MT][KEYS / 8][4], const struct tile_bend &b, int far)
{
	const int lane = threadIdx.x & 31;

#pragma unroll
	for (int i = 0; i < MT; i++)
#pragma unroll
		for (int n = 0; n < KEYS / 8; n++)
#pragma unroll
			for (int j = 0; j < 4; j++) {
				int d = far + 8 * n + 2 * (lane & 3) + (j & 1) - (16 * i + (lane >> 2) + 8 * (j >> 1));
				float v = s[i][n][j] * b.scale;
				if (b.cap > 0)
					v = gpu_soft_cap(v, b.cap, b.twice);
				v += b.slope * (float)d;
				s[i][n][j] = d > 0 || d <= -b.window ? -INFINITY : v;
			}
}

/* A block's share of a tile. */
template <int DIM> GPU struct attn_tile share_of(struct attn_tile t, int share)
{
	t.token += share * block_of<DIM>::ROWS, t.pos += share * block_of<DIM>::ROWS;
	t.rows = min(t.rows - share * block_of<DIM>::ROWS, (int)block_of<DIM>::ROWS);
	return t;
}

/* Grid (heads, tiles, or twice as many): all heads of the longest tile start first, since a long tile that starts last
 * would run alone. Shared memory: queries (ROWS, PITCH); then K and V (KEYS, PITCH) twice, or once and their 8-bit form
 * twice. */
template <class E, class C, int DIM, bool BENT>
__global__ void __launch_bounds__(THREADS) prefill(struct attn_args a, const struct attn_tile *tiles)
{
	BOUNDS(THREADS);
	gpu_take_turn();
	using B = block_of<DIM>;
	enum { RAW = 2 * K_HEAD_BYTES(DIM, true), BITS8 = C::PER16 == 16, MT = B::MT, PITCH = B::PITCH };
	SMEM(uint16_t, q);
	const struct attn_tile t = share_of<DIM>(tiles[blockIdx.y / B::SHARE], blockIdx.y % B::SHARE);
	const int head = blockIdx.x, lane = threadIdx.x & 31, warp_row = (threadIdx.x >> 5) * B::WARP_ROWS,
		  keys = t.pos + t.rows;
	const int dim = BENT ? a.cache.dim : DIM, stored = K_CACHE_DIM(dim);
	const int kv = a.kv_of_head[head];
	const int origin = BENT && a.window ? max(t.pos + 1 - a.window, 0) / KEYS * KEYS : 0;
	uint16_t *kv_at = q + B::ROWS * PITCH;
	char *raw_at = (char *)(kv_at + 2 * KEYS * PITCH);
	tile_state<E, DIM, BENT> mine;
	struct tile_bend bend = {};

	if (t.rows <= 0)
		return;
	if (BENT)
		bend = bend_of(a, head);
	fetch_q<DIM, BENT>(q, a, t, dim, head); /* in the same group as the first keys */
	if constexpr (BITS8)
		fetch_raw<C, DIM>(raw_at, a, t, kv, stored, origin, keys);
	else
		fetch<DIM>(kv_at, a, t, kv, stored, origin, keys);
#pragma unroll
	for (int i = 0; i < MT * (DIM / 8) * 4; i++)
		mine.o[i / (DIM / 2)][i / 4 % (DIM / 8)][i % 4] = 0;
#pragma unroll
	for (int i = 0; i < 2 * MT; i++)
		mine.m[i >> 1][i & 1] = -INFINITY, mine.l[i >> 1][i & 1] = 0;
	for (int first = origin, turn = 0; first < keys; first += KEYS, turn ^= 1) {
		uint16_t *k = BITS8 ? kv_at : kv_at + turn * 2 * KEYS * PITCH;
		float s[MT][KEYS / 8][4];
		if (first + KEYS >= keys)
			gpu_copy_commit(); /* an empty group, since the wait below counts groups */
		else if constexpr (BITS8)
			fetch_raw<C, DIM>(raw_at + (turn ^ 1) * RAW, a, t, kv, stored, first + KEYS, keys);
		else
			fetch<DIM>(kv_at + (turn ^ 1) * 2 * KEYS * PITCH, a, t, kv, stored, first + KEYS, keys);
		gpu_copy_wait<1>();
		__syncthreads();
		if constexpr (BITS8) {
			expand<E, C, DIM>(k, raw_at + turn * RAW, stored, keys - first);
			__syncthreads();
		}
		mine.scores(s, q, k);
		if (BENT) {
			bend_scores<MT>(s, bend, first - t.pos - warp_row);
		} else if (first + KEYS > t.pos + warp_row) { /* hide keys that some of the rows must not attend to */
#pragma unroll
			for (int i = 0; i < MT; i++)
#pragma unroll
				for (int n = 0; n < KEYS / 8; n++)
#pragma unroll
					for (int j = 0; j < 4; j++) {
						int row = warp_row + 16 * i + (lane >> 2) + 8 * (j >> 1),
						    key = first + 8 * n + 2 * (lane & 3) + (j & 1);
						if (key > t.pos + row)
							s[i][n][j] = -INFINITY;
					}
		}
		mine.soften(s, a.scale * 1.44269504f);
		mine.values(s, k + KEYS * PITCH);
		__syncthreads(); /* this buffer is filled again in the next turn */
	}
	gpu_copy_wait<0>();
#pragma unroll
	for (int i = 0; i < MT; i++)
#pragma unroll
		for (int h = 0; h < 2; h++) {
			int row = warp_row + 16 * i + (lane >> 2) + 8 * h;
			float l = mine.l[i][h];
			l += __shfl_xor_sync(0xffffffffu, l, 1);
			l += __shfl_xor_sync(0xffffffffu, l, 2);
			float r = __fdividef(1, l);
			if (row < t.rows) {
				uint16_t *out = (uint16_t *)a.out + ((size_t)(t.token + row) * a.heads + head) * dim +
						2 * (lane & 3);
#pragma unroll
				for (int n = 0; n < DIM / 8; n++)
					if (!BENT || 8 * n + 2 * (lane & 3) < dim)
						*(uint32_t *)(out + 8 * n) =
							E::pack(mine.o[i][n][2 * h] * r, mine.o[i][n][2 * h + 1] * r);
			}
		}
}

template <class C, int DIM> static constexpr int shared_bytes()
{
	return (block_of<DIM>::ROWS + 2 * KEYS) * block_of<DIM>::PITCH * 2 +
	       (C::PER16 == 16 ? 4 * K_HEAD_BYTES(DIM, true) : 2 * KEYS * block_of<DIM>::PITCH * 2);
}
/* Heads of 64 and 128 have a kernel without a bend, too. */
template <class E, class C, int DIM> static auto choose_bent(bool bent)
{
	if constexpr (DIM != 64 && DIM != 128)
		return prefill<E, C, DIM, true>;
	else
		return bent ? prefill<E, C, DIM, true> : prefill<E, C, DIM, false>;
}
template <class E, class C>
static cudaError_t choose_dim(cudaStream_t s, struct attn_args a, const struct attn_tile *tiles, int n)
{
	return gpu_for_dim(a.cache.dim, [&](auto d) {
		return gpu_launch(choose_bent<E, C, d()>(attn_bent(&a)), dim3(a.heads, n * block_of<d()>::SHARE),
				  THREADS, shared_bytes<C, d()>(), s, a, tiles);
	});
}
template <class E>
static cudaError_t choose_prefill(cudaStream_t s, struct attn_args a, const struct attn_tile *tiles, int n)
{
	if (a.cache.kv == K_KV_INT8)
		return choose_dim<E, Int8>(s, a, tiles, n);
	return (a.cache.kv == K_KV_FP8 ? choose_dim<E, Fp8> : choose_dim<E, E>)(s, a, tiles, n);
}
template <class E, class C> static cudaError_t init()
{
	const cudaFuncAttribute most = cudaFuncAttributeMaxDynamicSharedMemorySize;
	cudaError_t e = cudaSuccess;

	for (int dim : {64, 80, 96, 128, 256})
		for (int bent = 0; !e && bent < 2; bent++)
			e = gpu_for_dim(dim, [&](auto d) {
				return cudaFuncSetAttribute((const void *)choose_bent<E, C, d()>(bent), most,
							    shared_bytes<C, d()>());
			});
	return e;
}
template <class E> static cudaError_t init_all()
{
	cudaError_t e = init<E, E>();

	e = e ? e : init<E, Int8>();
	return e ? e : init<E, Fp8>();
}

extern "C" {
cudaError_t k_attention_prefill(cudaStream_t s, enum k_type type, struct attn_args a, const struct attn_tile *tiles,
				int n)
{
	return (type == K_F16 ? choose_prefill<F16> : choose_prefill<Bf16>)(s, a, tiles, n);
}
cudaError_t k_attention_init(void)
{
	cudaError_t e = init_all<Bf16>();

	return e ? e : init_all<F16>();
}
}
