/* Quantised weights: the contract's bits in scalar code, bounds against float64 that follow from the scales,
 * and the extremes where byte products could saturate. */
#include "tests/ops/ref.h"

enum { GROUP = 32, SEG = 512 };

static const enum quant quants[] = {QUANT_INT8, QUANT_INT4};

struct matrix {
	int rows, cols;
	float *f; /* (rows, cols) as read */
	void *p;  /* as stored */
	enum dtype type;
};

static struct matrix make(int rows, int cols, enum dtype type, enum data how, uint64_t seed)
{
	struct rng r = {seed};
	size_t n = (size_t)rows * (size_t)cols;
	struct matrix m = {rows, cols, xalloc(n + 1, sizeof(float)), random_as(&r, n, type, how), type};

	for (size_t i = 0; i < n; i++) {
		m.f[i] = get_as(m.p, i, type);
		if (how == WILD && fabsf(m.f[i]) > 60000) /* beyond what a scale of f16 holds */
			put_as(m.p, i, m.f[i] = 3, type);
	}
	return m;
}

static void drop(struct matrix *m)
{
	free(m->f), free(m->p);
}

static float *run(struct backend *b, const struct matrix *x, const struct matrix *w, enum quant quant,
		  const struct split *k)
{
	struct weight *packed = weight_create_quant(b, w->rows, w->cols, w->type, quant, k);
	struct tensor t = tensor_of(x->p, x->type, x->rows, x->cols);
	struct part parts[SHARD_MAX_PARTS];
	float *out = xalloc((size_t)(split_parts(k, parts) * x->rows * w->rows) + 1, sizeof *out);

	for (int row = 0, n; row < w->rows; row += n) { /* in small groups, as a loader sends them */
		n = min_int(7, w->rows - row);
		weight_rows(packed, row, n, (char *)w->p + (size_t)row * (size_t)w->cols * dtype_size(w->type),
			    (size_t)w->cols);
	}
	backend_linear(b, out, &t, packed, NULL);
	weight_destroy(packed);
	return out;
}

/* ---- the contract in scalar code ---- */
struct group {
	int q[GROUP];
	float scale;
};

static float largest(const float *f, int n)
{
	float most = 0;

	for (int i = 0; i < n; i++)
		if (fabsf(f[i]) > fabsf(most))
			most = f[i];
	return most;
}

static struct group ref_weights(const float *f, int n, enum quant quant)
{
	struct group g = {.scale = 0};
	float most = largest(f, n);

	g.scale = f32_from_f16(f16_from_f32(quant == QUANT_INT8 ? fabsf(most) / 127 : most / -8));
	for (int i = 0; g.scale != 0 && i < n; i++) {
		float v = rintf(f[i] * (1 / g.scale));
		g.q[i] = (int)(quant == QUANT_INT8 ? fminf(fmaxf(v, -127), 127) : fminf(fmaxf(v, -8), 7));
	}
	return g;
}

static struct group ref_activations(const float *f, int n)
{
	struct group g = {.scale = 0};
	float most = fabsf(largest(f, n));

	if (most < 0x1p-100f)
		return g;
	g.scale = ref_div(most, 127);
	for (int i = 0; i < n; i++)
		g.q[i] = (int)rintf(ref_mul(f[i], ref_div(127, most)));
	return g;
}

static float ref_segment(const float *x, const float *w, int n, enum quant quant)
{
	float sum = 0;

	for (int at = 0; at < n; at += GROUP) {
		struct group a = ref_activations(x + at, min_int(GROUP, n - at)),
			     b = ref_weights(w + at, min_int(GROUP, n - at), quant);
		int dot = 0;
		for (int i = 0; i < GROUP; i++)
			dot += a.q[i] * b.q[i];
		sum = ref_fma((float)dot, ref_mul(b.scale, a.scale), sum);
	}
	return sum;
}

static float ref_segments(const float *x, const float *w, int n, int first, int count, enum quant quant)
{
	int left = ref_left(count);

	if (count <= 1)
		return ref_segment(x + first * SEG, w + first * SEG, min_int(SEG, n - first * SEG), quant);
	return ref_add(ref_segments(x, w, n, first, left, quant),
		       ref_segments(x, w, n, first + left, count - left, quant));
}

static float ref_leaves(const float *x, const float *w, const struct split *k, int first, int count, enum quant quant)
{
	int at = k->start[first], n = k->start[first + 1] - at;

	if (count == 1)
		return n ? ref_segments(x + at, w + at, n, 0, div_up(n, SEG), quant) : 0;
	return ref_add(ref_leaves(x, w, k, first, count / 2, quant),
		       ref_leaves(x, w, k, first + count / 2, count / 2, quant));
}

static struct split split_heads(int cols, int leaves)
{
	struct split k = {.n_leaves = leaves, .count = leaves};

	for (int j = 0; j <= leaves; j++)
		k.start[j] = cols * j / leaves / 8 * 8;
	k.start[leaves] = cols;
	return k;
}

