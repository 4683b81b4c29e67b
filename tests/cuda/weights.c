/* Gate and up are loaded into a pair and multiplied, through the plug-in: any cut of the rows, any number of tokens,
 * several loading threads. */
#include "tests/cuda/pair.h"

enum { ROWS8 = 16 * 17 };

/* In calls of `per` rows, so that some hold rows of gate and of up. */
static struct weight *load(struct backend *b, enum quant quant, const uint16_t *rows, int per)
{
	struct split k = split_whole(COLS);
	struct weight *w = weight_create_quant(b, 2 * FFN, COLS, DT_BF16, quant, &k);

	weight_pair(w);
	for (int at = 0; at < 2 * FFN; at += per)
		weight_rows(w, at, min_int(per, 2 * FFN - at), rows + (size_t)at * COLS, COLS);
	backend_sync(b);
	return w;
}

/* Row i of gate precedes row i of up, with zeros behind each. */
static void check_places(struct backend *b, const struct weight *base, const uint16_t *rows)
{
	const struct cuda_weight *w = (const struct cuda_weight *)base;
	uint16_t *got = xalloc((size_t)(2 * FFN * w->ld), sizeof *got);

	b->ops->download(b, got, w->data, (size_t)(2 * FFN * w->ld) * sizeof *got);
	for (int i = 0; i < 2 * FFN; i++)
		for (int j = 0; j < w->ld; j++)
			CHECK_EQ(got[i * w->ld + j], j < COLS ? rows[(i / 2 + i % 2 * FFN) * COLS + j] : 0);
	free(got);
}

static void gate_and_up(bool fixed)
{
	static const int per[] = {2 * FFN, 33, 1};
	struct rng r = {3};
	uint16_t *rows = random_halves(&r, (size_t)(2 * FFN) * COLS, K_BF16);
	struct backend *b = open_backend(fixed);

	for (int i = 0; i < 3; i++) {
		struct weight *w = load(b, QUANT_NONE, rows, per[i]);
		check_places(b, w, rows);
		check_products(b, w, rows, 1, false);
		check_products(b, w, rows, TOKENS, !fixed); /* by cuBLASLt */
		weight_destroy(w);
	}
	backend_destroy(b);
	free(rows);
}

/* Rows as integers and back, by the contract in engine/backend/backend.h. */
static uint16_t *through_integers(const uint16_t *rows, int n, bool four)
{
	uint16_t *out = xalloc((size_t)n * COLS, sizeof *out);

	for (int i = 0; i < n * COLS; i++) {
		int from = i - i % COLS % 32, to = min_int(from + 32, i - i % COLS + COLS);
		float most = 0, scale, q;
		for (int j = from; j < to; j++)
			if (fabsf(f32_from_bf16(rows[j])) > fabsf(most))
				most = f32_from_bf16(rows[j]);
		scale = f32_from_f16(f16_from_f32(four ? most / -8 : fabsf(most) / 127));
		q = rintf(f32_from_bf16(rows[i]) * (1 / scale));
		out[i] = scale != 0 ? bf16_from_f32(fminf(q, four ? 7 : 127) * scale) : 0;
	}
	return out;
}

/* Sums with biases in f32 and, rounded once or twice, in 16 bits. */
static void biased(struct backend *b, const struct weight *w, const uint16_t *rows, int n, int tokens, bool narrow)
{
	struct rng r = {(uint64_t)(tokens + n)};
	size_t all = (size_t)tokens * (size_t)n, size = narrow ? 2 : 4;
	uint16_t *x = random_halves(&r, (size_t)tokens * COLS, K_BF16);
	float *bias = random_floats(&r, (size_t)n);
	char *got = xalloc(all, size);
	void *dx = dev_put(x, (size_t)tokens * COLS * 2), *db = dev_put(bias, (size_t)n * 4), *d = dev_new(all * size);
	struct tensor in = tensor_of(dx, DT_BF16, tokens, COLS), out = tensor_of(d, DT_BF16, tokens, n);

	if (narrow)
		backend_linear_mid(b, &out, &in, w, db);
	else
		backend_linear(b, d, &in, w, db);
	backend_sync(b);
	dev_get(got, d, all * size);
	for (size_t i = 0; i < all; i++) {
		size_t col = i % (size_t)n;
		double a, sum = dot(x + i / (size_t)n * COLS, rows + col * COLS, &a), want = sum + bias[col];
		CHECK_NEAR(narrow ? f32_from_bf16(((uint16_t *)(void *)got)[i]) : ((float *)(void *)got)[i], want,
			   (narrow ? (fabs(want) + fabs(sum)) * 0x1p-8 * 1.02 : 0) + 2e-6 * (1 + a),
			   "%d tokens: token %zu number %zu", tokens, i / (size_t)n, col);
	}
	dev_free(dx), dev_free(db), dev_free(d);
	free(x), free(bias), free(got);
}

