/* gpu_weight.h - the classes of weights that products, the embedding and cuBLASLt's expansion read: Bf16 and F16,
 * 16-bit numbers as they are (gpu.h); Int8 and Int4, integers with a scale in f16 for 32 columns of a row; Uint8 and
 * Uint4, which have a zero point beside each scale; E4m3, e4m3 with a scale in f32 for 128 columns; Fp8, e4m3 with a
 * scale in f32 for a row (engine/backend/backend.h, "quantised"). Kernels turn numbers into 16 bits in registers,
 * always the same bits: a number less its zero point, times its scale, rounded; where a row has the scale, the number
 * alone, exactly, since the scale can be multiplied to its sums. Another class needs `in_parts` or a layout of its own,
 * weight_at(), gpu_eight(), weight_columns() and its line in gpu_for_class(). */
#ifndef ENGINE_CUDA_GPU_WEIGHT_H
#define ENGINE_CUDA_GPU_WEIGHT_H

#include "engine/cuda/gpu.h"
#include "engine/cuda/kernels.h"

/* Integers of 4 bits, plus 8 (kernels.h). */
struct Int4 {
	enum { PER16 = 32 };
};

/* Integers as files hold them, from 0 on. */
struct Uint8 {
	enum { PER16 = 16 };
};
struct Uint4 {
	enum { PER16 = 32 };
};
/* As files hold it. */
struct E4m3 {
	enum { PER16 = 16 };
};

/* Whether rows lie in parts with their scales in front; whether a row has a scale beside its numbers. */
template <class W> constexpr bool in_parts = false;
template <> inline constexpr bool in_parts<Int8> = true;
template <> inline constexpr bool in_parts<Int4> = true;
template <> inline constexpr bool in_parts<Uint8> = true;
template <> inline constexpr bool in_parts<Uint4> = true;
template <> inline constexpr bool in_parts<E4m3> = true;
/* Whether a group of 32 columns has a zero point beside its scale. */
template <class W> constexpr bool with_zeros = false;
template <> inline constexpr bool with_zeros<Uint8> = true;
template <> inline constexpr bool with_zeros<Uint4> = true;
/* Whether a scale is an f32 for 128 columns of the whole K axis, of which a row is a part. */
template <class W> constexpr bool by_128 = std::is_same_v<W, E4m3>;
template <class W> constexpr bool by_row = false;
template <> inline constexpr bool by_row<Fp8> = true;
/* Of a part: its columns, and the bytes of its scales. Its numbers take as much of either class. */
template <class W> constexpr int part_columns = 32 * W::PER16;
template <class W> constexpr int part_scales = part_columns<W> / 32 * (with_zeros<W> ? 4 : 2);
enum { PART_NUMBERS = 512 /* bytes */ };
static_assert(part_columns<Int8> == (int)K_PART && part_scales<Int8> == (int)K_PART_SCALES, "");
static_assert(part_columns<Int4> == (int)K_PART4 && part_scales<Int4> == (int)K_PART4_SCALES, "");
static_assert(part_columns<E4m3> == (int)K_PART && part_scales<E4m3> >= (K_PART / K_E4M3_GROUP + 1) * 4, "");
static_assert(part_scales<Uint8> == 2 * (int)K_PART_SCALES && part_scales<Uint4> == 2 * (int)K_PART4_SCALES, "");

/* Of 32 or 128 columns. zero: only of classes that have one. */
struct gpu_group {
	float scale, zero;
};
/* Of a scale in the lower half and a zero point, a bf16 number, in the upper. */
GPU struct gpu_group gpu_group_of(uint32_t pair)
{
	return {F16::up(pair & 0xffff), gpu_bits(pair & 0xffff0000u)};
}

/* Returns where column `col` of a row lies, a multiple of the numbers in 16 bytes; of parts, where its part begins:
 * scales, then numbers. */
template <class W> GPU const char *weight_at(const void *w, int row, int col, int ld)
{
	constexpr int columns = part_columns<W>, scales = part_scales<W>;
	const size_t bytes = (size_t)ld * 16 / W::PER16;

	if (in_parts<W>)
		return (const char *)w + row * (bytes + (ld + columns - 1) / columns * scales) +
		       col / columns * (PART_NUMBERS + scales);
	return (const char *)w + row * bytes + (size_t)col * 16 / W::PER16;
}

