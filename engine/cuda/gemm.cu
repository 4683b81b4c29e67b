/* gemm.cu - expands rows of integers to 16-bit numbers for cuBLASLt. */
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

extern "C" {
cudaError_t k_from_int8(cudaStream_t s, enum k_type type, void *out, const void *w, int n, int ld)
{
	return gpu_launch(type == K_F16 ? from_integers<F16, Int8> : from_integers<Bf16, Int8>, n, THREADS, 0, s,
			  (uint4 *)out, w, ld);
}
cudaError_t k_from_int4(cudaStream_t s, enum k_type type, void *out, const void *w, int n, int ld)
{
	return gpu_launch(type == K_F16 ? from_integers<F16, Int4> : from_integers<Bf16, Int4>, n, THREADS, 0, s,
			  (uint4 *)out, w, ld);
}
}