/* By our own kernels and behind those of cuBLASLt. */
TEST(biases_of_products)
{
	struct rng r = {9};
	uint16_t *rows = random_halves(&r, (size_t)(2 * FFN) * COLS, K_BF16);
	float *bias = random_floats(&r, 2 * FFN);
	struct split k = split_whole(COLS);

	for (int fixed = 0; fixed < 2; fixed++) {
		struct backend *b = open_backend(fixed);
		struct weight *pair = load(b, QUANT_NONE, rows, 33), *w = weight_create(b, 2 * FFN, COLS, DT_BF16, &k);
		weight_rows(w, 0, 2 * FFN, rows, COLS);
		backend_sync(b);
		for (int i = 0; i < 3; i++) {
			int tokens = i ? i * TOKENS / 2 : 3;
			check_biased(b, pair, rows, tokens, !fixed && i, bias);
			biased(b, w, rows, 2 * FFN, tokens, true);
			biased(b, w, rows, 2 * FFN, tokens, false);
		}
		weight_destroy(pair), weight_destroy(w);
		backend_destroy(b);
	}
	free(rows), free(bias);
}

/* Integers: few tokens, and for many tokens 16-bit numbers, of all rows at a time or of a part. */
static void integers(enum quant quant, bool fixed, size_t room)
{
	struct rng r = {4};
	uint16_t *rows = random_halves(&r, (size_t)(2 * FFN) * COLS, K_BF16), *meant;
	struct backend *b = open_backend(fixed);
	struct weight *w;

	for (int i = 0; i < 32; i++)
		rows[COLS + i] = 0; /* a group without a scale */
	meant = through_integers(rows, 2 * FFN, quant == QUANT_INT4);
	cuda_of(b)->parts_room = room;
	w = load(b, quant, rows, 33);
	check_products(b, w, meant, 1, false);
	check_products(b, w, meant, 40, false);
	check_products(b, w, meant, TOKENS, !fixed);
	weight_destroy(w);
	backend_destroy(b);
	free(rows), free(meant);
}

TEST(integers_of_gate_and_up)
{
	for (int i = 0; i < 2; i++) {
		enum quant quant = i ? QUANT_INT4 : QUANT_INT8;
		integers(quant, false, 1 << 20);
		integers(quant, false, 2 * 96 * 128);
		integers(quant, true, 1 << 20);
	}
}

/* A group with such a number gives no number in its row, and the other rows theirs. */
static void not_finite(enum quant quant, float bad)
{
	struct rng r = {6};
	uint16_t *rows = random_halves(&r, 3 * COLS, K_BF16), x[COLS];
	struct backend *b = open_backend(false);
	struct split k = split_whole(COLS);
	struct weight *w = weight_create_quant(b, 3, COLS, DT_BF16, quant, &k);
	void *dx, *d = dev_new(3 * sizeof(float));
	struct tensor in;
	float got[3];

	for (int i = 0; i < COLS; i++)
		x[i] = bf16_from_f32(1);
	rows[COLS + 40] = bf16_from_f32(bad);
	weight_rows(w, 0, 3, rows, COLS);
	dx = dev_put(x, sizeof x), in = tensor_of(dx, DT_BF16, 1, COLS);
	backend_linear(b, d, &in, w, NULL);
	backend_sync(b);
	dev_get(got, d, sizeof got);
	CHECK(isfinite(got[0]) && isnan(got[1]) && isfinite(got[2]));
	weight_destroy(w);
	dev_free(dx), dev_free(d);
	backend_destroy(b);
	free(rows);
}

