/* experts.cu - products of a mixture of experts: groups of rows, each with the matrix of its expert, whose number only
 * the device knows; and their sum. Grids are for the most groups that there may be. */
#include "engine/cuda/gpu_product.h"

enum { SUM_THREADS = 128 };

/* Of the device: SMs, and bytes of shared memory that a block may have. */
static int sms, block_room;

/* A tile of 16*R outputs of a group, and the column at which the block's turn begins. */
struct expert_place {
	int group, tile, col;
};
template <class T> GPU void next_turn(struct expert_place *p, int tiles, int ld)
{
	p->col += T::COLS;
	if (p->col < ld)
		return;
	p->col = 0, p->tile += gridDim.x;
	while (p->tile >= tiles)
		p->tile -= tiles, p->group++;
}
template <class W, int R, int U>
GPU void fetch_of(uint4 *room, const struct k_experts &a, struct expert_place p, int groups)
{
	const bool there = p.group < groups;
	const size_t row = there ? (size_t)a.group[p.group].expert * a.step : 0;

	fetch<W, R, U>(room, (const char *)a.w.data + row * weight_row_bytes<W>(a.w.ld), {p.tile, p.col}, there, a.n,
		       a.w.ld, a.w.first);
}

/* Loads eight columns of a row of x, with zeros from `end` on. row -1: zeros. */
GPU uint4 x_columns(const struct k_experts &a, int row, int col, int end)
{
	const uint16_t *x = (const uint16_t *)a.x;

	return a.k % 8 ? load_x<false>(x, max(row, 0), row + 1, col, end, a.k)
		       : load_x<true>(x, max(row, 0), row + 1, col, end, a.k);
}

/* As `skinny` (linear.cu), but tiles are those of all groups, one after the other, and rows of x lie anywhere. No
 * weight is asked for before the kernel before this one has ended: it says whose they are. */
template <class E, class W, int MT, int R, int U, int STAGES>
__global__ void __launch_bounds__(THREADS, 2) experts_ring(void *out, struct k_experts a)
{
	BOUNDS(THREADS);
	gpu_take_turn();
	using T = turn<W, R, U>;
	using X = eights<W, MT, U>;
	SMEM(uint4, ring);
	const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, tiles = (a.n + 16 * R - 1) / (16 * R),
		  groups = *a.n_groups;
	float *red = (float *)(ring + STAGES * T::ROOM), d[R][MT][4] = {};
	struct expert_place use = {(int)blockIdx.x / tiles, (int)blockIdx.x % tiles, 0}, get = use;
	int row[MT];

#pragma unroll
	for (int s = 0; s < STAGES; s++, next_turn<T>(&get, tiles, a.w.ld))
		fetch_of<W, R, U>(ring + s * T::ROOM, a, get, groups);
	for (int s = 0; use.group < groups; s = s + 1 == STAGES ? 0 : s + 1) {
		uint4 *room = ring + s * T::ROOM, xv[X::XS][MT];
		const struct k_group g = a.group[use.group];
		for (int i = 0; i < MT && !use.col; i++) {
			const int at = 8 * i + (lane >> 2);
			row[i] = at >= g.rows ? -1 : a.token ? a.token[g.first + at] : g.first + at;
		}
#pragma unroll 1
		for (int first = 0; first < X::ALL; first += X::AT_ONCE) {
#pragma unroll
			for (int u = 0; u < X::XS; u++)
#pragma unroll
				for (int i = 0; i < MT; i++) {
					int col = use.col + warp * U * T::WARP + T::LANE * (lane & 3) +
						  u / X::AT_ONCE * T::WARP + (first + u % X::AT_ONCE) * 8;
					xv[u][i] = x_columns(a, row[i], col, a.k);
				}
			if (!first)
				gpu_copy_wait<STAGES - 1>();
			multiply_turn<E, W, MT, R, U>(d, room, first, xv);
		}
		fetch_of<W, R, U>(room, a, get, groups);
		next_turn<T>(&get, tiles, a.w.ld);
		const struct expert_place now = use;
		next_turn<T>(&use, tiles, a.w.ld);
		if (use.tile == now.tile && use.group == now.group)
			continue;
		const size_t at = (size_t)g.first * (a.form == K_OUT_SILU ? a.n / 2 : a.n);
		const struct sink to = {(char *)out + at * (a.form == K_OUT_F32 ? 4 : 2),
					NULL,
					by_row<W> ? a.w.scale + (size_t)g.expert * a.step : NULL,
					a.form,
					g.rows,
					a.n};
		finish<E, W, MT, R>(d, red, to, 0, now.tile * 16 * R);
	}
	gpu_copy_wait<0>();
}

