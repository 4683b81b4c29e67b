/* sample.cu - samples tokens from rows of logits, as engine/sample/sample.c does: the same masks, products, masses and
 * draws, to the bit. A row is cut into parts, one a block; each kernel combines what the one before found in the parts.
 */
#include "engine/cuda/gpu.h"
#include "engine/cuda/kernels.h"
#include "engine/sample/math.h"

enum { THREADS = 256, WARPS = THREADS / 32, EACH = SAMPLE_BINS / THREADS };
enum { RAW, LIKELIEST, SAMPLED };
enum { TOP_N, TOP_K, TOP_P };

struct row_part {
	int row, part, first, end; /* tokens of this block */
	size_t at;                 /* offset of the row in (rows, vocab) */
};

GPU struct row_part here(const struct sample_args &a)
{
	struct row_part p = {(int)blockIdx.y, (int)blockIdx.x, (int)blockIdx.x * SAMPLE_PART, 0,
			     (size_t)blockIdx.y * a.vocab};

	p.end = min(p.first + SAMPLE_PART, a.vocab);
	return p;
}

/* -0 becomes +0: they are equal, so their keys must be, too. */
GPU float clean(float x)
{
	return x + 0.0f;
}

/* Larger numbers have larger keys. */
GPU uint32_t key_of(float x)
{
	uint32_t u = gpu_float_bits(x);

	return u >> 31 ? ~u : u | 0x80000000u;
}
GPU float of_key(uint32_t k)
{
	return gpu_bits(k >> 31 ? k & 0x7fffffffu : ~k);
}

/* ---- over a block's threads ---- */
GPU void offer(struct sample_best &b, double key, int id)
{
	if (key > b.key || (key == b.key && id < b.id))
		b = {key, id, 0};
}
GPU struct sample_best nobody()
{
	return {-INFINITY, SAMPLE_NOBODY, 0};
}
GPU struct sample_best block_best(struct sample_best b)
{
	SHARED(double, keys, [WARPS]);
	SHARED(int, ids, [WARPS]);

	for (int x = 16; x; x >>= 1)
		offer(b, __shfl_xor_sync(0xffffffffu, b.key, x), __shfl_xor_sync(0xffffffffu, b.id, x));
	__syncthreads();
	if ((threadIdx.x & 31) == 0)
		keys[threadIdx.x / 32] = b.key, ids[threadIdx.x / 32] = b.id;
	__syncthreads();
	for (int w = 0; w < WARPS; w++)
		offer(b, keys[w], ids[w]);
	return b;
}
GPU struct sample_best *best_at(const struct sample_args &a, int row, int which)
{
	return a.best + ((size_t)row * 3 + which) * gridDim.x;
}
/* Over all parts. */
GPU struct sample_best row_best(const struct sample_args &a, int row, int which)
{
	struct sample_best b = nobody();

	if (threadIdx.x < gridDim.x)
		b = best_at(a, row, which)[threadIdx.x];
	return block_best(b);
}

/* Sum over the threads before this one; `all`: over all threads. */
GPU uint64_t sum_before(uint64_t v, uint64_t &all)
{
	SHARED(uint64_t, sums, [WARPS]);
	uint64_t s = v, before = 0;

	for (int x = 1; x < 32; x <<= 1) {
		uint64_t other = __shfl_up_sync(0xffffffffu, s, x);
		s += (threadIdx.x & 31) >= (unsigned)x ? other : 0;
	}
	__syncthreads();
	if ((threadIdx.x & 31) == 31)
		sums[threadIdx.x / 32] = s;
	__syncthreads();
	all = 0;
	for (unsigned w = 0; w < WARPS; w++) {
		before += w < threadIdx.x / 32 ? sums[w] : 0;
		all += sums[w];
	}
	return before + s - v;
}

/* ---- the first pass: masks the logits and finds the best ---- */
GPU float scaled(const struct sample_row &r, float x)
{
	/* the product of doubles rounds to the same float as the quotient: it is never that close to a tie */
	return r.per_temperature > 0 ? clean((float)((double)x * r.per_temperature)) : x;
}

