/* gemm.cu - expands rows of weights of 8 or 4 bits to 16-bit numbers for cuBLASLt, and puts columns of activations in
 * the order of a weight's. */
#include "engine/cuda/gpu_weight.h"

enum { THREADS = 256 };

/* Grid (rows). */
template <class E, class W>
__global__ void __launch_bounds__(THREADS) from_parts(uint4 *out, const void *w, int ld, int first)
{
	BOUNDS(THREADS);
	gpu_take_turn();
	for (int i = threadIdx.x * 8; i < ld; i += THREADS * 8)
		out[((size_t)blockIdx.x * ld + i) / 8] = weight_columns<E, W>(w, blockIdx.x, i, ld, first);
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

extern "C" {
cudaError_t k_expand(cudaStream_t s, enum k_type type, void *out, struct k_matrix w, int rows)
{
	return gpu_for_weights(type, w.class_, [&](auto e, auto c) -> cudaError_t {
		if constexpr (in_parts<decltype(c)>)
			return gpu_launch(from_parts<decltype(e), decltype(c)>, rows, THREADS, 0, s, (uint4 *)out,
					  w.data, w.ld, w.first);
		return cudaErrorInvalidValue;
	});
}
cudaError_t k_columns(cudaStream_t s, void *out, const void *x, const int32_t *order, int rows, int cols)
{
	return gpu_launch(columns, dim3(rows, (cols + THREADS - 1) / THREADS), THREADS, 0, s, (uint16_t *)out,
			  (const uint16_t *)x, order, cols);
}
}