/* As `fixed` (linear.cu): a row's bits follow from its own numbers and the segments alone. Grid (tiles, groups). */
template <class E, class W, int MT>
__global__ void __launch_bounds__(THREADS, 1) experts_fixed(void *out, struct k_experts a)
{
	BOUNDS(THREADS);
	gpu_take_turn();
	enum { SIZE = 128 * MT };
	SMEM(float, red); /* (n_segments, 8*MT, 16) */
	if ((int)blockIdx.y >= *a.n_groups)
		return;
	const struct k_group group = a.group[blockIdx.y];
	const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, g = lane >> 2, t = lane & 3, n0 = blockIdx.x * 16;
	const char *w = (const char *)a.w.data + (size_t)group.expert * a.step * weight_row_bytes<W>(a.w.ld);
	const int low = min(n0 + g, a.n - 1), high = min(n0 + 8 + g, a.n - 1);
	int row[MT];

	for (int i = 0; i < MT; i++) {
		const int at = 8 * i + g;
		row[i] = at >= group.rows ? -1 : a.token ? a.token[group.first + at] : group.first + at;
	}
	for (int i = warp; i < a.n_segments; i += WARPS) {
		const int first = a.segments[i].col, end = first + a.segments[i].cols;
		float d[MT][4] = {};
#pragma unroll 1
		for (int col = first; col < end; col += STEP) {
			const int at = col + 8 * t, at_w = min(at, a.w.ld - 8);
			const uint4 v = weight_columns<E, W>(w, low, at_w, a.w.ld, a.w.first),
				    u = weight_columns<E, W>(w, high, at_w, a.w.ld, a.w.first);
#pragma unroll
			for (int j = 0; j < MT; j++)
				multiply<E>(d[j], v, u, x_columns(a, row[j], at, end));
		}
#pragma unroll
		for (int j = 0; j < MT; j++)
#pragma unroll
			for (int q = 0; q < 4; q++)
				red[i * SIZE + (8 * j + 2 * t + (q & 1)) * 16 + g + 8 * (q >> 1)] =
					d[j][q] *
					(by_row<W> ? a.w.scale[(size_t)group.expert * a.step + (q >> 1 ? high : low)]
						   : 1);
	}
	__syncthreads();
	const struct sums_place at = {group.first, group.first + group.rows, n0, a.rows, a.n};
	combine_segments<E, MT>(out, a.form, red, a.segments, a.n_segments, NULL, at);
}

/* A thread a column of a token. */
template <class E, int LEAVES>
__global__ void __launch_bounds__(SUM_THREADS) experts_add(void *out, struct k_experts_sum a)
{
	BOUNDS(SUM_THREADS);
	gpu_take_turn();
	const int row = blockIdx.x, col = blockIdx.y * SUM_THREADS + threadIdx.x;
	const int32_t *place = a.place + (size_t)row * a.k;
	const float *weight = a.weight + (size_t)row * (a.k + 1);
	float sum[LEAVES] = {};

	if (col >= a.cols)
		return;
	for (int i = 0; a.y && i < a.k; i++) {
		const float *y = a.y + (size_t)place[i] * a.cols + col;
#pragma unroll
		for (int j = 0; j < LEAVES; j++)
			sum[j] = fmaf(weight[i], y[(size_t)j * a.rows * a.cols], sum[j]);
	}
#pragma unroll
	for (int j = 0; j < LEAVES; j++)
		if (a.shared)
			sum[j] = fmaf(weight[a.k], a.shared[((size_t)j * a.n + row) * a.cols + col], sum[j]);
#pragma unroll
	for (int step = 1; step < LEAVES; step *= 2)
#pragma unroll
		for (int j = 0; j < LEAVES; j += 2 * step)
			sum[j] += sum[j + step];
	put<E>(out, a.form, (size_t)row * a.cols + col, sum[0]);
}

