/* linear.cu - products with few rows, read at the speed of memory: a weight row is the row operand of mma.m16n8k16, a token
 * the column operand. The order of k inside a dot product is free, so a lane takes 8 contiguous columns (16 bytes) and feeds
 * two products with them, the activations alike: no repacking of weights, which cuBLASLt reads as they are. */
#include "engine/cuda/gpu.h"
#include "engine/cuda/kernels.h"

enum { WARPS = 8, THREADS = 32 * WARPS, STEP = 32 /* columns a warp multiplies at a time */ };

static int processors, block_room; /* of the device; the most shared memory of a block: 99 KiB on some, 227 on others */

/* Columns [col, col + 8) of row `row`, zeros outside (m, k). */
template <bool VECTOR> GPU uint4 load_x(const uint16_t *x, int row, int m, int col, int k)
{
	uint4 v = {0, 0, 0, 0};
	const uint16_t *p = x + (size_t)row * k + col;

	if (row >= m || col >= k)
		return v;
	if (VECTOR)
		return *(const uint4 *)p;
	v.x = p[0] | (uint32_t)(col + 1 < k ? p[1] : 0) << 16;
	v.y = (col + 2 < k ? p[2] : 0) | (uint32_t)(col + 3 < k ? p[3] : 0) << 16;
	v.z = (col + 4 < k ? p[4] : 0) | (uint32_t)(col + 5 < k ? p[5] : 0) << 16;
	v.w = (col + 6 < k ? p[6] : 0) | (uint32_t)(col + 7 < k ? p[7] : 0) << 16;
	return v;
}

template <class E> GPU void put(void *out, enum k_form form, size_t at, float v)
{
	if (form == K_OUT_16)
		((uint16_t *)out)[at] = gpu_down<E>(v);
	else
		((float *)out)[at] = v;
}

/* One warp's 32 columns of 16 weight rows and 8 tokens. */
template <class E> GPU void multiply(float d[4], uint4 low, uint4 high, uint4 x)
{
	uint32_t a0[4] = {low.x, high.x, low.y, high.y}, b0[2] = {x.x, x.y};
	uint32_t a1[4] = {low.z, high.z, low.w, high.w}, b1[2] = {x.z, x.w};

	E::mma(d, a0, b0);
	E::mma(d, a1, b1);
}

/* What to do with sums. */
struct sink {
	void *out;
	const float *bias;
	enum k_form form;
	int m, n;
};
enum { PITCH = 17 /* of 16 outputs of a token in shared memory */ };

/* What the warps have of one output, added up. */
template <int MT> GPU float over_warps(const float *red, int at)
{
	float s = 0;

#pragma unroll
	for (int j = 0; j < WARPS; j++)
		s += red[j * (8 * MT * PITCH) + at];
	return s;
}

/* 16 outputs from n0 on of 8*MT tokens, whose parts the warps left in `red`. */
template <class E, int MT> GPU void write_sums(const float *red, const struct sink &to, int m0, int n0)
{
	for (int i = threadIdx.x; to.form == K_OUT_SILU && i < 64 * MT; i += THREADS) {
		int row = m0 + i / 8, col = n0 + 2 * (i % 8), at = i / 8 * PITCH + 2 * (i % 8);
		float v = gpu_silu_mul(over_warps<MT>(red, at), over_warps<MT>(red, at + 1));
		if (row < to.m && col < to.n)
			((uint16_t *)to.out)[(size_t)row * (to.n / 2) + col / 2] = gpu_down<E>(v);
	}
	for (int i = threadIdx.x; to.form != K_OUT_SILU && i < 128 * MT; i += THREADS) {
		int row = m0 + i / 16, col = n0 + i % 16;
		float v = over_warps<MT>(red, i / 16 * PITCH + i % 16);
		if (row < to.m && col < to.n)
			put<E>(to.out, to.form, (size_t)row * to.n + col, v + (to.bias ? to.bias[col] : 0));
	}
}

/* A tile of a block: its 16*R outputs, summed over the warps, 16 at a time. */
template <class E, int MT, int R> GPU void finish(float d[R][MT][4], float *red, const struct sink &to, int m0, int n0)
{
	const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, g = lane >> 2, t = lane & 3;

#pragma unroll
	for (int r = 0; r < R; r++) {
		__syncthreads(); /* the sums before have been read */
#pragma unroll
		for (int i = 0; i < MT; i++)
#pragma unroll
			for (int j = 0; j < 4; j++) {
				red[(warp * 8 * MT + 8 * i + 2 * t + (j & 1)) * PITCH + g + 8 * (j >> 1)] = d[r][i][j];
				d[r][i][j] = 0;
			}
		__syncthreads();
		write_sums<E, MT>(red, to, m0, n0 + 16 * r);
	}
}

