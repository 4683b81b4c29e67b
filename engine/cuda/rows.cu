/* rows.cu - operations on one row at a time, bound by moving memory once: norms, sums, and selecting rows. */
#include "engine/cuda/gpu.h"
#include "engine/cuda/kernels.h"

enum { THREADS = 256 };

/* Sums over the block, with the same bits in every thread. `part` is used once between two barriers of the caller. */
GPU float block_sum(float *part, float v)
{
	float s = 0;

	v = gpu_warp_sum(v);
	if ((threadIdx.x & 31) == 0)
		part[threadIdx.x >> 5] = v;
	__syncthreads();
	for (int i = 0; i < THREADS / 32; i++)
		s += part[i];
	return s;
}

struct norm_args {
	void *out;
	float *x;
	const void *delta; /* of delta_type: K_F32 or K_BF16 */
	const float *shift, *w, *bias;
	float eps, per_col; /* 1 / cols: a division in the kernel would be a call */
	int cols, centred;
	enum k_type type, delta_type;
};

GPU void put4(const struct norm_args &a, size_t at, float4 v)
{
	if (a.type == K_F32) {
		*(float4 *)((float *)a.out + at) = v;
		return;
	}
	uint2 p = a.type == K_BF16 ? make_uint2(Bf16::pack(v.x, v.y), Bf16::pack(v.z, v.w))
				   : make_uint2(F16::pack(v.x, v.y), F16::pack(v.z, v.w));
	*(uint2 *)((uint16_t *)a.out + at) = p;
}
GPU float4 add4(float4 a, float4 b)
{
	return make_float4(a.x + b.x, a.y + b.y, a.z + b.z, a.w + b.w);
}
GPU float square4(float4 v, float mean)
{
	float a = v.x - mean, b = v.y - mean, c = v.z - mean, d = v.w - mean;
	return a * a + b * b + (c * c + d * d);
}

/* Four columns of w, or zeros beyond the row. */
GPU float4 four(const float *w, int i, int cols)
{
	return i < cols ? *(const float4 *)(w + i) : make_float4(0, 0, 0, 0);
}

GPU float4 four_halves(const uint16_t *p, int i, int cols)
{
	uint2 v = i < cols ? *(const uint2 *)(p + i) : make_uint2(0, 0);
	return make_float4(Bf16::up(v.x & 0xffff), Bf16::up_high(v.x), Bf16::up(v.y & 0xffff), Bf16::up_high(v.y));
}
/* N times four columns of delta, from `at` on. */
template <int N> GPU void read_delta(float4 *d, const struct norm_args &a, size_t at)
{
	if (a.delta_type == K_F32) {
#pragma unroll
		for (int j = 0; j < N; j++)
			d[j] = four((const float *)a.delta + at, 4 * (threadIdx.x + j * THREADS), a.cols);
		return;
	}
#pragma unroll
	for (int j = 0; j < N; j++)
		d[j] = four_halves((const uint16_t *)a.delta + at, 4 * (threadIdx.x + j * THREADS), a.cols);
}
/* The same plus the shift, which is the same for all rows. */
template <int N> GPU void read_shifted(float4 *d, const struct norm_args &a, size_t at)
{
	float4 shift[N];

	read_delta<N>(d, a, at);
	if (!a.shift)
		return;
#pragma unroll
	for (int j = 0; j < N; j++)
		shift[j] = four(a.shift, 4 * (threadIdx.x + j * THREADS), a.cols);
#pragma unroll
	for (int j = 0; j < N; j++)
		d[j] = add4(d[j], shift[j]);
}

/* One row a block, at most N * 4 * THREADS columns, held in registers. A block waits for memory twice: w, which no
 * kernel writes, is read while the kernel before still runs, and then all of x and delta before x is written, since a
 * write that may alias them would hold the reads back. Without BIAS there are neither bias nor shift. */
