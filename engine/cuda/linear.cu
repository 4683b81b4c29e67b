/* linear.cu - products with few rows, at the speed of memory, and products in a fixed order (gpu_product.h). Weights
 * need no repacking and stay as cuBLASLt reads them. */
#include "engine/cuda/gpu_product.h"

/* Of the device: SMs, and bytes of shared memory that a block may have (99 KiB on some, 227 on others). */
static int sms, block_room;

template <class T> GPU void next_turn(struct turn_place *p, int ld)
{
	p->col += T::COLS;
	if (p->col >= ld)
		p->col = 0, p->tile += gridDim.x;
}

/* One block an SM goes through tiles of 16*R outputs of 8*MT tokens. STAGES turns of weights are in flight to shared
 * memory at any time, also beyond the end of a tile: what keeps memory busy, and more than registers hold. The first
 * turns are requested before the kernel before this one has ended, since no kernel writes weights. */
template <class E, class W, int MT, int R, int U, int STAGES, bool VECTOR>
__global__ void __launch_bounds__(THREADS, 2)
	skinny(void *out, enum k_form form, const uint16_t *x, const char *w, const float *scale, const float *bias,
	       int m, int n, int k, int ld, int w_first)
{
	BOUNDS(THREADS);
	using T = turn<W, R, U>;
	using X = eights<W, MT, U>;
	SMEM(uint4, ring); /* (STAGES, ROOM), then sums (WARPS, 8*MT, PITCH) */
	const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, tiles = (n + 16 * R - 1) / (16 * R),
		  m0 = blockIdx.y * 8 * MT;
	const struct sink to = {out, bias, scale, form, m, n};
	float *red = (float *)(ring + STAGES * T::ROOM), d[R][MT][4] = {};
	struct turn_place use = {(int)blockIdx.x, 0}, get = use;

#pragma unroll
	for (int s = 0; s < STAGES; s++, next_turn<T>(&get, ld))
		fetch<W, R, U>(ring + s * T::ROOM, w, get, get.tile < tiles, n, ld, w_first);
	gpu_take_turn();
	for (int s = 0; use.tile < tiles; s = s + 1 == STAGES ? 0 : s + 1) {
		uint4 *room = ring + s * T::ROOM, xv[X::XS][MT];
#pragma unroll 1
		for (int first = 0; first < X::ALL; first += X::AT_ONCE) {
#pragma unroll
			for (int u = 0; u < X::XS; u++)
#pragma unroll
				for (int i = 0; i < MT; i++) { /* zeros from k on */
					int col = use.col + warp * U * T::WARP + T::LANE * (lane & 3) +
						  u / X::AT_ONCE * T::WARP + (first + u % X::AT_ONCE) * 8;
					xv[u][i] = load_x<VECTOR>(x, m0 + 8 * i + (lane >> 2), m, col, k, k);
				}
			if (!first)
				gpu_copy_wait<STAGES - 1>();
			multiply_turn<E, W, MT, R, U>(d, room, first, xv);
		}
		fetch<W, R, U>(room, w, get, get.tile < tiles, n, ld, w_first);
		next_turn<T>(&get, ld);
		int tile = use.tile;
		next_turn<T>(&use, ld);
		if (use.tile != tile)
			finish<E, W, MT, R>(d, red, to, m0, tile * 16 * R);
	}
	gpu_copy_wait<0>(); /* zeros beyond the last tile */
}

