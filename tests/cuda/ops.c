/* The kernels of operations on rows, against float64. */
#include "tests/cuda/device.h"

static void embed(enum k_type type, enum k_class kind, int cols, int rows, int first)
{
	struct rng r = {(uint64_t)cols};
	int32_t ids[] = {
		first, first + rows - 1, first - 1 < 0 ? 0 : first - 1, first + rows, 0, first + 1, first, -1, -2, -3,
		-4,    INT32_MIN};
	int32_t sampled[] = {first + 2, first + rows, first + 1}; /* tokens -1, -2, -3; there is no fourth */
	int ld = (int)round_up((size_t)cols, 32), n = sizeof ids / sizeof *ids, pitch = kind == K_CLASS_16 ? ld : cols;
	size_t bytes = (size_t)ld * 2;
	uint16_t *table = random_halves(&r, (size_t)rows * (size_t)ld, type);
	float *out = xalloc((size_t)n * (size_t)cols, sizeof *out);
	float *scale = xalloc((size_t)rows, sizeof *scale);
	void *rows8 = NULL, *ds = NULL, *dt, *di, *dd = dev_put(sampled, sizeof sampled),
	     *d = dev_new((size_t)n * (size_t)cols * 4);

	table[0] = 0x8000; /* -0 */
	if (kind == K_CLASS_FP8) {
		rows8 = random_fp8(&r, table, scale, rows, cols, type), bytes = (size_t)ld;
		ds = dev_put(scale, (size_t)rows * sizeof *scale);
	} else if (kind != K_CLASS_16) {
		rows8 = random_parts(&r, kind, table, rows, cols, type, &bytes);
	}
	dt = dev_put(rows8 ? rows8 : table, (size_t)rows * bytes);
	di = dev_put(ids, sizeof ids);
	CUDA(k_embed(NULL, type, d, di, dd, 3,
		     (struct k_matrix){.data = dt, .scale = ds, .ld = ld, .first = FIRST_E4M3, .class_ = kind}, n, cols,
		     rows, first));
	dev_get(out, d, (size_t)n * (size_t)cols * 4);
	for (int i = 0; i < n; i++)
		for (int c = 0; c < cols; c++) {
			int at = (ids[i] >= 0 ? ids[i] : ids[i] >= -3 ? sampled[-1 - ids[i]] : -1) - first;
			float want = at >= 0 && at < rows ? up(table[at * pitch + c], type) : 0,
			      got = out[i * cols + c];
			want *= kind == K_CLASS_FP8 && want != 0 ? scale[at] : 1;
			CHECK(got == want && !(want == 0 && signbit(got)));
		}
	dev_free(dt), dev_free(di), dev_free(dd), dev_free(d);
	if (ds)
		dev_free(ds);
	free(table), free(out), free(rows8), free(scale);
}

TEST(embed_rows)
{
	for (int t = 0; t < 2; t++)
		for (enum k_class kind = K_CLASS_16; kind <= K_CLASS_E4M3; kind++) {
			embed(both[t], kind, 64, 5, 3);
			embed(both[t], kind, 2056, 3, 0);
			embed(both[t], kind, 35, 4, 100);
		}
}

