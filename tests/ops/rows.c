/* Operations on single rows: norm, silu, exp, embed, rows. */
#include "engine/cpu/isa/kernels.h"
#include "engine/cpu/pool.h"
#include "tests/ops/ref.h"

static const int widths[] = {1, 2, 8, 15, 16, 17, 30, 172, 512, 1408, 5120};
enum { WIDTHS = sizeof widths / sizeof *widths };

/* ---- norm ---- */
static float lanes_of(const float *v, int n, bool square)
{
	float lane[16] = {0};

	for (int i = 0; i < n; i++)
		lane[i % 16] = square ? ref_fma(v[i], v[i], lane[i % 16]) : ref_add(lane[i % 16], v[i]);
	return ref_lanes(lane);
}

struct norm_case {
	int rows, cols;
	bool delta, bias;
	enum norm_kind kind;
	enum dtype type;
};

struct norm_data {
	float *x, *delta, *w, *bias;
};

static struct norm_data norm_data(const struct norm_case *c, enum data how)
{
	struct rng r = {(uint64_t)c->cols + 77};
	size_t n = (size_t)c->rows * (size_t)c->cols;
	struct norm_data d = {random_as(&r, n, DT_F32, how), random_as(&r, n, DT_F32, how),
			      random_as(&r, (size_t)c->cols, DT_F32, how), random_as(&r, (size_t)c->cols, DT_F32, how)};

	return d;
}

static void drop_norm(struct norm_data *d)
{
	free(d->x), free(d->delta), free(d->w), free(d->bias);
}

static void ref_norm(const struct norm_case *c, const struct norm_data *d, int row, float *x, float *out)
{
	float mean = 0, factor, *centred = xalloc((size_t)c->cols, sizeof *centred);

	for (int i = 0; i < c->cols; i++) {
		x[i] = d->x[row * c->cols + i];
		if (c->delta)
			x[i] = ref_add(x[i], d->delta[row * c->cols + i]);
	}
	if (c->kind == NORM_LAYER)
		mean = ref_div(lanes_of(x, c->cols, false), (float)c->cols);
	for (int i = 0; i < c->cols; i++)
		centred[i] = c->kind == NORM_LAYER ? ref_add(x[i], -mean) : x[i];
	factor = ref_div(lanes_of(centred, c->cols, true), (float)c->cols);
	factor = ref_div(1, ref_sqrt(ref_add(factor, 1e-5f)));
	for (int i = 0; i < c->cols; i++) {
		out[i] = ref_mul(ref_mul(centred[i], factor), d->w[i]);
		if (c->bias)
			out[i] = ref_add(out[i], d->bias[i]);
		if (c->type == DT_BF16)
			out[i] = f32_from_bf16(bf16_from_f32(out[i]));
	}
	free(centred);
}

/* Runs the case; x is returned in d->x. */
static float *run_norm(struct backend *b, const struct norm_case *c, struct norm_data *d)
{
	size_t n = (size_t)c->rows * (size_t)c->cols;
	void *raw = xalloc(n, sizeof(float));
	float *out = xalloc(n, sizeof *out);
	struct tensor t = tensor_of(raw, c->type, c->rows, c->cols), x = tensor_of(d->x, DT_F32, c->rows, c->cols);

	backend_add_norm(b, &t, &x, (struct delta){.data = c->delta ? d->delta : NULL},
			 &(struct norm){d->w, c->bias ? d->bias : NULL, c->kind, 1e-5f});
	for (size_t i = 0; i < n; i++)
		out[i] = get_as(raw, i, c->type);
	free(raw);
	return out;
}

static void norm_contract(enum cpu_isa isa)
{
	struct backend *b = open_backend(isa, 2, DT_BF16);

	for (int i = 0; i < WIDTHS * 16; i++) {
		struct norm_case c = {i % 3 + 1,
				      widths[i / 16],
				      i & 1,
				      i & 2,
				      i & 4 ? NORM_LAYER : NORM_RMS,
				      i & 8 ? DT_BF16 : DT_F32};
		struct norm_data d = norm_data(&c, WILD);
		size_t n = (size_t)c.rows * (size_t)c.cols;
		float *want = xalloc(n, sizeof *want), *x = xalloc(n, sizeof *x), *out;
		for (int r = 0; r < c.rows; r++)
			ref_norm(&c, &d, r, x + r * c.cols, want + r * c.cols);
		out = run_norm(b, &c, &d);
		check_bits("norm", out, want, n);
		check_bits("norm's x", d.x, x, n);
		free(want), free(x), free(out);
		drop_norm(&d);
	}
	backend_destroy(b);
}
TEST(norm_contract_portable)
{
	norm_contract(CPU_PORTABLE);
}
TEST(norm_contract_avx2)
{
	norm_contract(CPU_AVX2);
}
TEST(norm_contract_avx512)
{
	norm_contract(CPU_AVX512);
}
TEST(norm_contract_avx512_bf16)
{
	norm_contract(CPU_AVX512_BF16);
}

