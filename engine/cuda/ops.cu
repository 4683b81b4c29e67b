/* ops.cu - the operations that only move memory once: embedding, norm, rotation and store, silu, rows, tree of
 * partials. */
#include "engine/cuda/gpu_int8.h"

enum { THREADS = 256 };

/* The row of a table for a token: ids[blockIdx.x], or what a row of the step before drew; -1: another rank has it. */
GPU int row_of(const int32_t *ids, const int32_t *drawn, int n_drawn, int rows, int first)
{
	int id = ids[blockIdx.x];

	if (id < 0)
		id = -1 - id < n_drawn ? drawn[-1 - id] : -1;
	return id >= first && id - first < rows ? id - first : -1;
}
GPU void put8(float *to, const float *f)
{
	*(float4 *)to = make_float4(f[0] + 0.0f, f[1] + 0.0f, f[2] + 0.0f, f[3] + 0.0f);
	*(float4 *)(to + 4) = make_float4(f[4] + 0.0f, f[5] + 0.0f, f[6] + 0.0f, f[7] + 0.0f);
}

template <class E, bool VECTOR>
__global__ void __launch_bounds__(THREADS) embed(float *out, const int32_t *ids, const int32_t *drawn, int n_drawn,
						 const uint16_t *table, int cols, int ld, int rows, int first)
{
	BOUNDS(THREADS);
	gpu_take_turn();
	int at = row_of(ids, drawn, n_drawn, rows, first);
	const uint16_t *row = table + (at < 0 ? 0 : (size_t)at * ld);
	float *to = out + (size_t)blockIdx.x * cols;

	for (int i = threadIdx.x; !VECTOR && i < cols; i += THREADS)
		to[i] = at >= 0 ? E::up(row[i]) + 0.0f : 0;
	for (int i = threadIdx.x * 8; VECTOR && i < cols; i += THREADS * 8) {
		float f[8] = {0, 0, 0, 0, 0, 0, 0, 0};
		if (at >= 0)
			gpu_up8<E>(f, *(const uint4 *)(row + i));
		put8(to + i, f);
	}
}
template <class E>
__global__ void __launch_bounds__(THREADS) embed_int8(float *out, const int32_t *ids, const int32_t *drawn, int n_drawn,
						      const void *table, int cols, int ld, int rows, int first)
{
	BOUNDS(THREADS);
	gpu_take_turn();
	int at = row_of(ids, drawn, n_drawn, rows, first);
	float *to = out + (size_t)blockIdx.x * cols;

	for (int i = threadIdx.x * 8; i < cols; i += THREADS * 8) {
		float f[8] = {0, 0, 0, 0, 0, 0, 0, 0};
		if (at >= 0)
			gpu_up8<E>(f, gpu_int8_columns<E>(table, at, i, ld));
		if (cols % 8 == 0)
			put8(to + i, f);
		for (int j = 0; cols % 8 && j < 8 && i + j < cols; j++)
			to[i + j] = f[j] + 0.0f;
	}
}

/* Rows of integers as products take them. Grid: rows. */
template <class E> __global__ void __launch_bounds__(THREADS) from_int8(uint4 *out, const void *w, int ld)
{
	BOUNDS(THREADS);
	gpu_take_turn();
	for (int i = threadIdx.x * 8; i < ld; i += THREADS * 8)
		out[((size_t)blockIdx.x * ld + i) / 8] = gpu_int8_columns<E>(w, blockIdx.x, i, ld);
}

/* The block's sum, the same bits in every thread. `part` is used once between two barriers of the caller. */
GPU float block_sum(float *part, float v)
{
	float s = 0;

	v = gpu_warp_sum(v);
	if ((threadIdx.x & 31) == 0)
		part[threadIdx.x >> 5] = v;
	__syncthreads();
	for (int i = 0; i < THREADS / 32; i++)
		s += part[i];
	return s;
}

struct norm_args {
	void *out;
	float *x;
	const float *delta, *w, *bias;
	float eps, per_col; /* 1 / cols: a division here would be a call */
	int cols, centred;
	enum k_type type;
	int none; /* no padding: the emulated GPU looks at every word for addresses */
};

