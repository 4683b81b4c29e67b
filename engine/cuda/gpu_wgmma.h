/* gpu_wgmma.h - Hopper's products of a warpgroup (128 threads), for kernels that run on compute capability 9.0 only:
 * they need the code of sm_90a, elsewhere they trap. PTX ISA, "Asynchronous Warpgroup Level Matrix Instructions". A
 * host body gives results no earlier than the wait, and reads its operands no earlier either.
 *
 * A matrix in shared memory is made of panels: rows of 128 bytes (64 numbers), eight rows a pattern of 1,024 bytes,
 * whose unit of 16 bytes u of row r lies at place u ^ (r & 7) (the 128-byte swizzle). Panels begin at multiples of
 * 1,024. */
#ifndef ENGINE_CUDA_GPU_WGMMA_H
#define ENGINE_CUDA_GPU_WGMMA_H

#include "engine/cuda/gpu.h"

enum { GPU_PANEL_ROW = 128, GPU_PATTERN = 8 * GPU_PANEL_ROW /* bytes */ };

#ifdef __CUDACC__
/* SMEM() at a multiple of the pattern. */
#define SMEM_PATTERN(T, name) \
	extern __shared__ __align__(1024) unsigned char gpu_smem_pattern[]; \
	T *name = (T *)gpu_smem_pattern
#if !defined(__CUDA_ARCH__) || defined(__CUDA_ARCH_FEAT_SM90_ALL)
#define GPU_HAS_WGMMA 1
#endif
#else
#define SMEM_PATTERN(T, name) SMEM(T, name)
#define GPU_HAS_WGMMA 1
#endif

#ifdef GPU_HAS_WGMMA
/* Makes the descriptor of a matrix at `at`. K-major: its rows run along the summed dimension, and `panels` is unused.
 * MN-major: each row is one index of the summed dimension and holds columns; `panels` bytes lie from one panel to the
 * next. */
GPU uint64_t gpu_matrix(const void *at, int panels)
{
#ifdef __CUDACC__
	uint32_t start = (uint32_t)__cvta_generic_to_shared(at);
#else
	uint32_t start = fake::shared_address(at);
#endif
	return (uint64_t)(start & 0x3ffff) >> 4 | (uint64_t)(panels >> 4) << 16 | (uint64_t)(GPU_PATTERN >> 4) << 32 |
	       1ull << 62;
}

/* Lets products after a barrier read what this thread wrote to shared memory before. */
GPU void gpu_products_may_read()
{
#ifdef __CUDACC__
	asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
#else
	fake::proxy_fence();
#endif
}
/* Must precede the first product that uses registers which other instructions have used. */
GPU void gpu_products_begin()
{
#ifdef __CUDACC__
	asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
#else
	fake::wgmma_fence();
#endif
}
GPU void gpu_products_commit()
{
#ifdef __CUDACC__
	asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
#else
	fake::wgmma_commit();
#endif
}
/* Keeps the compiler from moving what follows in the source before this, and what computes x behind it. */
template <int N> GPU void gpu_here(float (&x)[N])
{
#ifdef __CUDACC__
#pragma unroll
	for (int i = 0; i < N; i++)
		asm volatile("" : "+f"(x[i])::"memory");
#else
	(void)x;
#endif
}
/* Waits until at most KEEP committed groups are in flight. d is the sum of a group that is then complete. */
template <int KEEP, int N> GPU void gpu_products_wait(float (&d)[N])
{
#ifdef __CUDACC__
	asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(KEEP) : "memory");
	gpu_here(d);
#else
	fake::wgmma_wait(KEEP);
	(void)d;
#endif
}

#define GPU_R8(d, i) \
	"+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3]), "+f"(d[i + 4]), "+f"(d[i + 5]), "+f"(d[i + 6]), \
		"+f"(d[i + 7])
#define GPU_R32(d, i) GPU_R8(d, i), GPU_R8(d, i + 8), GPU_R8(d, i + 16), GPU_R8(d, i + 24)
#define GPU_D32 \
	"%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30," \
	"%31"
#define GPU_D64 \
	GPU_D32 ",%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47,%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59," \
		"%60,%61,%62,%63"

/* d (64, 128 keys) = or += a (64, 16) b (128, 16)^T, both K-major in shared memory. */
#define GPU_WGMMA_SCORES(type) \
	asm volatile("{.reg .pred p; setp.ne.b32 p, %66, 0; wgmma.mma_async.sync.aligned.m64n128k16.f32." type \
		     "." type " {" GPU_D64 "}, %64, %65, p, 1, 1, 0, 0;}" \
		     : GPU_R32(d, 0), GPU_R32(d, 32) \
		     : "l"(a), "l"(b), "r"((int)add))
template <class E> GPU void gpu_product_scores(float (&d)[64], uint64_t a, uint64_t b, bool add)
{
#ifdef __CUDACC__
	if constexpr (E::IS_F16)
		GPU_WGMMA_SCORES("f16");
	else
		GPU_WGMMA_SCORES("bf16");
#else
	fake::wgmma(d, 128, a, b, false, add, E::up);
#endif
}

/* d (64, n = 2 N) += a (64, 16) b (16, n): a in registers laid out as for mma.sync, b MN-major in shared memory. */
#define GPU_WGMMA_VALUES(type, n, D, a0, a1, a2, a3, b0, ...) \
	asm volatile("wgmma.mma_async.sync.aligned.m64n" n "k16.f32." type "." type " {" D "}, {" a0 "," a1 "," a2 \
		     "," a3 "}, " b0 ", 1, 1, 1, 1;" \
		     : __VA_ARGS__ \
		     : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b))
template <class E> GPU void gpu_product_values(float (&d)[64], const uint32_t (&a)[4], uint64_t b)
{
#ifdef __CUDACC__
	if constexpr (E::IS_F16)
		GPU_WGMMA_VALUES("f16", "128", GPU_D64, "%64", "%65", "%66", "%67", "%68", GPU_R32(d, 0),
				 GPU_R32(d, 32));
	else
		GPU_WGMMA_VALUES("bf16", "128", GPU_D64, "%64", "%65", "%66", "%67", "%68", GPU_R32(d, 0),
				 GPU_R32(d, 32));
#else
	fake::wgmma(d, 128, a, b, true, true, E::up);
#endif
}
template <class E> GPU void gpu_product_values(float (&d)[32], const uint32_t (&a)[4], uint64_t b)
{
#ifdef __CUDACC__
	if constexpr (E::IS_F16)
		GPU_WGMMA_VALUES("f16", "64", GPU_D32, "%32", "%33", "%34", "%35", "%36", GPU_R32(d, 0));
	else
		GPU_WGMMA_VALUES("bf16", "64", GPU_D32, "%32", "%33", "%34", "%35", "%36", GPU_R32(d, 0));
#else
	fake::wgmma(d, 64, a, b, true, true, E::up);
#endif
}
#endif
#endif
