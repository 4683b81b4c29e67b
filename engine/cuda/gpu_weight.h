/* gpu_weight.h - the classes of weights that products, the embedding and cuBLASLt's expansion read: Bf16 and F16,
 * 16-bit numbers as they are (gpu.h); Int8, integers with a scale in f16 for 32 columns of a row; Fp8, e4m3 with a
 * scale in f32 for a row (engine/backend/backend.h, "quantised"). Kernels turn numbers into 16 bits in registers,
 * always the same bits: an integer times its scale, rounded; an e4m3 number without its scale, exactly, since a row's
 * scale can be multiplied to its sums. Another class needs `in_parts` or a layout of its own, weight_at() and
 * weight_columns(). */
#ifndef ENGINE_CUDA_GPU_WEIGHT_H
#define ENGINE_CUDA_GPU_WEIGHT_H

#include "engine/cuda/gpu.h"
#include "engine/cuda/kernels.h"

/* Whether rows lie in parts of K_PART columns with their scales in front; whether a row has a scale beside its numbers.
 */
template <class W> constexpr bool in_parts = false;
template <> inline constexpr bool in_parts<Int8> = true;
template <class W> constexpr bool by_row = false;
template <> inline constexpr bool by_row<Fp8> = true;

/* Returns where column `col` of a row lies, a multiple of the numbers in 16 bytes; of parts, where its part begins:
 * scales, then numbers. */
template <class W> GPU const char *weight_at(const void *w, int row, int col, int ld)
{
	if (in_parts<W>)
		return (const char *)w + (size_t)row * K_INT8_ROW(ld) + col / K_PART * (K_PART + K_PART_SCALES);
	return (const char *)w + ((size_t)row * ld + col) * 16 / W::PER16;
}

/* Multiplies four numbers with their scale. */
template <class E> GPU uint2 gpu_from_int8(uint32_t v, float scale)
{
	float f[4];

	Int8::up4(f, v);
	return make_uint2(E::pack(f[0] * scale, f[1] * scale), E::pack(f[2] * scale, f[3] * scale));
}
/* Eight numbers of a class of 8 bits as numbers of E. scale: of integers. */
template <class E, class W> GPU uint4 gpu_from_8bits(uint32_t a, uint32_t b, float scale)
{
	uint2 low, high;

	if constexpr (in_parts<W>)
		low = gpu_from_int8<E>(a, scale), high = gpu_from_int8<E>(b, scale);
	else
		low = gpu_from_fp8<E>(a), high = gpu_from_fp8<E>(b);
	return make_uint4(low.x, low.y, high.x, high.y);
}

/* Loads columns [col, col + 8) of a row. */
template <class E, class W> GPU uint4 weight_columns(const void *w, int row, int col, int ld)
{
	const char *at = weight_at<W>(w, row, col, ld);
	uint2 v;

	if constexpr (W::PER16 == 8)
		return gpu_load_once(at);
	v = *(const uint2 *)(at + (in_parts<W> ? K_PART_SCALES + col % K_PART : 0));
	return gpu_from_8bits<E, W>(v.x, v.y, in_parts<W> ? F16::up(((const uint16_t *)at)[col % K_PART / 32]) : 0);
}

#endif