TEST(norm_within_bound_of_float64)
{
	struct backend *b = open_backend(CPU_AUTO, 3, DT_F32);

	for (int i = 0; i < WIDTHS * 2; i++) {
		struct norm_case c = {33, widths[i / 2], true, true, i & 1 ? NORM_LAYER : NORM_RMS, DT_F32};
		struct norm_data d = norm_data(&c, PLAIN);
		float *out = run_norm(b, &c, &d); /* d.x is now x + delta */
		for (int r = 0; r < c.rows; r++) {
			const float *x = d.x + r * c.cols;
			double mean = 0, square = 0;
			for (int k = 0; k < c.cols; k++)
				mean += (double)x[k] / c.cols;
			if (c.kind == NORM_RMS)
				mean = 0;
			for (int k = 0; k < c.cols; k++)
				square += ((double)x[k] - mean) * ((double)x[k] - mean) / c.cols;
			for (int k = 0; k < c.cols; k++) {
				double f = 1 / sqrt(square + (double)1e-5f),
				       want = ((double)x[k] - mean) * f * (double)d.w[k] + (double)d.bias[k];
				/* of a mean: a few units of the last place; times 1/sqrt(eps) where the row
				 * is nearly constant */
				CHECK(fabs((double)out[r * c.cols + k] - want) <= 4e-6 + 4e-7 * f);
			}
		}
		free(out);
		drop_norm(&d);
	}
	backend_destroy(b);
}

/* ---- exp ---- */
static const struct cpu_kernels *kernels(enum cpu_isa isa)
{
	const struct cpu_kernels *k = cpu_kernels_of(isa);

	if (!k)
		SKIP(cpu_isa_name(isa));
	return k;
}

struct exp_job {
	const struct cpu_kernels *k;
	float *out;
	const float *x;
	int n;
};
static void exp_worker(void *arg, int worker, int n_workers)
{
	struct exp_job *j = arg;

	(void)worker, (void)n_workers;
	j->k->exp(j->out, j->x, j->n);
}
static void run_exp(const struct cpu_kernels *k, float *out, const float *x, int n)
{
	struct pool *p = pool_create(3, NULL);
	struct exp_job j = {k, out, x, n};

	pool_run(p, exp_worker, &j);
	pool_destroy(p);
}

enum { POINTS = 200000 };

TEST(exp_is_within_2_ulp)
{
	float *x = xalloc(POINTS, sizeof *x), *y = xalloc(POINTS, sizeof *y);
	double worst = 0;

	for (int i = 0; i < POINTS; i++)
		x[i] = (float)(-90 + 180.0 * i / POINTS);
	run_exp(kernels(CPU_AUTO), y, x, POINTS);
	for (int i = 0; i < POINTS; i++) {
		double want = exp((double)x[i]);
		if (want < 0x1p-126)
			CHECK(y[i] == 0 || (want > 0x1.ffffp-127 && y[i] == 0x1p-126f));
		else if (want >= 0x1.ffffffp127)
			CHECK(isinf(y[i]) || (double)y[i] > 0x1.fffff0p127);
		else
			worst = fmax(worst, fabs((double)y[i] - want) / ldexp(1, ilogb(want) - 23));
	}
	printf("  exp: %.3f ulp at worst\n", worst);
	CHECK(worst <= 2);
	free(x), free(y);
}

TEST(exp_at_the_extremes)
{
	static const float x[] = {0,      -0.0f,   -INFINITY, INFINITY,   -1e30f,    1e30f, -104, 89,
				  1e-40f, -1e-40f, 0x1p-126f, -87.33655f, 88.72283f, 1,     -1,   -200};
	float y[16], z[16];

	run_exp(kernels(CPU_AUTO), y, x, 16);
	CHECK(y[0] == 1 && y[1] == 1 && y[8] == 1 && y[9] == 1 && y[10] == 1);
	CHECK(y[2] == 0 && !signbit(y[2]) && isinf(y[3]) && y[4] == 0 && isinf(y[5]) && y[6] == 0 && y[15] == 0 &&
	      isinf(y[7]));
	for (int i = 0; i < 16; i++)
		z[i] = ref_exp(x[i]);
	check_bits("exp", y, z, 16);
}

