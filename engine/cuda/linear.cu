/* linear.cu - products with few rows, read at the speed of memory: a weight row is the row operand of mma.m16n8k16, a token
 * the column operand. The order of k inside a dot product is free, so a lane takes 8 contiguous columns (16 bytes) and feeds
 * two products with them, the activations alike: no repacking of weights, which cuBLASLt reads as they are. */
#include "engine/cuda/gpu.h"
#include "engine/cuda/kernels.h"

enum { WARPS = 8, THREADS = 32 * WARPS, STEP = 32 /* columns a warp takes at a time */ };

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

/* A lane's part of UNROLL turns from column `col` on of its weight rows, zeros past the end. */
template <int R, int UNROLL> GPU void load_w(uint4 w[UNROLL][R][2], const uint16_t *const row[R][2], int col, int ld)
{
#pragma unroll
	for (int u = 0; u < UNROLL; u++) {
		int at = col + u * WARPS * STEP;
#pragma unroll
		for (int r = 0; r < R; r++)
#pragma unroll
			for (int h = 0; h < 2; h++)
				w[u][r][h] = at >= ld ? make_uint4(0, 0, 0, 0) : gpu_load_once(row[r][h] + at);
	}
}

/* One warp's 32 columns of 16 weight rows and 8 tokens. */
template <class E> GPU void multiply(float d[4], uint4 low, uint4 high, uint4 x)
{
	uint32_t a0[4] = {low.x, high.x, low.y, high.y}, b0[2] = {x.x, x.y};
	uint32_t a1[4] = {low.z, high.z, low.w, high.w}, b1[2] = {x.z, x.w};

	E::mma(d, a0, b0);
	E::mma(d, a1, b1);
}

/* What the warps have of one output, added up. */
template <int WIDTH> GPU float over_warps(const float *red, int at)
{
	float s = 0;

#pragma unroll
	for (int j = 0; j < WARPS; j++)
		s += red[j * WIDTH + at];
	return s;
}

/* A block makes 16*R outputs of 8*MT tokens; its warps split K in turns of 32 columns, UNROLL turns in flight. The first turns'
 * weights are under way before the kernel before this one has ended: nobody writes weights. */
template <class E, int MT, int R, int UNROLL, bool VECTOR>
__global__ void __launch_bounds__(THREADS) skinny(void *out, enum k_form form, const uint16_t *x, const uint16_t *w, const float *bias, int m, int n, int k,
						  int ld)
{
	BOUNDS(THREADS);
	SHARED(float, red, [WARPS][8 * MT][16 * R + 1]);
	int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, g = lane >> 2, t = lane & 3;
	int n0 = blockIdx.x * 16 * R, m0 = blockIdx.y * 8 * MT;
	float d[R][MT][4] = {};
	const uint16_t *row[R][2];
	uint4 wv[UNROLL][R][2];

#pragma unroll
	for (int r = 0; r < R; r++)
#pragma unroll
		for (int h = 0; h < 2; h++) /* a row past the end is a copy of the last: its result is not written */
			row[r][h] = w + (size_t)min(n0 + 16 * r + 8 * h + g, n - 1) * ld + 8 * t;
	load_w<R, UNROLL>(wv, row, warp * STEP, ld);
	gpu_take_turn();
	for (int k0 = warp * STEP; k0 < ld; k0 += WARPS * STEP * UNROLL) {
		uint4 xv[UNROLL][MT];
#pragma unroll
		for (int u = 0; u < UNROLL; u++)
#pragma unroll
			for (int i = 0; i < MT; i++) /* zeros from k on */
				xv[u][i] = load_x<VECTOR>(x, m0 + 8 * i + g, m, k0 + u * WARPS * STEP + 8 * t, k);
#pragma unroll
		for (int u = 0; u < UNROLL; u++)
#pragma unroll
			for (int r = 0; r < R; r++)
#pragma unroll
				for (int i = 0; i < MT; i++)
					multiply<E>(d[r][i], wv[u][r][0], wv[u][r][1], xv[u][i]);
		load_w<R, UNROLL>(wv, row, k0 + WARPS * STEP * UNROLL, ld);
	}
#pragma unroll
	for (int r = 0; r < R; r++)
#pragma unroll
		for (int i = 0; i < MT; i++)
#pragma unroll
			for (int j = 0; j < 4; j++)
				red[warp][8 * i + 2 * t + (j & 1)][16 * r + g + 8 * (j >> 1)] = d[r][i][j];
	__syncthreads();
	enum { WIDTH = 8 * MT * (16 * R + 1), PAIRS = 8 * R };
	for (int i = threadIdx.x; form == K_OUT_SILU && i < PAIRS * 8 * MT; i += THREADS) {
		int token = i / PAIRS, pair = i % PAIRS, at = token * (16 * R + 1) + 2 * pair;
		float v = gpu_silu_mul(over_warps<WIDTH>(red[0][0], at), over_warps<WIDTH>(red[0][0], at + 1));
		if (m0 + token < m && n0 + 2 * pair < n)
			((uint16_t *)out)[(size_t)(m0 + token) * (n / 2) + n0 / 2 + pair] = gpu_down<E>(v);
	}
	for (int i = threadIdx.x; form != K_OUT_SILU && i < 128 * R * MT; i += THREADS) {
		int token = i / (16 * R), col = i % (16 * R);
		float s = over_warps<WIDTH>(red[0][0], token * (16 * R + 1) + col);
		if (m0 + token < m && n0 + col < n)
			put<E>(out, form, (size_t)(m0 + token) * n + n0 + col, s + (bias ? bias[n0 + col] : 0));
	}
}

