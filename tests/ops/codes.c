/* Integers of quantised files as weights: the contract's bits in scalar code for each class and instruction set,
 * float64, the extremes, leaves that begin inside a group, columns in another order. */
#include "tests/ops/ref.h"

enum { GROUP = 32, SEG = 512 };

static const enum quant quants[] = {QUANT_INT8, QUANT_INT4, QUANT_UINT8, QUANT_UINT4};
enum { QUANTS = sizeof quants / sizeof *quants };

static bool has_zero(enum quant q)
{
	return q == QUANT_UINT8 || q == QUANT_UINT4;
}

static int most_of(enum quant q)
{
	return q == QUANT_INT4 || q == QUANT_UINT4 ? 15 : 255;
}

/* As a file holds it: groups of `group` columns of the whole axis. */
struct file {
	int rows, cols, group, n_groups;
	enum quant quant;
	uint8_t *q, *zero; /* (rows, cols), (rows, n_groups) */
	uint16_t *scale;   /* (rows, n_groups) */
};

static struct file make(int rows, int cols, int group, enum quant quant, uint64_t seed)
{
	struct rng r = {seed};
	struct file f = {rows, cols, group, div_up(cols, group), quant, NULL, NULL, NULL};

	f.q = xalloc((size_t)rows * (size_t)cols, 1);
	f.zero = xalloc((size_t)rows * (size_t)f.n_groups, 1);
	f.scale = xalloc((size_t)rows * (size_t)f.n_groups, sizeof *f.scale);
	for (int i = 0; i < rows * cols; i++)
		f.q[i] = (uint8_t)(rng_next(&r) % (unsigned)(most_of(quant) + 1));
	for (int i = 0; i < rows * f.n_groups; i++) {
		f.zero[i] = (uint8_t)(has_zero(quant) ? rng_next(&r) % (unsigned)(most_of(quant) + 2) : 0);
		f.zero[i] = has_zero(quant) ? f.zero[i] : (uint8_t)((most_of(quant) + 1) / 2);
		f.scale[i] = f16_from_f32(rng_unit(&r) * 0.02f); /* negative and subnormal ones, too */
	}
	return f;
}

static void drop(struct file *f)
{
	free(f->q), free(f->zero), free(f->scale);
}

/* Rows [row, row + n) and the columns of a split, which the caller frees, in the form of the backend. */
static void put(struct weight *w, const struct file *f, int row, int n)
{
	struct span own = split_columns(&w->k);
	size_t first = (size_t)own.first / GROUP, groups = (size_t)div_up(own.first + own.count, GROUP) - first;
	uint16_t *scale = xalloc((size_t)n * groups + 1, sizeof *scale);
	uint8_t *zero = xalloc((size_t)n * groups + 1, 1);
	struct weight_codes c = {.q = f->q + row * f->cols + own.first,
				 .ld = (size_t)f->cols,
				 .scale = scale,
				 .zero = has_zero(f->quant) ? zero : NULL,
				 .groups = groups};

	for (size_t i = 0; i < (size_t)n * groups; i++) {
		size_t from = ((size_t)row + i / groups) * (size_t)f->n_groups +
			      (first + i % groups) * GROUP / (size_t)f->group;
		scale[i] = f->scale[from];
		zero[i] = f->zero[from];
	}
	weight_codes(w, row, n, &c);
	free(scale), free(zero);
}

static struct weight *pack(struct backend *b, const struct file *f, const struct split *k, const int32_t *order)
{
	struct weight *w = weight_create_quant(b, f->rows, split_columns(k).count, DT_F16, f->quant, k);

	if (order)
		weight_order(w, order);
	for (int row = 0, n; row < f->rows; row += n) { /* in small groups, as a loader sends them */
		n = min_int(7, f->rows - row);
		put(w, f, row, n);
	}
	return w;
}

/* x (rows, owned columns) of type act. */
static float *multiply(struct backend *b, const struct weight *w, const void *x, enum dtype act, int rows)
{
	struct tensor t = tensor_of((void *)(uintptr_t)x, act, rows, w->cols);
	struct part parts[SHARD_MAX_PARTS];
	float *out = xalloc((size_t)(split_parts(&w->k, parts) * rows * w->rows) + 1, sizeof *out);

	backend_linear(b, out, &t, w, NULL);
	return out;
}

