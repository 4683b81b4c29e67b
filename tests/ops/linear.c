/* linear: error bounds against float64, and the exact bits of the contract. */
#include "tests/ops/ref.h"

struct shape {
	int rows, n, cols; /* cols of the whole axis */
	int leaves;        /* 1: whole axis; S: leaf j starts where `start` says */
};

/* Leaves as the down projection cuts them: groups of 32 columns, some leaves empty when there are few. */
static struct split split_groups(int cols, int leaves)
{
	struct split k = {.n_leaves = leaves, .count = leaves};
	int groups = div_up(cols, 32);

	for (int j = 0; j <= leaves; j++)
		k.start[j] = min_int(cols, 32 * (groups * j / leaves));
	k.start[leaves] = cols;
	return k;
}

/* Leaves of odd and zero length: no model has them, but the contract does. */
static struct split split_odd(int cols, int leaves)
{
	struct split k = {.n_leaves = leaves, .count = leaves};

	for (int j = 0; j <= leaves; j++)
		k.start[j] = (int)((int64_t)cols * j * j / (leaves * leaves));
	return k;
}

/* ---- the contract in scalar code ---- */
enum mutant { RIGHT, EVEN_FIRST, LEFT_TO_RIGHT };

static float ref_segment(const float *x, const float *w, int n, enum mutant mutant)
{
	float acc = 0;

	for (int i = 0; i < n; i += 2) {
		float xo = i + 1 < n ? x[i + 1] : 0, wo = i + 1 < n ? w[i + 1] : 0;
		if (mutant == EVEN_FIRST)
			acc = ref_fma(xo, wo, ref_fma(x[i], w[i], acc));
		else
			acc = ref_fma(x[i], w[i], ref_fma(xo, wo, acc));
	}
	return acc;
}

static float ref_segments(const float *x, const float *w, int n, int first, int count, enum mutant mutant)
{
	int left = mutant == LEFT_TO_RIGHT ? count - 1 : ref_left(count);

	if (count <= 1)
		return ref_segment(x + first * 512, w + first * 512, min_int(512, n - first * 512), mutant);
	return ref_add(ref_segments(x, w, n, first, left, mutant),
		       ref_segments(x, w, n, first + left, count - left, mutant));
}

/* Leaves [first, first + count) by the perfect tree. x and w start at the axis' column 0. */
static float ref_leaves(const float *x, const float *w, const struct split *k, int first, int count, enum mutant mutant)
{
	if (count == 1) {
		int at = k->start[first], n = k->start[first + 1] - at;
		return n ? ref_segments(x + at, w + at, n, 0, div_up(n, 512), mutant) : 0;
	}
	return ref_add(ref_leaves(x, w, k, first, count / 2, mutant),
		       ref_leaves(x, w, k, first + count / 2, count / 2, mutant));
}

/* ---- one case ---- */
struct data_set {
	int rows, n, cols;
	enum dtype act, stored;
	void *x, *w;    /* as given to the backend */
	float *fx, *fw; /* as it must read them */
};

static struct data_set make_data(const struct shape *s, enum dtype act, enum dtype stored, enum data how)
{
	struct data_set d = {.rows = s->rows, .n = s->n, .cols = s->cols, .act = act, .stored = stored};
	struct rng r = {(uint64_t)s->cols * 1000 + (uint64_t)s->n};
	size_t nx = (size_t)s->rows * (size_t)s->cols, nw = (size_t)s->n * (size_t)s->cols;

	d.x = random_as(&r, nx, act, how);
	d.w = random_as(&r, nw, stored, how);
	d.fx = xalloc(nx + 1, sizeof *d.fx);
	d.fw = xalloc(nw + 1, sizeof *d.fw);
	for (size_t i = 0; i < nx; i++)
		d.fx[i] = get_as(d.x, i, act);
	for (size_t i = 0; i < nw; i++) {
		d.fw[i] = get_as(d.w, i, stored);
		if (act == DT_BF16)
			d.fw[i] = f32_from_bf16(bf16_from_f32(d.fw[i]));
	}
	return d;
}

static void drop_data(struct data_set *d)
{
	free(d->x), free(d->w), free(d->fx), free(d->fw);
}