__global__ void __launch_bounds__(THREADS) sample_start(struct sample_args a, int lists)
{
	BOUNDS(THREADS);
	gpu_take_turn();
	struct row_part p = here(a);
	const struct sample_row &r = a.row[p.row];
	struct sample_best raw = nobody(), likeliest = nobody();

	if (r.skip)
		return;
	for (int i = p.first + threadIdx.x; i < p.end; i += THREADS) {
		float x = clean(a.raw[p.at + i]), y = lists ? x : scaled(r, x);
		offer(raw, fabsf(x) < INFINITY ? x : INFINITY,
		      i); /* a number that is not finite wins, and report_id() reports it */
		if (y > -INFINITY)
			offer(likeliest, y, i);
		a.x[p.at + i] = lists && r.n_mask && !(a.ids[r.at + i / 32] >> i % 32 & 1) ? -INFINITY : y;
	}
	raw = block_best(raw);
	likeliest = block_best(likeliest);
	if (threadIdx.x)
		return;
	best_at(a, p.row, RAW)[p.part] = raw;
	best_at(a, p.row, LIKELIEST)[p.part] = likeliest;
	if (!p.part)
		a.result[p.row].total = 0, a.result[p.row].likelier = 0, a.result[p.row].n_top = 0,
		a.spread[p.row] = {0, 0, 0, 0, -INFINITY, 0};
}

__global__ void __launch_bounds__(THREADS) sample_scale(struct sample_args a)
{
	BOUNDS(THREADS);
	gpu_take_turn();
	struct row_part p = here(a);
	const struct sample_row &r = a.row[p.row];
	struct sample_best b = nobody();

	if (r.skip || r.mode == SAMPLE_SCORE)
		return;
	for (int i = p.first + threadIdx.x; i < p.end; i += THREADS) {
		float y = a.x[p.at + i] = scaled(r, a.x[p.at + i]);
		if (y > -INFINITY)
			offer(b, y, i);
	}
	b = block_best(b);
	if (!threadIdx.x)
		best_at(a, p.row, LIKELIEST)[p.part] = b;
}

/* ---- top_n_sigma: the deviation of what masks leave, before temperature; then the floor that it means ---- */
GPU bool spreads(const struct sample_row &r)
{
	return !r.skip && r.mode == SAMPLE_DRAW && r.n_sigma > 0;
}
GPU void add_to(uint64_t *sum, uint64_t mine)
{
	uint64_t all;

	sum_before(mine, all);
	if (!threadIdx.x)
		atomicAdd((unsigned long long *)sum, (unsigned long long)all);
}

__global__ void __launch_bounds__(THREADS) sample_spread_of(struct sample_args a, int lists)
{
	BOUNDS(THREADS);
	gpu_take_turn();
	struct row_part p = here(a);
	const float *x = (lists ? a.x : a.raw) + p.at;
	struct sample_moments m = {0, 0, 0, 0};
	struct sample_spread *all = &a.spread[p.row];

	if (!spreads(a.row[p.row]))
		return;
	const float reference = (float)row_best(a, p.row, RAW).key;
	for (int i = p.first + threadIdx.x; i < p.end; i += THREADS)
		if (x[i] > -INFINITY)
			sample_add_moments(&m, x[i], reference);
	add_to(&all->n, m.n);
	add_to(&all->sum, m.sum);
	add_to(&all->low, m.low);
	add_to(&all->high, m.high);
}

__global__ void __launch_bounds__(THREADS) sample_floor(struct sample_args a)
{
	BOUNDS(THREADS);
	gpu_take_turn();
	struct row_part p = here(a);
	const struct sample_row &r = a.row[p.row];
	struct sample_spread &s = a.spread[p.row];

	if (p.part || !spreads(r))
		return;
	float likeliest = (float)row_best(a, p.row, LIKELIEST).key;
	if (!threadIdx.x)
		s.floor = sample_sigma_floor(likeliest, r.n_sigma * sample_deviation({s.n, s.sum, s.low, s.high}),
					     r.per_temperature);
}

/* ---- a cut: keeps the first k tokens or a share of the mass, by a radix selection over the values' bits ---- */
struct cut {
	float x;
	int id; /* of the tokens equal to x those up to this id are in */
};
struct candidates { /* which tokens take part, and their weight */
	const float *x;
	float floor, max;
	uint64_t least;
};