/* ---- the contract in scalar code ---- */
static float largest(const float *x, int n)
{
	float most = 0;

	for (int i = 0; i < n; i++)
		most = fmaxf(most, fabsf(x[i]));
	return most;
}

/* f = fma(sum of integers, scales, f) over n columns of one group. */
static float ref_group(const float *x, const struct file *f, int row, int col, int n, float sum)
{
	int dot = 0, g = row * f->n_groups + col / f->group;
	float most = largest(x, n), scale = most < 0x1p-100f ? 0 : ref_div(most, 127);

	for (int i = 0; scale != 0 && i < n; i++)
		dot += (int)rintf(ref_mul(x[i], ref_div(127, most))) * (f->q[row * f->cols + col + i] - f->zero[g]);
	return ref_fma((float)dot, ref_mul(f32_from_f16(f->scale[g]), scale), sum);
}

/* Columns [col, end) of one segment: groups from its start, or with zero points those of the whole axis. */
static float ref_segment(const float *x, const struct file *f, int row, int col, int end)
{
	float sum = 0;

	for (int at = col, next; at < end; at = next) {
		next = has_zero(f->quant) ? at / GROUP * GROUP + GROUP : at + GROUP;
		next = min_int(next, end);
		sum = ref_group(x + at, f, row, at, next - at, sum);
	}
	return sum;
}

static float ref_segments(const float *x, const struct file *f, int row, int col, int end, int first, int count)
{
	int left = ref_left(count), at = col + first * SEG;

	if (count <= 1)
		return ref_segment(x, f, row, at, min_int(at + SEG, end));
	return ref_add(ref_segments(x, f, row, col, end, first, left),
		       ref_segments(x, f, row, col, end, first + left, count - left));
}

static float ref_leaves(const float *x, const struct file *f, int row, const struct split *k, int first, int count)
{
	int at = k->start[first], end = k->start[first + 1];

	if (count == 1)
		return end > at ? ref_segments(x, f, row, at, end, 0, div_up(end - at, SEG)) : 0;
	return ref_add(ref_leaves(x, f, row, k, first, count / 2),
		       ref_leaves(x, f, row, k, first + count / 2, count / 2));
}

/* Leaves of heads of `dim`. */
static struct split split_heads(int cols, int leaves, int dim)
{
	struct split k = {.n_leaves = leaves, .count = leaves};

	for (int j = 0; j <= leaves; j++)
		k.start[j] = cols / dim * j / leaves * dim;
	k.start[leaves] = cols;
	return k;
}

static const struct {
	int rows, n, cols, group, leaves, dim;
	enum dtype act;
} cases[] = {{1, 5, 32, 32, 1, 1, DT_F32},       {2, 65, 96, 32, 1, 1, DT_BF16},   {7, 64, 1152, 128, 1, 1, DT_F32},
	     {3, 9, 1408, 64, 8, 16, DT_BF16},   {6, 20, 768, 32, 8, 48, DT_F32},  {13, 3, 5120, 128, 1, 1, DT_BF16},
	     {4, 6, 1200, 128, 8, 80, DT_F32},   {25, 70, 512, 512, 1, 1, DT_F32}, {5, 33, 640, 640, 8, 40, DT_F32},
	     {40, 40, 1040, 32, 4, 40, DT_BF16}, {9, 64, 100, 64, 1, 1, DT_F32}};
enum { CASES = sizeof cases / sizeof *cases };

static void contract_of(enum cpu_isa isa, int i, enum quant quant)
{
	struct backend *b = open_backend(isa, 2, cases[i].act);
	struct file f = make(cases[i].n, cases[i].cols, cases[i].group, quant, 99 + (uint64_t)i);
	struct rng r = {5 + (uint64_t)i};
	size_t n = (size_t)cases[i].rows * (size_t)cases[i].cols;
	void *x = random_as(&r, n, cases[i].act, WILD);
	struct split k =
		cases[i].leaves == 1 ? split_whole(f.cols) : split_heads(f.cols, cases[i].leaves, cases[i].dim);
	float *xf = xalloc(n, sizeof *xf), *out;
	struct weight *w;

	for (size_t j = 0; j < n; j++)
		xf[j] = get_as(x, j, cases[i].act);
	if (has_zero(quant) || weight_keeps_groups(&k, f.group)) {
		w = pack(b, &f, &k, NULL);
		out = multiply(b, w, x, cases[i].act, cases[i].rows);
		for (int j = 0; j < cases[i].rows * f.rows; j++) {
			float want = ref_leaves(xf + j / f.rows * f.cols, &f, j % f.rows, &k, 0, k.n_leaves);
			check_bits("linear of integers", out + j, &want, 1);
		}
		weight_destroy(w);
		free(out);
	}
	free(x), free(xf);
	drop(&f);
	backend_destroy(b);
}

