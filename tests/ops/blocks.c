/* Blocks of GGUF files as weights: the contract's bits in scalar code for each class and instruction set, float64, the
 * extremes, leaves that begin inside a block or a group. */
#include "base/iq4.h"
#include "tests/ops/ref.h"

enum { GROUP = 32, SEG = 512 };

static const enum quant quants[] = {QUANT_Q4_K,   QUANT_Q5_K, QUANT_Q6_K, QUANT_Q4_1,
				    QUANT_IQ4_NL, QUANT_Q5_0, QUANT_Q5_1, QUANT_IQ4_XS};
enum { QUANTS = sizeof quants / sizeof *quants };

static int most_of(enum quant q)
{
	return q == QUANT_Q6_K ? 63 : q == QUANT_Q5_K || q == QUANT_Q5_0 || q == QUANT_Q5_1 ? 31 : 15;
}

/* As a file holds it, by the whole axis. */
struct file {
	int rows, cols, blocks, groups, parts;
	enum quant quant;
	uint8_t *q;            /* (rows, cols) */
	uint16_t *scale, *min; /* (rows, blocks) */
	int8_t *part;          /* (rows, groups * parts) */
	int8_t *part_min;      /* (rows, groups) */
};

static struct file make(int rows, int cols, enum quant quant, uint64_t seed)
{
	struct rng r = {seed};
	struct file f = {rows,
			 cols,
			 div_up(cols, quant_block(quant)),
			 div_up(cols, GROUP),
			 quant_parts(quant),
			 quant,
			 NULL,
			 NULL,
			 NULL,
			 NULL,
			 NULL};
	size_t n = (size_t)rows;

	f.q = xalloc(n * (size_t)cols, 1);
	f.scale = xalloc(n * (size_t)f.blocks, sizeof *f.scale);
	f.min = xalloc(n * (size_t)f.blocks, sizeof *f.min);
	f.part = xalloc(n * (size_t)f.groups * 2, 1);
	f.part_min = xalloc(n * (size_t)f.groups, 1);
	for (int i = 0; i < rows * cols; i++)
		f.q[i] = (uint8_t)(rng_next(&r) % (unsigned)(most_of(quant) + 1));
	for (int i = 0; i < rows * f.blocks; i++) { /* negative and subnormal ones, too */
		f.scale[i] = f16_from_f32(rng_unit(&r) * (i % 5 ? 0.02f : 1e-6f));
		f.min[i] = f16_from_f32(rng_unit(&r) * 0.02f);
	}
	for (int i = 0; i < rows * f.groups * 2; i++)
		f.part[i] = (int8_t)(quant == QUANT_Q6_K     ? (int)(rng_next(&r) % 256) - 128
				     : quant == QUANT_IQ4_XS ? (int)(rng_next(&r) % 64) - 32
							     : (int)(rng_next(&r) % 64));
	for (int i = 0; i < rows * f.groups; i++)
		f.part_min[i] = (int8_t) - (int)(rng_next(&r) % 64);
	return f;
}

static void drop(struct file *f)
{
	free(f->q), free(f->scale), free(f->min), free(f->part), free(f->part_min);
}

static float scale_of(const struct file *f, int row, int col)
{
	float scale = f32_from_f16(f->scale[row * f->blocks + col / quant_block(f->quant)]);

	return !f->parts ? scale : ref_mul(scale, f->part[row * f->groups * f->parts + col / (GROUP / f->parts)]);
}

static float min_of(const struct file *f, int row, int col)
{
	float min = f32_from_f16(f->min[row * f->blocks + col / quant_block(f->quant)]);

	return !quant_has_min(f->quant) ? 0
	       : !f->parts              ? min
					: ref_mul(min, f->part_min[row * f->groups + col / GROUP]);
}

static int integer_at(const struct file *f, int row, int col)
{
	static const int levels[] = {IQ4_LEVELS};
	int q = f->q[row * f->cols + col];

	return f->quant == QUANT_IQ4_NL || f->quant == QUANT_IQ4_XS ? levels[q]
	       : f->quant == QUANT_Q6_K                             ? q - 32
	       : f->quant == QUANT_Q5_0                             ? q - 16
								    : q;
}

/* Rows [row, row + n) and the columns of a split in the form of the backend: a window of the file's arrays. */
static void put(struct weight *w, const struct file *f, int first, int row, int n)
{
	struct span own = split_columns(&w->k);
	int block = own.first / quant_block(f->quant), group = own.first / GROUP;
	struct weight_blocks in = {.q = f->q + row * f->cols + own.first,
				   .ld = (size_t)f->cols,
				   .scale = f->scale + row * f->blocks + block,
				   .min = quant_has_min(f->quant) ? f->min + row * f->blocks + block : NULL,
				   .blocks = (size_t)f->blocks,
				   .part = f->parts ? f->part + (row * f->groups + group) * f->parts : NULL,
				   .groups = (size_t)f->groups};

	in.part_min = in.part && in.min ? f->part_min + row * f->groups + group : NULL;
	weight_blocks(w, first, n, &in);
}