static const struct {
	int rows, n, cols, leaves;
	enum dtype act, stored;
} cases[] = {{1, 5, 32, 1, DT_F32, DT_F32},    {2, 65, 30, 1, DT_BF16, DT_BF16}, {7, 64, 172, 1, DT_F32, DT_F16},
	     {3, 9, 1408, 8, DT_BF16, DT_F32}, {6, 20, 64, 8, DT_F32, DT_BF16},  {13, 3, 5120, 1, DT_BF16, DT_BF16},
	     {4, 6, 1100, 32, DT_F32, DT_F16}, {25, 70, 512, 1, DT_F32, DT_F32}};
enum { CASES = sizeof cases / sizeof *cases };

static void contract(enum cpu_isa isa)
{
	for (int i = 0; i < CASES; i++)
		for (int q = 0; q < 2; q++) {
			struct backend *b = open_backend(isa, 2, cases[i].act);
			struct matrix x = make(cases[i].rows, cases[i].cols, cases[i].act, WILD, 5 + (uint64_t)i),
				      w = make(cases[i].n, cases[i].cols, cases[i].stored, WILD, 99 + (uint64_t)i);
			struct split k =
				cases[i].leaves == 1 ? split_whole(x.cols) : split_heads(x.cols, cases[i].leaves);
			float *out = run(b, &x, &w, quants[q], &k);
			for (int r = 0; r < x.rows; r++)
				for (int n = 0; n < w.rows; n++) {
					float want = ref_leaves(x.f + r * x.cols, w.f + n * x.cols, &k, 0, k.n_leaves,
								quants[q]);
					check_bits("quantised linear", out + r * w.rows + n, &want, 1);
				}
			free(out);
			drop(&x), drop(&w);
			backend_destroy(b);
		}
}
EACH_ISA(contract)

/* Bounds: half a step of each scale, what the scale's own rounding clips, and for int4 the one number of the other sign
 * that 7 steps do not reach. */
static double group_bound(const float *x, const float *w, int n, enum quant quant)
{
	double sx = fabs((double)largest(x, n)) / 127,
	       sw = fabs((double)largest(w, n)) / (quant == QUANT_INT8 ? 127 : 8), sum = 0;
	double dx = 0.5 * sx, dw = sw * (quant == QUANT_INT8 ? 0.5 + 127 * 0x1p-11 : 1 + 8 * 0x1p-11);

	for (int i = 0; i < n; i++)
		sum += fabs((double)x[i]) * dw + fabs((double)w[i]) * dx + dx * dw;
	return sum * (1 + 0x1p-10);
}

TEST(within_quantised_bound_of_float64)
{
	for (int i = 0; i < CASES; i++)
		for (int q = 0; q < 2; q++) {
			struct backend *b = open_backend(CPU_AUTO, 2, cases[i].act);
			struct matrix x = make(cases[i].rows, cases[i].cols, cases[i].act, PLAIN, 7),
				      w = make(cases[i].n, cases[i].cols, cases[i].stored, PLAIN, 8);
			struct split k = split_whole(x.cols);
			float *out = run(b, &x, &w, quants[q], &k);
			for (int j = 0; j < x.rows * w.rows; j++) {
				const float *xr = x.f + j / w.rows * x.cols, *wr = w.f + j % w.rows * x.cols;
				double sum = 0, bound = 1e-5;
				for (int c = 0; c < x.cols; c++)
					sum += (double)xr[c] * (double)wr[c];
				for (int c = 0; c < x.cols; c += GROUP)
					bound += group_bound(xr + c, wr + c, min_int(GROUP, x.cols - c), quants[q]);
				if (!(fabs((double)out[j] - sum) <= bound))
					CHECK_FAIL("%g, want %g, bound %g", (double)out[j], sum, bound);
			}
			free(out);
			drop(&x), drop(&w);
			backend_destroy(b);
		}
}

/* Every integer at its limit: 127 * 127 and -127 * 127 in every place, where byte products would saturate, and
 * alternating signs. All sums are exact integers here. */