/* Sends rows in an odd order and in small groups, as a loader might. */
static struct weight *load(struct backend *b, const struct data_set *d, const struct split *k)
{
	struct span own = split_columns(k);
	struct weight *w = weight_create(b, d->n, own.count, d->stored, k);
	const char *src = (const char *)d->w + (size_t)own.first * dtype_size(d->stored);
	int half = d->n / 2;

	for (int row = half, n; row < d->n; row += n) {
		n = min_int(7, d->n - row);
		weight_rows(w, row, n, src + (size_t)row * (size_t)d->cols * dtype_size(d->stored), (size_t)d->cols);
	}
	weight_rows(w, 0, half, src, (size_t)d->cols);
	return w;
}

/* out (parts, count, n): rows [first, first + count) of the data. */
static float *run(struct backend *b, const struct data_set *d, const struct split *k, int first, int count)
{
	struct span own = split_columns(k);
	struct part parts[SHARD_MAX_PARTS];
	int n_parts = split_parts(k, parts);
	size_t size = dtype_size(d->act);
	float *out = xalloc((size_t)(n_parts * count * d->n) + 1, sizeof *out);
	char *x = xalloc((size_t)(count * own.count) + 1, size);
	struct tensor t = tensor_of(x, d->act, count, own.count);
	struct weight *w = load(b, d, k);

	for (int r = 0; r < count; r++)
		memcpy(x + (size_t)(r * own.count) * size,
		       (const char *)d->x + ((size_t)(first + r) * (size_t)d->cols + (size_t)own.first) * size,
		       (size_t)own.count * size);
	backend_linear(b, out, &t, w, NULL);
	weight_destroy(w);
	free(x);
	return out;
}

static const struct {
	enum dtype act, stored;
} kinds[] = {{DT_BF16, DT_BF16}, {DT_F32, DT_F32},  {DT_F32, DT_BF16},
	     {DT_F32, DT_F16},   {DT_BF16, DT_F32}, {DT_BF16, DT_F16}};
enum { KINDS = sizeof kinds / sizeof *kinds };

static const struct shape shapes[] = {{1, 1, 2, 1},      {2, 64, 30, 1},   {3, 65, 172, 1},   {5, 130, 512, 1},
				      {7, 63, 514, 1},   {64, 70, 172, 1}, {13, 33, 1408, 1}, {1, 200, 5120, 1},
				      {9, 17, 5120, 1},  {4, 40, 3, 1},    {6, 16, 1025, 1},  {8, 66, 1, 1},
				      {11, 100, 513, 1}, {0, 64, 64, 1}};
enum { SHAPES = sizeof shapes / sizeof *shapes };

static void check_bound(const struct data_set *d, const float *out)
{
	for (int r = 0; r < d->rows; r++)
		for (int n = 0; n < d->n; n++) {
			double sum = 0, size = 0, got = (double)out[r * d->n + n], bound;
			for (int c = 0; c < d->cols; c++) {
				double p = (double)d->fx[r * d->cols + c] * (double)d->fw[n * d->cols + c];
				sum += p, size += fabs(p);
			}
			bound = size * 0x1p-24 * (min_int(d->cols, 512) + 16);
			if (!(fabs(got - sum) <= bound))
				CHECK_FAIL("(%d, %d) of K = %d: %g, want %g, bound %g", r, n, d->cols, got, sum, bound);
		}
}

TEST(within_bound_of_float64)
{
	for (int i = 0; i < SHAPES; i++)
		for (int k = 0; k < KINDS; k++) {
			struct backend *b = open_backend(CPU_AUTO, 2, kinds[k].act);
			struct data_set d = make_data(&shapes[i], kinds[k].act, kinds[k].stored, PLAIN);
			struct split whole = split_whole(d.cols);
			float *out = run(b, &d, &whole, 0, d.rows);
			check_bound(&d, out);
			free(out);
			drop_data(&d);
			backend_destroy(b);
		}
}

