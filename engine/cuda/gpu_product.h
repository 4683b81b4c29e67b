/* gpu_product.h - what products with few rows have in common (linear.cu, experts.cu): how a lane reads weights and x,
 * how a ring of copies keeps weights on their way, how sums are written. A weight row is the row operand of
 * mma.m16n8k16, a token the column operand. The order of k inside a dot product is free, so a lane takes 8 neighbouring
 * columns (16 bytes) and feeds two products with them, of weights and activations alike. */
#ifndef ENGINE_CUDA_GPU_PRODUCT_H
#define ENGINE_CUDA_GPU_PRODUCT_H

#include "engine/cuda/gpu_weight.h"

enum { WARPS = 8, THREADS = 32 * WARPS, STEP = 32 /* columns that a warp multiplies at a time */ };

/* Loads columns [col, col + 8) of row `row`, which are `ld` numbers apart, with zeros outside (m, k). */
template <bool VECTOR> GPU uint4 load_x(const uint16_t *x, int row, int m, int col, int k, int ld)
{
	uint4 v = {0, 0, 0, 0};
	const uint16_t *p = x + (size_t)row * ld + col;

	if (row >= m || col >= k)
		return v;
	if (VECTOR)
		return *(const uint4 *)p;
	v.x = p[0] | (uint32_t)(col + 1 < k ? p[1] : 0) << 16;
	v.y = (col + 2 < k ? p[2] : 0) | (uint32_t)(col + 3 < k ? p[3] : 0) << 16;
	v.z = (col + 4 < k ? p[4] : 0) | (uint32_t)(col + 5 < k ? p[5] : 0) << 16;
	v.w = (col + 6 < k ? p[6] : 0) | (uint32_t)(col + 7 < k ? p[7] : 0) << 16;
	return v;
}

template <class E> GPU void put(void *out, enum k_form form, size_t at, float v)
{
	if (form == K_OUT_16)
		((uint16_t *)out)[at] = gpu_down<E>(v);
	else
		((float *)out)[at] = v;
}

/* Multiplies one warp's 32 columns of 16 weight rows and 8 tokens. */
template <class E> GPU void multiply(float d[4], uint4 low, uint4 high, uint4 x)
{
	uint32_t a0[4] = {low.x, high.x, low.y, high.y}, b0[2] = {x.x, x.y};
	uint32_t a1[4] = {low.z, high.z, low.w, high.w}, b1[2] = {x.z, x.w};

	E::mma(d, a0, b0);
	E::mma(d, a1, b1);
}

/* Where and how to write sums. */
struct sink {
	void *out;
	const float *bias, *scale; /* (n) scale: of weights that have one a row */
	enum k_form form;
	int m, n;
};
enum { PITCH = 17 /* of 16 outputs of a token in shared memory */ };

/* Adds up output `col` of a token over the warps. */
template <class W, int MT> GPU float over_warps(const float *red, int at, const struct sink &to, int col)
{
	float s = 0;

#pragma unroll
	for (int j = 0; j < WARPS; j++)
		s += red[j * (8 * MT * PITCH) + at];
	return by_row<W> ? s * to.scale[min(col, to.n - 1)] : s;
}

/* Gate of column `col` and up, its neighbour, lie half of all outputs apart in `bias`. */
GPU float bias_of(const float *bias, int col, int n)
{
	int at = col / 2 + (col & 1 ? n / 2 : 0);

	return bias && at < n ? bias[at] : 0;
}

/* Writes 16 outputs from n0 on of 8*MT tokens, whose partial sums the warps left in `red`. */
template <class E, class W, int MT> GPU void write_sums(const float *red, const struct sink &to, int m0, int n0)
{
	for (int i = threadIdx.x; to.form == K_OUT_SILU && i < 64 * MT; i += THREADS) {
		int row = m0 + i / 8, col = n0 + 2 * (i % 8), at = i / 8 * PITCH + 2 * (i % 8);
		float v = gpu_silu_mul(over_warps<W, MT>(red, at, to, col) + bias_of(to.bias, col, to.n),
				       over_warps<W, MT>(red, at + 1, to, col + 1) + bias_of(to.bias, col + 1, to.n));
		if (row < to.m && col < to.n)
			((uint16_t *)to.out)[(size_t)row * (to.n / 2) + col / 2] = gpu_down<E>(v);
	}
	for (int i = threadIdx.x; to.form != K_OUT_SILU && i < 128 * MT; i += THREADS) {
		int row = m0 + i / 16, col = n0 + i % 16;
		float v = over_warps<W, MT>(red, i / 16 * PITCH + i % 16, to, col);
		if (row < to.m && col < to.n)
			put<E>(to.out, to.form, (size_t)row * to.n + col, v + (to.bias ? to.bias[col] : 0));
	}
}