/* Row r has numbers of the size 2^(step * r), the last one infinity or NaN. */
static void to_fp8(enum k_type type, int rows, int cols, int step)
{
	struct rng r = {(uint64_t)(cols + rows)};
	int ld = (int)round_up((size_t)cols, 32);
	uint16_t *x = xalloc((size_t)rows * (size_t)cols, sizeof *x);
	unsigned char *out = xalloc((size_t)rows, (size_t)ld);
	float *scale = xalloc((size_t)rows, sizeof *scale);
	void *dx, *d = dev_new((size_t)rows * (size_t)ld), *ds = dev_new((size_t)rows * sizeof *scale);

	for (int i = 0; i < rows * cols; i++)
		x[i] = down(i / cols ? ldexpf(rng_unit(&r) * fabsf(rng_unit(&r)), step * (i / cols - rows / 2)) : 0,
			    type);
	x[rows * cols - 1] = cols & 8 ? 0x7fff : type == K_F16 ? 0xfc00 : 0xff80;
	dx = dev_put(x, (size_t)rows * (size_t)cols * sizeof *x);
	CUDA(k_to_fp8(NULL, type, d, ds, dx, rows, cols, ld));
	dev_get(out, d, (size_t)rows * (size_t)ld);
	dev_get(scale, ds, (size_t)rows * sizeof *scale);
	CHECK(isnan(scale[rows - 1]));
	for (int i = 0; i + 1 < rows; i++) {
		double most = 0;
		for (int c = 0; c < cols; c++)
			most = fmax(most, fabs(up(x[i * cols + c], type)));
		CHECK_NEAR(scale[i], scale_by_definition(most), 0, "scale of row %d of %d columns", i, cols);
		for (int c = 0; c < ld; c++)
			CHECK_NEAR(number8(out[i * ld + c], K_KV_FP8),
				   c < cols ? nearest8(up(x[i * cols + c], type) / scale[i]) : 0, 0,
				   "row %d column %d of %d", i, c, cols);
	}
	dev_free(dx), dev_free(d), dev_free(ds);
	free(x), free(out), free(scale);
}

TEST(activations_as_e4m3)
{
	static const int cols[] = {8, 48, 256, 2056, 4104};

	for (int i = 0; i < 5; i++) {
		to_fp8(K_BF16, 5, cols[i], 30);
		to_fp8(K_F16, 6, cols[i], 3);
	}
}

static void scale_sums(enum k_type type, enum k_form form, int m, int n, int ld, int ldo, bool in_place)
{
	struct rng r = {(uint64_t)(m * n)};
	size_t in = (size_t)(m - 1) * (size_t)ld + (size_t)n, to = (size_t)(m - 1) * (size_t)ldo + (size_t)n;
	size_t size = form == K_OUT_16 ? 2 : 4;
	float *sums = random_floats(&r, in), *row = random_floats(&r, (size_t)m),
	      *column = random_floats(&r, (size_t)n);
	char *out = xalloc(to, size);
	void *di = dev_put(sums, in * 4), *dr = dev_put(row, (size_t)m * 4), *dc = dev_put(column, (size_t)n * 4),
	     *d = in_place ? di : dev_new(to * size);

	CUDA(k_scale(NULL, type, d, form, di, dr, dc, m, n, ld, ldo));
	dev_get(out, d, to * size);
	for (int i = 0; i < m; i++)
		for (int c = 0; c < n; c++) {
			size_t at = (size_t)i * (size_t)ldo + (size_t)c;
			double want = (double)sums[(size_t)i * (size_t)ld + (size_t)c] * row[i] * column[c],
			       got = size == 2 ? up(((uint16_t *)(void *)out)[at], type) : ((float *)(void *)out)[at];
			CHECK_NEAR(got, want,
				   fabs(want) * (rounding(size == 2 ? type : K_F32) * 1.01 + 0x1p-22) + 0x1p-25,
				   "row %d column %d", i, c);
		}
	if (!in_place)
		dev_free(d);
	dev_free(di), dev_free(dr), dev_free(dc);
	free(sums), free(row), free(column), free(out);
}

TEST(sums_and_their_scales)
{
	for (int t = 0; t < 2; t++) {
		scale_sums(both[t], K_OUT_F32, 3, 1040, 1040, 1040, true);
		scale_sums(both[t], K_OUT_F32, 2, 16, 16, 64, false);
		scale_sums(both[t], K_OUT_16, 5, 48, 48, 2064, false);
		scale_sums(both[t], K_OUT_16, 1, 1028, 1028, 1040, false);
	}
}

enum delta { NONE, IN_F32, IN_BF16 };