static void extremes(enum cpu_isa isa)
{
	enum { K = 512, N = 66, ROWS = 9 };
	float x[ROWS * K], w[N * K];

	for (int q = 0; q < 2; q++)
		for (int sign = 0; sign < 8; sign++) {
			float low = quants[q] == QUANT_INT8 ? 127 : 8; /* int4 holds -8 but not 8 */
			struct backend *b = open_backend(isa, 1, DT_F32);
			struct matrix mx = {ROWS, K, x, x, DT_F32}, mw = {N, K, w, w, DT_F32};
			struct split k = split_whole(K);
			float *out;
			for (int i = 0; i < ROWS * K; i++)
				x[i] = sign & 1 && (!(sign & 4) || i % 2) ? -127 : 127;
			for (int i = 0; i < N * K; i++)
				w[i] = sign & 2 && (!(sign & 4) || i % 4 > 1) && quants[q] == QUANT_INT8 ? low : -low;
			out = run(b, &mx, &mw, quants[q], &k);
			for (int i = 0; i < ROWS * N; i++) {
				double want = 0;
				for (int c = 0; c < K; c++)
					want += (double)x[i / N * K + c] * (double)w[i % N * K + c];
				if ((double)out[i] != want)
					CHECK_FAIL("%s, signs %d: %g, want %g",
						   quants[q] == QUANT_INT8 ? "int8" : "int4", sign, (double)out[i],
						   want);
			}
			free(out);
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

TEST(threads_and_batches_change_nothing)
{
	struct matrix x = make(33, 1408, DT_BF16, WILD, 3), w = make(150, 1408, DT_BF16, WILD, 4);
	struct split k = split_whole(1408);

	for (int q = 0; q < 2; q++) {
		struct backend *one = open_backend(CPU_AUTO, 1, DT_BF16), *three = open_backend(CPU_AUTO, 3, DT_BF16);
		float *want = run(one, &x, &w, quants[q], &k), *got = run(three, &x, &w, quants[q], &k);
		check_bits("threads", got, want, 33 * 150);
		free(got);
		for (int count = 1; count <= 13; count += 2) {
			struct matrix some = x;
			some.rows = count;
			some.p = (uint16_t *)x.p + 11 * 1408;
			got = run(three, &some, &w, quants[q], &k);
			check_bits("rows of a batch", got, want + 11 * 150, (size_t)count * 150);
			free(got);
		}
		free(want);
		backend_destroy(one), backend_destroy(three);
	}
	drop(&x), drop(&w);
}

/* The parts of several owners, combined by the tree, equal what one owner computes. */
TEST(owners_of_a_split_axis_give_the_bits_of_one)
{
	struct matrix x = make(3, 1024, DT_F32, PLAIN, 3), w = make(10, 1024, DT_F32, PLAIN, 4);
	struct split all = split_heads(1024, 8);
	struct backend *b = open_backend(CPU_AUTO, 2, DT_F32);

	for (int q = 0; q < 2; q++) {
		float *want = run(b, &x, &w, quants[q], &all), *half[2];
		for (int r = 0; r < 2; r++) {
			struct split mine = all;
			struct matrix xs = {3, 512, NULL, xalloc(3 * 512, 4), DT_F32},
				      ws = {10, 512, NULL, xalloc(10 * 512, 4), DT_F32};
			mine.first = 4 * r, mine.count = 4;
			for (int i = 0; i < 3; i++)
				memcpy((float *)xs.p + i * 512, x.f + i * 1024 + r * 512, 512 * sizeof(float));
			for (int i = 0; i < 10; i++)
				memcpy((float *)ws.p + i * 512, w.f + i * 1024 + r * 512, 512 * sizeof(float));
			half[r] = run(b, &xs, &ws, quants[q], &mine);
			free(xs.p), free(ws.p);
		}
		for (int i = 0; i < 30; i++) {
			float sum = ref_add(half[0][i], half[1][i]);
			check_bits("owners", &sum, want + i, 1);
		}
		free(want), free(half[0]), free(half[1]);
	}
	drop(&x), drop(&w);
	backend_destroy(b);
}

TEST(a_table_is_read_back_within_half_a_step)
{
	struct matrix w = make(70, 172, DT_F32, PLAIN, 9);
	struct split k = split_whole(172);
	int32_t ids[2] = {69, 3};
	float out[2 * 172];

	for (int q = 0; q < 2; q++) {
		struct backend *b = open_backend(CPU_AUTO, 1, DT_F32);
		struct weight *table = weight_create_quant(b, 70, 172, DT_F32, quants[q], &k);
		struct tensor t = tensor_of(out, DT_F32, 2, 172);
		weight_rows(table, 0, 70, w.p, 172);
		backend_embed(b, &t, ids, table, 0);
		for (int i = 0; i < 2 * 172; i++) {
			const float *row = w.f + ids[i / 172] * 172;
			int at = i % 172 / GROUP * GROUP;
			struct group g = ref_weights(row + at, min_int(GROUP, 172 - at), quants[q]);
			float want = g.scale * (float)g.q[i % 172 - at];
			CHECK(out[i] == want);
			CHECK(fabsf(out[i] - row[i % 172]) <=
			      fabsf(g.scale) * (quants[q] == QUANT_INT8 ? 0.57f : 1.01f));
		}
		weight_destroy(table);
		backend_destroy(b);
	}
	drop(&w);
}

/* A number that is not finite spoils its own row and no other. */
TEST(not_finite_stays_in_its_row)
{
	struct matrix x = make(3, 64, DT_F32, PLAIN, 3), w = make(5, 64, DT_F32, PLAIN, 4);
	struct split k = split_whole(64);

	((float *)x.p)[64 + 40] = INFINITY;
	((float *)w.p)[2 * 64 + 1] = NAN;
	for (int q = 0; q < 2; q++) {
		struct backend *b = open_backend(CPU_AUTO, 1, DT_F32);
		float *out = run(b, &x, &w, quants[q], &k);
		for (int i = 0; i < 15; i++)
			CHECK(isnan(out[i]) == (i / 5 == 1 || i % 5 == 2));
		free(out);
		backend_destroy(b);
	}
	drop(&x), drop(&w);
}

CHECK_MAIN()