/* Bytes from one row of a class to the next. */
template <class W> GPU size_t weight_row_bytes(int ld)
{
	return (size_t)ld * 16 / W::PER16 +
	       (in_parts<W> ? (size_t)((ld + part_columns<W> - 1) / part_columns<W> * part_scales<W>) : 0);
}

/* Multiplies four numbers with their scale. */
template <class E> GPU uint2 gpu_from_int8(uint32_t v, float scale)
{
	float f[4];

	Int8::up4(f, v);
	return make_uint2(E::pack(f[0] * scale, f[1] * scale), E::pack(f[2] * scale, f[3] * scale));
}
/* Eight integers plus 8 with their scale, the one in the lowest bits first. An f32 of 2^e has an n in its bits from
 * 23 - e on where it is 2^e + n, and one multiply-add takes off what is too much, exactly: 15 bits of a product at most
 * are left of 24. */
template <class E> GPU uint4 gpu_from_int4(uint32_t v, float scale)
{
	const float off15 = -(0x1p15f + 8) * scale, off11 = -(0x1p11f + 8) * scale, off7 = -(0x1p7f + 8) * scale;
	const uint32_t first = v << 8, last = v >> 12;

#define NUMBER(v, mask, power, off) fmaf(gpu_bits(((v) & (mask)) | (power)), scale, off)
	return make_uint4(E::pack(NUMBER(first, 0xf00, 0x47000000, off15), NUMBER(first, 0xf000, 0x45000000, off11)),
			  E::pack(NUMBER(v, 0xf00, 0x47000000, off15), NUMBER(v, 0xf000, 0x45000000, off11)),
			  E::pack(NUMBER(v, 0xf0000, 0x43000000, off7), NUMBER(last, 0xf00, 0x47000000, off15)),
			  E::pack(NUMBER(last, 0xf000, 0x45000000, off11), NUMBER(last, 0xf0000, 0x43000000, off7)));
#undef NUMBER
}
/* The same of integers from 0 on with any zero point up to 255. 2^15 plus that, times a scale, may not be exact: two
 * places are used, and more shifts. */
template <class E> GPU uint4 gpu_from_uint4(uint32_t v, struct gpu_group g)
{
	const float off11 = -(0x1p11f + g.zero) * g.scale, off7 = -(0x1p7f + g.zero) * g.scale;
	const uint32_t a = v << 12, b = v << 4, c = v >> 4, d = v >> 12;

#define LOW(v) fmaf(gpu_bits(((v)&0xf000) | 0x45000000), g.scale, off11)
#define HIGH(v) fmaf(gpu_bits(((v)&0xf0000) | 0x43000000), g.scale, off7)
	return make_uint4(E::pack(LOW(a), HIGH(a)), E::pack(LOW(b), LOW(v)), E::pack(HIGH(v), HIGH(c)),
			  E::pack(LOW(d), HIGH(d)));
#undef LOW
#undef HIGH
}
/* Four bytes less their zero point, times their scale. */
template <class E> GPU uint2 gpu_from_uint8(uint32_t v, struct gpu_group g)
{
	const float off = 0x1p23f + g.zero;
	float f[4];

	gpu_plus_2_23(f, v);
	return make_uint2(E::pack((f[0] - off) * g.scale, (f[1] - off) * g.scale),
			  E::pack((f[2] - off) * g.scale, (f[3] - off) * g.scale));
}
/* Four e4m3 numbers times their scale. */
template <class E> GPU uint2 gpu_from_e4m3(uint32_t v, float scale)
{
	float f[4];

	Fp8::up4(f, v);
	return make_uint2(E::pack(f[0] * scale, f[1] * scale), E::pack(f[2] * scale, f[3] * scale));
}
/* Eight numbers of a class of 8 bits as numbers of E. group: of a class in parts. */
template <class E, class W> GPU uint4 gpu_from_8bits(uint32_t a, uint32_t b, struct gpu_group group)
{
	uint2 low, high;

	if constexpr (with_zeros<W>)
		low = gpu_from_uint8<E>(a, group), high = gpu_from_uint8<E>(b, group);
	else if constexpr (by_128<W>)
		low = gpu_from_e4m3<E>(a, group.scale), high = gpu_from_e4m3<E>(b, group.scale);
	else if constexpr (in_parts<W>)
		low = gpu_from_int8<E>(a, group.scale), high = gpu_from_int8<E>(b, group.scale);
	else
		low = gpu_from_fp8<E>(a), high = gpu_from_fp8<E>(b);
	return make_uint4(low.x, low.y, high.x, high.y);
}

