/* kv.cu - rope_store: rotates queries and keys, and stores keys and values in the paged KV cache. */
#include "engine/cuda/gpu.h"
#include "engine/cuda/kernels.h"

enum { THREADS = 256 };

struct store_args {
	uint16_t *qkv;
	char *pool;
	const float *cos, *sin; /* (positions, n_rot / 2) */
	const int32_t *pos, *slot;
	int heads, kv_heads, dim, n_rot;
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

/* Eight numbers of one head: four pairs that are rotated together, or eight neighbours that are not. */
struct store_unit {
	int head, first, second; /* of each four */
	bool turn;
	float4 x, y;
};
template <class E> GPU struct store_unit take_unit(const struct store_args &a, const uint16_t *row, int pos, int unit)
{
	const int per = a.dim / 8, half = a.n_rot / 2, j = unit % per;
	struct store_unit o;

	o.head = unit / per;
	o.turn = o.head < a.heads + a.kv_heads && 4 * j < half;
	int limit = o.head < a.heads + a.kv_heads ? a.n_rot : 0; /* dimensions beyond it are not rotated */
	o.first = o.turn ? 4 * j : limit + 8 * (j - limit / 8), o.second = o.turn ? o.first + half : o.first + 4;
	float4 u = get4<E>(row + (size_t)o.head * a.dim + o.first),
	       v = get4<E>(row + (size_t)o.head * a.dim + o.second);
	o.x = u, o.y = v;
	if (o.turn) {
		float4 c = *(const float4 *)(a.cos + (size_t)pos * half + o.first);
		float4 s = *(const float4 *)(a.sin + (size_t)pos * half + o.first);
		o.x = make_float4(u.x * c.x - v.x * s.x, u.y * c.y - v.y * s.y, u.z * c.z - v.z * s.z,
				  u.w * c.w - v.w * s.w);
		o.y = make_float4(v.x * c.x + u.x * s.x, v.y * c.y + u.y * s.y, v.z * c.z + u.z * s.z,
				  v.w * c.w + u.w * s.w);
	}
	return o;
}

/* Returns where K or V head `head` (V heads are counted on from K heads) has slot's place. */
GPU char *stored_head(const struct store_args &a, int slot, int head, int head_bytes)
{
	return a.pool + ((size_t)(slot / KV_BLOCK) * 2 * a.kv_heads + head) * head_bytes;
}

template <class E> __global__ void __launch_bounds__(THREADS) rope_store(struct store_args a)
{
	BOUNDS(THREADS);
	gpu_take_turn();
	const int token = blockIdx.x, per = a.dim / 8, pos = a.pos[token], slot = a.slot[token], kv = a.heads * per;
	uint16_t *row = a.qkv + (size_t)token * (a.heads + 2 * a.kv_heads) * a.dim;

	for (int unit = threadIdx.x; unit < kv + 2 * a.kv_heads * per; unit += THREADS) {
		if (unit < kv ? 4 * (unit % per) >= a.n_rot / 2 : slot < 0)
			continue;
		struct store_unit u = take_unit<E>(a, row, pos, unit);
		uint16_t *to = row + (size_t)u.head * a.dim;
		if (u.head >= a.heads)
			to = (uint16_t *)stored_head(a, slot, u.head - a.heads, K_HEAD_BYTES(a.dim, false)) +
			     slot % KV_BLOCK * a.dim;
		put4<E>(to + u.first, u.x);
		put4<E>(to + u.second, u.y);
	}
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
template <class E, class C> __global__ void __launch_bounds__(THREADS) rope_store8(struct store_args a)
{
	BOUNDS(THREADS);
	gpu_take_turn();
	const int token = blockIdx.x, per = a.dim / 8, pos = a.pos[token], slot = a.slot[token],
		  units = (a.heads + 2 * a.kv_heads) * per;
	uint16_t *row = a.qkv + (size_t)token * (a.heads + 2 * a.kv_heads) * a.dim;

	for (int unit = threadIdx.x; unit - (int)(threadIdx.x & 31) < units; unit += THREADS) {
		struct store_unit u = take_unit<E>(a, row, pos, min(unit, units - 1));
		float top = fmaxf(largest(u.x), largest(u.y));
		for (int x = per / 2; x; x >>= 1)
			top = fmaxf(top, __shfl_xor_sync(0xffffffffu, top, x));
		if (unit >= units || (u.head < a.heads ? !u.turn : slot < 0))
			continue;
		if (u.head < a.heads) {
			put4<E>(row + (size_t)u.head * a.dim + u.first, u.x);
			put4<E>(row + (size_t)u.head * a.dim + u.second, u.y);
			continue;
		}
		char *head = stored_head(a, slot, u.head - a.heads, K_HEAD_BYTES(a.dim, true)),
		     *to = head + slot % KV_BLOCK * a.dim;
		float factor = top < 1e-30f ? 0 : __fdividef(C::MAX, top);
		*(uint32_t *)(to + u.first) = down4<C>(u.x, factor);
		*(uint32_t *)(to + u.second) = down4<C>(u.y, factor);
		if (unit % per == 0)
			((float *)(head + KV_BLOCK * a.dim))[slot % KV_BLOCK] = top < 1e-30f ? 0 : top * (1 / C::MAX);
	}
}

template <class E> static auto choose_store(enum k_kv kv)
{
	return kv == K_KV_INT8 ? rope_store8<E, Int8> : kv == K_KV_FP8 ? rope_store8<E, Fp8> : rope_store<E>;
}

extern "C" {
cudaError_t k_rope_store(cudaStream_t s, enum k_type type, void *qkv, struct k_cache cache, int heads, const float *cos,
			 const float *sin, int n_rot, const int32_t *pos, const int32_t *slot, int tokens)
{
	struct store_args a = {(uint16_t *)qkv, (char *)cache.pool, cos, sin, pos, slot, heads, cache.kv_heads,
			       cache.dim,       cos ? n_rot : 0};
	auto kernel = type == K_F16 ? choose_store<F16>(cache.kv) : choose_store<Bf16>(cache.kv);

	return gpu_launch(kernel, tokens, THREADS, 0, s, a);
}
}