TEST(exp_same_bits_everywhere)
{
	float *x = xalloc(POINTS, sizeof *x), *want = xalloc(POINTS, sizeof *want), *y = xalloc(POINTS, sizeof *y);

	for (int i = 0; i < POINTS; i++)
		x[i] = (float)(-105 + 195.0 * i / POINTS);
	for (int i = 0; i < POINTS; i++)
		want[i] = ref_exp(x[i]);
	for (int i = 0; i < 4; i++)
		if (cpu_kernels_of(all_isas[i])) {
			run_exp(cpu_kernels_of(all_isas[i]), y, x, POINTS);
			check_bits(cpu_isa_name(all_isas[i]), y, want, POINTS);
		}
	free(x), free(y), free(want);
}

/* ---- silu ---- */
static void silu(enum cpu_isa isa, enum dtype type)
{
	struct backend *b = open_backend(isa, 2, type);
	struct rng r = {5};

	for (int i = 0; i < WIDTHS; i++) {
		int ffn = widths[i], rows = 3;
		size_t n = (size_t)(rows * ffn);
		float *in = random_as(&r, 2 * n, DT_F32, WILD), *want = xalloc(n, sizeof *want),
		      *got = xalloc(n, sizeof *got);
		void *raw = xalloc(n, sizeof(float));
		struct tensor out = tensor_of(raw, type, rows, ffn), gate_up = tensor_of(in, DT_F32, rows, 2 * ffn);
		for (int row = 0; row < rows; row++)
			for (int c = 0; c < ffn; c++) {
				float g = in[row * 2 * ffn + c], u = in[row * 2 * ffn + ffn + c];
				float y = ref_mul(ref_div(g, ref_add(1, ref_exp(ref_add(0, -g)))), u);
				want[row * ffn + c] = type == DT_BF16 ? f32_from_bf16(bf16_from_f32(y)) : y;
			}
		backend_silu_mul(b, &out, &gate_up, NULL);
		for (size_t k = 0; k < n; k++)
			got[k] = get_as(raw, k, type);
		check_bits("silu", got, want, n);
		free(in), free(want), free(got), free(raw);
	}
	backend_destroy(b);
}
TEST(silu_contract_portable)
{
	silu(CPU_PORTABLE, DT_F32);
	silu(CPU_PORTABLE, DT_BF16);
}
TEST(silu_contract_avx2)
{
	silu(CPU_AVX2, DT_F32);
	silu(CPU_AVX2, DT_BF16);
}
TEST(silu_contract_avx512)
{
	silu(CPU_AVX512, DT_F32);
	silu(CPU_AVX512, DT_BF16);
}
TEST(silu_contract_avx512_bf16)
{
	silu(CPU_AVX512_BF16, DT_F32);
	silu(CPU_AVX512_BF16, DT_BF16);
}

TEST(silu_within_bound_of_float64)
{
	enum { N = 20000 };
	struct backend *b = open_backend(CPU_AUTO, 1, DT_F32);
	float *in = xalloc(2 * N, sizeof *in), *y = xalloc(N, sizeof *y);
	struct tensor out = tensor_of(y, DT_F32, 1, N), gate_up = tensor_of(in, DT_F32, 1, 2 * N);

	for (int i = 0; i < N; i++)
		in[i] = (float)(-80 + 160.0 * i / N), in[N + i] = 1.5f;
	backend_silu_mul(b, &out, &gate_up, NULL);
	for (int i = 0; i < N; i++) {
		double want = (double)in[i] / (1 + exp(-(double)in[i])) * 1.5;
		CHECK(fabs((double)y[i] - want) <= fabs(want) * 4e-7);
	}
	free(in), free(y);
	backend_destroy(b);
}

/* ---- sums, activations, norms of heads ---- */
static float ref_gelu(float x)
{
	static const float fit[] = {-0.82215223f, 1.48851587f, -1.13520398f, 0.27886807f, -0.18628806f,
				    0.09678418f,  0.37409196f, 1.00002368f,  -1.26551223f};
	float size = fabsf(x), z = ref_mul(size, 0.70710678f), t = ref_div(1, ref_fma(z, 0.5f, 1)), p = 0.17087277f;

	for (int i = 0; i < 9; i++)
		p = ref_fma(p, t, fit[i]);
	p = ref_fma(-z, z, p);
	return ref_add(0 > x ? 0 : x, -ref_mul(size, ref_mul(ref_mul(t, ref_exp(p)), 0.5f)));
}