GPU void put4(const struct norm_args &a, size_t at, float4 v)
{
	if (a.type == K_F32) {
		*(float4 *)((float *)a.out + at) = v;
		return;
	}
	uint2 p = a.type == K_BF16 ? make_uint2(Bf16::pack(v.x, v.y), Bf16::pack(v.z, v.w))
				   : make_uint2(F16::pack(v.x, v.y), F16::pack(v.z, v.w));
	*(uint2 *)((uint16_t *)a.out + at) = p;
}
GPU float4 add4(float4 a, float4 b)
{
	return make_float4(a.x + b.x, a.y + b.y, a.z + b.z, a.w + b.w);
}
GPU float square4(float4 v, float mean)
{
	float a = v.x - mean, b = v.y - mean, c = v.z - mean, d = v.w - mean;
	return a * a + b * b + (c * c + d * d);
}

/* One row a block, held in registers between the two passes: N * 4 * THREADS columns at most. */
template <int N> __global__ void __launch_bounds__(THREADS) add_norm(struct norm_args a)
{
	BOUNDS(THREADS);
	gpu_take_turn();
	SHARED(float, part, [2][THREADS / 32]);
	size_t row = (size_t)blockIdx.x * a.cols;
	float4 v[N];
	float sum = 0, mean = 0, r;

#pragma unroll
	for (int j = 0; j < N; j++) {
		int i = 4 * (threadIdx.x + j * THREADS);
		v[j] = make_float4(0, 0, 0, 0);
		if (i >= a.cols)
			continue;
		v[j] = *(const float4 *)(a.x + row + i);
		if (a.delta) {
			v[j] = add4(v[j], *(const float4 *)(a.delta + row + i));
			*(float4 *)(a.x + row + i) = v[j];
		}
		sum += a.centred ? v[j].x + v[j].y + (v[j].z + v[j].w) : square4(v[j], 0);
	}
	sum = block_sum(part[0], sum);
	if (a.centred) {
		mean = sum * a.per_col;
		sum = 0;
#pragma unroll
		for (int j = 0; j < N; j++)
			if (4 * (int)(threadIdx.x + j * THREADS) < a.cols)
				sum += square4(v[j], mean);
		sum = block_sum(part[1], sum);
	}
	r = rsqrtf(sum * a.per_col + a.eps);
#pragma unroll
	for (int j = 0; j < N; j++) {
		int i = 4 * (threadIdx.x + j * THREADS);
		if (i >= a.cols)
			continue;
		float4 w = *(const float4 *)(a.w + i);
		float4 o = make_float4((v[j].x - mean) * r * w.x, (v[j].y - mean) * r * w.y, (v[j].z - mean) * r * w.z,
				       (v[j].w - mean) * r * w.w);
		put4(a, row + i, a.bias ? add4(o, *(const float4 *)(a.bias + i)) : o);
	}
}

/* Any number of columns; each thread meets only what it wrote itself. */
__global__ void __launch_bounds__(THREADS) add_norm_any(struct norm_args a)
{
	BOUNDS(THREADS);
	gpu_take_turn();
	SHARED(float, part, [2][THREADS / 32]);
	float *x = a.x + (size_t)blockIdx.x * a.cols, sum = 0, mean = 0, r;
	const float *delta = a.delta ? a.delta + (size_t)blockIdx.x * a.cols : nullptr;

	for (int i = threadIdx.x; i < a.cols; i += THREADS) {
		float v = x[i];
		if (delta)
			x[i] = v += delta[i];
		sum += a.centred ? v : v * v;
	}
	sum = block_sum(part[0], sum);
	if (a.centred) {
		mean = sum * a.per_col;
		sum = 0;
		for (int i = threadIdx.x; i < a.cols; i += THREADS)
			sum += (x[i] - mean) * (x[i] - mean);
		sum = block_sum(part[1], sum);
	}
	r = rsqrtf(sum * a.per_col + a.eps);
	for (int i = threadIdx.x; i < a.cols; i += THREADS) {
		float v = (x[i] - mean) * r * a.w[i] + (a.bias ? a.bias[i] : 0);
		size_t at = (size_t)blockIdx.x * a.cols + i;
		if (a.type == K_F32)
			((float *)a.out)[at] = v;
		else
			((uint16_t *)a.out)[at] = a.type == K_BF16 ? gpu_down<Bf16>(v) : gpu_down<F16>(v);
	}
}

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

