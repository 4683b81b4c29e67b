/* gpu.h - the only header that kernel sources include besides kernels.h. nvcc sees CUDA; g++ sees the emulated GPU of
 * tests/fakegpu. Kernels use SHARED, SMEM, BOUNDS and gpu_launch instead of CUDA's own spelling. Every PTX instruction
 * has one small function here, whose host body takes effect as late as the instruction set allows (a copy lands at its
 * wait). Every thread of every kernel calls gpu_take_turn(), or gpu_wait_previous(), before it touches what another
 * kernel writes. */
#ifndef ENGINE_CUDA_GPU_H
#define ENGINE_CUDA_GPU_H

#include "base/fp8.h"

#include <math.h>
#include <stdint.h>
#include <string.h>
#include <type_traits>

#ifdef __CUDACC__
#include <cuda_runtime.h>
/* SHARED(float, part, [32]) declares static shared memory; SMEM(T, p) points p at the dynamic part. */
#define SHARED(T, name, dims) __shared__ T name dims
#define SMEM(T, name) \
	extern __shared__ __align__(16) unsigned char gpu_smem[]; \
	T *name = (T *)gpu_smem
/* The first line of a kernel: the emulated GPU checks launches against the bound that the compiler was given. */
#define BOUNDS(threads)
#define GPU __device__ __forceinline__

#else
#include <fakegpu.h>
#define GPU inline
#endif
#include <cuda_bf16.h>
#include <cuda_fp16.h>

/* ---- launches: a kernel's blocks may start once all blocks of the kernel before it in the stream have allowed it or
 * ended (programmatic dependent launch) ---- */
inline bool gpu_overlap; /* set by k_overlap() */

template <class... P, class... A>
static inline cudaError_t gpu_launch(void (*kernel)(P...), dim3 grid, dim3 block, size_t shared, cudaStream_t stream,
				     A... args)
{
#ifdef __CUDACC__
	cudaLaunchConfig_t c = {};
	cudaLaunchAttribute early = {};

	early.id = cudaLaunchAttributeProgrammaticStreamSerialization;
	early.val.programmaticStreamSerializationAllowed = 1;
	c.gridDim = grid;
	c.blockDim = block;
	c.dynamicSmemBytes = shared;
	c.stream = stream;
	c.attrs = &early;
	c.numAttrs = gpu_overlap;
	return cudaLaunchKernelEx(&c, kernel, (P)args...);
#else
	return fake::launch({(const void *)kernel, grid, block, shared, stream, gpu_overlap}, kernel, args...);
#endif
}
/* Waits until the kernel before this one has ended and its writes are visible. Before that, a kernel may touch only
 * what no kernel writes. */
GPU void gpu_wait_previous()
{
#ifndef __CUDACC__
	fake::wait_previous();
#elif defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
	asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}
/* Allows the next kernel's blocks to start. It follows the wait, so at most two kernels run at a time. */
GPU void gpu_start_next()
{
#ifndef __CUDACC__
	fake::start_next();
#elif defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
	asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}
GPU void gpu_take_turn()
{
	gpu_wait_previous();
	gpu_start_next();
}

/* What f gives for the smallest head size, as a constant, that is built and holds `dim` numbers. */
template <class F> static auto gpu_for_dim(int dim, F f)
{
	if (dim <= 64)
		return f(std::integral_constant<int, 64>());
	if (dim <= 80)
		return f(std::integral_constant<int, 80>());
	if (dim <= 96)
		return f(std::integral_constant<int, 96>());
	if (dim <= 128)
		return f(std::integral_constant<int, 128>());
	return f(std::integral_constant<int, 256>());
}
static inline bool gpu_is_built(int dim)
{
	return gpu_for_dim(dim, [](auto d) { return (int)d(); }) == dim;
}
/* Threads that a head has where each holds `per` of its numbers: a power of two, since they shuffle. */
#define GPU_LANES(dim, per) ((dim) <= 4 * (per) ? 4 : (dim) <= 8 * (per) ? 8 : (dim) <= 16 * (per) ? 16 : 32)

