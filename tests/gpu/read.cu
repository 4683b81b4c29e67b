/* read.cu - reads memory and writes next to nothing: the ceiling of what decode can do. */
#include "engine/cuda/gpu.h"
#include "engine/cuda/kernels.h"

enum { THREADS = 512, AHEAD = 8 /* loads of 16 bytes in flight in a thread */ };

__global__ void __launch_bounds__(THREADS) read_all(float *out, const uint4 *data, size_t n)
{
	BOUNDS(THREADS);
	gpu_take_turn();
	uint32_t seen = 0;

	for (size_t i = (size_t)blockIdx.x * THREADS * AHEAD + threadIdx.x; i < n;
	     i += (size_t)gridDim.x * THREADS * AHEAD) {
		uint4 v[AHEAD];
#pragma unroll
		for (int j = 0; j < AHEAD; j++)
			v[j] = i + (size_t)j * THREADS < n ? gpu_load_once(data + i + (size_t)j * THREADS)
							   : uint4{0, 0, 0, 0};
#pragma unroll
		for (int j = 0; j < AHEAD; j++)
			seen ^= v[j].x ^ v[j].y ^ v[j].z ^ v[j].w;
	}
	if (seen == 0x12345678u) /* hardly ever: keeps the loads */
		out[0] = 1;
}

extern "C" cudaError_t k_read(cudaStream_t stream, float *out, const void *data, size_t bytes)
{
	size_t n = bytes / sizeof(uint4), blocks = (n + THREADS * AHEAD - 1) / (THREADS * AHEAD);
	int device = 0, sms = 0;
	cudaError_t e = cudaGetDevice(&device);

	e = e ? e : cudaDeviceGetAttribute(&sms, cudaDevAttrMultiProcessorCount, device);
	return e ? e
		 : gpu_launch(read_all, (unsigned)(blocks < (size_t)sms * 4 ? blocks : (size_t)sms * 4), THREADS, 0,
			      stream, out, (const uint4 *)data, n);
}