static void norm(enum k_type type, int rows, int cols, enum delta delta, bool shift, bool bias, bool centred)
{
	struct rng r = {(uint64_t)(cols * 3 + rows)};
	size_t n = (size_t)rows * (size_t)cols, width = type == K_F32 ? 4 : 2;
	float *x = random_floats(&r, n), *d = random_floats(&r, n), *w = random_floats(&r, (size_t)cols),
	      *b = random_floats(&r, (size_t)cols), *add = random_floats(&r, (size_t)cols), *x_out = xalloc(n, 4);
	char *out = xalloc(n, width);
	uint16_t *halves = xalloc(n, 2);
	void *dx = dev_put(x, n * 4), *dd, *dw = dev_put(w, (size_t)cols * 4);
	void *db = bias ? dev_put(b, (size_t)cols * 4) : NULL, *dout = dev_new(n * width);
	void *ds = shift ? dev_put(add, (size_t)cols * 4) : NULL;

	for (size_t i = 0; i < n && delta == IN_BF16; i++)
		halves[i] = bf16_from_f32(d[i]), d[i] = f32_from_bf16(halves[i]);
	dd = delta == NONE ? NULL : delta == IN_F32 ? dev_put(d, n * 4) : dev_put(halves, n * 2);
	CUDA(k_add_norm(NULL, type, dout, dx, dd, delta == IN_BF16 ? K_BF16 : K_F32, ds, dw, db, centred, 1e-5f, rows,
			cols));
	dev_get(out, dout, n * width);
	dev_get(x_out, dx, n * 4);
	for (int i = 0; i < rows; i++) {
		double sum = 0, mean = 0, k;
		for (int c = 0; c < cols; c++) {
			size_t at = (size_t)i * (size_t)cols + (size_t)c;
			x[at] += delta == NONE ? 0 : shift ? d[at] + add[c] : d[at];
			CHECK(x[at] == x_out[at]);
			mean += centred ? (double)x[at] / cols : 0;
		}
		for (int c = 0; c < cols; c++)
			sum += pow(x[i * cols + c] - mean, 2);
		k = 1 / sqrt(sum / cols + 1e-5);
		for (int c = 0; c < cols; c++) {
			size_t at = (size_t)i * (size_t)cols + (size_t)c;
			double want = (x[at] - mean) * k * w[c] + (bias ? b[c] : 0);
			double got =
				type == K_F32 ? (double)((float *)out)[at] : (double)up(((uint16_t *)out)[at], type);
			CHECK_NEAR(got, want, fabs(want) * (rounding(type) * 1.01 + 1e-6) + 1e-6,
				   "cols %d row %d col %d", cols, i, c);
		}
	}
	dev_free(dx), dev_free(dd), dev_free(dw), dev_free(db), dev_free(ds), dev_free(dout);
	free(x), free(d), free(w), free(b), free(add), free(x_out), free(out), free(halves);
}

TEST(norms)
{
	static const int cols[] = {4, 64, 288, 2048, 2052, 5120, 8192, 8196, 35, 1001};
	static const enum k_type types[] = {K_BF16, K_F16, K_F32};

	for (int i = 0; i < 10; i++)
		for (int j = 0; j < 4; j++)
			norm(types[(i + j) % 3], 1 + i % 3, cols[i],
			     j % 2 == 0      ? NONE
			     : i % 2 ^ j / 2 ? IN_BF16
					     : IN_F32,
			     j % 2 && (i + j) % 3, j & 2, j == 3);
}

static void add(int rows, int cols, enum delta delta, bool shift)
{
	struct rng r = {(uint64_t)(cols * 5 + rows)};
	size_t n = (size_t)rows * (size_t)cols;
	float *x = random_floats(&r, n), *d = random_floats(&r, n), *by = random_floats(&r, (size_t)cols),
	      *out = xalloc(n, 4);
	uint16_t *halves = xalloc(n, 2);
	void *dx = dev_put(x, n * 4), *dd, *ds = shift ? dev_put(by, (size_t)cols * 4) : NULL;

	for (size_t i = 0; i < n && delta == IN_BF16; i++)
		halves[i] = bf16_from_f32(d[i]), d[i] = f32_from_bf16(halves[i]);
	dd = delta == IN_F32 ? dev_put(d, n * 4) : dev_put(halves, n * 2);
	CUDA(k_add(NULL, dx, dd, delta == IN_BF16 ? K_BF16 : K_F32, ds, rows, cols));
	dev_get(out, dx, n * 4);
	for (size_t i = 0; i < n; i++)
		CHECK(out[i] == x[i] + (shift ? d[i] + by[i % (size_t)cols] : d[i]));
	dev_free(dx), dev_free(dd), dev_free(ds);
	free(x), free(d), free(by), free(out), free(halves);
}