/* A tile of 16*R weight rows, and the column at which the block's turn begins: warps side by side, U times STEP columns each. */
struct place {
	int tile, col;
};
template <int U> GPU void next_turn(struct place *p, int ld)
{
	p->col += U * WARPS * STEP;
	if (p->col >= ld)
		p->col = 0, p->tile += gridDim.x;
}

/* The weights of a turn, on their way to the thread's own room: nobody else reads it. */
template <int R, int U> GPU void fetch(uint4 *room, const uint16_t *w, struct place p, int tiles, int n, int ld)
{
	const int lane = threadIdx.x & 31, col = p.col + (threadIdx.x >> 5) * U * STEP + 8 * (lane & 3);

#pragma unroll
	for (int r = 0; r < R; r++)
#pragma unroll
		for (int h = 0; h < 2; h++) { /* a row past the end is a copy of the last: its result is not written */
			const uint16_t *row = w + (size_t)min(p.tile * 16 * R + 16 * r + 8 * h + (lane >> 2), n - 1) * ld + col;
#pragma unroll
			for (int u = 0; u < U; u++)
				gpu_copy16(room + ((2 * r + h) * U + u) * THREADS, row + u * STEP, p.tile < tiles && col + u * STEP < ld);
		}
	gpu_copy_commit();
}

/* Blocks, one a processor, go through tiles of 16*R outputs of 8*MT tokens. STAGES turns of weights are on their way to shared
 * memory at any time, beyond the end of a tile too: what memory needs to be busy, and more than registers hold. The first are
 * asked for before the kernel before this one has ended: nobody writes weights. */
template <class E, int MT, int R, int U, int STAGES, bool VECTOR>
__global__ void __launch_bounds__(THREADS, 2) skinny(void *out, enum k_form form, const uint16_t *x, const uint16_t *w, const float *bias, int m, int n,
						     int k, int ld)
{
	BOUNDS(THREADS);
	enum { TURN = 2 * R * U * THREADS };
	SMEM(uint4, ring); /* (STAGES, 2, R, U, THREADS), then sums (WARPS, 8*MT, PITCH) */
	const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, tiles = (n + 16 * R - 1) / (16 * R), m0 = blockIdx.y * 8 * MT;
	const struct sink to = {out, bias, form, m, n};
	float *red = (float *)(ring + STAGES * TURN), d[R][MT][4] = {};
	struct place use = {(int)blockIdx.x, 0}, get = use;

#pragma unroll
	for (int s = 0; s < STAGES; s++, next_turn<U>(&get, ld))
		fetch<R, U>(ring + s * TURN + threadIdx.x, w, get, tiles, n, ld);
	gpu_take_turn();
	for (int s = 0; use.tile < tiles; s = s + 1 == STAGES ? 0 : s + 1) {
		uint4 *mine = ring + s * TURN + threadIdx.x, xv[U][MT];
#pragma unroll
		for (int u = 0; u < U; u++)
#pragma unroll
			for (int i = 0; i < MT; i++) /* zeros from k on */
				xv[u][i] = load_x<VECTOR>(x, m0 + 8 * i + (lane >> 2), m, use.col + (warp * U + u) * STEP + 8 * (lane & 3), k);
		gpu_copy_wait<STAGES - 1>();
#pragma unroll
		for (int u = 0; u < U; u++)
#pragma unroll
			for (int r = 0; r < R; r++) {
				uint4 low = mine[(2 * r * U + u) * THREADS], high = mine[((2 * r + 1) * U + u) * THREADS];
#pragma unroll
				for (int i = 0; i < MT; i++)
					multiply<E>(d[r][i], low, high, xv[u][i]);
			}
		fetch<R, U>(mine, w, get, tiles, n, ld);
		next_turn<U>(&get, ld);
		int tile = use.tile;
		next_turn<U>(&use, ld);
		if (use.tile != tile)
			finish<E, MT, R>(d, red, to, m0, tile * 16 * R);
	}
	gpu_copy_wait<0>(); /* zeros from beyond the last tile */
}