/* Eight numbers of 4 bits as numbers of E. */
template <class E, class W> GPU uint4 gpu_from_4bits(uint32_t v, struct gpu_group group)
{
	if constexpr (with_zeros<W>)
		return gpu_from_uint4<E>(v, group);
	else
		return gpu_from_int4<E>(v, group.scale);
}

/* Eight numbers of 16 bytes of weights, from number 8*i on, as numbers of E. group: of a class in parts.
 */
template <class E, class W> GPU uint4 gpu_eight(const uint4 *at, int i, struct gpu_group group)
{
	if constexpr (W::PER16 == 8) {
		return *at;
	} else if constexpr (W::PER16 == 16) {
		const uint4 v = *at;
		return i ? gpu_from_8bits<E, W>(v.z, v.w, group) : gpu_from_8bits<E, W>(v.x, v.y, group);
	} else {
		return gpu_from_4bits<E, W>(((const uint32_t *)at)[i], group);
	}
}

/* Loads columns [col, col + 8) of a row. first: of struct k_matrix. */
template <class E, class W> GPU uint4 weight_columns(const void *w, int row, int col, int ld, int first)
{
	const char *at = weight_at<W>(w, row, col, ld);
	struct gpu_group group = {};

	if (in_parts<W>) {
		if (with_zeros<W>)
			group = gpu_group_of(((const uint32_t *)at)[col % part_columns<W> / 32]);
		else if (by_128<W>)
			group.scale = ((const float *)at)[(col % part_columns<W> + first) / K_E4M3_GROUP];
		else
			group.scale = F16::up(((const uint16_t *)at)[col % part_columns<W> / 32]);
		at += part_scales<W> + col % part_columns<W> * 16 / W::PER16;
	}
	if constexpr (W::PER16 == 8) {
		return gpu_load_once(at);
	} else if constexpr (W::PER16 == 16) {
		const uint2 v = *(const uint2 *)at;
		return gpu_from_8bits<E, W>(v.x, v.y, group);
	} else {
		return gpu_from_4bits<E, W>(*(const uint32_t *)at, group);
	}
}

/* What f gives for a class of weights; those of 16 bits are of the activations' type E. */
template <class E, class F> static auto gpu_for_class(enum k_class c, F f)
{
	switch (c) {
	case K_CLASS_INT8:
		return f(Int8());
	case K_CLASS_INT4:
		return f(Int4());
	case K_CLASS_FP8:
		return f(Fp8());
	case K_CLASS_UINT8:
		return f(Uint8());
	case K_CLASS_UINT4:
		return f(Uint4());
	case K_CLASS_E4M3:
		return f(E4m3());
	default:
		return f(E());
	}
}
/* What f gives for a type of activations and a class of weights. */
template <class F> static auto gpu_for_weights(enum k_type type, enum k_class c, F f)
{
	return type == K_F16 ? gpu_for_class<F16>(c, [&](auto w) { return f(F16(), w); })
			     : gpu_for_class<Bf16>(c, [&](auto w) { return f(Bf16(), w); });
}
/* Calls f for all of them until it fails. */
template <class F> static cudaError_t gpu_each_weights(F f)
{
	cudaError_t e = cudaSuccess;

	for (enum k_type type : {K_BF16, K_F16})
		for (int c = 0; !e && c <= K_CLASS_E4M3; c++)
			e = gpu_for_weights(type, (enum k_class)c, f);
	return e;
}

#endif
