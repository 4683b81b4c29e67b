/* linear.cu - products with few rows, at the speed of memory: a weight row is the row operand of mma.m16n8k16, a token
 * the column operand. The order of k inside a dot product is free, so a lane takes 8 neighbouring columns (16 bytes)
 * and feeds two products with them, of weights and activations alike. Weights need no repacking and stay as cuBLASLt
 * reads them. */
#include "engine/cuda/gpu_weight.h"

#include <type_traits>

enum { WARPS = 8, THREADS = 32 * WARPS, STEP = 32 /* columns that a warp multiplies at a time */ };

/* Of the device: SMs, and bytes of shared memory that a block may have (99 KiB on some, 227 on others). */
static int sms, block_room;

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

/* The size of a turn. A lane takes 16 bytes of a row, 8 to 32 columns, U times; of integers also their scales: the
 * first lane of four loads 8 at a time, or each the two that hold its own. */
template <class W, int R, int U> struct turn {
	enum { LANE = W::PER16, WARP = 4 * LANE /* columns, U times */, COLS = U * WARPS * WARP };
	enum {
		NUMBERS = 2 * R * U * THREADS,
		SCALES = in_parts<W> ? 2 * R * WARPS * 8 : 0,
		ROOM = NUMBERS + SCALES /* of 16 bytes */
	};
	static_assert(!in_parts<W> || (int)COLS == part_columns<W>, "integers are multiplied part by part");
};

/* A lane multiplies eight columns at a time, and asks for as much of x beforehand as registers hold. */
template <class W, int MT, int U> struct eights {
	enum { ALL = W::PER16 / 8, AT_ONCE = ALL > 2 ? 4 / MT : ALL, XS = U * AT_ONCE };
};

/* A tile of 16*R weight rows and the column at which the block's turn begins. Warps lie side by side. */
struct turn_place {
	int tile, col;
};
template <class T> GPU void next_turn(struct turn_place *p, int ld)
{
	p->col += T::COLS;
	if (p->col >= ld)
		p->col = 0, p->tile += gridDim.x;
}

/* Starts copying the scales of a lane's columns of a row, which begin at `at` of its part. */
template <class W> GPU void fetch_scales(uint4 *room, const char *part, int at, bool there)
{
	if constexpr (W::PER16 == 32)
		gpu_copy4((uint32_t *)room + threadIdx.x, part + at / 64 * 4, there);
	else if (threadIdx.x % 4 == 0)
		gpu_copy16(room + threadIdx.x / 4, part + 16 * (threadIdx.x / 32 / 4), there);
}

/* Starts copying the weights of a turn into the thread's own room, which no other thread reads. */
template <class W, int R, int U>
GPU void fetch(uint4 *room, const char *w, struct turn_place p, int tiles, int n, int ld)
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
				   p.tile < tiles && col + u * T::WARP < ld);
		if (in_parts<W>)
			fetch_scales<W>(room + T::NUMBERS + r * (WARPS * 8), part, at, p.tile < tiles && col < ld);
	}
	gpu_copy_commit();
}

/* Returns the scale of a lane's integers. A warp's 64 columns of 8 bits have two, which the first lane of four holds; a
 * lane's 32 of 4 bits have one, beside a neighbour's. */
template <class W> GPU float scale_of(const uint4 *scales)
{
	const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
	uint32_t two;

	if constexpr (W::PER16 == 32) {
		two = ((const uint32_t *)scales)[threadIdx.x];
		return F16::up(lane & 1 ? two >> 16 : two & 0xffff);
	}
	two = lane & 3 ? 0 : ((const uint32_t *)(scales + threadIdx.x / 4))[warp & 3];
	two = __shfl_sync(0xffffffffu, two, lane & ~3);
	return F16::up(lane & 2 ? two >> 16 : two & 0xffff);
}

/* Multiplies a lane's share of a turn: the eights of its columns from `first` on whose x is in registers. */
template <class E, class W, int MT, int R, int U>
GPU void multiply_turn(float d[R][MT][4], const uint4 *room, int first, const uint4 xv[eights<W, MT, U>::XS][MT])
{
	using T = turn<W, R, U>;
	enum { AT_ONCE = eights<W, MT, U>::AT_ONCE };

#pragma unroll
	for (int r = 0; r < R; r++) {
		float low_scale = in_parts<W> ? scale_of<W>(room + T::NUMBERS + 2 * r * (WARPS * 8)) : 0;
		float high_scale = in_parts<W> ? scale_of<W>(room + T::NUMBERS + (2 * r + 1) * (WARPS * 8)) : 0;
#pragma unroll
		for (int u = 0; u < U; u++) {
			const uint4 *low = room + (2 * r * U + u) * THREADS + threadIdx.x, *high = low + U * THREADS;
#pragma unroll
			for (int j = 0; j < AT_ONCE; j++) {
				const uint4 a = gpu_eight<E, W>(low, first + j, low_scale),
					    b = gpu_eight<E, W>(high, first + j, high_scale);
#pragma unroll
				for (int i = 0; i < MT; i++)
					multiply<E>(d[r][i], a, b, xv[u * AT_ONCE + j][i]);
			}
		}
	}
}