/* Eight numbers of one head: four pairs that rotate together, or eight in a row that do not. */
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
	int limit = o.head < a.heads + a.kv_heads ? a.n_rot : 0; /* what lies beyond is not rotated */
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

/* Where K or V head `head`, counted through as the heads of a block lie, has the place of `slot`. */
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

/* As above into an 8-bit cache: a head's threads, neighbours in a warp, find its largest number together. */
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

template <class E, bool VECTOR>
__global__ void __launch_bounds__(THREADS) silu_mul(uint16_t *out, const uint16_t *gate_up, int ffn)
{
	BOUNDS(THREADS);
	gpu_take_turn();
	int i = (blockIdx.x * THREADS + threadIdx.x) * (VECTOR ? 8 : 1);
	const uint16_t *row = gate_up + (size_t)blockIdx.y * 2 * ffn;
	uint16_t *to = out + (size_t)blockIdx.y * ffn;

	if (i >= ffn)
		return;
	if (!VECTOR) {
		to[i] = gpu_down<E>(gpu_silu_mul(E::up(row[2 * i]), E::up(row[2 * i + 1])));
		return;
	}
	float v[16];
	gpu_up8<E>(v, *(const uint4 *)(row + 2 * i));
	gpu_up8<E>(v + 8, *(const uint4 *)(row + 2 * i + 8));
#pragma unroll
	for (int j = 0; j < 8; j++)
		v[j] = gpu_silu_mul(v[2 * j], v[2 * j + 1]);
	*(uint4 *)(to + i) =
		make_uint4(E::pack(v[0], v[1]), E::pack(v[2], v[3]), E::pack(v[4], v[5]), E::pack(v[6], v[7]));
}

template <class T> __global__ void __launch_bounds__(THREADS) rows(T *out, const T *x, const int32_t *row, int n)
{
	BOUNDS(THREADS);
	gpu_take_turn();
	const T *from = x + (size_t)row[blockIdx.x] * n;

	for (int i = threadIdx.x; i < n; i += THREADS)
		out[(size_t)blockIdx.x * n + i] = from[i];
}

__global__ void __launch_bounds__(THREADS) tree_sum(float *out, struct k_tree in, size_t n)
{
	BOUNDS(THREADS);
	gpu_take_turn();
	SHARED(float, stack, [8][THREADS]); /* each thread has its own column */

	for (size_t i = (size_t)blockIdx.x * THREADS + threadIdx.x; i < n; i += (size_t)gridDim.x * THREADS) {
		int depth = 0;
		for (int j = 0; j < in.count; j++) {
			stack[depth++][threadIdx.x] = in.data[j][i];
			for (int k = 0; k < in.merges[j]; k++, depth--)
				stack[depth - 2][threadIdx.x] += stack[depth - 1][threadIdx.x];
		}
		out[i] = stack[0][threadIdx.x] + 0.0f;
	}
}

template <class E>
static cudaError_t choose_embed(cudaStream_t s, float *out, const int32_t *ids, const int32_t *drawn, int n_drawn,
				const void *table, int n, int cols, int ld, int rows_, int first)
{
	auto kernel = cols % 8 ? embed<E, false> : embed<E, true>;

	return gpu_launch(kernel, n, THREADS, 0, s, out, ids, drawn, n_drawn, (const uint16_t *)table, cols, ld, rows_,
			  first);
}
template <class E> static cudaError_t choose_silu(cudaStream_t s, void *out, const void *gate_up, int n, int ffn)
{
	int per = ffn % 8 ? THREADS : 8 * THREADS;
	auto kernel = ffn % 8 ? silu_mul<E, false> : silu_mul<E, true>;

	return gpu_launch(kernel, dim3((ffn + per - 1) / per, n), THREADS, 0, s, (uint16_t *)out,
			  (const uint16_t *)gate_up, ffn);
}

