/* experts_tile.cu - products of a mixture of experts with many rows each: tiles of 128 outputs and 128 rows of a group,
 * out of shared memory, so that each weight that is read serves them all. */
#include "engine/cuda/gpu_product.h"

enum {
	TILE = K_EXPERTS_TILE,
	COLS = 32 /* at a time */,
	ROW = 5 /* 16-byte units of one in shared memory: no conflicts */,
	EACH = TILE * COLS / 8 / THREADS /* units that a thread loads of either matrix */
};

struct units {
	uint4 w[EACH], x[EACH];
};

/* Loads a thread's units of the columns from `col` on. row: of x; -1: zeros. */
template <class E, class W>
GPU struct units load_units(const struct k_experts &a, const char *w, int n0, const int row[EACH], int col)
{
	const uint16_t *x = (const uint16_t *)a.x;
	struct units u;

#pragma unroll
	for (int i = 0; i < EACH; i++) {
		const int at = threadIdx.x + i * THREADS, c = col + at % 4 * 8;
		u.w[i] = weight_columns<E, W>(w, min(n0 + at / 4, a.n - 1), c, a.w.ld, a.w.first);
		u.x[i] = a.k % 8 ? load_x<false>(x, max(row[i], 0), row[i] + 1, c, a.k, a.k)
				 : load_x<true>(x, max(row[i], 0), row[i] + 1, c, a.k, a.k);
	}
	return u;
}
GPU void store_units(uint4 *w, uint4 *x, const struct units &u)
{
#pragma unroll
	for (int i = 0; i < EACH; i++) {
		const int at = threadIdx.x + i * THREADS, to = at / 4 * ROW + at % 4;
		w[to] = u.w[i], x[to] = u.x[i];
	}
}

/* A warp has 64 outputs and 32 rows: 4 by 4 products. */
template <class E> GPU void multiply_tile(float d[4][4][4], const uint4 *w, const uint4 *x, int lane)
{
#pragma unroll
	for (int step = 0; step < COLS / 16; step++) {
		uint32_t b[2][4];
#pragma unroll
		for (int i = 0; i < 2; i++)
			gpu_ldmatrix4<false>(b[i], x + (16 * i + (lane & 7) + 8 * (lane >> 4)) * ROW + 2 * step +
							   (lane >> 3 & 1));
#pragma unroll
		for (int r = 0; r < 4; r++) {
			uint32_t v[4];
			gpu_ldmatrix4<false>(v, w + (16 * r + (lane & 15)) * ROW + 2 * step + (lane >> 4));
#pragma unroll
			for (int i = 0; i < 4; i++)
				E::mma(d[r][i], v, b[i / 2] + i % 2 * 2);
		}
	}
}

/* Writes a warp's sums: outputs from n0 on, rows from row0 on of a group. */
template <class E>
GPU void write_tile(void *out, const struct k_experts &a, const struct k_group &g, float d[4][4][4], const float *scale,
		    int n0, int row0, int lane)
{
#pragma unroll
	for (int r = 0; r < 4; r++)
#pragma unroll
		for (int i = 0; i < 4; i++)
#pragma unroll
			for (int q = 0; q < 4; q++) {
				const int col = n0 + 16 * r + (lane >> 2) + 8 * (q >> 1),
					  row = row0 + 8 * i + 2 * (lane & 3) + (q & 1);
				const float v = d[r][i][q] * (scale ? scale[min(col, a.n - 1)] : 1),
					    up = __shfl_xor_sync(0xffffffffu, v, 4);
				if (row >= g.rows || col >= a.n)
					continue;
				const size_t at = (size_t)(g.first + row);
				if (a.form != K_OUT_SILU)
					put<E>(out, a.form, at * a.n + col, v);
				else if (col % 2 == 0)
					((uint16_t *)out)[at * (a.n / 2) + col / 2] = gpu_down<E>(gpu_silu_mul(v, up));
			}
}

/* Grid (tiles of outputs, groups). */
template <class E, class W> __global__ void __launch_bounds__(THREADS, 1) experts_tile(void *out, struct k_experts a)
{
	BOUNDS(THREADS);
	gpu_take_turn();
	SHARED(uint4, w, [2][TILE * ROW]);
	SHARED(uint4, x, [2][TILE * ROW]);
	if ((int)blockIdx.y >= *a.n_groups)
		return;
	const struct k_group g = a.group[blockIdx.y];
	const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, n0 = blockIdx.x * TILE, mine = n0 + warp % 2 * 64,
		  row0 = warp / 2 * 32;
	const char *weights = (const char *)a.w.data + (size_t)g.expert * a.step * weight_row_bytes<W>(a.w.ld);
	float d[4][4][4] = {};
	int row[EACH];

	for (int i = 0; i < EACH; i++) {
		const int at = ((int)threadIdx.x + i * THREADS) / 4;
		row[i] = at >= g.rows ? -1 : a.token ? a.token[g.first + at] : g.first + at;
	}
	struct units next = load_units<E, W>(a, weights, n0, row, 0);
	store_units(w[0], x[0], next);
	__syncthreads();
	for (int col = 0, turn = 0; col < a.w.ld; col += COLS, turn ^= 1) {
		if (col + COLS < a.w.ld)
			next = load_units<E, W>(a, weights, n0, row, col + COLS);
		if (row0 < g.rows && mine < a.n)
			multiply_tile<E>(d, w[turn] + warp % 2 * 64 * ROW, x[turn] + row0 * ROW, lane);
		if (col + COLS < a.w.ld)
			store_units(w[turn ^ 1], x[turn ^ 1], next);
		__syncthreads(); /* the next columns have come, and these have been read */
	}
	write_tile<E>(out, a, g, d, by_row<W> ? a.w.scale + (size_t)g.expert * a.step : NULL, mine, row0, lane);
}

extern "C" {
cudaError_t k_experts_tiles(cudaStream_t s, enum k_type type, void *out, struct k_experts a)
{
	const dim3 grid((a.n + TILE - 1) / TILE, a.most_groups);

	return gpu_for_weights(type, a.w.class_, [&](auto e, auto c) {
		return gpu_launch(experts_tile<decltype(e), decltype(c)>, grid, THREADS, 0, s, out, a);
	});
}
}