/* One block an SM goes through tiles of 16*R outputs of 8*MT tokens. STAGES turns of weights are in flight to shared
 * memory at any time, also beyond the end of a tile: what keeps memory busy, and more than registers hold. The first
 * turns are requested before the kernel before this one has ended, since no kernel writes weights. */
template <class E, class W, int MT, int R, int U, int STAGES, bool VECTOR>
__global__ void __launch_bounds__(THREADS, 2) skinny(void *out, enum k_form form, const uint16_t *x, const char *w,
						     const float *scale, const float *bias, int m, int n, int k, int ld)
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
		fetch<W, R, U>(ring + s * T::ROOM, w, get, tiles, n, ld);
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
		fetch<W, R, U>(room, w, get, tiles, n, ld);
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
				  const float *scale, const float *bias, int m, int n, int k, int ld)
	{
		dim3 grid(min((n + 16 * R - 1) / (16 * R), sms), (m + 8 * MT - 1) / (8 * MT));

		return gpu_launch(kernel, grid, THREADS, bytes, s, out, form, (const uint16_t *)x, (const char *)w,
				  scale, bias, m, n, k, ld);
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

/* Each warp takes whole segments; the order in which threads then add follows from the segments alone. The binary
 * counter's stack reuses the segments' own room: its depth never exceeds the index of the segment being added. */
template <class E, class W, int MT, bool VECTOR>
__global__ void __launch_bounds__(THREADS, 1)
	fixed(void *out, enum k_form form, const uint16_t *x, const char *w, const float *scale, const float *bias,
	      const struct k_segment *segments, int n_segments, int m, int n, int k, int ld)
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
			uint4 a = weight_columns<E, W>(w, low, at_w, ld), b = weight_columns<E, W>(w, high, at_w, ld);
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
	for (int e = threadIdx.x; e < SIZE; e += THREADS) {
		int token = m0 + e / 16, col = n0 + e % 16, depth = 0;
		for (int i = 0; i < n_segments; i++) {
			red[depth++ * SIZE + e] = red[i * SIZE + e];
			for (int j = 0; j < segments[i].merges; j++, depth--)
				red[(depth - 2) * SIZE + e] += red[(depth - 1) * SIZE + e];
			if (segments[i].part < 0)
				continue;
			depth = 0;
			if (form != K_OUT_SILU && token < m && col < n)
				put<E>(out, form, ((size_t)segments[i].part * m + token) * n + col,
				       red[e] + (bias ? bias[col] : 0));
		}
	}
	if (form != K_OUT_SILU)
		return;
	__syncthreads(); /* the one part lies at the bottom of the stack */
	for (int e = threadIdx.x; e < SIZE / 2; e += THREADS) {
		int token = m0 + e / 8, col = n0 + e % 8 * 2;
		if (token < m && col < n)
			((uint16_t *)out)[(size_t)token * (n / 2) + col / 2] = gpu_down<E>(gpu_silu_mul(
				red[2 * e] + bias_of(bias, col, n), red[2 * e + 1] + bias_of(bias, col + 1, n)));
	}
}

static constexpr int fixed_bytes(int n_segments, int mt)
{
	return n_segments * 128 * mt * (int)sizeof(float);
}