template <int N, bool BIAS> __global__ void __launch_bounds__(THREADS, 2) add_norm(struct norm_args a)
{
	BOUNDS(THREADS);
	SHARED(float, part, [2][THREADS / 32]);
	size_t row = (size_t)blockIdx.x * a.cols;
	float4 v[N], d[N], w[N], bias[BIAS ? N : 1];
	float sum = 0, mean = 0, r;

#pragma unroll
	for (int j = 0; j < N; j++)
		w[j] = four(a.w, 4 * (threadIdx.x + j * THREADS), a.cols);
	gpu_take_turn();
#pragma unroll
	for (int j = 0; j < N; j++)
		v[j] = four(a.x + row, 4 * (threadIdx.x + j * THREADS), a.cols);
	if (a.delta) {
		if (BIAS)
			read_shifted<N>(d, a, row);
		else
			read_delta<N>(d, a, row);
#pragma unroll
		for (int j = 0; j < N; j++) {
			int i = 4 * (threadIdx.x + j * THREADS);
			v[j] = add4(v[j], d[j]);
			if (i < a.cols)
				*(float4 *)(a.x + row + i) = v[j];
		}
	}
	if (BIAS) { /* on its way while sums are made; before the wait there are no registers for it */
#pragma unroll
		for (int j = 0; j < N; j++)
			bias[j] = a.bias ? four(a.bias, 4 * (threadIdx.x + j * THREADS), a.cols)
					 : make_float4(0, 0, 0, 0);
	}
#pragma unroll
	for (int j = 0; j < N; j++)
		if (4 * (int)(threadIdx.x + j * THREADS) < a.cols)
			sum += a.centred ? v[j].x + v[j].y + (v[j].z + v[j].w) : square4(v[j], 0);
	sum = block_sum(part[0], sum);
	if (a.centred) {
		mean = sum * a.per_col;
		sum = 0;
#pragma unroll
		for (int j = 0; j < N; j++)
			if (4 * (int)(threadIdx.x + j * THREADS) < a.cols)
				sum += square4(v[j], mean);
		sum = block_sum(part[1], sum);
	}
	r = rsqrtf(sum * a.per_col + a.eps);
#pragma unroll
	for (int j = 0; j < N; j++) {
		int i = 4 * (threadIdx.x + j * THREADS);
		if (i >= a.cols)
			continue;
		float4 o = make_float4((v[j].x - mean) * r * w[j].x, (v[j].y - mean) * r * w[j].y,
				       (v[j].z - mean) * r * w[j].z, (v[j].w - mean) * r * w[j].w);
		put4(a, row + i, BIAS ? add4(o, bias[j]) : o);
	}
}

GPU float delta_at(const struct norm_args &a, size_t row, int i)
{
	const size_t at = row + i;
	float d = a.delta_type == K_F32 ? ((const float *)a.delta)[at] : Bf16::up(((const uint16_t *)a.delta)[at]);

	return a.shift ? d + a.shift[i] : d;
}

/* For any number of columns. Each thread reads only what it wrote itself. */
__global__ void __launch_bounds__(THREADS) add_norm_any(struct norm_args a)
{
	BOUNDS(THREADS);
	gpu_take_turn();
	SHARED(float, part, [2][THREADS / 32]);
	size_t row = (size_t)blockIdx.x * a.cols;
	float *x = a.x + row, sum = 0, mean = 0, r;

	for (int i = threadIdx.x; i < a.cols; i += THREADS) {
		float v = x[i];
		if (a.delta)
			x[i] = v += delta_at(a, row, i);
		sum += a.centred ? v : v * v;
	}
	sum = block_sum(part[0], sum);
	if (a.centred) {
		mean = sum * a.per_col;
		sum = 0;
		for (int i = threadIdx.x; i < a.cols; i += THREADS)
			sum += (x[i] - mean) * (x[i] - mean);
		sum = block_sum(part[1], sum);
	}
	r = rsqrtf(sum * a.per_col + a.eps);
	for (int i = threadIdx.x; i < a.cols; i += THREADS) {
		float v = (x[i] - mean) * r * a.w[i] + (a.bias ? a.bias[i] : 0);
		size_t at = row + i;
		if (a.type == K_F32)
			((float *)a.out)[at] = v;
		else
			((uint16_t *)a.out)[at] = a.type == K_BF16 ? gpu_down<Bf16>(v) : gpu_down<F16>(v);
	}
}