/* Writes a block's tile of 16*R outputs, summed over the warps, 16 at a time. */
template <class E, class W, int MT, int R>
GPU void finish(float d[R][MT][4], float *red, const struct sink &to, int m0, int n0)
{
	const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, g = lane >> 2, t = lane & 3;

#pragma unroll
	for (int r = 0; r < R; r++) {
		__syncthreads(); /* the sums before have been read */
#pragma unroll
		for (int i = 0; i < MT; i++)
#pragma unroll
			for (int j = 0; j < 4; j++) {
				red[(warp * 8 * MT + 8 * i + 2 * t + (j & 1)) * PITCH + g + 8 * (j >> 1)] = d[r][i][j];
				d[r][i][j] = 0;
			}
		__syncthreads();
		write_sums<E, W, MT>(red, to, m0, n0 + 16 * r);
	}
}

/* The size of a turn. A lane takes 16 bytes of a row, 8 to 32 columns, U times; in parts also its scales: the
 * first lane of four loads 16 bytes of them, or each the two that hold its own, or its own, or that and the zero point.
 */
template <class W, int R, int U> struct turn {
	enum { LANE = W::PER16, WARP = 4 * LANE /* columns, U times */, COLS = U * WARPS * WARP };
	enum {
		NUMBERS = 2 * R * U * THREADS,
		SCALES = in_parts<W> ? 2 * R * WARPS * 8 : 0,
		ROOM = NUMBERS + SCALES /* of 16 bytes */
	};
	static_assert(!in_parts<W> || (int)COLS == part_columns<W>, "a turn is a part");
};

/* A lane multiplies eight columns at a time, and asks for as much of x beforehand as registers hold. */
template <class W, int MT, int U> struct eights {
	enum { ALL = W::PER16 / 8, AT_ONCE = ALL > 2 ? 4 / MT : ALL, XS = U * AT_ONCE };
};

/* A tile of 16*R weight rows and the column at which the block's turn begins. Warps lie side by side. */
struct turn_place {
	int tile, col;
};

/* Starts copying the scales of a lane's columns of a row, which begin at `at` of its part. */
template <class W> GPU void fetch_scales(uint4 *room, const char *part, int at, int first, bool there)
{
	if constexpr (by_128<W>)
		gpu_copy4((uint32_t *)room + threadIdx.x, part + (at + first) / K_E4M3_GROUP * 4, there);
	else if constexpr (with_zeros<W>)
		gpu_copy4((uint32_t *)room + threadIdx.x, part + at / 32 * 4, there);
	else if constexpr (W::PER16 == 32)
		gpu_copy4((uint32_t *)room + threadIdx.x, part + at / 64 * 4, there);
	else if (threadIdx.x % 4 == 0)
		gpu_copy16(room + threadIdx.x / 4, part + 16 * (threadIdx.x / 32 / 4), there);
}

/* Starts copying the weights of a turn, of the tile and from the column that `p` names, into the thread's own room,
 * which no other thread reads. there false: zeros. */
template <class W, int R, int U>
GPU void fetch(uint4 *room, const char *w, struct turn_place p, bool there, int n, int ld, int first)
{
	using T = turn<W, R, U>;
	const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, at = warp * U * T::WARP + T::LANE * (lane & 3),
		  col = p.col + at;

#pragma unroll
	for (int r = 0; r < 2 * R; r++) { /* a row past the end is a copy of the last one; its result is not written */
		const int i = min(p.tile * 16 * R + 8 * r + (lane >> 2), n - 1);
		const char *part = weight_at<W>(w, i, p.col, ld),
			   *from = part + (in_parts<W> ? part_scales<W> : 0) + at * 16 / W::PER16;
#pragma unroll
		for (int u = 0; u < U; u++)
			gpu_copy16(room + (r * U + u) * THREADS + threadIdx.x, from + 64 * u,
				   there && col + u * T::WARP < ld);
		if (in_parts<W>)
			fetch_scales<W>(room + T::NUMBERS + r * (WARPS * 8), part, at, first, there && col < ld);
	}
	gpu_copy_commit();
}

