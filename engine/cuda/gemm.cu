/* gemm.cu - expands rows of integers to 16-bit numbers for cuBLASLt, and puts columns of activations in the order of
 * a weight's. */
#include "engine/cuda/gpu_weight.h"

enum { THREADS = 256 };

/* Grid (rows). */
template <class E, class W> __global__ void __launch_bounds__(THREADS) from_integers(uint4 *out, const void *w, int ld)
{
	BOUNDS(THREADS);
	gpu_take_turn();
	for (int i = threadIdx.x * 8; i < ld; i += THREADS * 8)
		out[((size_t)blockIdx.x * ld + i) / 8] = weight_columns<E, W>(w, blockIdx.x, i, ld);
}

/* Grid (rows, blocks of columns). */
__global__ void __launch_bounds__(THREADS) columns(uint16_t *out, const uint16_t *x, const int32_t *order, int cols)
{
	BOUNDS(THREADS);
	const int i = blockIdx.y * THREADS + threadIdx.x, from = i < cols ? order[i] : 0;

	gpu_take_turn();
	if (i < cols)
		out[(size_t)blockIdx.x * cols + i] = x[(size_t)blockIdx.x * cols + from];
}

template <class W> static cudaError_t expand(cudaStream_t s, enum k_type type, void *out, const void *w, int n, int ld)
{
	return gpu_launch(type == K_F16 ? from_integers<F16, W> : from_integers<Bf16, W>, n, THREADS, 0, s,
			  (uint4 *)out, w, ld);
}

extern "C" {
cudaError_t k_from_int8(cudaStream_t s, enum k_type type, void *out, const void *w, int n, int ld)
{
	return expand<Int8>(s, type, out, w, n, ld);
}
cudaError_t k_from_int4(cudaStream_t s, enum k_type type, void *out, const void *w, int n, int ld)
{
	return expand<Int4>(s, type, out, w, n, ld);
}
cudaError_t k_from_uint8(cudaStream_t s, enum k_type type, void *out, const void *w, int n, int ld)
{
	return expand<Uint8>(s, type, out, w, n, ld);
}
cudaError_t k_from_uint4(cudaStream_t s, enum k_type type, void *out, const void *w, int n, int ld)
{
	return expand<Uint4>(s, type, out, w, n, ld);
}
cudaError_t k_columns(cudaStream_t s, void *out, const void *x, const int32_t *order, int rows, int cols)
{
	return gpu_launch(columns, dim3(rows, (cols + THREADS - 1) / THREADS), THREADS, 0, s, (uint16_t *)out,
			  (const uint16_t *)x, order, cols);
}
}