static float ref_activate(float x, enum activation kind)
{
	float u = ref_mul(x, ref_fma(ref_mul(x, x), 0.044715f, 1));

	if (kind == ACT_RELU)
		return 0 > x ? 0 : x;
	return kind == ACT_GELU ? ref_gelu(x) : ref_div(x, ref_add(1, ref_exp(ref_mul(u, -1.5957691216f))));
}

static void activations(enum cpu_isa isa, enum dtype type)
{
	struct backend *b = open_backend(isa, 2, type);
	struct rng r = {6};

	for (int i = 0; i < WIDTHS; i++)
		for (enum activation kind = ACT_RELU; kind <= ACT_GELU_TANH; kind++) {
			int ffn = widths[i], rows = 3;
			size_t n = (size_t)(rows * ffn);
			float *in = random_as(&r, n, DT_F32, PLAIN), *want = xalloc(n, sizeof *want),
			      *got = xalloc(n, sizeof *got);
			void *raw = xalloc(n, sizeof(float));
			struct tensor out = tensor_of(raw, type, rows, ffn), x = tensor_of(in, DT_F32, rows, ffn);
			for (size_t k = 0; k < n; k++) {
				in[k] *= 3;
				want[k] = ref_activate(in[k], kind);
				want[k] = type == DT_BF16 ? f32_from_bf16(bf16_from_f32(want[k])) : want[k];
			}
			backend_activate(b, &out, &x, kind);
			for (size_t k = 0; k < n; k++)
				got[k] = get_as(raw, k, type);
			check_bits("activation", got, want, n);
			free(in), free(want), free(got), free(raw);
		}
	backend_destroy(b);
}
TEST(activations_on_each_isa)
{
	for (int i = 0; i < 4; i++)
		if (cpu_kernels_of(all_isas[i])) {
			activations(all_isas[i], DT_F32);
			activations(all_isas[i], DT_BF16);
		}
}

TEST(activations_within_bound_of_float64)
{
	enum { N = 20000 };
	struct backend *b = open_backend(CPU_AUTO, 1, DT_F32);
	float *in = xalloc(N, sizeof *in), *y = xalloc(N, sizeof *y);
	struct tensor out = tensor_of(y, DT_F32, 1, N), x = tensor_of(in, DT_F32, 1, N);

	for (enum activation kind = ACT_RELU; kind <= ACT_GELU_TANH; kind++) {
		for (int i = 0; i < N; i++)
			in[i] = (float)(-12 + 24.0 * i / N);
		backend_activate(b, &out, &x, kind);
		for (int i = 0; i < N; i++) {
			double v = (double)in[i], u = 0.7978845608028654 * (v + 0.044715 * v * v * v);
			double want = kind == ACT_RELU   ? fmax(v, 0)
				      : kind == ACT_GELU ? v * 0.5 * erfc(-v * 0.7071067811865476)
							 : 0.5 * v * (1 + tanh(u));
			CHECK(fabs((double)y[i] - want) <= 4e-7 * fmax(fabs(v), 1e-3));
		}
	}
	in[0] = NAN, in[1] = INFINITY;
	for (enum activation kind = ACT_RELU; kind <= ACT_GELU_TANH; kind++) {
		backend_activate(b, &out, &x, kind);
		CHECK(isnan(y[0]) && !(y[1] < INFINITY));
	}
	free(in), free(y);
	backend_destroy(b);
}

TEST(add_and_shift)
{
	enum { ROWS = 3, COLS = 5003 };
	static float x[ROWS * COLS], y[ROWS * COLS], delta[ROWS * COLS], shift[COLS], w[COLS], out[2][ROWS * COLS];
	struct rng r = {4};
	struct norm norm = {w, NULL, NORM_LAYER, 1e-5f};

	for (int i = 0; i < ROWS * COLS; i++)
		x[i] = y[i] = rng_float(&r, PLAIN), delta[i] = rng_float(&r, PLAIN);
	for (int i = 0; i < COLS; i++)
		shift[i] = rng_float(&r, PLAIN), w[i] = 1;
	for (int i = 0; i < 4; i++) {
		struct backend *b;
		struct tensor tx = tensor_of(x, DT_F32, ROWS, COLS), ty = tensor_of(y, DT_F32, ROWS, COLS);
		struct tensor one = tensor_of(out[0], DT_F32, ROWS, COLS), two = tensor_of(out[1], DT_F32, ROWS, COLS);
		if (!cpu_kernels_of(all_isas[i]))
			continue;
		b = open_backend(all_isas[i], 2, DT_F32);
		for (int k = 0; k < ROWS * COLS; k++)
			out[1][k] = ref_add(x[k], ref_add(delta[k], shift[k % COLS]));
		backend_add(b, &tx, (struct delta){.data = delta, .shift = shift});
		check_bits("add", x, out[1], ROWS * COLS);
		backend_add_norm(b, &one, &ty, (struct delta){.data = delta, .shift = shift}, &norm);
		check_bits("add_norm", y, x, ROWS * COLS);
		backend_add_norm(b, &two, &tx, (struct delta){.data = NULL}, &norm);
		check_bits("norm", out[0], out[1], ROWS * COLS);
		backend_destroy(b);
	}
}