template <int MT, int R, int U, int STAGES> static constexpr int skinny_bytes()
{
	return STAGES * 2 * R * U * THREADS * 16 + WARPS * 8 * MT * PITCH * (int)sizeof(float);
}

template <class E, int MT, int R, int U, int STAGES, bool VECTOR>
static cudaError_t launch_skinny(cudaStream_t s, void *out, enum k_form form, const void *x, const void *w, const float *bias, int m, int n, int k, int ld)
{
	dim3 grid(min((n + 16 * R - 1) / (16 * R), processors), (m + 8 * MT - 1) / (8 * MT));

	return gpu_launch(skinny<E, MT, R, U, STAGES, VECTOR>, grid, THREADS, skinny_bytes<MT, R, U, STAGES>(), s, out, form, (const uint16_t *)x,
			  (const uint16_t *)w, bias, m, n, k, ld);
}

/* Whether tiles of 64 rows are better than those of 32, for which rows of x are read twice as often: not where the last round of
 * few has them on under a quarter of the processors, too few to keep memory busy. */
static bool wide_tiles(int n)
{
	int tiles = (n + 63) / 64, rest = tiles % processors;

	return skinny_bytes<4, 4, 1, 3>() <= block_room && (!rest || 4 * rest >= processors || tiles >= 4 * processors);
}

template <class E, class... A> static cudaError_t pick_skinny(int m, int n, int k, A... args)
{
	if (k % 8)
		return launch_skinny<E, 4, 1, 1, 4, false>(args...);
	if (m <= 8)
		return launch_skinny<E, 1, 1, 2, 5, true>(args...);
	if (m <= 16)
		return launch_skinny<E, 2, 2, 1, 5, true>(args...);
	return wide_tiles(n) ? launch_skinny<E, 4, 4, 1, 3, true>(args...) : launch_skinny<E, 4, 2, 1, 4, true>(args...);
}

/* Warps take whole segments; what each thread then adds for its outputs follows from the segments alone. The stack of the
 * binary counter lies in the segments' own room: its depth never passes the segment being added. */
template <class E, int MT, bool VECTOR>
__global__ void __launch_bounds__(THREADS, 1) fixed(void *out, enum k_form form, const uint16_t *x, const uint16_t *w, const float *bias,
						 const struct k_segment *segments, int n_segments, int m, int n, int k, int ld)
{
	BOUNDS(THREADS);
	gpu_take_turn();
	enum { SIZE = 128 * MT };
	SMEM(float, red); /* (n_segments, 8*MT, 16) */
	int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, g = lane >> 2, t = lane & 3;
	int n0 = blockIdx.x * 16, m0 = blockIdx.y * 8 * MT;
	const uint16_t *low = w + (size_t)min(n0 + g, n - 1) * ld + 8 * t, *high = w + (size_t)min(n0 + 8 + g, n - 1) * ld + 8 * t;

	for (int i = warp; i < n_segments; i += WARPS) {
		int first = segments[i].col, end = first + segments[i].cols;
		float d[MT][4] = {};
#pragma unroll 2
		for (int col = first; col < end; col += STEP) {
			uint4 a = gpu_load_once(low + col), b = gpu_load_once(high + col);
#pragma unroll
			for (int j = 0; j < MT; j++)
				multiply<E>(d[j], a, b, load_x<VECTOR>(x, m0 + 8 * j + g, m, col + 8 * t, k));
		}
#pragma unroll
		for (int j = 0; j < MT; j++)
#pragma unroll
			for (int q = 0; q < 4; q++)
				red[i * SIZE + (8 * j + 2 * t + (q & 1)) * 16 + g + 8 * (q >> 1)] = d[j][q];
	}
	__syncthreads();
	for (int e = threadIdx.x; e < SIZE; e += THREADS) {
		int token = m0 + e / 16, col = n0 + e % 16, depth = 0;
		for (int i = 0; i < n_segments; i++) {
			red[depth++ * SIZE + e] = red[i * SIZE + e];
			for (int j = 0; j < segments[i].merges; j++, depth--)
				red[(depth - 2) * SIZE + e] += red[(depth - 1) * SIZE + e];
			if (segments[i].part < 0)
				continue;
			depth = 0;
			if (form != K_OUT_SILU && token < m && col < n)
				put<E>(out, form, ((size_t)segments[i].part * m + token) * n + col, red[e] + (bias ? bias[col] : 0));
		}
	}
	if (form != K_OUT_SILU)
		return;
	__syncthreads(); /* the one part lies at the bottom of the stack */
	for (int e = threadIdx.x; e < SIZE / 2; e += THREADS) {
		int token = m0 + e / 8, col = n0 + e % 8 * 2;
		if (token < m && col < n)
			((uint16_t *)out)[(size_t)token * (n / 2) + col / 2] = gpu_down<E>(gpu_silu_mul(red[2 * e], red[2 * e + 1]));
	}
}

