/* mix.h - splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014). */
#ifndef BASE_MIX_H
#define BASE_MIX_H

#include <stdint.h>

#define MIX_GOLDEN UINT64_C(0x9e3779b97f4a7c15) /* 2^64 divided by the golden ratio, odd */

#ifdef __CUDACC__
#define MIX_FUNCTION static __device__ __forceinline__
#else
#define MIX_FUNCTION static inline
#endif

/* The finalizer: each bit of h changes each bit of the result with probability one half. */
MIX_FUNCTION uint64_t mix64(uint64_t h)
{
	h = (h ^ h >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	h = (h ^ h >> 27) * UINT64_C(0x94d049bb133111eb);
	return h ^ h >> 31;
}

/* The generator: the next number of *state. */
MIX_FUNCTION uint64_t mix_next(uint64_t *state)
{
	return mix64(*state += MIX_GOLDEN);
}

#endif