/* Checks the scalar contract over wild data: subnormals, zeros of both signs, tiny and huge exponents. */
static void contract(enum cpu_isa isa)
{
	static const struct shape small[] = {{1, 1, 2, 1},    {2, 5, 30, 1},   {7, 65, 172, 1}, {3, 6, 514, 1},
					     {2, 3, 3, 1},    {3, 4, 1025, 1}, {2, 5, 3500, 1}, {3, 5, 172, 32},
					     {2, 4, 1408, 8}, {2, 3, 999, 4},  {1, 2, 9000, 2}};

	for (size_t i = 0; i < sizeof small / sizeof *small; i++)
		for (int k = 0; k < KINDS; k++) {
			struct backend *b = open_backend(isa, 1, kinds[k].act);
			struct data_set d = make_data(&small[i], kinds[k].act, kinds[k].stored, WILD);
			struct split axis =
				small[i].cols == 999 ? split_odd(999, 4) : split_groups(d.cols, small[i].leaves);
			float *out = run(b, &d, &axis, 0, d.rows), *want = xalloc((size_t)(d.rows * d.n), sizeof *want);
			for (int r = 0; r < d.rows; r++)
				for (int n = 0; n < d.n; n++)
					want[r * d.n + n] = ref_leaves(d.fx + r * d.cols, d.fw + n * d.cols, &axis, 0,
								       axis.n_leaves, RIGHT);
			check_bits("linear", out, want, (size_t)(d.rows * d.n));
			free(out), free(want);
			drop_data(&d);
			backend_destroy(b);
		}
}
EACH_ISA(contract)

/* Every change of order that the contract forbids changes bits on these data. */
TEST(mutants_differ)
{
	struct shape s = {4, 16, 3500, 1};
	struct backend *b = open_backend(CPU_AUTO, 1, DT_BF16);
	struct data_set d = make_data(&s, DT_BF16, DT_BF16, PLAIN);
	struct split axis = split_whole(d.cols);
	float *out = run(b, &d, &axis, 0, d.rows), other[64];

	for (enum mutant m = RIGHT; m <= LEFT_TO_RIGHT; m++) {
		size_t differ;
		for (int i = 0; i < 64; i++)
			other[i] = ref_leaves(d.fx + i / 16 * d.cols, d.fw + i % 16 * d.cols, &axis, 0, 1, m);
		differ = count_differ(out, other, 64);
		if ((differ > 0) != (m != RIGHT))
			CHECK_FAIL("mutant %d: %zu of 64 differ", m, differ);
	}
	free(out);
	drop_data(&d);
	backend_destroy(b);
}

/* All shapes and kinds against the portable code; then 1, 2 and 3 threads, and a row alone against the row among 33. */
static void same_as_portable(enum cpu_isa isa)
{
	for (int i = 0; i < SHAPES; i++)
		for (int k = 0; k < KINDS; k++) {
			struct backend *a = open_backend(CPU_PORTABLE, 1, kinds[k].act),
				       *b = open_backend(isa, 2, kinds[k].act);
			struct data_set d = make_data(&shapes[i], kinds[k].act, kinds[k].stored, WILD);
			struct split whole = split_whole(d.cols);
			float *want = run(a, &d, &whole, 0, d.rows), *out = run(b, &d, &whole, 0, d.rows);
			check_bits("portable", out, want, (size_t)(d.rows * d.n));
			free(want), free(out);
			drop_data(&d);
			backend_destroy(a), backend_destroy(b);
		}
}
TEST(bits_avx2)
{
	same_as_portable(CPU_AVX2);
}
TEST(bits_avx512)
{
	same_as_portable(CPU_AVX512);
}
TEST(bits_avx512_bf16)
{
	same_as_portable(CPU_AVX512_BF16);
}

static void threads_and_rows(enum dtype act, enum dtype stored)
{
	struct shape s = {33, 150, 1408, 1};
	struct data_set d = make_data(&s, act, stored, WILD);
	struct split whole = split_whole(d.cols);
	struct backend *one = open_backend(CPU_AUTO, 1, act);
	float *want = run(one, &d, &whole, 0, 33);

	for (int threads = 2; threads <= 3; threads++) {
		struct backend *b = open_backend(CPU_AUTO, threads, act);
		float *out = run(b, &d, &whole, 0, 33);
		check_bits("threads", out, want, (size_t)(33 * d.n));
		free(out);
		backend_destroy(b);
	}
	for (int count = 1; count <= 8; count++)
		for (int first = 0; first + count <= 33; first += 5) {
			float *out = run(one, &d, &whole, first, count);
			check_bits("rows of a batch", out, want + first * d.n, (size_t)(count * d.n));
			free(out);
		}
	free(want);
	drop_data(&d);
	backend_destroy(one);
}

TEST(threads_and_batches_change_nothing)
{
	for (int k = 0; k < KINDS; k++)
		threads_and_rows(kinds[k].act, kinds[k].stored);
}