template <class E, int MT, int R, int UNROLL, bool VECTOR>
static cudaError_t launch_skinny(cudaStream_t s, void *out, enum k_form form, const void *x, const void *w, const float *bias, int m, int n, int k, int ld)
{
	dim3 grid((n + 16 * R - 1) / (16 * R), (m + 8 * MT - 1) / (8 * MT));

	return gpu_launch(skinny<E, MT, R, UNROLL, VECTOR>, grid, THREADS, 0, s, out, form, (const uint16_t *)x, (const uint16_t *)w, bias, m, n,
			  k, ld);
}

template <class E>
static cudaError_t pick_skinny(cudaStream_t s, void *out, enum k_form form, const void *x, const void *w, const float *bias, int m, int n, int k, int ld)
{
	if (k % 8)
		return launch_skinny<E, 4, 1, 1, false>(s, out, form, x, w, bias, m, n, k, ld);
	if (m <= 8)
		return launch_skinny<E, 1, 1, 4, true>(s, out, form, x, w, bias, m, n, k, ld);
	if (m <= 16)
		return launch_skinny<E, 2, 1, 4, true>(s, out, form, x, w, bias, m, n, k, ld);
	return launch_skinny<E, 4, 2, 1, true>(s, out, form, x, w, bias, m, n, k, ld);
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

/* Shared memory of a block: 99 KiB on some devices, 227 on others. */
static int fixed_room;

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
	return m <= 8 || fixed_bytes(n_segments, 4) > fixed_room ? launch_fixed<E, 1, true>(s, args...) : launch_fixed<E, 4, true>(s, args...);
}

template <class E, int MT, bool VECTOR> static cudaError_t allow_fixed()
{
	return cudaFuncSetAttribute((const void *)fixed<E, MT, VECTOR>, cudaFuncAttributeMaxDynamicSharedMemorySize,
				    min(fixed_bytes(K_MAX_SEGMENTS, MT), fixed_room));
}
template <class E> static cudaError_t init_fixed()
{
	cudaError_t e = allow_fixed<E, 2, false>();

	e = e ? e : allow_fixed<E, 1, true>();
	return e ? e : allow_fixed<E, 4, true>();
}

extern "C" {
cudaError_t k_linear_skinny(cudaStream_t s, enum k_type type, void *out, enum k_form form, const void *x, const void *w, const float *bias, int m, int n,
			    int k, int ld)
{
	return type == K_F16 ? pick_skinny<F16>(s, out, form, x, w, bias, m, n, k, ld) : pick_skinny<Bf16>(s, out, form, x, w, bias, m, n, k, ld);
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

	e = e ? e : cudaDeviceGetAttribute(&fixed_room, cudaDevAttrMaxSharedMemoryPerBlockOptin, device);
	e = e ? e : init_fixed<Bf16>();
	return e ? e : init_fixed<F16>();
}
}