static struct weight *pack(struct backend *b, const struct file *f, const struct split *k)
{
	struct weight *w = weight_create_quant(b, f->rows, split_columns(k).count, DT_F32, f->quant, k);

	for (int row = 0, n; row < f->rows; row += n) { /* in small groups, as a loader sends them */
		n = min_int(7, f->rows - row);
		put(w, f, row, row, n);
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

/* Columns [col, col + n) of one group. */
static float ref_group(const float *x, const struct file *f, int row, int col, int n, float sum)
{
	int half[2] = {0, 0}, all = 0, parts = max_int(f->parts, 1), group = col / GROUP * GROUP;
	float most = 0, scale;

	for (int i = 0; i < n; i++)
		most = fmaxf(most, fabsf(x[i]));
	scale = most < 0x1p-100f ? 0 : ref_div(most, 127);
	for (int i = 0; scale != 0 && i < n; i++) {
		int q = (int)rintf(ref_mul(x[i], ref_div(127, most)));
		half[(col + i - group) / (GROUP / parts)] += q * integer_at(f, row, col + i);
		all += q;
	}
	for (int p = 0; p < parts; p++) {
		int at = min_int(group + p * (GROUP / parts), f->groups * GROUP - 1);
		sum = ref_fma((float)half[p], ref_mul(scale_of(f, row, at), scale), sum);
	}
	return quant_has_min(f->quant) ? ref_fma(min_of(f, row, col), ref_mul(scale, (float)all), sum) : sum;
}

static float ref_segment(const float *x, const struct file *f, int row, int col, int end)
{
	float sum = 0;

	for (int at = col, next; at < end; at = next) {
		next = min_int(at / GROUP * GROUP + GROUP, end);
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
	int rows, n, cols, leaves, dim;
	enum dtype act;
} cases[] = {{1, 5, 256, 1, 1, DT_F32},     {2, 65, 512, 1, 1, DT_BF16}, {7, 64, 1280, 1, 1, DT_F32},
	     {3, 9, 1536, 8, 16, DT_BF16},  {6, 20, 768, 8, 48, DT_F32}, {13, 3, 5120, 1, 1, DT_BF16},
	     {4, 6, 1280, 8, 80, DT_F32},   {25, 70, 512, 1, 1, DT_F32}, {5, 33, 2816, 32, 32, DT_F32},
	     {40, 40, 768, 4, 24, DT_BF16}, {9, 64, 256, 16, 8, DT_F32}};
enum { CASES = sizeof cases / sizeof *cases };

static void contract_of(enum cpu_isa isa, int i, enum quant quant)
{
	struct backend *b = open_backend(isa, 2, cases[i].act);
	struct file f = make(cases[i].n, cases[i].cols, quant, 99 + (uint64_t)i);
	struct rng r = {5 + (uint64_t)i};
	size_t n = (size_t)cases[i].rows * (size_t)cases[i].cols;
	void *x = random_as(&r, n, cases[i].act, WILD);
	struct split k =
		cases[i].leaves == 1 ? split_whole(f.cols) : split_heads(f.cols, cases[i].leaves, cases[i].dim);
	float *xf = xalloc(n, sizeof *xf), *out;
	struct weight *w = pack(b, &f, &k);

	for (size_t j = 0; j < n; j++)
		xf[j] = get_as(x, j, cases[i].act);
	out = multiply(b, w, x, cases[i].act, cases[i].rows);
	for (int j = 0; j < cases[i].rows * f.rows; j++) {
		float want = ref_leaves(xf + j / f.rows * f.cols, &f, j % f.rows, &k, 0, k.n_leaves);
		check_bits(quant_name(quant), out + j, &want, 1);
	}
	weight_destroy(w);
	free(out), free(x), free(xf);
	drop(&f);
	backend_destroy(b);
}

static void contract(enum cpu_isa isa)
{
	for (int i = 0; i < CASES; i++)
		for (int q = 0; q < QUANTS; q++)
			contract_of(isa, i, quants[q]);
}
TEST(contract_portable)
{
	contract(CPU_PORTABLE);
}
TEST(contract_avx2)
{
	contract(CPU_AVX2);
}
TEST(contract_avx512)
{
	contract(CPU_AVX512);
}
TEST(contract_avx512_bf16)
{
	contract(CPU_AVX512_BF16);
}

/* Every product at its limit, where byte products would saturate: exact integers, and float64 agrees. */
static void extremes(enum cpu_isa isa)
{
	enum { K = 512, N = 66, ROWS = 9 };
	static float x[ROWS * K];

	for (int q = 0; q < QUANTS; q++)
		for (int sign = 0; sign < 16; sign++) {
			struct backend *b = open_backend(isa, 1, DT_F32);
			struct file f = make(N, K, quants[q], 1);
			struct split k = split_whole(K);
			struct weight *w;
			float *out;
			for (int i = 0; i < ROWS * K; i++)
				x[i] = sign & 1 && (!(sign & 4) || i % 2) ? -127 : 127;
			for (int i = 0; i < N * K; i++)
				f.q[i] = sign & 2 && (!(sign & 4) || i % 4 > 1) ? 0 : (uint8_t)most_of(quants[q]);
			for (int i = 0; i < N * f.blocks; i++)
				f.scale[i] = 0x3c00, f.min[i] = sign & 8 ? 0x3c00 : 0;
			memset(f.part, 1, (size_t)(N * f.groups) * 2);
			memset(f.part_min, -1, (size_t)(N * f.groups));
			w = pack(b, &f, &k);
			out = multiply(b, w, x, DT_F32, ROWS);
			for (int i = 0; i < ROWS * N; i++) {
				double want = 0;
				for (int c = 0; c < K; c++)
					want += (double)x[i / N * K + c] *
						((double)integer_at(&f, i % N, c) + (double)min_of(&f, i % N, c));
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

/* Against sums in float64 of the numbers that the blocks stand for: activations alone are rounded, to 8 bits. */
TEST(near_float64)
{
	enum { COLS = 1536, ROWS = 5, N = 40 };
	struct split k = split_whole(COLS);
	struct rng r = {8};
	float *x = random_as(&r, (size_t)ROWS * COLS, DT_F32, PLAIN);

	for (int q = 0; q < QUANTS; q++) {
		struct backend *b = open_backend(CPU_AUTO, 1, DT_F32);
		struct file f = make(N, COLS, quants[q], 4);
		struct weight *w = pack(b, &f, &k);
		float *out = multiply(b, w, x, DT_F32, ROWS);
		for (int i = 0; i < ROWS * N; i++) {
			double want = 0, bound = 0;
			for (int c = 0; c < COLS; c++) {
				int row = i % N;
				double number = (double)scale_of(&f, row, c) * integer_at(&f, row, c) +
						(double)min_of(&f, row, c);
				float most = 0;
				for (int j = c / GROUP * GROUP; j < c / GROUP * GROUP + GROUP; j++)
					most = fmaxf(most, fabsf(x[i / N * COLS + j]));
				want += number * (double)x[i / N * COLS + c];
				bound += fabs(number) * (double)most / 250; /* half of 1/127, and a little */
			}
			if (!(fabs((double)out[i] - want) <= bound))
				CHECK_FAIL("%s: %g, want %g within %g", quant_name(quants[q]), (double)out[i], want,
					   bound);
		}
		free(out);
		weight_destroy(w);
		drop(&f);
		backend_destroy(b);
	}
	free(x);
}

/* The parts of owners whose shares begin inside a block or a group, combined by the tree, equal what one owner
 * computes. */
static void owners(int dim)
{
	enum { ROWS = 3, N = 10, LEAVES = 8 };
	const int cols = 256 * div_up(dim * LEAVES, 256);
	struct rng r = {3};
	float *x = random_as(&r, (size_t)(ROWS * cols), DT_F32, PLAIN),
	      *mine = xalloc((size_t)(ROWS * cols), sizeof *mine);
	struct backend *b = open_backend(CPU_AUTO, 2, DT_F32);
	struct split all = split_heads(cols, LEAVES, dim);

	for (int q = 0; q < QUANTS; q++) {
		struct file f = make(N, cols, quants[q], 4);
		struct weight *w = pack(b, &f, &all);
		float *want = multiply(b, w, x, DT_F32, ROWS), *part[LEAVES];
		weight_destroy(w);
		for (int o = 0; o < LEAVES; o++) {
			struct split k = all;
			struct span own;
			k.first = o, k.count = 1;
			own = split_columns(&k);
			w = pack(b, &f, &k);
			for (int i = 0; i < ROWS * own.count; i++)
				mine[i] = x[i / own.count * cols + own.first + i % own.count];
			part[o] = multiply(b, w, mine, DT_F32, ROWS);
			weight_destroy(w);
		}
		for (int i = 0; i < ROWS * N; i++) {
			float s[LEAVES];
			for (int o = 0; o < LEAVES; o++)
				s[o] = part[o][i];
			for (int n = LEAVES; n > 1; n /= 2)
				for (int o = 0; o < n / 2; o++)
					s[o] = ref_add(s[2 * o], s[2 * o + 1]);
			check_bits("owners", s, want + i, 1);
		}
		for (int o = 0; o < LEAVES; o++)
			free(part[o]);
		free(want);
		drop(&f);
	}
	free(x), free(mine);
	backend_destroy(b);
}
TEST(owners_of_a_split_axis_give_the_bits_of_one)
{
	owners(48); /* inside a group */
	owners(160);
	owners(32);
}

TEST(threads_and_batches_change_nothing)
{
	enum { COLS = 1536, ROWS = 33, N = 150 };
	struct split k = split_whole(COLS);
	struct rng r = {8};
	uint16_t *x = random_as(&r, (size_t)ROWS * COLS, DT_BF16, WILD);

	for (int q = 0; q < QUANTS; q++) {
		struct backend *one = open_backend(CPU_AUTO, 1, DT_BF16), *three = open_backend(CPU_AUTO, 3, DT_BF16);
		struct file f = make(N, COLS, quants[q], 4);
		struct weight *w = pack(one, &f, &k), *v = pack(three, &f, &k);
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

/* Rows of several classes in one weight: each band's outputs and numbers are those of a weight of its own. */
TEST(bands)
{
	enum { COLS = 768, ROWS = 17 };
	static const struct weight_band bands[4][WEIGHT_BANDS] = {
		{{64, QUANT_Q4_K}, {32, QUANT_Q6_K}, {9, QUANT_Q4_1}},
		{{32, QUANT_Q6_K}, {64, QUANT_Q5_K}, {70, QUANT_Q6_K}},
		{{64, QUANT_IQ4_XS}, {32, QUANT_Q5_K}, {9, QUANT_IQ4_NL}},
		{{32, QUANT_Q5_1}, {64, QUANT_Q5_0}, {33, QUANT_Q4_K}}};
	struct rng r = {8};
	float *x = random_as(&r, (size_t)ROWS * COLS, DT_F32, WILD), row[COLS], want_row[COLS];
	struct backend *b = open_backend(CPU_AUTO, 2, DT_F32);
	struct split k = split_heads(COLS, 8, 96);

	for (int t = 0; t < 4; t++) {
		const struct weight_band *band = bands[t];
		int n = band[0].rows + band[1].rows + band[2].rows;
		struct weight *w = weight_create_quant(b, n, COLS, DT_F32, band[0].quant, &k);
		struct file f[WEIGHT_BANDS];
		float *got;

		weight_bands(w, band, WEIGHT_BANDS);
		for (int i = 0, at = 0; i < WEIGHT_BANDS; at += band[i++].rows) {
			f[i] = make(band[i].rows, COLS, band[i].quant, 20 + (uint64_t)i);
			for (int j = 0; j < band[i].rows; j++)
				put(w, &f[i], at + j, j, 1);
		}
		got = multiply(b, w, x, DT_F32, ROWS);
		for (int i = 0, at = 0; i < WEIGHT_BANDS; at += band[i++].rows) {
			struct weight *own = pack(b, &f[i], &k);
			float *want = multiply(b, own, x, DT_F32, ROWS);
			int32_t last = band[i].rows - 1, id = at + last;
			struct tensor to = tensor_of(row, DT_F32, 1, COLS),
				      want_to = tensor_of(want_row, DT_F32, 1, COLS);
			for (int j = 0; j < ROWS; j++)
				check_bits("a band", got + j * n + at, want + j * band[i].rows, (size_t)band[i].rows);
			backend_embed(b, &to, &id, w, 0);
			backend_embed(b, &want_to, &last, own, 0);
			check_bits("a row of a band", row, want_row, COLS);
			weight_destroy(own);
			free(want);
			drop(&f[i]);
		}
		weight_destroy(w);
		free(got);
	}
	free(x);
	backend_destroy(b);
}

TEST(a_table_is_read_back_exactly)
{
	enum { COLS = 768, N = 70 };
	struct split k = split_whole(COLS);
	int32_t ids[2] = {69, 3};
	float out[2 * COLS];

	for (int q = 0; q < QUANTS; q++) {
		struct backend *b = open_backend(CPU_AUTO, 1, DT_F32);
		struct file f = make(N, COLS, quants[q], 9);
		struct weight *w = pack(b, &f, &k);
		struct tensor t = tensor_of(out, DT_F32, 2, COLS);
		backend_embed(b, &t, ids, w, 0);
		for (int i = 0; i < 2 * COLS; i++) {
			int row = ids[i / COLS], col = i % COLS;
			float want = scale_of(&f, row, col) * (float)integer_at(&f, row, col) + min_of(&f, row, col);
			CHECK(out[i] == want);
		}
		weight_destroy(w);
		drop(&f);
		backend_destroy(b);
	}
}

CHECK_MAIN()