template <class E, class W, int MT, bool VECTOR>
static cudaError_t launch_fixed(cudaStream_t s, void *out, enum k_form form, const void *x, const void *w,
				const float *scale, const float *bias, const struct k_segment *segments, int n_segments,
				int m, int n, int k, int ld)
{
	dim3 grid((n + 15) / 16, (m + 8 * MT - 1) / (8 * MT));

	return gpu_launch(fixed<E, W, MT, VECTOR>, grid, THREADS, fixed_bytes(n_segments, MT), s, out, form,
			  (const uint16_t *)x, (const char *)w, scale, bias, segments, n_segments, m, n, k, ld);
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
template <class E, class W> static void init(cudaError_t *e)
{
	using S = shapes<E, W>;

	allow_shapes<typename S::odd, typename S::rows8, typename S::rows16, typename S::narrow, typename S::wide>(e);
	allow(e, fixed<E, W, 2, false>, fixed_bytes(K_MAX_SEGMENTS, 2));
	allow(e, fixed<E, W, 1, true>, fixed_bytes(K_MAX_SEGMENTS, 1));
	allow(e, fixed<E, W, 4, true>, fixed_bytes(K_MAX_SEGMENTS, 4));
}

static const float *const nothing = NULL; /* scales of weights that have none */
/* The class of weights that are not quantised is that of the activations. */
template <class W, class E> using class_of = std::conditional_t<std::is_void_v<W>, E, W>;

template <class W, class... A> static cudaError_t any_skinny(enum k_type type, int m, int n, int k, A... args)
{
	return (type == K_F16 ? choose_skinny<F16, class_of<W, F16>, A...>
			      : choose_skinny<Bf16, class_of<W, Bf16>, A...>)(m, n, k, args...);
}
template <class W, class... A> static cudaError_t any_fixed(enum k_type type, int n_segments, int m, int k, A... args)
{
	return (type == K_F16 ? choose_fixed<F16, class_of<W, F16>, A...>
			      : choose_fixed<Bf16, class_of<W, Bf16>, A...>)(n_segments, m, k, args...);
}

extern "C" {
cudaError_t k_linear_skinny(cudaStream_t s, enum k_type type, void *out, enum k_form form, const void *x, const void *w,
			    const float *bias, int m, int n, int k, int ld)
{
	return any_skinny<void>(type, m, n, k, s, out, form, x, w, nothing, bias, m, n, k, ld);
}
cudaError_t k_linear_skinny_int8(cudaStream_t s, enum k_type type, void *out, enum k_form form, const void *x,
				 const void *w, const float *bias, int m, int n, int k, int ld)
{
	return any_skinny<Int8>(type, m, n, k, s, out, form, x, w, nothing, bias, m, n, k, ld);
}
cudaError_t k_linear_skinny_int4(cudaStream_t s, enum k_type type, void *out, enum k_form form, const void *x,
				 const void *w, const float *bias, int m, int n, int k, int ld)
{
	return any_skinny<Int4>(type, m, n, k, s, out, form, x, w, nothing, bias, m, n, k, ld);
}
cudaError_t k_linear_skinny_fp8(cudaStream_t s, enum k_type type, void *out, enum k_form form, const void *x,
				const void *w, const float *scale, const float *bias, int m, int n, int k, int ld)
{
	return any_skinny<Fp8>(type, m, n, k, s, out, form, x, w, scale, bias, m, n, k, ld);
}

cudaError_t k_linear_fixed(cudaStream_t s, enum k_type type, void *out, enum k_form form, const void *x, const void *w,
			   const float *bias, const struct k_segment *segments, int n_segments, int m, int n, int k,
			   int ld)
{
	return any_fixed<void>(type, n_segments, m, k, s, out, form, x, w, nothing, bias, segments, n_segments, m, n, k,
			       ld);
}
cudaError_t k_linear_fixed_int8(cudaStream_t s, enum k_type type, void *out, enum k_form form, const void *x,
				const void *w, const float *bias, const struct k_segment *segments, int n_segments,
				int m, int n, int k, int ld)
{
	return any_fixed<Int8>(type, n_segments, m, k, s, out, form, x, w, nothing, bias, segments, n_segments, m, n, k,
			       ld);
}
cudaError_t k_linear_fixed_int4(cudaStream_t s, enum k_type type, void *out, enum k_form form, const void *x,
				const void *w, const float *bias, const struct k_segment *segments, int n_segments,
				int m, int n, int k, int ld)
{
	return any_fixed<Int4>(type, n_segments, m, k, s, out, form, x, w, nothing, bias, segments, n_segments, m, n, k,
			       ld);
}
cudaError_t k_linear_fixed_fp8(cudaStream_t s, enum k_type type, void *out, enum k_form form, const void *x,
			       const void *w, const float *scale, const float *bias, const struct k_segment *segments,
			       int n_segments, int m, int n, int k, int ld)
{
	return any_fixed<Fp8>(type, n_segments, m, k, s, out, form, x, w, scale, bias, segments, n_segments, m, n, k,
			      ld);
}

cudaError_t k_linear_init(void)
{
	int device = 0;
	cudaError_t e = cudaGetDevice(&device);

	e = e ? e : cudaDeviceGetAttribute(&sms, cudaDevAttrMultiProcessorCount, device);
	e = e ? e : cudaDeviceGetAttribute(&block_room, cudaDevAttrMaxSharedMemoryPerBlockOptin, device);
	init<Bf16, Bf16>(&e), init<F16, F16>(&e), init<Bf16, Int8>(&e), init<F16, Int8>(&e);
	init<Bf16, Fp8>(&e), init<F16, Fp8>(&e), init<Bf16, Int4>(&e), init<F16, Int4>(&e);
	return e;
}
}
