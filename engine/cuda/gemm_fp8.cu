/* gemm_fp8.cu - what cuBLASLt's products of e4m3 numbers need beside them: activations as such numbers, and sums times
 * their scales. */
#include "engine/cuda/gpu.h"
#include "engine/cuda/kernels.h"

enum { THREADS = 256 };

/* The largest of all threads' numbers. */
GPU uint32_t block_max(uint32_t v)
{
	SHARED(uint32_t, part, [THREADS / 32]);

	for (int x = 16; x; x >>= 1)
		v = max(v, __shfl_xor_sync(0xffffffffu, v, x));
	if (threadIdx.x % 32 == 0)
		part[threadIdx.x / 32] = v;
	__syncthreads();
#pragma unroll
	for (int i = 0; i < THREADS / 32; i++)
		v = max(v, part[i]);
	return v;
}
/* The larger size of two 16-bit numbers, as 16 bits: it grows with the number, and NaN is above all. */
GPU uint32_t pair_max(uint32_t most, uint32_t pair)
{
	return max(most, max(pair & 0x7fff, pair >> 16 & 0x7fff));
}

/* Grid (rows of x). The second time x comes from L1 or L2. */
template <class E>
__global__ void __launch_bounds__(THREADS) to_fp8(uint2 *out, float *scale, const uint16_t *x, int k, int ld)
{
	BOUNDS(THREADS);
	gpu_take_turn();
	const uint16_t *row = x + (size_t)blockIdx.x * k;
	uint32_t most = 0;

	for (int i = threadIdx.x * 8; i < k; i += THREADS * 8) {
		uint4 v = *(const uint4 *)(row + i);
		most = pair_max(pair_max(pair_max(pair_max(most, v.x), v.y), v.z), v.w);
	}
	most = gpu_float_bits(E::up(block_max(most)));
	if (threadIdx.x == 0)
		scale[blockIdx.x] = fp8_scale(most);
	for (int i = threadIdx.x * 8; i < ld; i += THREADS * 8) {
		uint4 v = i < k ? *(const uint4 *)(row + i) : uint4{0, 0, 0, 0};
		uint32_t q[2] = {0, 0};
		float f[8];
		gpu_up8<E>(f, v);
#pragma unroll
		for (int j = 0; j < 8; j++)
			q[j / 4] |= Fp8::down(f[j] * fp8_factor(most)) << 8 * (j % 4);
		out[((size_t)blockIdx.x * ld + i) / 8] = make_uint2(q[0], q[1]);
	}
}

/* Grid (n / 4 by threads, rows). */
template <class E>
__global__ void __launch_bounds__(THREADS) scale_sums(void *out, enum k_form form, const float *sums, const float *row,
						      const float *column, int n, int ld, int ldo)
{
	BOUNDS(THREADS);
	gpu_take_turn();
	const int col = (blockIdx.x * THREADS + threadIdx.x) * 4;

	if (col >= n)
		return;
	float4 v = *(const float4 *)(sums + (size_t)blockIdx.y * ld + col), by = *(const float4 *)(column + col);
	float r = row[blockIdx.y];
	v = make_float4(v.x * by.x * r, v.y * by.y * r, v.z * by.z * r, v.w * by.w * r);
	if (form == K_OUT_16)
		*(uint2 *)((uint16_t *)out + (size_t)blockIdx.y * ldo + col) =
			make_uint2(E::pack(v.x, v.y), E::pack(v.z, v.w));
	else
		*(float4 *)((float *)out + (size_t)blockIdx.y * ldo + col) = v;
}

extern "C" {
cudaError_t k_to_fp8(cudaStream_t s, enum k_type type, void *out, float *scale, const void *x, int m, int k, int ld)
{
	return gpu_launch(type == K_F16 ? to_fp8<F16> : to_fp8<Bf16>, m, THREADS, 0, s, (uint2 *)out, scale,
			  (const uint16_t *)x, k, ld);
}
cudaError_t k_scale(cudaStream_t s, enum k_type type, void *out, enum k_form form, const float *sums, const float *row,
		    const float *column, int m, int n, int ld, int ldo)
{
	return gpu_launch(type == K_F16 ? scale_sums<F16> : scale_sums<Bf16>, dim3((n / 4 + THREADS - 1) / THREADS, m),
			  THREADS, 0, s, out, form, sums, row, column, n, ld, ldo);
}
}
