/* kv.cu - rope_store: rotates queries and keys, and stores keys and values in the paged KV cache. */
#include "engine/cuda/gpu.h"
#include "engine/cuda/kernels.h"

enum { THREADS = 256 };

struct store_args {
	uint16_t *qkv;
	char *pool;
	const float *cos, *sin; /* (positions, n_rot / 2) */
	const int32_t *pos, *slot;
	int heads, kv_heads, n_rot;
	int none; /* fills the padding: the emulated GPU scans all 8-byte units for addresses */
};

template <class E> GPU float4 get4(const uint16_t *p)
{
	uint2 v = *(const uint2 *)p;
	return make_float4(E::up(v.x & 0xffff), E::up_high(v.x), E::up(v.y & 0xffff), E::up_high(v.y));
}
template <class E> GPU void put4(uint16_t *p, float4 v)
{
	*(uint2 *)p = make_uint2(E::pack(v.x, v.y), E::pack(v.z, v.w));
}

/* A thread has eight numbers of one head: four pairs that are rotated together, or eight neighbours that are not. */
struct store_unit {
	int head, first, second; /* of each four */
	int slot;
	bool turn;
	float4 cos, sin;
};

/* What no kernel writes of a unit is read before the kernel in front has ended: n_rot is a multiple of 8. A head has
 * LANES units, the last ones of which may have nothing to do. */
template <int DIM, int LANES> GPU struct store_unit unit_of(const struct store_args &a, int token, int unit)
{
	const int half = a.n_rot / 2, j = min(unit % LANES, DIM / 8 - 1), pos = a.pos[token];
	struct store_unit o;

	o.head = unit / LANES;
	o.slot = a.slot[token];
	o.turn = o.head < a.heads + a.kv_heads && 4 * j < half;
	o.first = o.turn ? 4 * j : 8 * j, o.second = o.first + (o.turn ? half : 4);
	if (o.turn) {
		o.cos = *(const float4 *)(a.cos + (size_t)pos * half + o.first);
		o.sin = *(const float4 *)(a.sin + (size_t)pos * half + o.first);
	}
	return o;
}
/* Reads a unit's numbers, rotated. */
template <class E> GPU void turn_unit(const struct store_unit &o, const uint16_t *head, float4 *x, float4 *y)
{
	float4 u = get4<E>(head + o.first), v = get4<E>(head + o.second), c = o.cos, s = o.sin;

	*x = u, *y = v;
	if (o.turn) {
		*x = make_float4(u.x * c.x - v.x * s.x, u.y * c.y - v.y * s.y, u.z * c.z - v.z * s.z,
				 u.w * c.w - v.w * s.w);
		*y = make_float4(v.x * c.x + u.x * s.x, v.y * c.y + u.y * s.y, v.z * c.z + u.z * s.z,
				 v.w * c.w + u.w * s.w);
	}
}

/* Returns where K or V head `head` (V heads are counted on from K heads) has slot's place. */
GPU char *stored_head(const struct store_args &a, int slot, int head, int head_bytes)
{
	return a.pool + ((size_t)(slot / KV_BLOCK) * 2 * a.kv_heads + head) * head_bytes;
}

/* Grid (tokens, units), both kernels: a thread has one unit. */
template <class E, int DIM> __global__ void __launch_bounds__(THREADS) rope_store(struct store_args a)
{
	BOUNDS(THREADS);
	const int unit = blockIdx.y * THREADS + threadIdx.x, width = a.heads + 2 * a.kv_heads, most = width * (DIM / 8);
	const struct store_unit u = unit_of<DIM, DIM / 8>(a, blockIdx.x, min(unit, most - 1));
	uint16_t *to = a.qkv + ((size_t)blockIdx.x * width + u.head) * DIM;
	float4 x, y;

	gpu_take_turn();
	if (unit >= most || (u.head < a.heads ? !u.turn : u.slot < 0))
		return;
	turn_unit<E>(u, to, &x, &y);
	if (u.head >= a.heads)
		to = (uint16_t *)stored_head(a, u.slot, u.head - a.heads, K_HEAD_BYTES(DIM, false)) +
		     u.slot % KV_BLOCK * DIM;
	put4<E>(to + u.first, x);
	put4<E>(to + u.second, y);
}

GPU float largest(float4 v)
{
	return fmaxf(fmaxf(fabsf(v.x), fabsf(v.y)), fmaxf(fabsf(v.z), fabsf(v.w)));
}
template <class C> GPU uint32_t down4(float4 v, float factor)
{
	return C::down(v.x * factor) | C::down(v.y * factor) << 8 | C::down(v.z * factor) << 16 |
	       C::down(v.w * factor) << 24;
}