TEST(sums_of_rows)
{
	static const int cols[] = {4, 35, 1024, 1028, 2050};

	for (int i = 0; i < 10; i++)
		add(1 + i % 3, cols[i / 2], i & 1 ? IN_F32 : IN_BF16, i % 3);
}

static void head_norm(enum k_type type, int heads, int kv_heads, int dim)
{
	enum { TOKENS = 3 };
	struct rng r = {(uint64_t)(heads * 7 + dim)};
	int all = heads + 2 * kv_heads;
	size_t n = (size_t)(TOKENS * all * dim);
	uint16_t *x = random_halves(&r, n, type), *out = xalloc(n, 2);
	float *q = random_floats(&r, (size_t)dim), *k = random_floats(&r, (size_t)dim);
	void *d = dev_put(x, n * 2), *dq = dev_put(q, (size_t)dim * 4), *dk = dev_put(k, (size_t)dim * 4);

	CUDA(k_head_norm(NULL, type, d, dq, dk, 1e-3f, heads, kv_heads, dim, TOKENS));
	dev_get(out, d, n * 2);
	for (int i = 0; i < TOKENS * all; i++) {
		const float *w = i % all < heads ? q : k;
		double sum = 0;
		for (int c = 0; c < dim; c++)
			sum += pow(up(x[i * dim + c], type), 2);
		for (int c = 0; c < dim; c++) {
			double v = up(x[i * dim + c], type), want = v / sqrt(sum / dim + 1e-3) * w[c];
			if (i % all >= heads + kv_heads) /* v stays */
				CHECK_EQ(out[i * dim + c], x[i * dim + c]);
			else
				CHECK_NEAR(up(out[i * dim + c], type), want,
					   fabs(want) * (rounding(type) * 1.01 + 1e-6) + 1e-6,
					   "dim %d head %d of %d: %d", dim, i, all, c);
		}
	}
	dev_free(d), dev_free(dq), dev_free(dk);
	free(x), free(out), free(q), free(k);
}

TEST(norms_of_heads)
{
	static const int dim[] = {64, 80, 96, 128, 256, 100, 8};

	for (int i = 0; i < 14; i++)
		head_norm(both[i & 1], 1 + 5 * (i % 4), 1 + i % 3, dim[i / 2]);
}

struct store {
	enum k_type type;
	enum k_kv kv;
	int heads, kv_heads, dim, n_rot, tokens, positions, blocks;
	uint16_t *qkv;
	float *cos, *sin;
	int32_t *pos, *slot;
};

static float rotated(const struct store *s, const uint16_t *head, int pos, int d)
{
	int half = s->n_rot / 2, i = d % max_int(1, half);
	double c, sn;

	if (d >= s->n_rot)
		return up(head[d], s->type);
	c = s->cos[pos * half + i], sn = s->sin[pos * half + i];
	return (float)(d < half ? up(head[d], s->type) * c - up(head[d + half], s->type) * sn
				: up(head[d], s->type) * c + up(head[d - half], s->type) * sn);
}

static double wanted(const struct store *s, int t, int h, int d)
{
	size_t width = (size_t)(s->heads + 2 * s->kv_heads) * (size_t)s->dim;
	const uint16_t *head = s->qkv + (size_t)t * width + (size_t)(h * s->dim);

	return h >= s->heads + s->kv_heads ? up(head[d], s->type) : rotated(s, head, s->pos[t], d);
}

