/* gpu_int8.h - weights as integers (engine/backend/backend.h, "quantised"): an int8 for each number and a scale in f16
 * for 32 columns of a row. Kernels multiply with number times scale, rounded to the 16 bits of activations, always to
 * the same bits. */
#ifndef ENGINE_CUDA_GPU_INT8_H
#define ENGINE_CUDA_GPU_INT8_H

#include "engine/cuda/gpu.h"
#include "engine/cuda/kernels.h"

/* Returns where the part of a row begins that holds column `col`, a multiple of 8: its scales, then its numbers. */
GPU const char *gpu_part(const void *w, int row, int col, int ld)
{
	return (const char *)w + (size_t)row * K_INT8_ROW(ld) + col / K_PART * (K_PART + K_PART_SCALES);
}

/* Multiplies four numbers with their scale. */
template <class E> GPU uint2 gpu_from_int8(uint32_t v, float scale)
{
	float f[4];

	Int8::up4(f, v);
	return make_uint2(E::pack(f[0] * scale, f[1] * scale), E::pack(f[2] * scale, f[3] * scale));
}
template <class E> GPU uint4 gpu_from_int8x8(uint32_t a, uint32_t b, float scale)
{
	uint2 low = gpu_from_int8<E>(a, scale), high = gpu_from_int8<E>(b, scale);

	return make_uint4(low.x, low.y, high.x, high.y);
}

/* Loads columns [col, col + 8) of a row. */
template <class E> GPU uint4 gpu_int8_columns(const void *w, int row, int col, int ld)
{
	const char *part = gpu_part(w, row, col, ld);
	uint2 v = *(const uint2 *)(part + K_PART_SCALES + col % K_PART);

	return gpu_from_int8x8<E>(v.x, v.y, F16::up(((const uint16_t *)part)[col % K_PART / 32]));
}

#endif