/* The same into an 8-bit cache: a head's threads, neighbours in a warp, find its largest number together. */
template <class E, class C, int DIM> __global__ void __launch_bounds__(THREADS) rope_store8(struct store_args a)
{
	BOUNDS(THREADS);
	enum { LANES = GPU_LANES(DIM, 8) };
	const int unit = blockIdx.y * THREADS + threadIdx.x, width = a.heads + 2 * a.kv_heads, most = width * LANES;
	const struct store_unit u = unit_of<DIM, LANES>(a, blockIdx.x, min(unit, most - 1));
	uint16_t *from = a.qkv + ((size_t)blockIdx.x * width + u.head) * DIM;
	float4 x, y;

	gpu_take_turn();
	turn_unit<E>(u, from, &x, &y);
	float top = fmaxf(largest(x), largest(y));
	for (int i = LANES / 2; i; i >>= 1)
		top = fmaxf(top, __shfl_xor_sync(0xffffffffu, top, i));
	if (unit >= most || unit % LANES >= DIM / 8 || (u.head < a.heads ? !u.turn : u.slot < 0))
		return;
	if (u.head < a.heads) {
		put4<E>(from + u.first, x);
		put4<E>(from + u.second, y);
		return;
	}
	char *head = stored_head(a, u.slot, u.head - a.heads, K_HEAD_BYTES(DIM, true)),
	     *to = head + u.slot % KV_BLOCK * DIM;
	float factor = top < 1e-30f ? 0 : __fdividef(C::MAX, top);
	*(uint32_t *)(to + u.first) = down4<C>(x, factor);
	*(uint32_t *)(to + u.second) = down4<C>(y, factor);
	if (unit % LANES == 0)
		((float *)(head + KV_BLOCK * DIM))[u.slot % KV_BLOCK] = top < 1e-30f ? 0 : top * (1 / C::MAX);
}

/* For any even n_rot and dim, and any cache: a warp has a head, number by number. Grid (tokens, heads by warps). */
template <class E> __global__ void __launch_bounds__(THREADS) rope_store_any(struct store_args a, int dim, enum k_kv kv)
{
	BOUNDS(THREADS);
	const int lane = threadIdx.x & 31, width = a.heads + 2 * a.kv_heads,
		  head = (blockIdx.y * THREADS + threadIdx.x) / 32, half = a.n_rot / 2, pos = a.pos[blockIdx.x],
		  slot = a.slot[blockIdx.x], turns = head < a.heads + a.kv_heads ? a.n_rot : 0;
	uint16_t *x = a.qkv + ((size_t)blockIdx.x * width + min(head, width - 1)) * dim;
	float v[8], top = 0;

	gpu_take_turn();
#pragma unroll
	for (int i = 0; i < 8; i++) {
		int d = lane + 32 * i, p = d < half ? d : d - half;
		v[i] = d < dim ? E::up(x[d]) : 0;
		if (d >= turns)
			continue;
		float c = a.cos[(size_t)pos * half + p], s = a.sin[(size_t)pos * half + p],
		      other = E::up(x[d < half ? d + half : p]);
		v[i] = v[i] * c + (d < half ? -other : other) * s;
	}
#pragma unroll
	for (int i = 0; i < 8; i++)
		top = fmaxf(top, fabsf(v[i]));
	for (int i = 16; i; i >>= 1)
		top = fmaxf(top, __shfl_xor_sync(0xffffffffu, top, i));
	__syncwarp(0xffffffffu); /* all have read before any writes */
	if (head >= width || (head >= a.heads && slot < 0))
		return;
	const float most = kv == K_KV_INT8 ? Int8::MAX : Fp8::MAX, per = kv == K_KV_INT8 ? 1 / Int8::MAX : 1 / Fp8::MAX,
		    factor = top < 1e-30f ? 0 : __fdividef(most, top);
	char *to = stored_head(a, max(slot, 0), max(head - a.heads, 0),
			       kv == K_KV_16 ? K_HEAD_BYTES(dim, false) : K_HEAD_BYTES(dim, true));
	const int at = slot % KV_BLOCK * K_CACHE_DIM(dim);
#pragma unroll
	for (int i = 0; i < 8; i++) {
		int d = lane + 32 * i;
		if (d >= dim)
			continue;
		if (head < a.heads)
			x[d] = gpu_down<E>(v[i]);
		else if (kv == K_KV_16)
			((uint16_t *)to)[at + d] = gpu_down<E>(v[i]);
		else
			to[at + d] = (char)(kv == K_KV_INT8 ? Int8::down(v[i] * factor) : Fp8::down(v[i] * factor));
	}
	if (head >= a.heads && kv != K_KV_16 && lane == 0)
		((float *)(to + KV_BLOCK * K_CACHE_DIM(dim)))[slot % KV_BLOCK] = top < 1e-30f ? 0 : top * per;
}

template <class E, int DIM> static auto choose_store(enum k_kv kv)
{
	return kv == K_KV_INT8  ? rope_store8<E, Int8, DIM>
	       : kv == K_KV_FP8 ? rope_store8<E, Fp8, DIM>
				: rope_store<E, DIM>;
}
template <class E> static auto choose_dim(struct k_cache cache)
{
	return gpu_for_dim(cache.dim, [&](auto d) { return choose_store<E, d()>(cache.kv); });
}

extern "C" {
cudaError_t k_rope_store(cudaStream_t s, enum k_type type, void *qkv, struct k_cache cache, int heads, const float *cos,
			 const float *sin, int n_rot, const int32_t *pos, const int32_t *slot, int tokens)
{
	struct store_args a = {(uint16_t *)qkv, (char *)cache.pool, cos, sin, pos, slot, heads,
			       cache.kv_heads,  cos ? n_rot : 0,    0};
	int width = heads + 2 * cache.kv_heads,
	    units = width * (cache.kv == K_KV_16 ? cache.dim / 8 : GPU_LANES(cache.dim, 8));

	if (a.n_rot % 8 || !gpu_is_built(cache.dim))
		return gpu_launch(type == K_F16 ? rope_store_any<F16> : rope_store_any<Bf16>,
				  dim3(tokens, (width * 32 + THREADS - 1) / THREADS), THREADS, 0, s, a, cache.dim,
				  cache.kv);
	return gpu_launch(type == K_F16 ? choose_dim<F16>(cache) : choose_dim<Bf16>(cache),
			  dim3(tokens, (units + THREADS - 1) / THREADS), THREADS, 0, s, a);
}
}