/* Half a step of what the cache holds, given the head's largest number. */
static double half_step(const struct store *s, double value, double top)
{
	double scale = top / largest8(s->kv);
	int e;

	if (s->kv == K_KV_16)
		return fabs(value) * rounding(s->type) * 1.01 + 1e-6;
	if (s->kv == K_KV_INT8)
		return scale * 0.5001 + 1e-7;
	frexp(fmax(fabs(value / scale), 0x1p-6),
	      &e); /* the next power of two: a step is 2^-4 of it, 2^-9 below the normal ones */
	return scale * ldexp(0.5001, e - 4) + 1e-7;
}

static void check_cache(const struct store *s, const unsigned char *pool, int t, int h)
{
	size_t head_bytes = (size_t)K_HEAD_BYTES(s->dim, s->kv != K_KV_16), block = (size_t)(s->slot[t] / KV_BLOCK);
	const unsigned char *head = pool + (block * 2 * (size_t)s->kv_heads + (size_t)(h - s->heads)) * head_bytes;
	double top = 0;

	for (int d = 0; d < s->dim; d++)
		top = fmax(top, fabs(wanted(s, t, h, d)));
	for (int d = 0; d < s->dim; d++)
		CHECK_NEAR(cached(head, s->kv, s->type, s->dim, s->slot[t] % KV_BLOCK, d), wanted(s, t, h, d),
			   half_step(s, wanted(s, t, h, d), top), "kv %d dim %d: cache %d %d %d", s->kv, s->dim, t, h,
			   d);
}

static void check_store(const struct store *s, const uint16_t *qkv, const unsigned char *pool)
{
	size_t width = (size_t)(s->heads + 2 * s->kv_heads) * (size_t)s->dim;

	for (int t = 0; t < s->tokens; t++)
		for (int h = 0; h < s->heads + 2 * s->kv_heads; h++) {
			for (int d = 0; h < s->heads && d < s->dim; d++)
				CHECK_NEAR(up(qkv[(size_t)t * width + (size_t)(h * s->dim + d)], s->type),
					   wanted(s, t, h, d),
					   fabs(wanted(s, t, h, d)) * rounding(s->type) * 1.01 + 1e-6, "q %d %d %d", t,
					   h, d);
			if (h >= s->heads && s->slot[t] >= 0)
				check_cache(s, pool, t, h);
		}
}

static void store(enum k_type type, enum k_kv kv, int heads, int kv_heads, int dim, int n_rot)
{
	struct store s = {type, kv, heads, kv_heads, dim, n_rot, 9, 50, 4, NULL, NULL, NULL, NULL, NULL};
	struct rng r = {(uint64_t)(heads + dim)};
	size_t width = (size_t)((heads + 2 * kv_heads) * dim), n = (size_t)s.tokens * width,
	       table = (size_t)(s.positions * max_int(n_rot / 2, 1));
	size_t pool = (size_t)(s.blocks * 2 * kv_heads * K_HEAD_BYTES(dim, kv != K_KV_16));
	unsigned char *cache = xalloc(pool, 1);
	uint16_t *qkv = xalloc(n, 2);
	int32_t pos[9] = {0, 49, 7, 8, 31, 32, 3, 3, 48}, slot[9] = {0, 127, 33, -1, 31, 32, 64, 95, 1};
	void *dq, *dc, *ds, *dp, *dl, *dk = dev_new(pool);

	s.qkv = random_halves(&r, n, type), s.cos = random_floats(&r, table), s.sin = random_floats(&r, table);
	memset(s.qkv + width + (size_t)(heads * dim), 0,
	       (size_t)(2 * kv_heads * dim) * 2);                              /* a token whose K and V are zero */
	for (size_t i = 2 * width + (size_t)(heads * dim); i < 3 * width; i++) /* one of many sizes */
		s.qkv[i] = down(up(s.qkv[i], type) * exp2f((float)(rng_next(&r) % 20) - 16), type);
	s.pos = pos, s.slot = slot;
	dq = dev_put(s.qkv, n * 2), dc = dev_put(s.cos, table * 4), ds = dev_put(s.sin, table * 4);
	dp = dev_put(pos, sizeof pos), dl = dev_put(slot, sizeof slot);
	CUDA(k_rope_store(NULL, type, dq, (struct k_cache){dk, kv_heads, dim, kv, 0}, heads, n_rot ? dc : NULL, ds,
			  n_rot, dp, dl, s.tokens));
	dev_get(qkv, dq, n * 2);
	dev_get(cache, dk, pool);
	check_store(&s, qkv, cache);
	dev_free(dq), dev_free(dc), dev_free(ds), dev_free(dp), dev_free(dl), dev_free(dk);
	free(s.qkv), free(s.cos), free(s.sin), free(cache), free(qkv);
}