template <int W> GPU bool member(const struct candidates &w, int i, float &x, uint64_t &weight)
{
	x = W == TOP_N ? clean(w.x[i]) : w.x[i];
	weight = 1;
	if (!(x > -INFINITY) || (W == TOP_P && !(x >= w.floor)))
		return false;
	if (W == TOP_P)
		weight = sample_mass(x, w.max);
	return W != TOP_P || weight >= w.least;
}
template <int W> GPU bool wanted(const struct sample_row &r)
{
	if (W == TOP_N)
		return !r.skip && r.n_top > 0;
	return !r.skip && r.mode == SAMPLE_DRAW && (W == TOP_K ? r.top_k > 0 : r.share >> 32 == 0);
}
GPU int shift_of(int pass)
{
	return pass == 0 ? 21 : pass == 1 ? 10 : 0;
}
GPU size_t slot_of(int row, int which, int pass)
{
	return ((size_t)row * SAMPLE_SELECTS + which) * SAMPLE_PASSES + pass;
}

template <int W> GPU uint64_t target(const struct sample_row &r, uint64_t total)
{
	uint64_t want = (uint64_t)(W == TOP_N ? r.n_top : r.top_k);

	if (W == TOP_P)
		want = gpu_high(total, r.share) << 32 | total * r.share >> 32;
	return want ? want : 1;
}

/* Narrows the selection by what a pass has counted. */
template <int W> GPU struct sample_select narrowed(const struct sample_args &a, int row, int pass)
{
	SHARED(struct sample_select, found, [1]);
	const uint64_t *bins = a.bins + slot_of(row, W, pass) * SAMPLE_BINS;
	struct sample_select s = {0, 0, 0, 0};
	uint64_t sum = 0, before, all;

	if (pass)
		s = a.select[slot_of(row, W, pass)];
	if (s.all)
		return s;
	for (int j = 0; j < EACH; j++)
		sum += bins[SAMPLE_BINS - 1 - (threadIdx.x * EACH + j)];
	before = sum_before(sum, all);
	if (!pass)
		s.want = target<W>(a.row[row], all);
	if (all < s.want) {
		s.all = 1;
		return s;
	}
	if (before < s.want && s.want <= before + sum) {
		int bin = SAMPLE_BINS - 1 - (int)threadIdx.x * EACH;
		s.want -= before;
		for (; s.want > bins[bin]; bin--)
			s.want -= bins[bin];
		s.bin = bins[bin];
		s.prefix |= (uint32_t)bin << shift_of(pass);
		found[0] = s;
	}
	__syncthreads();
	s = found[0];
	__syncthreads();
	return s;
}

/* Returns the id of the last of the equal tokens that is in: each weighs `weight`, and `want` of that must be covered.
 */
template <int W>
GPU int last_equal(const struct sample_args &a, const struct candidates &w, float cut, uint64_t weight, uint64_t want)
{
	SHARED(int, found, [1]);
	int each = (a.vocab + THREADS - 1) / THREADS, first = threadIdx.x * each, end = min(first + each, a.vocab);
	uint64_t mine = 0, before, all, ignored;
	float x;

	for (int i = first; i < end; i++)
		mine += member<W>(w, i, x, ignored) && x == cut ? weight : 0;
	before = sum_before(mine, all);
	if (before < want && want <= before + mine)
		for (int i = first; i < end && before < want; i++)
			if (member<W>(w, i, x, ignored) && x == cut)
				before += weight, found[0] = i;
	__syncthreads();
	return found[0];
}

template <int W> GPU struct cut cut_of(const struct sample_args &a, int row, const struct candidates &w)
{
	struct sample_select s = narrowed<W>(a, row, SAMPLE_PASSES - 1);
	struct cut c = {-INFINITY, SAMPLE_NOBODY};
	uint64_t weight;

	if (s.all)
		return c;
	c.x = of_key(s.prefix);
	weight = W == TOP_P ? sample_mass(c.x, w.max) : 1;
	if (W != TOP_K && s.want <= s.bin - weight)
		c.id = last_equal<W>(a, w, c.x, weight, s.want);
	return c;
}
GPU bool inside(const struct cut &c, float x, int id)
{
	return x > c.x || (x == c.x && id <= c.id);
}