TEST(integers_of_numbers_that_are_not_finite)
{
	for (int i = 0; i < 2; i++) {
		not_finite(i ? QUANT_INT4 : QUANT_INT8, NAN);
		not_finite(i ? QUANT_INT4 : QUANT_INT8, -INFINITY);
	}
}

/* Rows as e4m3 and back. */
static uint16_t *through_fp8(const uint16_t *rows, int n, int cols)
{
	uint16_t *out = xalloc((size_t)(n * cols), sizeof *out);

	for (int i = 0; i < n; i++) {
		double most = 0, scale;
		for (int j = 0; j < cols; j++)
			most = fmax(most, fabsf(f32_from_bf16(rows[i * cols + j])));
		scale = scale_by_definition(most);
		for (int j = 0; j < cols; j++)
			out[i * cols + j] =
				bf16_from_f32((float)(nearest8(f32_from_bf16(rows[i * cols + j]) / scale) * scale));
	}
	return out;
}

/* What activations lose as e4m3: half a step of four bits, of numbers below 1, times weights below 1 at most. */
static void check_e4m3(struct backend *b, const struct weight *w, const uint16_t *meant, int tokens, bool rounded)
{
	struct rng r = {9};
	uint16_t *x = random_halves(&r, (size_t)tokens * COLS, K_BF16), *x8 = through_fp8(x, tokens, COLS);
	const uint16_t *used = rounded ? x8 : x;
	float *got = xalloc((size_t)tokens * ROWS8, sizeof *got);
	uint16_t *half = xalloc((size_t)tokens * ROWS8, sizeof *half);
	void *dx = dev_put(x, (size_t)tokens * COLS * 2), *d = dev_new((size_t)tokens * ROWS8 * 4),
	     *dh = dev_new((size_t)tokens * ROWS8 * 2);
	struct tensor in = tensor_of(dx, DT_BF16, tokens, COLS), mid = tensor_of(dh, DT_BF16, tokens, ROWS8);

	backend_linear(b, d, &in, w, NULL);
	backend_linear_mid(b, &mid, &in, w, NULL);
	backend_sync(b);
	dev_get(got, d, (size_t)tokens * ROWS8 * 4), dev_get(half, dh, (size_t)tokens * ROWS8 * 2);
	for (int t = 0; t < tokens; t++)
		for (int i = 0; i < ROWS8; i++) {
			double size, want = dot(used + t * COLS, meant + i * COLS, &size);
			CHECK_NEAR(got[t * ROWS8 + i], want, 2e-6 * (1 + size), "%d tokens: token %d number %d", tokens,
				   t, i);
			CHECK_NEAR(f32_from_bf16(half[t * ROWS8 + i]), want, 2e-6 * (1 + size) + fabs(want) * 0x1.04p-8,
				   "%d tokens, 16 bits: token %d number %d", tokens, t, i);
		}
	dev_free(dx), dev_free(d), dev_free(dh);
	free(x), free(x8), free(got), free(half);
}

/* Few tokens as they are, many as e4m3; scaled by cuBLASLt, or behind it for all rows at a time or for a part. */
static void e4m3(const char *capability, const char *scales, bool fixed, size_t room)
{
	struct split k = split_whole(COLS);
	struct rng r = {11};
	uint16_t *rows = random_halves(&r, ROWS8 * COLS, K_BF16), *meant;
	struct backend *b;
	struct weight *w;

	setenv("FAKEGPU_CC", capability, 1), setenv("FAKELT_SCALES", scales, 1);
	for (int j = 0; j < COLS; j++)
		rows[j] = 0, rows[COLS + j] = bf16_from_f32(0x1p-40f * f32_from_bf16(rows[COLS + j]));
	meant = through_fp8(rows, ROWS8, COLS);
	b = open_backend(fixed);
	cuda_of(b)->fp8_room = room;
	w = weight_create_quant(b, ROWS8, COLS, DT_BF16, QUANT_FP8, &k);
	for (int at = 0; at < ROWS8; at += 37)
		weight_rows(w, at, min_int(37, ROWS8 - at), rows + at * COLS, COLS);
	backend_sync(b);
	check_e4m3(b, w, meant, 1, false);
	check_e4m3(b, w, meant, 32, false);
	check_e4m3(b, w, meant, 33, !fixed);
	check_e4m3(b, w, meant, 100, !fixed);
	check_e4m3(b, w, meant, TOKENS, !fixed);
	weight_destroy(w);
	backend_destroy(b);
	unsetenv("FAKEGPU_CC"), unsetenv("FAKELT_SCALES");
	free(rows), free(meant);
}