template <class E> static auto sample_store(enum k_kv kv)
{
	return kv == K_KV_INT8 ? rope_store8<E, Int8> : kv == K_KV_FP8 ? rope_store8<E, Fp8> : rope_store<E>;
}

extern "C" {
void k_overlap(bool on)
{
	gpu_overlap = on;
}

cudaError_t k_embed(cudaStream_t s, enum k_type type, float *out, const int32_t *ids, const int32_t *drawn, int n_drawn,
		    const void *table, int n, int cols, int ld, int rows_, int first)
{
	return (type == K_F16 ? choose_embed<F16> : choose_embed<Bf16>)(s, out, ids, drawn, n_drawn, table, n, cols, ld,
									rows_, first);
}
cudaError_t k_embed_int8(cudaStream_t s, enum k_type type, float *out, const int32_t *ids, const int32_t *drawn,
			 int n_drawn, const void *table, int n, int cols, int ld, int rows_, int first)
{
	return gpu_launch(type == K_F16 ? embed_int8<F16> : embed_int8<Bf16>, n, THREADS, 0, s, out, ids, drawn,
			  n_drawn, table, cols, ld, rows_, first);
}

cudaError_t k_from_int8(cudaStream_t s, enum k_type type, void *out, const void *w, int n, int ld)
{
	return gpu_launch(type == K_F16 ? from_int8<F16> : from_int8<Bf16>, n, THREADS, 0, s, (uint4 *)out, w, ld);
}

cudaError_t k_add_norm(cudaStream_t s, enum k_type type, void *out, float *x, const float *delta, const float *w,
		       const float *bias, bool centred, float eps, int n, int cols)
{
	struct norm_args a = {out, x, delta, w, bias, eps, 1.0f / cols, cols, centred, type, 0};

	if (cols % 4 || cols > 32 * THREADS)
		return gpu_launch(add_norm_any, n, THREADS, 0, s, a);
	if (cols <= 8 * THREADS)
		return gpu_launch(add_norm<2>, n, THREADS, 0, s, a);
	return gpu_launch(add_norm<8>, n, THREADS, 0, s, a);
}

cudaError_t k_rope_store(cudaStream_t s, enum k_type type, void *qkv, struct k_cache cache, int heads, const float *cos,
			 const float *sin, int n_rot, const int32_t *pos, const int32_t *slot, int tokens)
{
	struct store_args a = {(uint16_t *)qkv, (char *)cache.pool, cos, sin, pos, slot, heads, cache.kv_heads,
			       cache.dim,       cos ? n_rot : 0};
	auto kernel = type == K_F16 ? sample_store<F16>(cache.kv) : sample_store<Bf16>(cache.kv);

	return gpu_launch(kernel, tokens, THREADS, 0, s, a);
}

cudaError_t k_silu_mul(cudaStream_t s, enum k_type type, void *out, const void *gate_up, int n, int ffn)
{
	return (type == K_F16 ? choose_silu<F16> : choose_silu<Bf16>)(s, out, gate_up, n, ffn);
}

cudaError_t k_rows(cudaStream_t s, void *out, const void *x, const int32_t *row, int n, int bytes)
{
	if (bytes % 16)
		return gpu_launch(rows<uint16_t>, n, THREADS, 0, s, (uint16_t *)out, (const uint16_t *)x, row,
				  bytes / 2);
	return gpu_launch(rows<uint4>, n, THREADS, 0, s, (uint4 *)out, (const uint4 *)x, row, bytes / 16);
}

cudaError_t k_tree_sum(cudaStream_t s, float *out, struct k_tree in, size_t n)
{
	size_t blocks = (n + THREADS - 1) / THREADS;

	return gpu_launch(tree_sum, (unsigned)(blocks < 4096 ? blocks : 4096), THREADS, 0, s, out, in, n);
}
}