/* x += delta (+ shift). Grid (rows, columns). */
template <bool VECTOR> __global__ void __launch_bounds__(THREADS) add(struct norm_args a)
{
	BOUNDS(THREADS);
	gpu_take_turn();
	const size_t row = (size_t)blockIdx.x * a.cols;
	const int i = (blockIdx.y * THREADS + threadIdx.x) * (VECTOR ? 4 : 1);

	if (i >= a.cols)
		return;
	if (!VECTOR) {
		a.x[row + i] += delta_at(a, row, i);
		return;
	}
	float4 d = a.delta_type == K_F32 ? *(const float4 *)((const float *)a.delta + row + i)
					 : four_halves((const uint16_t *)a.delta + row, i, a.cols);
	if (a.shift)
		d = add4(d, *(const float4 *)(a.shift + i));
	*(float4 *)(a.x + row + i) = add4(*(const float4 *)(a.x + row + i), d);
}

struct head_norm_args {
	uint16_t *qkv;
	const float *q, *k; /* (dim) */
	int heads, all /* of q and k */, width /* of a row */;
	float eps;
};
/* Norms each head of q and k in place: a head has LANES threads, DIM / 8 of which have eight numbers of it each. Grid
 * (tokens, heads by threads). */
template <class E, int DIM> __global__ void __launch_bounds__(THREADS) head_norm(struct head_norm_args a)
{
	BOUNDS(THREADS);
	enum { LANES = GPU_LANES(DIM, 8) };
	const int at = blockIdx.y * THREADS + threadIdx.x, head = at / LANES, d = at % LANES * 8;
	const bool in = head < a.all && d < DIM;
	const float *w = (head < a.heads ? a.q : a.k) + (in ? d : 0);
	uint16_t *x = a.qkv + (size_t)blockIdx.x * a.width + (in ? head * DIM + d : 0);
	const float4 w0 = *(const float4 *)w, w1 = *(const float4 *)(w + 4);
	const float by[8] = {w0.x, w0.y, w0.z, w0.w, w1.x, w1.y, w1.z, w1.w};
	float v[8], sum = 0;

	gpu_take_turn();
	gpu_up8<E>(v, *(const uint4 *)x);
#pragma unroll
	for (int i = 0; i < 8; i++)
		sum += in ? v[i] * v[i] : 0;
	for (int i = LANES / 2; i; i >>= 1)
		sum += __shfl_xor_sync(0xffffffffu, sum, i);
	const float r = rsqrtf(sum * (1.0f / DIM) + a.eps);
#pragma unroll
	for (int i = 0; i < 8; i++)
		v[i] = v[i] * r * by[i];
	if (in)
		*(uint4 *)x =
			make_uint4(E::pack(v[0], v[1]), E::pack(v[2], v[3]), E::pack(v[4], v[5]), E::pack(v[6], v[7]));
}

/* The same of heads of any size: a warp has one, number by number. Grid (tokens, heads by warps). */
template <class E> __global__ void __launch_bounds__(THREADS) head_norm_any(struct head_norm_args a, int dim)
{
	BOUNDS(THREADS);
	gpu_take_turn();
	const int lane = threadIdx.x & 31, head = (blockIdx.y * THREADS + threadIdx.x) / 32;
	const float *w = head < a.heads ? a.q : a.k;
	uint16_t *x = a.qkv + (size_t)blockIdx.x * a.width + (size_t)min(head, a.all - 1) * dim;
	float sum = 0;

	for (int d = lane; d < dim; d += 32)
		sum += E::up(x[d]) * E::up(x[d]);
	const float r = rsqrtf(__fdividef(gpu_warp_sum(sum), (float)dim) + a.eps);
	for (int d = lane; d < dim && head < a.all; d += 32)
		x[d] = gpu_down<E>(E::up(x[d]) * r * w[d]);
}