TEST(e4m3_weights)
{
	e4m3("90", "1", false, 32 << 20);
	e4m3("90", "0", false, 32 << 20);
	e4m3("89", "1", false, 4 * 256 * 100); /* 128 or 256 rows, then the rest */
	e4m3("90", "1", true, 32 << 20);
}

/* Each rank's share of an axis has the bytes and scales that one rank has, also where the largest number of a row is
 * another's; a row with an infinity or NaN anywhere has the scale NaN on all. */
TEST(e4m3_of_a_split_axis)
{
	enum { ROWS = 9, LEAVES = 4 };
	struct split k = {.n_leaves = LEAVES, .count = LEAVES, .start = {0, 32, 64, 64, 160}};
	struct rng r = {12};
	uint16_t *rows = random_halves(&r, ROWS * 160, K_BF16);
	struct backend *b = open_backend(false);
	unsigned char all[ROWS * 160], part[ROWS * 160];
	float scale[ROWS], scale2[ROWS];

	rows[3 * 160 + 150] = bf16_from_f32(1e4f), rows[5 * 160 + 2] = 0x7f80, rows[6 * 160 + 159] = 0xffff;
	for (int i = 0; i <= LEAVES; i++) { /* all, then each leaf */
		struct split own = k;
		const struct cuda_weight *w;
		struct weight *base;
		struct span col;
		own.first = i ? i - 1 : 0, own.count = i ? 1 : LEAVES, col = split_columns(&own);
		if (!col.count)
			continue;
		base = weight_create_quant(b, ROWS, col.count, DT_BF16, QUANT_FP8, &own);
		weight_rows(base, 0, ROWS, rows, 160);
		w = (const struct cuda_weight *)base;
		backend_download(b, part, w->data, (size_t)ROWS * w->pitch);
		backend_download(b, scale2, w->scale, sizeof scale2);
		if (!i)
			memcpy(all, part, sizeof all), memcpy(scale, scale2, sizeof scale);
		for (int j = 0; j < ROWS; j++) {
			CHECK(!memcmp(all + j * 160 + col.first, part + (size_t)j * w->pitch, (size_t)col.count));
			CHECK(!memcmp(&scale[j], &scale2[j], sizeof *scale));
			CHECK_EQ(isnan(scale[j]), j == 5 || j == 6);
		}
		weight_destroy(base);
	}
	backend_destroy(b);
	free(rows);
}

/* Rows of gate and of up in turn, with their scales; f32 and f16 rows become the same bytes as the bf16 ones they
 * equal. */
TEST(e4m3_of_gate_and_up)
{
	struct split k = split_whole(COLS);
	struct rng r = {13};
	uint16_t *rows = random_halves(&r, 2 * FFN * COLS, K_BF16), *meant;
	float *wide = xalloc(2 * FFN * COLS, sizeof *wide), got_scale[2 * FFN];
	struct backend *b = open_backend(false);
	struct weight *w = load(b, QUANT_FP8, rows, 33),
		      *w32 = weight_create_quant(b, 2 * FFN, COLS, DT_F32, QUANT_FP8, &k);
	const struct cuda_weight *c = (const struct cuda_weight *)w;
	size_t bytes = 2 * FFN * c->pitch;
	unsigned char *one = xalloc(bytes, 1), *two = xalloc(bytes, 1);

	meant = through_fp8(rows, 2 * FFN, COLS);
	for (int i = 0; i < 2 * FFN * COLS; i++)
		wide[i] = f32_from_bf16(rows[i]);
	weight_pair(w32);
	weight_rows(w32, 0, FFN, wide, COLS), weight_rows(w32, FFN, FFN, wide + FFN * COLS, COLS);
	backend_download(b, one, c->data, bytes), backend_download(b, two, ((struct cuda_weight *)w32)->data, bytes);
	backend_download(b, got_scale, c->scale, sizeof got_scale);
	CHECK(!memcmp(one, two, bytes));
	for (int i = 0; i < 2 * FFN; i++)
		for (int j = 0; j < COLS; j++)
			CHECK_NEAR(number8(one[(size_t)i * c->pitch + (size_t)j], K_KV_FP8) * got_scale[i],
				   f32_from_bf16(meant[(i / 2 + i % 2 * FFN) * COLS + j]), 0, "row %d column %d", i, j);
	check_products(b, w, meant, 1, false);
	check_products(b, w, meant, 32, false);
	weight_destroy(w), weight_destroy(w32);
	backend_destroy(b);
	free(rows), free(meant), free(wide), free(one), free(two);
}

