/* Gate and up are loaded into a pair and multiplied, through the plug-in: any cut of the rows, any number of tokens,
 * several loading threads. */
#include "engine/cuda/cuda.h"
#include "tests/cuda/device.h"

const struct plugin *xversed_plugin(void);

enum { FFN = 70, COLS = 88, TOKENS = 140 };

static struct backend *open_backend(bool fixed)
{
	struct cuda_options how = {.compute = DT_BF16,
				   .limits = {.max_seqs = 2, .max_tokens = TOKENS, .max_blocks = 16, .rows = 4},
				   .max_context = 64,
				   .heads = 2,
				   .kv_heads = 2,
				   .head_dim = 64,
				   .fixed = fixed,
				   .wait_ns = 60000000000};
	struct backend *b;
	struct why why;

	if (xversed_plugin()->backend_create(&b, &how, &why))
		CHECK_FAIL("%s", why.text);
	return b;
}

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

static double dot(const uint16_t *x, const uint16_t *w, double *size)
{
	double s = 0;

	*size = 0;
	for (int j = 0; j < COLS; j++) {
		double p = (double)f32_from_bf16(x[j]) * (double)f32_from_bf16(w[j]);
		s += p, *size += fabs(p);
	}
	return s;
}

/* `stored`: gate and up pass through 16 bits. */
static void check_products(struct backend *b, const struct weight *w, const uint16_t *rows, int tokens, bool stored)
{
	struct rng r = {7};
	uint16_t *x = random_halves(&r, (size_t)tokens * COLS, K_BF16), got[TOKENS * FFN];
	void *dx = dev_put(x, (size_t)tokens * COLS * 2), *dout = dev_new(sizeof got), *room = dev_new(2 * sizeof got);
	struct tensor in = tensor_of(dx, DT_BF16, tokens, COLS), out = tensor_of(dout, DT_BF16, tokens, FFN),
		      gate_up = tensor_of(room, DT_BF16, tokens, 2 * FFN);

	out = backend_linear_silu_mul(b, &out, &gate_up, &in, w, NULL);
	backend_sync(b);
	dev_get(got, out.data, (size_t)tokens * FFN * 2);
	for (int t = 0; t < tokens; t++)
		for (int i = 0; i < FFN; i++) {
			double a, c, g = dot(x + t * COLS, rows + i * COLS, &a),
				     u = dot(x + t * COLS, rows + (FFN + i) * COLS, &c);
			double want = g / (1 + exp(-g)) * u,
			       bound = fabs(want) * 0x1p-8 * 1.02 + 2e-6 * (1 + a) * (1 + c);
			CHECK_NEAR(f32_from_bf16(got[t * FFN + i]), want,
				   bound + (stored ? 0x1p-7 * (1 + fabs(g)) * (1 + fabs(u)) : 0),
				   "%d tokens: token %d number %d", tokens, t, i);
		}
	dev_free(dx), dev_free(dout), dev_free(room);
	free(x);
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
static uint16_t *through_int8(const uint16_t *rows, int n)
{
	uint16_t *out = xalloc((size_t)n * COLS, sizeof *out);

	for (int i = 0; i < n * COLS; i++) {
		int from = i - i % COLS % 32, to = min_int(from + 32, i - i % COLS + COLS);
		float most = 0, scale;
		for (int j = from; j < to; j++)
			most = fmaxf(most, fabsf(f32_from_bf16(rows[j])));
		scale = f32_from_f16(f16_from_f32(most / 127));
		out[i] = scale != 0 ? bf16_from_f32(rintf(f32_from_bf16(rows[i]) * (1 / scale)) * scale) : 0;
	}
	return out;
}

/* Integers: few tokens, and for many tokens 16-bit numbers, of all rows at a time or of a part. */
static void integers(bool fixed, size_t room)
{
	struct rng r = {4};
	uint16_t *rows = random_halves(&r, (size_t)(2 * FFN) * COLS, K_BF16), *meant;
	struct backend *b = open_backend(fixed);
	struct weight *w;

	for (int i = 0; i < 32; i++)
		rows[COLS + i] = 0; /* a group without a scale */
	meant = through_int8(rows, 2 * FFN);
	cuda_of(b)->int8_room = room;
	w = load(b, QUANT_INT8, rows, 33);
	check_products(b, w, meant, 1, false);
	check_products(b, w, meant, 40, false);
	check_products(b, w, meant, TOKENS, !fixed);
	weight_destroy(w);
	backend_destroy(b);
	free(rows), free(meant);
}

TEST(integers_of_gate_and_up)
{
	integers(false, 1 << 20);
	integers(false, 2 * 96 * 128);
	integers(true, 1 << 20);
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