template <class T> __global__ void __launch_bounds__(THREADS) rows(T *out, const T *x, const int32_t *row, int n)
{
	BOUNDS(THREADS);
	gpu_take_turn();
	const T *from = x + (size_t)row[blockIdx.x] * n;

	for (int i = threadIdx.x; i < n; i += THREADS)
		out[(size_t)blockIdx.x * n + i] = from[i];
}

template <class E> static auto choose_head_norm(int dim)
{
	return gpu_for_dim(dim, [](auto d) { return head_norm<E, d()>; });
}

extern "C" {
void k_overlap(bool on)
{
	gpu_overlap = on;
}
const char *k_no_overlap(int device)
{
	enum { SINCE = 12030 /* the first driver that supports it in captured graphs */ };
	int major = 0, driver = 0;

	if (cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device) || major < 9)
		return "off: needs compute capability 9.0";
	return cudaDriverGetVersion(&driver) || driver < SINCE ? "off: needs a driver of CUDA 12.3" : NULL;
}

cudaError_t k_add_norm(cudaStream_t s, enum k_type type, void *out, float *x, const void *delta, enum k_type delta_type,
		       const float *shift, const float *w, const float *bias, bool centred, float eps, int n, int cols)
{
	struct norm_args a = {out, x, delta, shift, w, bias, eps, 1.0f / cols, cols, centred, type, delta_type};

	if (cols % 4 || cols > 32 * THREADS)
		return gpu_launch(add_norm_any, n, THREADS, 0, s, a);
	if (cols <= 8 * THREADS)
		return gpu_launch(bias || shift ? add_norm<2, true> : add_norm<2, false>, n, THREADS, 0, s, a);
	return gpu_launch(bias || shift ? add_norm<8, true> : add_norm<8, false>, n, THREADS, 0, s, a);
}

cudaError_t k_add(cudaStream_t s, float *x, const void *delta, enum k_type delta_type, const float *shift, int n,
		  int cols)
{
	struct norm_args a = {NULL, x, delta, shift, NULL, NULL, 0, 0, cols, 0, K_F32, delta_type};
	int per = cols % 4 ? THREADS : 4 * THREADS;

	return gpu_launch(cols % 4 ? add<false> : add<true>, dim3(n, (cols + per - 1) / per), THREADS, 0, s, a);
}

cudaError_t k_head_norm(cudaStream_t s, enum k_type type, void *qkv, const float *q, const float *k, float eps,
			int heads, int kv_heads, int dim, int tokens)
{
	struct head_norm_args a = {(uint16_t *)qkv, q, k, heads, heads + kv_heads, (heads + 2 * kv_heads) * dim, eps};
	int blocks = (a.all * (gpu_is_built(dim) ? GPU_LANES(dim, 8) : 32) + THREADS - 1) / THREADS;

	if (!gpu_is_built(dim))
		return gpu_launch(type == K_F16 ? head_norm_any<F16> : head_norm_any<Bf16>, dim3(tokens, blocks),
				  THREADS, 0, s, a, dim);
	return gpu_launch(type == K_F16 ? choose_head_norm<F16>(dim) : choose_head_norm<Bf16>(dim),
			  dim3(tokens, blocks), THREADS, 0, s, a);
}

cudaError_t k_rows(cudaStream_t s, void *out, const void *x, const int32_t *row, int n, int bytes)
{
	if (bytes % 16)
		return gpu_launch(rows<uint16_t>, n, THREADS, 0, s, (uint16_t *)out, (const uint16_t *)x, row,
				  bytes / 2);
	return gpu_launch(rows<uint4>, n, THREADS, 0, s, (uint4 *)out, (const uint4 *)x, row, bytes / 16);
}
}