template <int W> GPU struct candidates candidates_of(const struct sample_args &a, int row)
{
	const struct sample_row &r = a.row[row];
	struct candidates w = {(W == TOP_N ? a.raw : a.x) + (size_t)row * a.vocab, -INFINITY, 0, r.least};

	if (W != TOP_P)
		return w;
	w.max = (float)row_best(a, row, LIKELIEST).key;
	if (r.top_k > 0)
		w.floor = cut_of<TOP_K>(a, row, w).x;
	w.floor = fmaxf(w.floor, a.spread[row].floor);
	return w;
}

/* A 64-bit sum in two halves: 32-bit atomics in shared memory are single instructions. SAMPLE_PART tokens fit, since a
 * mass is at most 2^40. */
struct halves {
	uint32_t low[SAMPLE_BINS], high[SAMPLE_BINS];
};

template <int W> __global__ void __launch_bounds__(THREADS, 2) sample_count(struct sample_args a, int pass)
{
	BOUNDS(THREADS);
	gpu_take_turn();
	SHARED(struct halves, sums, [1]);
	struct row_part p = here(a);
	struct sample_select s = {0, 0, 0, 0};
	uint64_t weight, *bins = a.bins + slot_of(p.row, W, pass) * SAMPLE_BINS;
	float x;

	if (!wanted<W>(a.row[p.row]))
		return;
	struct candidates w = candidates_of<W>(a, p.row);
	if (pass) {
		s = narrowed<W>(a, p.row, pass - 1);
		if (!p.part && !threadIdx.x)
			a.select[slot_of(p.row, W, pass)] = s;
	}
	if (s.all)
		return;
	for (int i = threadIdx.x; i < SAMPLE_BINS; i += THREADS)
		sums[0].low[i] = sums[0].high[i] = 0;
	__syncthreads();
	for (int i = p.first + threadIdx.x; i < p.end; i += THREADS) {
		uint32_t key;
		if (!member<W>(w, i, x, weight))
			continue;
		key = key_of(x);
		if (pass && (key ^ s.prefix) >> shift_of(pass - 1))
			continue;
		key = key >> shift_of(pass) & (pass == 2 ? 1023 : 2047);
		atomicAdd(&sums[0].low[key], (uint32_t)weight & 0xfffff);
		if (W == TOP_P)
			atomicAdd(&sums[0].high[key], (uint32_t)(weight >> 20));
	}
	__syncthreads();
	for (int i = threadIdx.x; i < SAMPLE_BINS; i += THREADS) {
		uint64_t sum = sums[0].low[i] + ((uint64_t)sums[0].high[i] << 20);
		if (sum)
			atomicAdd((unsigned long long *)&bins[i], (unsigned long long)sum);
	}
}

/* ---- the draw ---- */
__global__ void __launch_bounds__(THREADS) sample_draw(struct sample_args a)
{
	BOUNDS(THREADS);
	gpu_take_turn();
	struct row_part p = here(a);
	const struct sample_row &r = a.row[p.row];
	struct cut c = {-INFINITY, SAMPLE_NOBODY};

	if (r.skip || r.mode != SAMPLE_DRAW)
		return;
	struct candidates w = candidates_of<TOP_P>(a, p.row);
	if (wanted<TOP_P>(r))
		c = cut_of<TOP_P>(a, p.row, w);
	struct sample_best likeliest = row_best(a, p.row, LIKELIEST), b = nobody();
	if (likeliest.id != SAMPLE_NOBODY) /* its key rules out most of the others */
		offer(b, likeliest.key + sample_gumbel(sample_bits(r.stream, likeliest.id)), likeliest.id);
	for (int i = p.first + threadIdx.x; i < p.end; i += THREADS) {
		float x = w.x[i];
		uint32_t h = sample_bits(r.stream, i);
		if (!(x > -INFINITY && x >= w.floor) || !inside(c, x, i) || (double)x + sample_gumbel_bound(h) < b.key)
			continue;
		if (r.least && sample_mass(x, w.max) < r.least)
			continue;
		offer(b, (double)x + sample_gumbel(h), i);
	}
	b = block_best(b);
	if (!threadIdx.x)
		best_at(a, p.row, SAMPLED)[p.part] = b;
}