template <class E, class W, int MT, int R, int U, int STAGES> struct ring_shape {
	static constexpr auto kernel = experts_ring<E, W, MT, R, U, STAGES>;
	static constexpr int bytes = STAGES * turn<W, R, U>::ROOM * 16 + WARPS * 8 * MT * PITCH * (int)sizeof(float);

	static cudaError_t launch(cudaStream_t s, void *out, struct k_experts a)
	{
		const int64_t units = (int64_t)((a.n + 16 * R - 1) / (16 * R)) * a.most_groups;

		return gpu_launch(kernel, (unsigned)(units < sms ? units : sms), THREADS, bytes, s, out, a);
	}
};
template <class E, class W> struct ring_shapes {
	enum { HALF = W::PER16 > 8 };
	using few = ring_shape<E, W, 1, 1, HALF ? 1 : 2, HALF ? 8 : 5>;
	using more = ring_shape<E, W, 4, 2, 1, 4>;
};

static constexpr int fixed_bytes(int n_segments, int mt)
{
	return n_segments * 128 * mt * (int)sizeof(float);
}

template <class E, class W> static cudaError_t products(cudaStream_t s, void *out, struct k_experts a)
{
	if (!a.n_segments)
		return a.most == 8 ? ring_shapes<E, W>::few::launch(s, out, a)
				   : ring_shapes<E, W>::more::launch(s, out, a);
	const dim3 grid((a.n + 15) / 16, a.most_groups);
	if (a.most == 8)
		return gpu_launch(experts_fixed<E, W, 1>, grid, THREADS, fixed_bytes(a.n_segments, 1), s, out, a);
	return gpu_launch(experts_fixed<E, W, 4>, grid, THREADS, fixed_bytes(a.n_segments, 4), s, out, a);
}

template <class... P> static void allow(cudaError_t *e, void (*kernel)(P...), int bytes)
{
	*e = *e ? *e
		: cudaFuncSetAttribute((const void *)kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
				       min(bytes, block_room));
}
template <class E, class W> static cudaError_t init()
{
	using S = ring_shapes<E, W>;
	cudaError_t e = cudaSuccess;

	allow(&e, S::few::kernel, S::few::bytes), allow(&e, S::more::kernel, S::more::bytes);
	return e;
}

extern "C" {
cudaError_t k_experts_products(cudaStream_t s, enum k_type type, void *out, struct k_experts a)
{
	return gpu_for_weights(type, a.w.class_,
			       [&](auto e, auto c) { return products<decltype(e), decltype(c)>(s, out, a); });
}
cudaError_t k_experts_add(cudaStream_t s, void *out, struct k_experts_sum a)
{
	const dim3 grid(a.n, (a.cols + SUM_THREADS - 1) / SUM_THREADS);
	auto kernel = a.leaves == 1   ? experts_add<Bf16, 1>
		      : a.leaves == 2 ? experts_add<Bf16, 2>
		      : a.leaves == 4 ? experts_add<Bf16, 4>
				      : experts_add<Bf16, 8>;

	return gpu_launch(kernel, grid, SUM_THREADS, 0, s, out, a);
}
cudaError_t k_experts_init(void)
{
	int device = 0;
	cudaError_t e = cudaGetDevice(&device);

	e = e ? e : cudaDeviceGetAttribute(&sms, cudaDevAttrMultiProcessorCount, device);
	e = e ? e : cudaDeviceGetAttribute(&block_room, cudaDevAttrMaxSharedMemoryPerBlockOptin, device);
	return e ? e : gpu_each_weights([](auto e, auto c) { return init<decltype(e), decltype(c)>(); });
}
}