/* Returns the kernel for a shape of tiles. */
template <class E, class W, int MT, int R, int U, int STAGES, bool VECTOR> struct shape {
	static constexpr auto kernel = skinny<E, W, MT, R, U, STAGES, VECTOR>;
	static constexpr int bytes = STAGES * turn<W, R, U>::ROOM * 16 + WARPS * 8 * MT * PITCH * (int)sizeof(float);

	static cudaError_t launch(cudaStream_t s, void *out, enum k_form form, const void *x, const void *w,
				  const float *scale, const float *bias, int m, int n, int k, int ld, int w_first)
	{
		dim3 grid(min((n + 16 * R - 1) / (16 * R), sms), (m + 8 * MT - 1) / (8 * MT));

		return gpu_launch(kernel, grid, THREADS, bytes, s, out, form, (const uint16_t *)x, (const char *)w,
				  scale, bias, m, n, k, ld, w_first);
	}
};
template <class E, class W> struct shapes {
	enum { HALF = W::PER16 > 8 /* as many bytes in flight are twice as many columns, or more */ };
	using odd = shape<E, W, 4, 1, 1, 4, false>; /* rows of x begin at any address */
	using rows8 = shape<E, W, 1, 1, HALF ? 1 : 2, HALF ? 8 : 5, true>;
	using rows16 = shape<E, W, 2, 2, 1, HALF ? 4 : 5, true>;
	using narrow = shape<E, W, 4, 2, 1, 4, true>;
	enum { WIDE = HALF ? 3 : 4 /* making 16 bits of fewer takes registers */ };
	using wide = shape<E, W, 4, WIDE, 1, 3, true>;
};

/* Whether tiles of more rows beat those of 32, which read rows of x more often. They do not where the last round would
 * leave tiles on less than a quarter of the SMs, too few to keep memory busy. */
static bool wide_tiles(int n, int rows)
{
	int tiles = (n + rows - 1) / rows, rest = tiles % sms;

	return !rest || 4 * rest >= sms || tiles >= 4 * sms;
}

template <class E, class W, class... A> static cudaError_t choose_skinny(int m, int n, int k, A... args)
{
	using S = shapes<E, W>;

	if (k % 8)
		return S::odd::launch(args...);
	if (m <= 8)
		return S::rows8::launch(args...);
	if (m <= 16)
		return S::rows16::launch(args...);
	return S::wide::bytes <= block_room && wide_tiles(n, 16 * S::WIDE) ? S::wide::launch(args...)
									   : S::narrow::launch(args...);
}

/* Each warp takes whole segments; the order in which threads then add follows from the segments alone. */
template <class E, class W, int MT, bool VECTOR>
__global__ void __launch_bounds__(THREADS, 1)
	fixed(void *out, enum k_form form, const uint16_t *x, const char *w, const float *scale, const float *bias,
	      const struct k_segment *segments, int n_segments, int m, int n, int k, int ld, int w_first)
{
	BOUNDS(THREADS);
	gpu_take_turn();
	enum { SIZE = 128 * MT };
	SMEM(float, red); /* (n_segments, 8*MT, 16) */
	int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, g = lane >> 2, t = lane & 3;
	int n0 = blockIdx.x * 16, m0 = blockIdx.y * 8 * MT;
	const int low = min(n0 + g, n - 1), high = min(n0 + 8 + g, n - 1);
	/* Before segments are combined: the parts of any number of ranks then add up to the same bits. */
	const float low_scale = by_row<W> ? scale[low] : 1, high_scale = by_row<W> ? scale[high] : 1;

	for (int i = warp; i < n_segments; i += WARPS) {
		int first = segments[i].col, end = first + segments[i].cols;
		float d[MT][4] = {};
#pragma unroll 2
		for (int col = first; col < end; col += STEP) {
			/* Where a segment ends inside a step the weights go on, and x is zero. */
			const int at = col + 8 * t, at_w = min(at, ld - 8);
			uint4 a = weight_columns<E, W>(w, low, at_w, ld, w_first),
			      b = weight_columns<E, W>(w, high, at_w, ld, w_first);
#pragma unroll
			for (int j = 0; j < MT; j++)
				multiply<E>(d[j], a, b, load_x<VECTOR>(x, m0 + 8 * j + g, m, at, end, k));
		}
#pragma unroll
		for (int j = 0; j < MT; j++)
#pragma unroll
			for (int q = 0; q < 4; q++)
				red[i * SIZE + (8 * j + 2 * t + (q & 1)) * 16 + g + 8 * (q >> 1)] =
					by_row<W> ? d[j][q] * (q >> 1 ? high_scale : low_scale) : d[j][q];
	}
	__syncthreads();
	combine_segments<E, MT>(out, form, red, segments, n_segments, bias, {m0, m, n0, m, n});
}