TEST(gate_and_up_across_their_border)
{
	gate_and_up(false);
}

TEST(gate_and_up_in_order)
{
	gate_and_up(true);
}

struct loader {
	pthread_t thread;
	struct backend *b;
	const uint16_t *rows;
	struct weight *w;
	int per;
};

static void *load_rows(void *arg)
{
	struct loader *l = arg;

	for (int at = 0; at < 2 * FFN; at += l->per)
		weight_rows(l->w, at, min_int(l->per, 2 * FFN - at), l->rows + (size_t)at * COLS, COLS);
	return NULL;
}

/* Each call has its own weight, and there are more calls than stages. */
TEST(loaders_at_once)
{
	enum { LOADERS = 4 };
	struct split k = split_whole(COLS);
	struct loader l[LOADERS];
	struct backend *b = open_backend(false);

	for (int i = 0; i < LOADERS; i++) {
		struct rng r = {(uint64_t)i};
		l[i] = (struct loader){
			.b = b, .rows = random_halves(&r, (size_t)(2 * FFN) * COLS, K_BF16), .per = 1 + 2 * i};
		l[i].w = weight_create(b, 2 * FFN, COLS, DT_BF16, &k);
		weight_pair(l[i].w);
	}
	for (int i = 0; i < LOADERS; i++)
		CHECK_EQ(pthread_create(&l[i].thread, NULL, load_rows, &l[i]), 0);
	for (int i = 0; i < LOADERS; i++)
		pthread_join(l[i].thread, NULL);
	backend_sync(b);
	for (int i = 0; i < LOADERS; i++) {
		check_places(b, l[i].w, l[i].rows);
		weight_destroy(l[i].w);
		free((void *)(uintptr_t)l[i].rows);
	}
	backend_destroy(b);
}

struct vector {
	pthread_t thread;
	struct backend *b;
	float *host, *device;
	int n;
};

static void *load_vector(void *arg)
{
	struct vector *v = arg;

	backend_upload(v->b, v->device, v->host, (size_t)v->n * sizeof *v->host);
	return NULL;
}

/* A loader's first call may be a norm. Its thread has no device until then, and the emulated GPU refuses the call. */
TEST(a_vector_is_a_threads_first_call)
{
	enum { LOADERS = 3, N = 1000 };
	struct vector v[LOADERS];
	struct backend *b = open_backend(false);
	struct rng r = {5};
	float got[N];

	for (int i = 0; i < LOADERS; i++) {
		v[i] = (struct vector){.b = b,
				       .n = N - i,
				       .host = random_floats(&r, N),
				       .device = backend_alloc(b, (size_t)(N - i) * sizeof(float))};
		CHECK_EQ(pthread_create(&v[i].thread, NULL, load_vector, &v[i]), 0);
	}
	for (int i = 0; i < LOADERS; i++) {
		pthread_join(v[i].thread, NULL);
		backend_download(b, got, v[i].device, (size_t)v[i].n * sizeof *got);
		CHECK(!memcmp(got, v[i].host, (size_t)v[i].n * sizeof *got));
		backend_free(b, v[i].device, (size_t)v[i].n * sizeof(float));
		free(v[i].host);
	}
	backend_destroy(b);
}

CHECK_MAIN()
