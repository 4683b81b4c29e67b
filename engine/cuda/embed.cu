/* embed.cu - looks up rows of the embedding table. */
#include "engine/cuda/gpu_weight.h"

enum { THREADS = 256 };

/* Returns the table's row for a token: ids[blockIdx.x], or what was sampled for a row of the step before; -1: another
 * rank has it. */
GPU int row_of(const int32_t *ids, const int32_t *sampled, int n_sampled, int rows, int first)
{
	int id = ids[blockIdx.x];

	if (id < 0)
		id = -1 - id < n_sampled ? sampled[-1 - id] : -1;
	return id >= first && id - first < rows ? id - first : -1;
}
GPU void put8(float *to, const float *f)
{
	*(float4 *)to = make_float4(f[0] + 0.0f, f[1] + 0.0f, f[2] + 0.0f, f[3] + 0.0f);
	*(float4 *)(to + 4) = make_float4(f[4] + 0.0f, f[5] + 0.0f, f[6] + 0.0f, f[7] + 0.0f);
}

template <class E, bool VECTOR>
__global__ void __launch_bounds__(THREADS) embed(float *out, const int32_t *ids, const int32_t *sampled, int n_sampled,
						 const uint16_t *table, int cols, int ld, int rows, int first)
{
	BOUNDS(THREADS);
	gpu_take_turn();
	int at = row_of(ids, sampled, n_sampled, rows, first);
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
template <class E, class W>
__global__ void __launch_bounds__(THREADS)
	embed_packed(float *out, const int32_t *ids, const int32_t *sampled, int n_sampled, const void *table,
		     const float *scale, int cols, int ld, int w_first, int rows, int first)
{
	BOUNDS(THREADS);
	gpu_take_turn();
	int at = row_of(ids, sampled, n_sampled, rows, first);
	float *to = out + (size_t)blockIdx.x * cols, by = by_row<W> && at >= 0 ? scale[at] : 1;

	for (int i = threadIdx.x * 8; i < cols; i += THREADS * 8) {
		float f[8] = {0, 0, 0, 0, 0, 0, 0, 0};
		if (at >= 0)
			gpu_up8<E>(f, weight_columns<E, W>(table, at, i, ld, w_first));
		for (int j = 0; by_row<W> && j < 8; j++)
			f[j] *= by;
		if (cols % 8 == 0)
			put8(to + i, f);
		for (int j = 0; cols % 8 && j < 8 && i + j < cols; j++)
			to[i + j] = f[j] + 0.0f;
	}
}

extern "C" {
cudaError_t k_embed(cudaStream_t s, enum k_type type, float *out, const int32_t *ids, const int32_t *sampled,
		    int n_sampled, struct k_matrix t, int n, int cols, int rows, int first)
{
	return gpu_for_weights(type, t.class_, [&](auto e, auto c) {
		using E = decltype(e);
		using W = decltype(c);
		if constexpr (std::is_same_v<E, W>)
			return gpu_launch(cols % 8 ? embed<E, false> : embed<E, true>, n, THREADS, 0, s, out, ids,
					  sampled, n_sampled, (const uint16_t *)t.data, cols, t.ld, rows, first);
		else
			return gpu_launch(embed_packed<E, W>, n, THREADS, 0, s, out, ids, sampled, n_sampled, t.data,
					  t.scale, cols, t.ld, t.first, rows, first);
	});
}
}