static constexpr int fixed_bytes(int n_segments, int mt)
{
	return n_segments * 128 * mt * (int)sizeof(float);
}

template <class E, class W, int MT, bool VECTOR>
static cudaError_t launch_fixed(cudaStream_t s, void *out, enum k_form form, const void *x, const void *w,
				const float *scale, const float *bias, const struct k_segment *segments, int n_segments,
				int m, int n, int k, int ld, int w_first)
{
	dim3 grid((n + 15) / 16, (m + 8 * MT - 1) / (8 * MT));

	return gpu_launch(fixed<E, W, MT, VECTOR>, grid, THREADS, fixed_bytes(n_segments, MT), s, out, form,
			  (const uint16_t *)x, (const char *)w, scale, bias, segments, n_segments, m, n, k, ld,
			  w_first);
}

template <class E, class W, class... A> static cudaError_t choose_fixed(int n_segments, int m, int k, A... args)
{
	if (k % 8)
		return launch_fixed<E, W, 2, false>(args...);
	if (m <= 8 || fixed_bytes(n_segments, 4) > block_room)
		return launch_fixed<E, W, 1, true>(args...);
	return launch_fixed<E, W, 4, true>(args...);
}

/* Allows a kernel up to `bytes` of shared memory, where the device has as much. */
template <class... P> static void allow(cudaError_t *e, void (*kernel)(P...), int bytes)
{
	*e = *e ? *e
		: cudaFuncSetAttribute((const void *)kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
				       min(bytes, block_room));
}
template <class... S> static void allow_shapes(cudaError_t *e)
{
	(allow(e, S::kernel, S::bytes), ...);
}
template <class E, class W> static cudaError_t init()
{
	using S = shapes<E, W>;
	cudaError_t e = cudaSuccess;

	allow_shapes<typename S::odd, typename S::rows8, typename S::rows16, typename S::narrow, typename S::wide>(&e);
	allow(&e, fixed<E, W, 2, false>, fixed_bytes(K_MAX_SEGMENTS, 2));
	allow(&e, fixed<E, W, 1, true>, fixed_bytes(K_MAX_SEGMENTS, 1));
	allow(&e, fixed<E, W, 4, true>, fixed_bytes(K_MAX_SEGMENTS, 4));
	return e;
}

extern "C" {
cudaError_t k_linear_skinny(cudaStream_t s, enum k_type type, void *out, enum k_form form, const void *x,
			    struct k_matrix w, const float *bias, int m, int n, int k)
{
	return gpu_for_weights(type, w.class_, [&](auto e, auto c) {
		return choose_skinny<decltype(e), decltype(c)>(m, n, k, s, out, form, x, w.data, w.scale, bias, m, n, k,
							       w.ld, w.first);
	});
}
cudaError_t k_linear_fixed(cudaStream_t s, enum k_type type, void *out, enum k_form form, const void *x,
			   struct k_matrix w, const float *bias, const struct k_segment *segments, int n_segments,
			   int m, int n, int k)
{
	return gpu_for_weights(type, w.class_, [&](auto e, auto c) {
		return choose_fixed<decltype(e), decltype(c)>(n_segments, m, k, s, out, form, x, w.data, w.scale, bias,
							      segments, n_segments, m, n, k, w.ld, w.first);
	});
}

cudaError_t k_linear_init(void)
{
	int device = 0;
	cudaError_t e = cudaGetDevice(&device);

	e = e ? e : cudaDeviceGetAttribute(&sms, cudaDevAttrMultiProcessorCount, device);
	e = e ? e : cudaDeviceGetAttribute(&block_room, cudaDevAttrMaxSharedMemoryPerBlockOptin, device);
	return e ? e : gpu_each_weights([](auto e, auto c) { return init<decltype(e), decltype(c)>(); });
}
}