/* Queries and keys of each head as a row of a plain norm; values stay. */
TEST(norms_of_heads)
{
	enum { ROWS = 2, HEADS = 3, KV = 2, DIM = 40, ALL = HEADS + 2 * KV };
	float qkv[ROWS * ALL * DIM], in[ROWS * ALL * DIM], q[DIM], k[DIM], want[DIM];
	struct attn_shape shape = {.heads = HEADS, .kv_heads = KV, .head_dim = DIM};
	struct backend *b = open_backend(CPU_AUTO, 2, DT_F32);
	struct tensor t = tensor_of(qkv, DT_F32, ROWS, ALL * DIM);
	struct rng r = {8};

	for (int i = 0; i < ROWS * ALL * DIM; i++)
		qkv[i] = in[i] = rng_float(&r, PLAIN);
	for (int i = 0; i < DIM; i++)
		q[i] = rng_float(&r, PLAIN), k[i] = rng_float(&r, PLAIN);
	backend_head_norm(b, &t, &shape, q, k, 1e-6f);
	for (int h = 0; h < ROWS * ALL; h++) {
		float *x = in + h * DIM;
		const float *w = h % ALL < HEADS ? q : k;
		double sum = 0;
		for (int i = 0; i < DIM; i++)
			sum += (double)x[i] * (double)x[i];
		for (int i = 0; i < DIM; i++)
			want[i] = h % ALL < HEADS + KV ? (float)((double)x[i] / sqrt(sum / DIM + 1e-6) * (double)w[i])
						       : x[i];
		for (int i = 0; i < DIM; i++)
			CHECK(fabsf(qkv[h * DIM + i] - want[i]) <= 1e-6f * fabsf(want[i]));
	}
	backend_destroy(b);
}

/* ---- embed, rows ---- */
static void embed(enum dtype act, enum dtype stored)
{
	enum { WORDS = 70, COLS = 531 };
	struct backend *b = open_backend(CPU_AUTO, 2, act);
	struct split whole = split_whole(COLS);
	struct weight *w = weight_create(b, WORDS, COLS, stored, &whole);
	struct rng r = {9};
	void *src = random_as(&r, WORDS * COLS, stored, WILD);
	static const int32_t ids[] = {100, 169, 99, 170, 133, 0, 164};
	float out[7 * COLS];
	struct tensor t = tensor_of(out, DT_F32, 7, COLS);

	weight_rows(w, 0, WORDS, src, COLS);
	memset(out, 0xff, sizeof out);
	backend_embed(b, &t, ids, w, 100);
	for (int i = 0; i < 7; i++)
		for (int c = 0; c < COLS; c++) {
			int row = ids[i] - 100;
			float want = row >= 0 && row < WORDS ? get_as(src, (size_t)(row * COLS + c), stored) : 0;
			if (act == DT_BF16)
				want = f32_from_bf16(bf16_from_f32(want));
			want = fabsf(want) < 0x1p-126f ? 0 : want;
			check_bits("embed", &out[i * COLS + c], &want, 1);
		}
	free(src);
	weight_destroy(w);
	backend_destroy(b);
}
TEST(embed_takes_the_owned_words)
{
	for (int i = 0; i < 6; i++)
		embed(i & 1 ? DT_BF16 : DT_F32, (enum dtype[]){DT_F32, DT_F16, DT_BF16}[i / 2]);
}

TEST(rows_are_copied)
{
	struct backend *b = open_backend(CPU_AUTO, 2, DT_F32);
	float x[5 * 7], out[3 * 7];
	static const int32_t row[] = {4, 0, 2};
	struct tensor in = tensor_of(x, DT_F32, 5, 7), t = tensor_of(out, DT_F32, 3, 7);

	for (int i = 0; i < 35; i++)
		x[i] = (float)i;
	backend_rows(b, &t, &in, row);
	for (int i = 0; i < 21; i++)
		CHECK(out[i] == (float)(row[i / 7] * 7 + i % 7));
	backend_destroy(b);
}

CHECK_MAIN()