TEST(rope_and_store)
{
	for (int i = 0; i < 6; i++) {
		enum k_kv kv = K_KV_16 + i / 2;
		store(both[i & 1], kv, 3, 3, 128, 128);
		store(both[i & 1], kv, 4, 2, 64, 64);
		store(both[i & 1], kv, 5, 1, 64, 32);
		store(both[i & 1], kv, 2, 2, 128, 0);
		store(both[i & 1], kv, 21, 4, 128, 128); /* more than a block has threads */
		store(both[i & 1], kv, 3, 3, 80, 20);
		store(both[i & 1], kv, 3, 2, 80, 80);
		store(both[i & 1], kv, 19, 2, 96, 24);
		store(both[i & 1], kv, 2, 2, 256, 64);
		store(both[i & 1], kv, 2, 1, 256, 250);
		store(both[i & 1], kv, 3, 3, 64, 2);
		store(both[i & 1], kv, 3, 2, 100, 100);
		store(both[i & 1], kv, 5, 1, 72, 32);
		store(both[i & 1], kv, 2, 2, 22, 0);
	}
}

static void silu(enum k_type type, int rows, int ffn, bool bias)
{
	struct rng r = {(uint64_t)ffn};
	size_t n = (size_t)rows * (size_t)ffn;
	uint16_t *gu = random_halves(&r, 2 * n, type), *out = xalloc(n, 2);
	float *b = random_floats(&r, 2 * (size_t)ffn);
	void *d, *dout = dev_new(n * 2), *db = bias ? dev_put(b, 2 * (size_t)ffn * 4) : NULL;

	for (size_t i = 0; i < 2 * n; i++)
		gu[i] = down(20 * up(gu[i], type), type);
	gu[0] = down(-200, type), gu[2] = down(150, type); /* far out: no NaN */
	d = dev_put(gu, n * 4);
	CUDA(k_silu_mul(NULL, type, dout, d, db, rows, ffn));
	dev_get(out, dout, n * 2);
	for (int i = 0; i < rows; i++)
		for (int c = 0; c < ffn; c++) {
			size_t at = 2 * ((size_t)i * (size_t)ffn + (size_t)c);
			double g = up(gu[at], type) + (bias ? b[c] : 0),
			       u = up(gu[at + 1], type) + (bias ? b[ffn + c] : 0);
			double want = g / (1 + exp(-g)) * u;
			CHECK_NEAR(up(out[(size_t)i * (size_t)ffn + (size_t)c], type), want,
				   fabs(want) * (rounding(type) * 1.01 + 2e-6) + 2e-6, "ffn %d row %d col %d", ffn, i,
				   c);
		}
	dev_free(d), dev_free(dout), dev_free(db);
	free(gu), free(out), free(b);
}

TEST(silu_and_product)
{
	static const int ffn[] = {4, 64, 1000, 1024, 1028, 2500, 3, 43, 257};

	for (int i = 0; i < 9; i++)
		silu(both[i & 1], 1 + i % 3, ffn[i], i % 4 > 1);
	silu(K_F16, 2, 40, true), silu(K_BF16, 2, 43, true);
}