/* ---- split axes ---- */
struct pieces {
	int n;
	struct part at[SHARD_MAX_LEAVES];
	float *sum[SHARD_MAX_LEAVES]; /* (rows, n) */
};

static float tree(const struct pieces *p, int first, int count, int i)
{
	for (int j = 0; j < p->n; j++)
		if (p->at[j].first == first && p->at[j].count == count)
			return p->sum[j][i];
	REQUIRE(count > 1);
	return ref_add(tree(p, first, count / 2, i), tree(p, first + count / 2, count / 2, i));
}

/* Splits the axis among `owners`: the parts of all, combined by the tree, equal what one owner computes. */
static void check_owners(const struct data_set *d, const struct split *axis, int owners, const float *want)
{
	struct backend *b = open_backend(CPU_AUTO, 2, d->act);
	struct pieces p = {0};
	size_t n = (size_t)(d->rows * d->n);
	float *all[8];

	for (int r = 0; r < owners; r++) {
		struct split mine = *axis;
		int parts;
		mine.first = div_up(axis->n_leaves * r, owners);
		mine.count = div_up(axis->n_leaves * (r + 1), owners) - mine.first;
		parts = split_parts(&mine, p.at + p.n);
		all[r] = run(b, d, &mine, 0, d->rows);
		for (int i = 0; i < parts; i++)
			p.sum[p.n++] = all[r] + (size_t)i * n;
	}
	for (size_t i = 0; i < n; i++) {
		float sum = tree(&p, 0, axis->n_leaves, (int)i);
		check_bits("owners", &sum, want + i, 1);
	}
	for (int r = 0; r < owners; r++)
		free(all[r]);
	backend_destroy(b);
}

TEST(owners_of_a_split_axis_give_the_bits_of_one)
{
	static const struct shape split[] = {
		{3, 70, 172, 32}, {2, 20, 1408, 32}, {5, 33, 5120, 8}, {2, 10, 13824, 32}, {2, 10, 777, 16}};
	static const int owners[] = {1, 2, 3, 4, 8};

	for (size_t i = 0; i < sizeof split / sizeof *split; i++)
		for (int k = 0; k < 2; k++) {
			struct data_set d = make_data(&split[i], kinds[k].act, kinds[k].stored, WILD);
			struct split axis = d.cols == 777 ? split_odd(777, 16) : split_groups(d.cols, split[i].leaves);
			struct backend *b = open_backend(CPU_AUTO, 1, d.act);
			float *want = run(b, &d, &axis, 0, d.rows);
			for (int o = 0; o < 5; o++)
				check_owners(&d, &axis, owners[o], want);
			free(want);
			drop_data(&d);
			backend_destroy(b);
		}
}

TEST(empty_share_has_no_parts)
{
	struct shape s = {2, 10, 64, 8};
	struct data_set d = make_data(&s, DT_F32, DT_F32, PLAIN);
	struct split axis = split_groups(64, 8);
	struct backend *b = open_backend(CPU_AUTO, 1, DT_F32);
	float *out;

	axis.first = 1, axis.count = 2; /* leaves without columns: parts of +0 */
	out = run(b, &d, &axis, 0, 2);
	for (int i = 0; i < 40; i++)
		CHECK(out[i] == 0 && !signbit(out[i]));
	free(out);
	axis.count = 0;
	free(run(b, &d, &axis, 0, 2));
	drop_data(&d);
	backend_destroy(b);
}

TEST(bias_is_added_last)
{
	struct shape s = {3, 70, 600, 1};
	struct data_set d = make_data(&s, DT_F32, DT_F32, PLAIN);
	struct split whole = split_whole(600);
	struct backend *b = open_backend(CPU_AUTO, 2, DT_F32);
	struct weight *w = load(b, &d, &whole);
	struct tensor x = tensor_of(d.x, DT_F32, 3, 600);
	float *plain = run(b, &d, &whole, 0, 3), *out = xalloc(210, sizeof *out), bias[70];

	for (int i = 0; i < 70; i++)
		bias[i] = (float)i / 7;
	backend_linear(b, out, &x, w, bias);
	for (int i = 0; i < 210; i++)
		plain[i] = ref_add(plain[i], bias[i % 70]);
	check_bits("bias", out, plain, 210);
	free(plain), free(out);
	weight_destroy(w);
	drop_data(&d);
	backend_destroy(b);
}

CHECK_MAIN()