static constexpr int fixed_bytes(int n_segments, int mt)
{
	return n_segments * 128 * mt * (int)sizeof(float);
}

template <class E, int MT, bool VECTOR>
static cudaError_t launch_fixed(cudaStream_t s, void *out, enum k_form form, const void *x, const void *w, const float *bias,
				const struct k_segment *segments, int n_segments, int m, int n, int k, int ld)
{
	dim3 grid((n + 15) / 16, (m + 8 * MT - 1) / (8 * MT));

	return gpu_launch(fixed<E, MT, VECTOR>, grid, THREADS, fixed_bytes(n_segments, MT), s, out, form, (const uint16_t *)x, (const uint16_t *)w,
			  bias, segments, n_segments, m, n, k, ld);
}

template <class E, class... A> static cudaError_t pick_fixed(cudaStream_t s, int n_segments, int m, int k, A... args)
{
	if (k % 8)
		return launch_fixed<E, 2, false>(s, args...);
	return m <= 8 || fixed_bytes(n_segments, 4) > block_room ? launch_fixed<E, 1, true>(s, args...) : launch_fixed<E, 4, true>(s, args...);
}

/* Lets a kernel have up to `bytes`, where the device has them. */
template <class... P> static void allow(cudaError_t *e, void (*kernel)(P...), int bytes)
{
	*e = *e ? *e : cudaFuncSetAttribute((const void *)kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, min(bytes, block_room));
}
template <class E> static cudaError_t init()
{
	cudaError_t e = cudaSuccess;

	allow(&e, skinny<E, 4, 1, 1, 4, false>, skinny_bytes<4, 1, 1, 4>());
	allow(&e, skinny<E, 1, 1, 2, 5, true>, skinny_bytes<1, 1, 2, 5>());
	allow(&e, skinny<E, 2, 2, 1, 5, true>, skinny_bytes<2, 2, 1, 5>());
	allow(&e, skinny<E, 4, 2, 1, 4, true>, skinny_bytes<4, 2, 1, 4>());
	allow(&e, skinny<E, 4, 4, 1, 3, true>, skinny_bytes<4, 4, 1, 3>());
	allow(&e, fixed<E, 2, false>, fixed_bytes(K_MAX_SEGMENTS, 2));
	allow(&e, fixed<E, 1, true>, fixed_bytes(K_MAX_SEGMENTS, 1));
	allow(&e, fixed<E, 4, true>, fixed_bytes(K_MAX_SEGMENTS, 4));
	return e;
}

extern "C" {
cudaError_t k_linear_skinny(cudaStream_t s, enum k_type type, void *out, enum k_form form, const void *x, const void *w, const float *bias, int m, int n,
			    int k, int ld)
{
	if (type == K_F16)
		return pick_skinny<F16>(m, n, k, s, out, form, x, w, bias, m, n, k, ld);
	return pick_skinny<Bf16>(m, n, k, s, out, form, x, w, bias, m, n, k, ld);
}

cudaError_t k_linear_fixed(cudaStream_t s, enum k_type type, void *out, enum k_form form, const void *x, const void *w, const float *bias,
			   const struct k_segment *segments, int n_segments, int m, int n, int k, int ld)
{
	if (type == K_F16)
		return pick_fixed<F16>(s, n_segments, m, k, out, form, x, w, bias, segments, n_segments, m, n, k, ld);
	return pick_fixed<Bf16>(s, n_segments, m, k, out, form, x, w, bias, segments, n_segments, m, n, k, ld);
}

cudaError_t k_linear_init(void)
{
	int device = 0;
	cudaError_t e = cudaGetDevice(&device);

	e = e ? e : cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, device);
	e = e ? e : cudaDeviceGetAttribute(&block_room, cudaDevAttrMaxSharedMemoryPerBlockOptin, device);
	e = e ? e : init<Bf16>();
	return e ? e : init<F16>();
}
}