static void contract(enum cpu_isa isa)
{
	for (int i = 0; i < CASES; i++)
		for (int q = 0; q < QUANTS; q++)
			contract_of(isa, i, quants[q]);
}
EACH_ISA(contract)

/* Where leaves begin inside a group of 32, int8 and int4 would mix two scales; files' groups say whether they do. */
TEST(keeps_groups)
{
	struct split half = split_heads(64, 4, 16), odd = split_heads(192, 4, 48), whole = split_whole(100);

	CHECK(weight_keeps_groups(&half, 32));
	CHECK(!weight_keeps_groups(&odd, 32));
	CHECK(!weight_keeps_groups(&odd, 64));
	CHECK(weight_keeps_groups(&odd, 192));
	CHECK(weight_keeps_groups(&odd, 96));
	CHECK(weight_keeps_groups(&whole, 32));
}

/* Every product at its limit, where byte products would saturate: exact integers, and float64 agrees. */
static void extremes(enum cpu_isa isa)
{
	enum { K = 512, N = 66, ROWS = 9 };
	static float x[ROWS * K];

	for (int q = 0; q < QUANTS; q++)
		for (int sign = 0; sign < 16; sign++) {
			struct backend *b = open_backend(isa, 1, DT_F32);
			struct file f = make(N, K, 128, quants[q], 1);
			struct split k = split_whole(K);
			struct weight *w;
			float *out;
			for (int i = 0; i < ROWS * K; i++)
				x[i] = sign & 1 && (!(sign & 4) || i % 2) ? -127 : 127;
			for (int i = 0; i < N * K; i++)
				f.q[i] = sign & 2 && (!(sign & 4) || i % 4 > 1) ? 0 : (uint8_t)most_of(quants[q]);
			for (int i = 0; i < N * f.n_groups; i++) {
				f.scale[i] = 0x3c00;
				f.zero[i] = !has_zero(quants[q]) ? f.zero[i] : sign & 8 ? 255 : 0;
			}
			w = pack(b, &f, &k, NULL);
			out = multiply(b, w, x, DT_F32, ROWS);
			for (int i = 0; i < ROWS * N; i++) {
				double want = 0;
				for (int c = 0; c < K; c++)
					want += (double)x[i / N * K + c] *
						(f.q[i % N * K + c] - f.zero[i % N * 4 + c / 128]);
				if ((double)out[i] != want)
					CHECK_FAIL("%s, signs %d: %g, want %g", quant_name(quants[q]), sign,
						   (double)out[i], want);
			}
			free(out);
			weight_destroy(w);
			drop(&f);
			backend_destroy(b);
		}
}
TEST(extremes_are_exact_portable)
{
	extremes(CPU_PORTABLE);
}
TEST(extremes_are_exact_avx2)
{
	extremes(CPU_AVX2);
}
TEST(extremes_are_exact_avx512)
{
	extremes(CPU_AVX512);
}

/* The parts of owners whose shares begin inside a group, combined by the tree, equal what one owner computes. */
TEST(owners_of_a_split_axis_give_the_bits_of_one)
{
	enum { COLS = 48 * 8, ROWS = 3, N = 10 };
	struct rng r = {3};
	float *x = random_as(&r, (size_t)ROWS * COLS, DT_F32, PLAIN), mine[ROWS * COLS];
	struct backend *b = open_backend(CPU_AUTO, 2, DT_F32);
	struct split all = split_heads(COLS, 8, 48);

	for (int q = 2; q < QUANTS; q++) {
		struct file f = make(N, COLS, 32, quants[q], 4);
		struct weight *w = pack(b, &f, &all, NULL);
		float *want = multiply(b, w, x, DT_F32, ROWS), *part[8];
		weight_destroy(w);
		for (int o = 0; o < 8; o++) {
			struct split k = all;
			k.first = o, k.count = 1;
			w = pack(b, &f, &k, NULL);
			for (int i = 0; i < ROWS * 48; i++)
				mine[i] = x[i / 48 * COLS + 48 * o + i % 48];
			part[o] = multiply(b, w, mine, DT_F32, ROWS);
			weight_destroy(w);
		}
		for (int i = 0; i < ROWS * N; i++) {
			float s[8];
			for (int o = 0; o < 8; o++)
				s[o] = part[o][i];
			for (int n = 8; n > 1; n /= 2)
				for (int o = 0; o < n / 2; o++)
					s[o] = ref_add(s[2 * o], s[2 * o + 1]);
			check_bits("owners", s, want + i, 1);
		}
		for (int o = 0; o < 8; o++)
			free(part[o]);
		free(want);
		drop(&f);
	}
	free(x);
	backend_destroy(b);
}

