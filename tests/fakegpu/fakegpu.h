/* fakegpu.h - what engine/cuda/gpu.h includes under g++: CUDA kernels run on the host, one fiber for each thread, one
 * block at a time. A fiber runs until it must wait, warp after warp, so that a missing barrier shows as poison that is
 * read. */
#pragma once
#include <cuda_runtime_api.h>
#include <cuda_bf16.h>
#include <math.h>
#include <string.h>
#include <vector_functions.h>
#include <functional>
#include <memory>
#include <tuple>
#include <type_traits>
#undef __launch_bounds__
#define __launch_bounds__(...)
#undef __global__
#define __global__
#undef __forceinline__
#define __forceinline__ inline
#undef __shared__ /* a plain __shared__ must not compile: use SHARED() */

namespace fake
{
struct Thread {
	uint3 tid;
	unsigned linear, lane, warp;
};
extern Thread *me; /* the running CUDA thread; one device worker per process, so no TLS */
void block_barrier(int line);
void warp_barrier(unsigned mask, int line);
uint64_t warp_swap(unsigned mask, uint64_t v, int src, int line);
unsigned warp_ballot(unsigned mask, int pred, int line);
void copy_async4(void *shared, const void *global, bool there);
void copy_async16(void *shared, const void *global, bool there); /* lands as late as it may: at the wait */
void copy_commit(void);
void copy_wait(unsigned keep);
void ldmatrix_x4(uint32_t r[4], const void *row, bool trans);
struct Fragment {
	float *d, a[8], b[4];
};
void mma(const Fragment &mine);
inline __attribute__((always_inline)) void mma_m16n8k16(float d[4], const uint32_t a[4], const uint32_t b[2],
							float (*up)(uint32_t))
{
	Fragment f;
	f.d = d;
	for (int i = 0; i < 8; i++)
		f.a[i] = up(a[i / 2] >> i % 2 * 16 & 0xffff);
	for (int i = 0; i < 4; i++)
		f.b[i] = up(b[i / 2] >> i % 2 * 16 & 0xffff);
	mma(f);
}
/* products of a warpgroup (gpu_wgmma.h) */
uint32_t shared_address(const void *p);
void proxy_fence(void);
void wgmma_fence(void);
void wgmma_commit(void);
void wgmma_wait(unsigned keep);
void wgmma(float *d, unsigned n, const uint32_t *a, uint64_t b, bool b_mn, bool add, float (*up)(uint32_t));
void wgmma(float *d, unsigned n, uint64_t a, uint64_t b, bool b_mn, bool add, float (*up)(uint32_t));
void fence(void);         /* for TSan: what was written before one is seen after a later one */
void wait_previous(void); /* for the end of the kernel before */
void start_next(void);
void bounds(unsigned threads, const char *file,
	    int line); /* dies on a launch with more threads than __launch_bounds__ allows */
void *shared_array(const void *tag, size_t size, size_t align, const char *name);
void *dynamic_shared(void);
[[noreturn]] void die(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* launch: translate() turns device addresses in an argument into backing addresses */
void *translate_pointer(const void *p, size_t align);
void translate_words(void *p, size_t n);
struct Launch {
	const void *kernel;
	dim3 grid, block;
	size_t smem;
	cudaStream_t stream;
	bool overlap; /* programmatic stream serialization */
};
cudaError_t launch(const Launch &l, std::function<void()> bind, std::function<void()> body);
template <class T> inline void translate(T &v)
{
	if constexpr (std::is_pointer_v<T>) {
		size_t al = 1;
		if constexpr (!std::is_void_v<std::remove_pointer_t<T>>)
			al = alignof(std::remove_pointer_t<T>);
		v = (T)translate_pointer((const void *)v, al);
	} else if constexpr (std::is_class_v<T>) {
		static_assert(std::is_trivially_copyable_v<T>, "kernel arguments are copied as bytes");
		translate_words(&v, sizeof v);
	}
}
template <class T> inline T swap(unsigned mask, T v, int src, int line)
{
	static_assert(sizeof(T) <= 8 && std::is_trivially_copyable_v<T>, "");
	uint64_t u = 0;
	memcpy(&u, &v, sizeof v);
	u = warp_swap(mask, u, src, line);
	memcpy(&v, &u, sizeof v);
	return v;
}
template <class... P, class... A> inline cudaError_t launch(const Launch &l, void (*k)(P...), A... a)
{
	std::tuple<std::decay_t<P>...> frozen{(P)a...}; /* the values of this moment, as on hardware */
	auto now = std::make_shared<std::tuple<std::decay_t<P>...>>();
	return launch(
		l,
		[frozen, now] {
			*now = frozen;
			std::apply([](auto &...v) { (translate(v), ...); }, *now);
		},
		[k, now] { std::apply(k, *now); });
}
} // namespace fake

extern uint3 threadIdx, blockIdx; /* true globals, set at each switch: macros would break NVIDIA's headers */
extern dim3 blockDim, gridDim;
static const int warpSize = 32;
#define SHARED(T, name, dims) \
	typedef T name##_shared_t dims; \
	static const char name##_tag = 0; \
	name##_shared_t &name = \
		*(name##_shared_t *)fake::shared_array(&name##_tag, sizeof(name##_shared_t), alignof(T), #name)
#define SMEM(T, name) T *name = (T *)fake::dynamic_shared()
#define __syncthreads() fake::block_barrier(__LINE__)
#define GPU_PICK(_0, _1, ...) _1
#define __syncwarp(...) fake::warp_barrier(GPU_PICK(0, ##__VA_ARGS__, 0xffffffffu), __LINE__)
#define __shfl_sync(m, v, s) fake::swap((m), (v), (s)&31, __LINE__)
#define __shfl_xor_sync(m, v, x) fake::swap((m), (v), (int)fake::me->lane ^ (x), __LINE__)
#define __shfl_up_sync(m, v, x) \
	fake::swap((m), (v), fake::me->lane < (unsigned)(x) ? (int)fake::me->lane : (int)fake::me->lane - (x), __LINE__)
#define __ballot_sync(m, p) fake::warp_ballot((m), (p), __LINE__)
#define __any_sync(m, p) (fake::warp_ballot((m), (p), __LINE__) != 0)
#define __all_sync(m, p) (fake::warp_ballot((m), !(p), __LINE__) == 0)
static inline float __fdividef(float a, float b)
{
	return a / b;
}
static inline float rsqrtf(float x)
{
	return 1.0f / sqrtf(x);
}
static inline float __fmaf_rn(float a, float b, float c)
{
	return fmaf(a, b, c);
}
static inline float __fmul_rn(float a, float b)
{
	return a * b;
}
static inline float __fadd_rn(float a, float b)
{
	return a + b;
}
/* Atomic for TSan's sake: one fiber runs at a time. */
template <class T> inline T atomicAdd(T *p, T v)
{
	return __atomic_fetch_add(p, v, __ATOMIC_RELAXED);
}
template <class T> inline T atomicOr(T *p, T v)
{
	return __atomic_fetch_or(p, v, __ATOMIC_RELAXED);
}
static inline unsigned atomicInc(unsigned *p, unsigned most) /* one fiber runs at a time */
{
	unsigned old = __atomic_load_n(p, __ATOMIC_RELAXED);
	__atomic_store_n(p, old >= most ? 0 : old + 1, __ATOMIC_RELAXED);
	return old;
}
template <class T> inline T atomicExch(T *p, T v)
{
	return __atomic_exchange_n(p, v, __ATOMIC_RELAXED);
}
static inline int __popc(unsigned v)
{
	return __builtin_popcount(v);
}
static inline int min(int a, int b)
{
	return a < b ? a : b;
}
static inline int max(int a, int b)
{
	return a > b ? a : b;
}
#define BOUNDS(threads) fake::bounds(threads, __FILE__, __LINE__)