/* Over all sizes of numbers, zero and an infinity among them. */
static void activate(enum k_type type, enum k_activation kind, int n)
{
	uint16_t *x = xalloc((size_t)n, 2), *out = xalloc((size_t)n, 2);
	void *d, *dout = dev_new((size_t)n * 2);

	for (int i = 0; i < n; i++)
		x[i] = down(i == 1 ? INFINITY : (float)(i & 1 ? 1 : -1) * ldexpf((float)i / (float)n, i % 9), type);
	d = dev_put(x, (size_t)n * 2);
	CUDA(k_activate(NULL, type, dout, d, kind, (size_t)n));
	dev_get(out, dout, (size_t)n * 2);
	for (int i = 0; i < n; i++) {
		double v = up(x[i], type), inner = sqrt(2 / M_PI) * (v + 0.044715 * v * v * v),
		       want = kind == K_RELU   ? fmax(v, 0)
			      : kind == K_GELU ? v * erfc(-v / sqrt(2)) / 2
					       : v / 2 * (1 + tanh(inner));
		if (i == 1)
			CHECK(!isfinite(up(out[i], type)));
		else
			CHECK_NEAR(up(out[i], type), want, fabs(want) * rounding(type) * 1.01 + 2e-6,
				   "kind %d number %d: of %g", kind, i, v);
	}
	dev_free(d), dev_free(dout);
	free(x), free(out);
}

TEST(activations)
{
	for (int i = 0; i < 6; i++) {
		activate(both[i & 1], K_RELU + i / 2, 5000);
		activate(both[i & 1], K_RELU + i / 2, 4099);
		activate(both[i & 1], K_RELU + i / 2, 7);
	}
}

static void bias(enum k_type type, enum k_form form, int m, int n)
{
	struct rng r = {(uint64_t)(m * n)};
	size_t all = (size_t)m * (size_t)n, size = form == K_OUT_16 ? 2 : 4;
	float *sums = random_floats(&r, all), *b = random_floats(&r, (size_t)n);
	uint16_t *halves = random_halves(&r, all, type);
	char *out = xalloc(all, size);
	void *d = dev_put(form == K_OUT_16 ? (void *)halves : sums, all * size), *db = dev_put(b, (size_t)n * 4);

	CUDA(k_add_bias(NULL, type, d, form, db, m, n));
	dev_get(out, d, all * size);
	for (size_t i = 0; i < all; i++) {
		float by = b[i % (size_t)n];
		if (form == K_OUT_16)
			CHECK_EQ(((uint16_t *)(void *)out)[i], down(up(halves[i], type) + by, type));
		else
			CHECK(((float *)(void *)out)[i] == sums[i] + by);
	}
	dev_free(d), dev_free(db);
	free(sums), free(b), free(halves), free(out);
}

TEST(biases_of_rows)
{
	static const int n[] = {8, 2056, 1001, 3};

	for (int i = 0; i < 16; i++)
		bias(both[i & 1], i & 2 ? K_OUT_16 : K_OUT_F32, 1 + i % 3, n[i / 4]);
}

TEST(chosen_rows)
{
	static const int bytes[] = {16, 1024, 20480, 2, 70, 1030};
	int32_t row[5] = {4, 0, 2, 2, 6};

	for (int b = 0; b < 6; b++) {
		size_t n = (size_t)bytes[b];
		unsigned char *x = xalloc(7, n), *out = xalloc(5, n);
		void *dx, *dr = dev_put(row, sizeof row), *d = dev_new(5 * n);
		for (size_t i = 0; i < 7 * n; i++)
			x[i] = (unsigned char)(i * 7 + i / n);
		dx = dev_put(x, 7 * n);
		CUDA(k_rows(NULL, d, dx, dr, 5, bytes[b]));
		dev_get(out, d, 5 * n);
		for (int i = 0; i < 5; i++)
			CHECK(!memcmp(out + (size_t)i * n, x + (size_t)row[i] * n, n));
		dev_free(dx), dev_free(dr), dev_free(d);
		free(x), free(out);
	}
}

