/* device.h - device memory for the kernel tests: every array has exactly its size, so that one element too far is a
 * fault. */
#ifndef TESTS_CUDA_DEVICE_H
#define TESTS_CUDA_DEVICE_H

#include "engine/cuda/kernels.h"
#include "base/base.h"
#include "tests/check.h"

#include <math.h>

#define CUDA(call) \
	do { \
		cudaError_t check_e = (call); \
		if (check_e) \
			CHECK_FAIL("%s: %s", #call, cudaGetErrorString(check_e)); \
	} while (0)

struct rng {
	uint64_t s;
};
static inline uint32_t rng_next(struct rng *r)
{
	r->s = r->s * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(r->s >> 33);
}
static inline float rng_unit(struct rng *r) /* [-1, 1) */
{
	return (float)(int32_t)(rng_next(r) << 1) * 0x1p-31f;
}

/* Must be first: kernels then overlap where the device can. */
static inline void *dev_new(size_t bytes)
{
	static bool known;
	void *p = NULL;

	if (!known)
		k_overlap(!k_no_overlap(0)), known = true;
	CUDA(cudaMalloc(&p, bytes ? bytes : 1));
	return p;
}
static inline void *dev_put(const void *host, size_t bytes)
{
	void *p = dev_new(bytes);

	CUDA(cudaMemcpy(p, host, bytes, cudaMemcpyHostToDevice));
	CUDA(cudaStreamSynchronize(NULL)); /* pageable memory may have left before it has arrived, and other streams do
					      not wait for it */
	return p;
}
static inline void dev_free(void *p)
{
	CUDA(cudaFree(p));
}
static inline void dev_get(void *host, const void *p, size_t bytes)
{
	CUDA(cudaDeviceSynchronize());
	CUDA(cudaMemcpy(host, p, bytes, cudaMemcpyDeviceToHost));
}

static inline float up(uint16_t h, enum k_type type)
{
	return type == K_F16 ? f32_from_f16(h) : f32_from_bf16(h);
}
static inline uint16_t down(float f, enum k_type type)
{
	return type == K_F16 ? f16_from_f32(f) : bf16_from_f32(f);
}
static const enum k_type both[] = {K_BF16, K_F16};
/* Half a unit in the last place, relative. */
static inline double rounding(enum k_type type)
{
	return type == K_F16 ? 0x1p-11 : type == K_BF16 ? 0x1p-8 : 0x1p-24;
}

/* Numbers of an 8-bit cache: e4m3 by its definition. */
static inline double number8(uint8_t code, enum k_kv kv)
{
	static double fp8[256];

	for (int i = 0; !fp8[255] && i < 256; i++) {
		int e = i >> 3 & 15, m = i & 7;
		double v = e ? ldexp(8 + m, e - 10) : ldexp(m, -9);
		fp8[i] = i & 0x80 ? -v : v;
	}
	return kv == K_KV_INT8 ? (int8_t)code : fp8[code];
}
/* The scale by its definition: the least power of two whose 448-fold is no less than the largest number. */
static inline double scale_by_definition(double most)
{
	int e = -100;

	while (most > ldexp(448, e))
		e++;
	return most == 0 ? 1 : ldexp(1, e);
}
/* The nearest e4m3 number by a search through all; of two the one whose last bit is 0. */
static inline double nearest8(double v)
{
	int best = 0;

	for (int i = 1; i < 256; i++) {
		double d = fabs(number8((uint8_t)i, K_KV_FP8) - v), b = fabs(number8((uint8_t)best, K_KV_FP8) - v);
		if ((i & 0x7f) != 0x7f && (d < b || (d == b && !(i & 1) && (best & 1))))
			best = i;
	}
	return number8((uint8_t)best, K_KV_FP8);
}

static inline double largest8(enum k_kv kv)
{
	return kv == K_KV_INT8 ? 127 : 448;
}
/* Number d of a head's token in a block of the cache, as it is read. */
static inline double cached(const unsigned char *head, enum k_kv kv, enum k_type type, int dim, int at, int d)
{
	size_t i = (size_t)(at * K_CACHE_DIM(dim) + d);

	if (kv == K_KV_16)
		return up(((const uint16_t *)(const void *)head)[i], type);
	return number8(head[i], kv) * ((const float *)(const void *)(head + KV_BLOCK * K_CACHE_DIM(dim)))[at];
}

/* Rows of integers of 8 or 4 bits from 0 on, with scales and zero points (K_UINT8_ROW, K_UINT4_ROW); halves (rows,
 * cols): what they stand for. */
static inline char *random_with_zeros(struct rng *r, uint16_t *halves, int rows, int cols, enum k_type type, int bits)
{
	const int ld = (int)round_up((size_t)cols, 32), part = bits == 8 ? K_PART : K_PART4, scales = part / 32 * 4;
	const size_t pitch = (size_t)(bits == 8 ? K_UINT8_ROW(ld) : K_UINT4_ROW(ld));
	char *out = xalloc((size_t)rows, pitch);

	for (int i = 0; i < rows; i++)
		for (int j = 0; j < cols; j++) {
			char *at = out + (size_t)i * pitch + (size_t)(j / part * (K_PART + scales));
			uint16_t *pair = (uint16_t *)at + j % part / 32 * 2;
			unsigned q = rng_next(r) >> 8 & (bits == 8 ? 255 : 15);
			char *byte = at + scales + j % part * bits / 8;
			if (j % 32 == 0) {
				pair[0] = f16_from_f32(0x1p-7f * (1.5f + rng_unit(r)));
				pair[1] = bf16_from_f32((float)(rng_next(r) >> 8 & (bits == 8 || j % 64 ? 255 : 15)));
			}
			*byte = (char)(bits == 8 ? q : j % 2 ? ((unsigned)*byte & 15) | q << 4 : q);
			halves[(size_t)i * (size_t)cols + (size_t)j] =
				down(((float)q - f32_from_bf16(pair[1])) * f32_from_f16(pair[0]), type);
		}
	return out;
}
/* Rows of integers of 8 or 4 bits and scales (K_INT8_ROW, K_INT4_ROW); halves (rows, cols): what they stand for. Scales
 * of 4 bits have either sign. */
static inline char *random_integers(struct rng *r, uint16_t *halves, int rows, int cols, enum k_type type, int bits)
{
	const int ld = (int)round_up((size_t)cols, 32), part = bits == 8 ? K_PART : K_PART4, scales = part / 32 * 2;
	const size_t pitch = (size_t)(bits == 8 ? K_INT8_ROW(ld) : K_INT4_ROW(ld));
	char *out = xalloc((size_t)rows, pitch);

	for (int i = 0; i < rows; i++)
		for (int j = 0; j < cols; j++) {
			char *at = out + (size_t)i * pitch + (size_t)(j / part * (K_PART + scales)), *byte;
			uint16_t *scale = (uint16_t *)at + j % part / 32;
			float sign = bits == 4 && rng_unit(r) < 0 ? -1 : 1;
			int q = bits == 8 ? (int)(127 * rng_unit(r)) : (int)(rng_next(r) % 16) - 8;
			if (j % 32 == 0)
				*scale = f16_from_f32(sign * 0x1p-7f * (1 + fabsf(rng_unit(r))));
			byte = at + scales + j % part * bits / 8;
			if (bits == 4 && j % 32 == 0)
				memset(byte, 0x88, 16);
			*byte = (char)(bits == 8 ? q : j % 2 ? (*byte & 15) | (q + 8) * 16 : (*byte & 0xf0) | (q + 8));
			halves[(size_t)i * (size_t)cols + (size_t)j] =
				down((float)q * f32_from_f16(*scale) + 0.0f, type);
		}
	return out;
}
/* Rows of e4m3 numbers, padded with zeros; halves (rows, cols): the same numbers, which both 16-bit types hold exactly;
 * scale (rows): any numbers, since files of others have such. */
static inline unsigned char *random_fp8(struct rng *r, uint16_t *halves, float *scale, int rows, int cols,
					enum k_type type)
{
	size_t ld = round_up((size_t)cols, 32);
	unsigned char *out = xalloc((size_t)rows, ld);

	for (int i = 0; i < rows; i++) {
		scale[i] = 0x1p-8f * (1 + fabsf(rng_unit(r)));
		for (int j = 0; j < cols; j++) {
			unsigned code = rng_next(r) & 0xff;
			code = (code & 0x7f) == 0x7f ? 0 : code; /* NaN */
			out[(size_t)i * ld + (size_t)j] = (unsigned char)code;
			halves[(size_t)i * (size_t)cols + (size_t)j] =
				down((float)number8((uint8_t)code, K_KV_FP8), type);
		}
	}
	return out;
}
/* Rows of e4m3 numbers and scales (K_E4M3_ROW), as if their first column were the 97th; halves (rows, cols): what they
 * stand for. */
enum { FIRST_E4M3 = 96 };
static inline char *random_e4m3(struct rng *r, uint16_t *halves, int rows, int cols, enum k_type type)
{
	const int ld = (int)round_up((size_t)cols, 32);
	const size_t pitch = (size_t)K_E4M3_ROW(ld);
	char *out = xalloc((size_t)rows, pitch);

	for (int i = 0; i < rows; i++)
		for (int j = 0; j < cols; j++) {
			char *at = out + (size_t)i * pitch + (size_t)(j / K_PART * (K_PART + K_PART_SCALES));
			int from_border = (j % K_PART + FIRST_E4M3) % K_E4M3_GROUP;
			float *scale = (float *)(void *)at + (j % K_PART + FIRST_E4M3) / K_E4M3_GROUP;
			unsigned code = rng_next(r) & 0xff;
			code = (code & 0x7f) == 0x7f ? 0 : code; /* NaN */
			if (j % K_PART == 0 || from_border == 0)
				*scale = 0x1p-8f * rng_unit(r);
			at[K_PART_SCALES + j % K_PART] = (char)code;
			halves[(size_t)i * (size_t)cols + (size_t)j] =
				down((float)number8((uint8_t)code, K_KV_FP8) * *scale, type);
		}
	return out;
}
/* Rows of a class that has scales among its numbers, *pitch bytes apart; halves (rows, cols): what they stand for. */
static inline char *random_parts(struct rng *r, enum k_class class_, uint16_t *halves, int rows, int cols,
				 enum k_type type, size_t *pitch)
{
	const int ld = (int)round_up((size_t)cols, 32);
	const size_t bytes[] = {[K_CLASS_INT8] = (size_t)K_INT8_ROW(ld),
				[K_CLASS_INT4] = (size_t)K_INT4_ROW(ld),
				[K_CLASS_UINT8] = (size_t)K_UINT8_ROW(ld),
				[K_CLASS_UINT4] = (size_t)K_UINT4_ROW(ld),
				[K_CLASS_E4M3] = (size_t)K_E4M3_ROW(ld)};
	const int bits = class_ == K_CLASS_INT4 || class_ == K_CLASS_UINT4 ? 4 : 8;

	*pitch = bytes[class_];
	if (class_ == K_CLASS_E4M3)
		return random_e4m3(r, halves, rows, cols, type);
	return (class_ == K_CLASS_UINT8 || class_ == K_CLASS_UINT4 ? random_with_zeros : random_integers)(
		r, halves, rows, cols, type, bits);
}
static inline struct k_matrix matrix_of(enum k_class class_, const void *w, int ld)
{
	return (struct k_matrix){.data = w, .ld = ld, .first = FIRST_E4M3, .class_ = class_};
}
static inline struct k_matrix halves_of(const void *w, int ld)
{
	return matrix_of(K_CLASS_16, w, ld);
}
static inline struct k_matrix fp8_of(const void *w, const float *scale, int ld)
{
	return (struct k_matrix){.data = w, .scale = scale, .ld = ld, .class_ = K_CLASS_FP8};
}
static inline float *random_floats(struct rng *r, size_t n)
{
	float *p = xalloc(n + 1, sizeof *p);

	for (size_t i = 0; i < n; i++)
		p[i] = rng_unit(r);
	return p;
}
static inline uint16_t *random_halves(struct rng *r, size_t n, enum k_type type)
{
	uint16_t *p = xalloc(n + 1, sizeof *p);

	for (size_t i = 0; i < n; i++)
		p[i] = down(rng_unit(r), type);
	return p;
}

#define CHECK_NEAR(got, want, bound, ...) \
	do { \
		double check_g = (got), check_w = (want), check_b = (bound); \
		if (!(fabs(check_g - check_w) <= check_b)) { \
			printf("  " __VA_ARGS__); \
			CHECK_FAIL(": %.9g, should be %.9g (within %.2g)", check_g, check_w, check_b); \
		} \
	} while (0)

#endif
