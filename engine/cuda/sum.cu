/* sum.cu - adds up the ranks' partial sums as a tree. */
#include "engine/cuda/gpu.h"
#include "engine/cuda/kernels.h"

enum { THREADS = 256 };

__global__ void __launch_bounds__(THREADS) tree_sum(float *out, struct k_tree in, size_t n)
{
	BOUNDS(THREADS);
	gpu_take_turn();
	SHARED(float, stack, [8][THREADS]); /* each thread has its own column */

	for (size_t i = (size_t)blockIdx.x * THREADS + threadIdx.x; i < n; i += (size_t)gridDim.x * THREADS) {
		int depth = 0;
		for (int j = 0; j < in.count; j++) {
			stack[depth++][threadIdx.x] = in.data[j][i];
			for (int k = 0; k < in.merges[j]; k++, depth--)
				stack[depth - 2][threadIdx.x] += stack[depth - 1][threadIdx.x];
		}
		out[i] = stack[0][threadIdx.x] + 0.0f;
	}
}

extern "C" {
cudaError_t k_tree_sum(cudaStream_t s, float *out, struct k_tree in, size_t n)
{
	size_t blocks = (n + THREADS - 1) / THREADS;

	return gpu_launch(tree_sum, (unsigned)(blocks < 4096 ? blocks : 4096), THREADS, 0, s, out, in, n);
}
}