TEST(tree_of_partials)
{
	struct rng r = {9};
	struct k_tree t = {.count = 5, .merges = {0, 1, 0, 1, 2}}; /* ((0+1)+((2+3)+4))? order below */
	float *in[5], *out = xalloc(5000, 4);
	void *d = dev_new(5000 * 4);

	for (int i = 0; i < 5; i++) {
		in[i] = random_floats(&r, 5000);
		in[i][7] = -0.0f;
		t.data[i] = dev_put(in[i], 5000 * 4);
	}
	CUDA(k_tree_sum(NULL, d, t, 5000));
	dev_get(out, d, 5000 * 4);
	for (int i = 0; i < 5000; i++) {
		float a = in[0][i] + in[1][i], b = in[2][i] + in[3][i];
		CHECK(out[i] == a + (b + in[4][i]) + 0.0f);
	}
	CHECK(!signbit(out[7]));
	for (int i = 0; i < 5; i++)
		dev_free((void *)t.data[i]), free(in[i]);
	dev_free(d);
	free(out);
}

/* The largest step that the options allow, captured only: no launch has more blocks on an axis than a device takes. */
TEST(launches_of_the_largest_step)
{
	enum { N = 1 << 16, SEQS = 4096, HEADS = 64, DIM = 64 };
	void *p = dev_new(16);
	struct k_cache cache = {p, HEADS, DIM, K_KV_16, 0};
	struct attn_args a = {.qkv = p, .out = p, .cache = cache, .heads = HEADS, .n_runs = HEADS, .scale = 1};
	struct k_tree tree = {.count = 1, .data = {p}};
	cudaStream_t s;
	cudaGraph_t graph;

	CUDA(k_linear_init());
	CUDA(k_attention_init());
	CUDA(cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking));
	CUDA(cudaStreamBeginCapture(s, cudaStreamCaptureModeThreadLocal));
	for (int int8 = 0; int8 < 2; int8++) {
		struct k_matrix w = matrix_of(int8 ? K_CLASS_INT8 : K_CLASS_16, p, DIM);
		CUDA(k_embed(s, K_BF16, p, p, NULL, 0, w, N, DIM, 1 << 20, 0));
		CUDA(k_linear_fixed(s, K_BF16, p, K_OUT_F32, p, w, NULL, p, 1, N, 1 << 20, DIM));
		CUDA(k_add_norm(s, K_BF16, p, p, p, K_F32, NULL, p, NULL, false, 1e-6f, N, int8 ? DIM : DIM + 2));
		CUDA(k_add(s, p, p, K_F32, NULL, N, int8 ? 1 << 16 : (1 << 16) + 1));
		CUDA(k_silu_mul(s, K_BF16, p, p, NULL, N, int8 ? 1 << 16 : (1 << 16) + 1));
		CUDA(k_add_bias(s, K_BF16, p, K_OUT_16, p, N, int8 ? 1 << 16 : (1 << 16) + 1));
		cache.kv = int8 ? K_KV_INT8 : K_KV_16;
		CUDA(k_rope_store(s, K_BF16, p, cache, HEADS, p, p, DIM, p, p, N));
	}
	CUDA(k_rows(s, p, p, p, N, DIM));
	CUDA(k_activate(s, K_BF16, p, p, K_GELU, (size_t)N << 17));
	CUDA(k_head_norm(s, K_BF16, p, p, p, 1e-6f, HEADS, HEADS, 256, N));
	CUDA(k_attention_decode(s, K_BF16, a, p, 2 * N, 1));
	CUDA(k_attention_prefill(s, K_BF16, a, p, N / ATTN_TILE + SEQS));
	a.cache.dim = 256;
	CUDA(k_attention_prefill(s, K_BF16, a, p, N / ATTN_TILE + SEQS));
	CUDA(k_expand(s, K_BF16, p, matrix_of(K_CLASS_INT8, p, DIM), 1 << 20));
	CUDA(k_tree_sum(s, p, tree, (size_t)N * 8192));
	CUDA(cudaStreamEndCapture(s, &graph));
	CUDA(cudaGraphDestroy(graph));
	CUDA(cudaStreamDestroy(s));
	dev_free(p);
}

CHECK_MAIN()