/* ---- reporting the row ---- */
GPU void report_id(const struct sample_args &a, const struct row_part &p, struct sample_best raw, int id)
{
	struct sample_result *out = &a.result[p.row];

	if (p.part || threadIdx.x)
		return;
	out->id = a.sampled[p.row] = id;
	out->best = raw.id;
	out->x = clean(a.raw[p.at + id]);
	out->x_best = clean(a.raw[p.at + raw.id]);
}

__global__ void __launch_bounds__(THREADS) sample_report(struct sample_args a)
{
	BOUNDS(THREADS);
	gpu_take_turn();
	struct row_part p = here(a);
	const struct sample_row &r = a.row[p.row];
	struct sample_result *out = &a.result[p.row];
	struct cut c = {INFINITY, -1};
	uint64_t mass = 0, above = 0;

	if (r.skip)
		return;
	struct sample_best raw = row_best(a, p.row, RAW), b = nobody();
	if (r.mode != SAMPLE_SCORE)
		b = row_best(a, p.row, r.mode == SAMPLE_DRAW ? SAMPLED : LIKELIEST);
	int best = raw.id, id = r.mode == SAMPLE_SCORE ? r.given : b.id == SAMPLE_NOBODY ? best : b.id;
	report_id(a, p, raw, id);
	if (r.n_top < 0 || raw.key == INFINITY)
		return;
	if (wanted<TOP_N>(r))
		c = cut_of<TOP_N>(a, p.row, candidates_of<TOP_N>(a, p.row));
	float x_best = clean(a.raw[p.at + best]), x_id = clean(a.raw[p.at + id]);
	for (int i = p.first + threadIdx.x; i < p.end; i += THREADS) {
		float x = clean(a.raw[p.at + i]);
		mass += sample_mass(x, x_best);
		above += x > x_id;
		if (x > -INFINITY && inside(c, x, i)) {
			int at = atomicAdd(&out->n_top, 1);
			out->top_id[at] = i, out->top[at] = x;
		}
	}
	sum_before(mass, mass);
	sum_before(above, above);
	if (threadIdx.x)
		return;
	atomicAdd((unsigned long long *)&out->total, (unsigned long long)mass);
	atomicAdd(&out->likelier, (uint32_t)above);
}

template <int W> static cudaError_t count(cudaStream_t s, struct sample_args a, dim3 grid)
{
	cudaError_t e = cudaSuccess;

	for (int pass = 0; !e && pass < SAMPLE_PASSES; pass++)
		e = gpu_launch(sample_count<W>, grid, THREADS, 0, s, a, pass);
	return e;
}

extern "C" cudaError_t k_sample(cudaStream_t s, struct sample_args a, struct sample_needs needs)
{
	dim3 grid(k_sample_parts(a.vocab), a.rows);
	cudaError_t e = cudaSuccess;

	if (needs.top_n || needs.top_k || needs.top_p)
		e = cudaMemsetAsync(a.bins, 0,
				    (size_t)a.rows * SAMPLE_SELECTS * SAMPLE_PASSES * SAMPLE_BINS * sizeof *a.bins, s);
	if (!e)
		e = gpu_launch(sample_start, grid, THREADS, 0, s, a, (int)needs.lists);
	if (!e && needs.lists)
		e = k_sample_lists(s, a);
	if (!e && needs.sigma)
		e = gpu_launch(sample_spread_of, grid, THREADS, 0, s, a, (int)needs.lists);
	if (!e && needs.lists)
		e = gpu_launch(sample_scale, grid, THREADS, 0, s, a);
	if (!e && needs.sigma)
		e = gpu_launch(sample_floor, grid, THREADS, 0, s, a);
	if (!e && needs.top_n)
		e = count<TOP_N>(s, a, grid);
	if (!e && needs.top_k)
		e = count<TOP_K>(s, a, grid);
	if (!e && needs.top_p)
		e = count<TOP_P>(s, a, grid);
	if (!e && needs.draw)
		e = gpu_launch(sample_draw, grid, THREADS, 0, s, a);
	if (!e)
		e = gpu_launch(sample_report, grid, THREADS, 0, s, a);
	return e;
}