/* A weight whose columns lie in another order multiplies as x in that order does. */
TEST(order_of_columns)
{
	enum { COLS = 1408, ROWS = 14, N = 40 };
	int32_t order[COLS];
	struct split k = split_whole(COLS);

	for (int i = 0; i < COLS; i++)
		order[i] = i * 635 % COLS;
	for (int t = 0; t < 2; t++)
		for (int q = 0; q < QUANTS; q++) {
			enum dtype act = t ? DT_BF16 : DT_F32;
			size_t size = dtype_size(act);
			struct backend *b = open_backend(CPU_AUTO, 2, act);
			struct rng r = {8};
			char *x = random_as(&r, (size_t)ROWS * COLS, act, WILD),
			     *turned = xalloc((size_t)ROWS * COLS, size);
			struct file f = make(N, COLS, 64, quants[q], 4);
			struct weight *w = pack(b, &f, &k, NULL), *v = pack(b, &f, &k, order);
			float *want, *got;
			for (int i = 0; i < ROWS * COLS; i++)
				memcpy(turned + (size_t)i * size,
				       x + (size_t)(i / COLS * COLS + order[i % COLS]) * size, size);
			want = multiply(b, w, turned, act, ROWS);
			got = multiply(b, v, x, act, ROWS);
			check_bits("order", got, want, (size_t)ROWS * N);
			weight_destroy(w), weight_destroy(v);
			free(want), free(got), free(x), free(turned);
			drop(&f);
			backend_destroy(b);
		}
}

TEST(threads_and_batches_change_nothing)
{
	enum { COLS = 1408, ROWS = 33, N = 150 };
	struct split k = split_whole(COLS);
	struct rng r = {8};
	uint16_t *x = random_as(&r, (size_t)ROWS * COLS, DT_BF16, WILD);

	for (int q = 0; q < QUANTS; q++) {
		struct backend *one = open_backend(CPU_AUTO, 1, DT_BF16), *three = open_backend(CPU_AUTO, 3, DT_BF16);
		struct file f = make(N, COLS, 128, quants[q], 4);
		struct weight *w = pack(one, &f, &k, NULL), *v = pack(three, &f, &k, NULL);
		float *want = multiply(one, w, x, DT_BF16, ROWS), *got = multiply(three, v, x, DT_BF16, ROWS);
		check_bits("threads", got, want, (size_t)ROWS * N);
		free(got);
		for (int count = 1; count <= 13; count += 2) {
			got = multiply(three, v, x + 11 * COLS, DT_BF16, count);
			check_bits("rows of a batch", got, want + 11 * N, (size_t)count * N);
			free(got);
		}
		free(want);
		weight_destroy(w), weight_destroy(v);
		drop(&f);
		backend_destroy(one), backend_destroy(three);
	}
	free(x);
}

TEST(a_table_is_read_back_exactly)
{
	enum { COLS = 172, N = 70 };
	struct split k = split_whole(COLS);
	int32_t ids[2] = {69, 3};
	float out[2 * COLS];

	for (int q = 0; q < QUANTS; q++) {
		struct backend *b = open_backend(CPU_AUTO, 1, DT_F32);
		struct file f = make(N, COLS, 64, quants[q], 9);
		struct weight *w = pack(b, &f, &k, NULL);
		struct tensor t = tensor_of(out, DT_F32, 2, COLS);
		backend_embed(b, &t, ids, w, 0);
		for (int i = 0; i < 2 * COLS; i++) {
			int row = ids[i / COLS], g = row * f.n_groups + i % COLS / 64;
			CHECK(out[i] == f32_from_f16(f.scale[g]) * (float)(f.q[row * COLS + i % COLS] - f.zero[g]));
		}
		weight_destroy(w);
		drop(&f);
		backend_destroy(b);
	}
}

CHECK_MAIN()