/* ---- the two 16-bit types of weights, activations and the cache ---- */
GPU float gpu_bits(uint32_t u)
{
#ifdef __CUDACC__
	return __uint_as_float(u);
#else
	float f;
	memcpy(&f, &u, sizeof f);
	return f;
#endif
}

GPU uint32_t gpu_float_bits(float f)
{
#ifdef __CUDACC__
	return __float_as_uint(f);
#else
	uint32_t u;
	memcpy(&u, &f, sizeof u);
	return u;
#endif
}

struct Bf16 {
	enum { PER16 = 8 /* numbers in 16 bytes */, IS_F16 = 0 };
	static GPU float up(uint32_t h)
	{
		return gpu_bits(h << 16);
	}
	static GPU float up_high(uint32_t pair)
	{
		return gpu_bits(pair & 0xffff0000u);
	}
	static GPU uint32_t pack(float low, float high)
	{
		__nv_bfloat162 p = __floats2bfloat162_rn(low, high);
		uint32_t u;
		memcpy(&u, &p, sizeof u);
		return u;
	}
	static GPU void mma(float d[4], const uint32_t a[4], const uint32_t b[2])
	{
#ifdef __CUDACC__
		asm volatile(
			"mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3},{%4,%5,%6,%7},{%8,%9},{%0,%1,%2,%3};"
			: "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
			: "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
		fake::mma_m16n8k16(d, a, b, up);
#endif
	}
};

struct F16 {
	enum { PER16 = 8, IS_F16 = 1 };
	static GPU float up(uint32_t h)
	{
		__half_raw r;
		r.x = (unsigned short)h;
		return __half2float(__half(r));
	}
	static GPU float up_high(uint32_t pair)
	{
		return up(pair >> 16);
	}
	static GPU uint32_t pack(float low, float high)
	{
		__half2 p = __floats2half2_rn(low, high);
		uint32_t u;
		memcpy(&u, &p, sizeof u);
		return u;
	}
	static GPU void mma(float d[4], const uint32_t a[4], const uint32_t b[2])
	{
#ifdef __CUDACC__
		asm volatile(
			"mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3},{%4,%5,%6,%7},{%8,%9},{%0,%1,%2,%3};"
			: "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
			: "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
		fake::mma_m16n8k16(d, a, b, up);
#endif
	}
};

/* Four bytes, each plus 2^23: assembled, since an SM has few integer converters. */
GPU void gpu_plus_2_23(float *out, uint32_t v)
{
#ifdef __CUDACC__
	out[0] = gpu_bits(__byte_perm(v, 0x4b000000u, 0x7540)), out[1] = gpu_bits(__byte_perm(v, 0x4b000000u, 0x7541));
	out[2] = gpu_bits(__byte_perm(v, 0x4b000000u, 0x7542)), out[3] = gpu_bits(__byte_perm(v, 0x4b000000u, 0x7543));
#else
	for (int i = 0; i < 4; i++)
		out[i] = gpu_bits(0x4b000000u | (v >> 8 * i & 0xff));
#endif
}

/* ---- the two 8-bit types of the cache: numbers up to MAX, times a scale ---- */
struct Int8 {
	enum { PER16 = 16 };
	static constexpr float MAX = 127;
	static GPU void up4(float *out, uint32_t v)
	{
		gpu_plus_2_23(out, v ^ 0x80808080u);
		out[0] -= 8388736.0f, out[1] -= 8388736.0f, out[2] -= 8388736.0f, out[3] -= 8388736.0f;
	}
	/* Rounds to nearest, ties to even; |f| <= 127 or little more. */
	static GPU uint32_t down(float f)
	{
		return gpu_float_bits(fminf(fmaxf(f, -127), 127) + 12582912.0f) & 0xff;
	}
};

/* e4m3: it has no infinity, and 448 is the largest number. */
struct Fp8 {
	enum { PER16 = 16 };
	static constexpr float MAX = 448;
	static GPU void up4(float *out, uint32_t v)
	{
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 890
		uint32_t low, high;
		asm("{.reg .b16 a, b; mov.b32 {a, b}, %2; cvt.rn.f16x2.e4m3x2 %0, a; cvt.rn.f16x2.e4m3x2 %1, b;}"
		    : "=r"(low), "=r"(high)
		    : "r"(v));
		out[0] = F16::up(low & 0xffff), out[1] = F16::up_high(low), out[2] = F16::up(high & 0xffff),
		out[3] = F16::up_high(high);
#else
		for (int i = 0; i < 4; i++) { /* an f32 whose exponent is 120 too small */
			uint32_t b = v >> 8 * i;
			out[i] = gpu_bits((b & 0x80) << 24 | (b & 0x7f) << 20) * 0x1p120f;
		}
#endif
	}
	static GPU uint32_t down(float f)
	{
		return fp8_of(f);
	}
};

/* Four e4m3 numbers as numbers of E, exactly: sign, exponent and mantissa move to their places, and the product makes
 * up for the bias, of subnormal numbers too. */
template <class E> GPU uint32_t gpu_from_fp8x2(uint32_t bytes /* in the upper half of each 16 bits */)
{
	const uint32_t sign = bytes & 0x80008000u,
		       size = E::IS_F16 ? bytes >> 1 & 0x3f803f80u : bytes >> 4 & 0x07f007f0u;
	uint32_t u = sign | size;
#ifdef __CUDACC__
	if constexpr (E::IS_F16) /* 2^8 */
		asm("mul.rn.f16x2 %0, %0, %1;" : "+r"(u) : "r"(0x5c005c00u));
	else /* 2^120; plus -0, since bf16 has no plain product before compute capability 9.0 */
		asm("fma.rn.bf16x2 %0, %0, %1, %2;" : "+r"(u) : "r"(0x7b807b80u), "r"(0x80008000u));
#else
	const float by = E::IS_F16 ? 0x1p8f : 0x1p120f;
	u = E::pack(E::up(u & 0xffff) * by, E::up_high(u) * by);
#endif
	return u;
}
template <class E> GPU uint2 gpu_from_fp8(uint32_t v)
{
#ifdef __CUDACC__
	const uint32_t low = __byte_perm(v, 0, 0x1404), high = __byte_perm(v, 0, 0x3424);
#else
	const uint32_t low = (v & 0xff) << 8 | (v & 0xff00) << 16, high = (v >> 8 & 0xff00) | (v & 0xff000000u);
#endif
	return make_uint2(gpu_from_fp8x2<E>(low), gpu_from_fp8x2<E>(high));
}

/* Converts eight 16-bit numbers to floats. */
template <class E> GPU void gpu_up8(float *out, uint4 v)
{
	out[0] = E::up(v.x & 0xffff), out[1] = E::up_high(v.x);
	out[2] = E::up(v.y & 0xffff), out[3] = E::up_high(v.y);
	out[4] = E::up(v.z & 0xffff), out[5] = E::up_high(v.z);
	out[6] = E::up(v.w & 0xffff), out[7] = E::up_high(v.w);
}
/* Converts 16 bytes of numbers of type C to floats. */
template <class C> GPU void gpu_up_all(float *out, uint4 v)
{
	if constexpr (C::PER16 == 8) {
		gpu_up8<C>(out, v);
	} else {
		C::up4(out, v.x), C::up4(out + 4, v.y), C::up4(out + 8, v.z), C::up4(out + 12, v.w);
	}
}
template <class E> GPU uint16_t gpu_down(float f)
{
	return (uint16_t)E::pack(f, 0);
}

/* ---- memory ---- */
/* Loads 16 bytes that are read once: they leave L1 to shared memory. ld.global.nc is not used: it requires that nothing
 * writes the data while the kernel runs, but the kernel before may do so until gpu_wait_previous(), and the assembler
 * would move the load across that. */
GPU uint4 gpu_load_once(const void *p)
{
#ifdef __CUDACC__
	uint4 v;
	asm volatile("ld.global.L1::no_allocate.L2::128B.v4.u32 {%0,%1,%2,%3}, [%4];"
		     : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
		     : "l"(p));
	return v;
#else
	return *(const uint4 *)p;
#endif
}

/* Orders what this thread, and those that it met at a barrier before, have written before what it does next, for all
 * of the device. Acquire and release suffice for tickets; __threadfence() is sequentially consistent, which is slower.
 */
GPU void gpu_fence()
{
#ifdef __CUDACC__
	asm volatile("fence.acq_rel.gpu;" ::: "memory");
#else
	fake::fence();
#endif
}

/* Copies 16 bytes from global to shared memory, in flight until gpu_copy_wait(). `there` false: writes zeros and reads
 * nothing. */
GPU void gpu_copy16(void *shared, const void *global, bool there)
{
#ifdef __CUDACC__
	asm volatile("cp.async.cg.shared.global.L2::128B [%0], [%1], 16, %2;" ::"r"(
			     (uint32_t)__cvta_generic_to_shared(shared)),
		     "l"(global), "r"(there ? 16 : 0)
		     : "memory");
#else
	fake::copy_async16(shared, global, there);
#endif
}
/* The same of 4 bytes. */
GPU void gpu_copy4(void *shared, const void *global, bool there)
{
#ifdef __CUDACC__
	asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"((uint32_t)__cvta_generic_to_shared(shared)),
		     "l"(global), "r"(there ? 4 : 0)
		     : "memory");
#else
	fake::copy_async4(shared, global, there);
#endif
}
GPU void gpu_copy_commit()
{
#ifdef __CUDACC__
	asm volatile("cp.async.commit_group;" ::: "memory");
#else
	fake::copy_commit();
#endif
}
/* Waits until at most KEEP committed groups of this thread are in flight. */
template <int KEEP> GPU void gpu_copy_wait()
{
#ifdef __CUDACC__
	asm volatile("cp.async.wait_group %0;" ::"n"(KEEP) : "memory");
#else
	fake::copy_wait(KEEP);
#endif
}

/* Loads four 8x8 matrices of 16-bit numbers: lane l names row l % 8 of matrix l / 8 in shared memory. */
template <bool TRANSPOSED> GPU void gpu_ldmatrix4(uint32_t r[4], const void *row)
{
#ifdef __CUDACC__
	uint32_t a = (uint32_t)__cvta_generic_to_shared(row);
	if (TRANSPOSED)
		asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
			     : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
			     : "r"(a)
			     : "memory");
	else
		asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
			     : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
			     : "r"(a)
			     : "memory");
#else
	fake::ldmatrix_x4(r, row, TRANSPOSED);
#endif
}

/* ---- arithmetic ---- */
GPU float gpu_exp2(float x)
{
#ifdef __CUDACC__
	float y;
	asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
	return y;
#else
	return exp2f(x);
#endif
}
/* Of a score and of cap, both times log2(e): cap * tanh(score / cap). twice: 2 / cap. */
GPU float gpu_soft_cap(float score, float cap, float twice)
{
	return cap - cap * __fdividef(2, gpu_exp2(score * twice) + 1);
}
GPU float gpu_silu_mul(float gate, float up)
{
	return __fdividef(gate, 1 + gpu_exp2(gate * -1.44269504f)) * up;
}
/* The upper half of the product. */
GPU uint64_t gpu_high(uint64_t a, uint64_t b)
{
#ifdef __CUDACC__
	return __umul64hi(a, b);
#else
	return (uint64_t)((unsigned __int128)a * b >> 64);
#endif
}
GPU float gpu_warp_sum(float v)
{
	for (int x = 16; x; x >>= 1)
		v += __shfl_xor_sync(0xffffffffu, v, x);
	return v;
}

#endif