/* Returns the group of a lane's numbers. A warp's 64 columns of 8 bits have two scales, which the first lane of four
 * holds; a lane's 32 of 4 bits have one, beside a neighbour's. Where zero points are, or scales for 128 columns, each
 * lane has its own. */
template <class W> GPU struct gpu_group group_of(const uint4 *scales)
{
	const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
	uint32_t two;

	if constexpr (with_zeros<W>)
		return gpu_group_of(((const uint32_t *)scales)[threadIdx.x]);
	if constexpr (by_128<W>)
		return {((const float *)scales)[threadIdx.x], 0};
	if constexpr (W::PER16 == 32) {
		two = ((const uint32_t *)scales)[threadIdx.x];
		return {F16::up(lane & 1 ? two >> 16 : two & 0xffff), 0};
	}
	two = lane & 3 ? 0 : ((const uint32_t *)(scales + threadIdx.x / 4))[warp & 3];
	two = __shfl_sync(0xffffffffu, two, lane & ~3);
	return {F16::up(lane & 2 ? two >> 16 : two & 0xffff), 0};
}

/* Multiplies a lane's share of a turn: the eights of its columns from `first` on whose x is in registers. */
template <class E, class W, int MT, int R, int U>
GPU void multiply_turn(float d[R][MT][4], const uint4 *room, int first, const uint4 xv[eights<W, MT, U>::XS][MT])
{
	using T = turn<W, R, U>;
	enum { AT_ONCE = eights<W, MT, U>::AT_ONCE };

#pragma unroll
	for (int r = 0; r < R; r++) {
		struct gpu_group low_group = {}, high_group = {};
		if constexpr (in_parts<W>) {
			low_group = group_of<W>(room + T::NUMBERS + 2 * r * (WARPS * 8));
			high_group = group_of<W>(room + T::NUMBERS + (2 * r + 1) * (WARPS * 8));
		}
#pragma unroll
		for (int u = 0; u < U; u++) {
			const uint4 *low = room + (2 * r * U + u) * THREADS + threadIdx.x, *high = low + U * THREADS;
#pragma unroll
			for (int j = 0; j < AT_ONCE; j++) {
				const uint4 a = gpu_eight<E, W>(low, first + j, low_group),
					    b = gpu_eight<E, W>(high, first + j, high_group);
#pragma unroll
				for (int i = 0; i < MT; i++)
					multiply<E>(d[r][i], a, b, xv[u * AT_ONCE + j][i]);
			}
		}
	}
}

/* Where sums of 8*MT rows and 16 outputs lie: rows [row, end), outputs from `col` on, of (rows, n) of each part. */
struct sums_place {
	int row, end, col, rows, n;
};
/* Combines the sums of segments, red (n_segments, 8*MT, 16), and writes each part's. The binary counter's stack reuses
 * the segments' own room: its depth never exceeds the index of the segment being added. */
template <class E, int MT>
GPU void combine_segments(void *out, enum k_form form, float *red, const struct k_segment *segments, int n_segments,
			  const float *bias, struct sums_place at)
{
	enum { SIZE = 128 * MT };

	for (int e = threadIdx.x; e < SIZE; e += THREADS) {
		int token = at.row + e / 16, col = at.col + e % 16, depth = 0;
		for (int i = 0; i < n_segments; i++) {
			red[depth++ * SIZE + e] = red[i * SIZE + e];
			for (int j = 0; j < segments[i].merges; j++, depth--)
				red[(depth - 2) * SIZE + e] += red[(depth - 1) * SIZE + e];
			if (segments[i].part < 0)
				continue;
			depth = 0;
			if (form != K_OUT_SILU && token < at.end && col < at.n)
				put<E>(out, form, ((size_t)segments[i].part * at.rows + token) * at.n + col,
				       red[e] + (bias ? bias[col] : 0));
		}
	}
	if (form != K_OUT_SILU)
		return;
	__syncthreads(); /* the one part lies at the bottom of the stack */
	for (int e = threadIdx.x; e < SIZE / 2; e += THREADS) {
		int token = at.row + e / 8, col = at.col + e % 8 * 2;
		if (token < at.end && col < at.n)
			((uint16_t *)out)[(size_t)token * (at.n / 2) + col / 2] = gpu_down<E>(gpu_silu_mul(
				red[2 * e] + bias_of(bias, col, at.n), red[2 * e + 1] + bias_of(bias, col + 1, at.n)));
	}
}

#endif
