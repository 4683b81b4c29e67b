/* A routed FFN through the plug-in, against float64: the choice of experts, every class of weights, few rows and many,
 * tokens in several shares, experts that all tokens share, owners of its leaves. */
#include "engine/cuda/experts.h"
#include "tests/cuda/device.h"

const struct plugin *xversed_plugin(void);

enum { TOKENS = 160, LEAVES = 8 };

struct moe {
	enum dtype type;
	enum quant quant;
	bool fixed, norm;
	int n, experts, k, hidden, ffn, shared; /* shared: columns of the experts that all tokens share; 0: none */
};

/* Numbers that weights and device hold alike: (experts, rows, cols). */
struct matrix {
	int experts, rows, cols;
	float *w;
	uint8_t *q, *zero;
	uint16_t *scale;
	float *wide; /* of E4M3: a row's */
};

static enum k_type k_type_of(enum dtype t)
{
	return t == DT_F16 ? K_F16 : K_BF16;
}

static struct backend *open_backend(const struct moe *m)
{
	struct cuda_options how = {.compute = m->type,
				   .limits = {.max_seqs = 2, .max_tokens = TOKENS, .max_blocks = 16, .rows = 4},
				   .max_context = 64,
				   .heads = 2,
				   .kv_heads = 2,
				   .head_dim = 64,
				   .fixed = m->fixed,
				   .wait_ns = 60000000000};
	struct backend *b;
	struct why why;

	if (xversed_plugin()->backend_create(&b, &how, &why))
		CHECK_FAIL("%s", why.text);
	return b;
}

/* e4m3 rows have 448 * 2^-12 among them, so that their scale is 2^-12. */
static float number(struct rng *r, const struct moe *m, int col)
{
	if (m->quant == QUANT_FP8)
		return col ? (float)number8((uint8_t)(rng_next(r) % 0x7f), K_KV_FP8) * 0x1p-12f : 448 * 0x1p-12f;
	return up(down(rng_unit(r) * 0.2f, k_type_of(m->type)), k_type_of(m->type));
}

static struct matrix make(const struct moe *m, uint64_t seed, int experts, int rows, int cols)
{
	const bool four = m->quant == QUANT_INT4 || m->quant == QUANT_UINT4,
		   zeros = m->quant == QUANT_UINT4 || m->quant == QUANT_UINT8;
	size_t all = (size_t)experts * (size_t)rows, groups = all * (size_t)div_up(cols, 32);
	struct matrix x = {experts,
			   rows,
			   cols,
			   xalloc(all * (size_t)cols, sizeof(float)),
			   xalloc(all, (size_t)cols),
			   xalloc(groups, 1),
			   xalloc(groups, 2),
			   xalloc(groups, 4)};
	struct rng r = {seed};

	for (size_t g = 0; g < groups; g++) {
		x.zero[g] = (uint8_t)(zeros ? rng_next(&r) % (four ? 16 : 256) : four ? 8 : 128);
		x.scale[g] = f16_from_f32((four ? 0x1p-5f : 0x1p-9f) * (1.5f + rng_unit(&r)));
		x.wide[g] = 0x1p-10f * (2 + (float)(g / (size_t)div_up(cols, 32) % 7));
	}
	for (size_t i = 0; i < all * (size_t)cols; i++) {
		size_t g = i / (size_t)cols * (size_t)div_up(cols, 32) + i % (size_t)cols / 32;
		x.q[i] = (uint8_t)(rng_next(&r) >> 9 & (four ? 15 : 255));
		x.q[i] = m->quant == QUANT_E4M3 && (x.q[i] & 0x7f) == 0x7f ? 0 : x.q[i]; /* NaN */
		x.w[i] = m->quant == QUANT_NONE || m->quant == QUANT_FP8 ? number(&r, m, (int)(i % (size_t)cols))
			 : m->quant == QUANT_E4M3                        ? (float)number8(x.q[i], K_KV_FP8) * x.wide[g]
						  : (float)(x.q[i] - x.zero[g]) * f32_from_f16(x.scale[g]);
		x.w[i] = up(down(x.w[i], k_type_of(m->type)), k_type_of(m->type));
	}
	return x;
}

static void drop(struct matrix *x)
{
	free(x->w), free(x->q), free(x->zero), free(x->scale), free(x->wide);
}

/* Leaves as shard.h cuts an expert's inner axis. */
static struct split leaves_of(int cols, int first, int count)
{
	struct split k = {.n_leaves = LEAVES, .first = first, .count = count};

	for (int j = 0; j < LEAVES; j++)
		k.start[j] = min_int(cols, 32 * (div_up(cols, 32) * j / LEAVES));
	k.start[LEAVES] = cols;
	return k;
}

/* Puts rows [from, from + n) of an expert in a place of their own. */
static void put(struct weight *w, const struct moe *m, const struct matrix *x, int e, int from, int n, int to, int col)
{
	size_t row = (size_t)(e * x->rows + from), groups = (size_t)div_up(x->cols, 32), cols = (size_t)x->cols;
	bool zeros = m->quant == QUANT_UINT4 || m->quant == QUANT_UINT8, e4m3 = m->quant == QUANT_E4M3;
	int at = e * weight_stack_step(w->each) + to;

	if (m->quant == QUANT_NONE || m->quant == QUANT_FP8)
		weight_rows(w, at, n, x->w + row * cols + (m->quant ? 0 : col), cols);
	else
		weight_codes(w, at, n,
			     &(struct weight_codes){.q = x->q + row * cols + col,
						    .ld = cols,
						    .scale = e4m3 ? NULL : x->scale + row * groups + col / 32,
						    .wide = e4m3 ? x->wide + row * groups + col / 32 : NULL,
						    .zero = zeros ? x->zero + row * groups + col / 32 : NULL,
						    .groups = groups});
}

/* The rows of gate, then of up, that belong to columns [c0, c0 + cols) of the inner axis, or of down those columns. */
static struct weight *stack(struct backend *b, const struct moe *m, const struct matrix *x, const struct split *leaves)
{
	struct split whole = split_whole(x->cols);
	struct span own = split_columns(leaves);
	bool down = x->rows == m->hidden && x->cols == leaves->start[LEAVES];
	int each = down ? x->rows : 2 * own.count, half = x->rows / 2;
	struct weight *w;

	if (!each)
		return NULL; /* an empty share */
	w = weight_create_quant(b, x->experts * weight_stack_step(each), down ? own.count : x->cols, DT_F32, m->quant,
				down ? leaves : &whole);

	if (!down)
		weight_pair(w);
	weight_stack(w, x->experts, each);
	for (int e = 0; e < x->experts; e++)
		if (down) {
			put(w, m, x, e, 0, x->rows, 0, own.first);
		} else {
			put(w, m, x, e, own.first, own.count, 0, 0);
			put(w, m, x, e, half + own.first, own.count, own.count, 0);
		}
	return w;
}

struct naive {
	int32_t expert[TOKENS * 8];
	double weight[TOKENS * 9];
};

/* The choice by its definition. */
static void choose(struct naive *c, const struct moe *m, const float *logits, const float *shared)
{
	for (int t = 0; t < m->n; t++) {
		const float *x = logits + t * m->experts;
		double sum = 0, most = -INFINITY;
		bool chosen[1024] = {false};
		int at = 0;
		for (int i = 0; i < m->k; i++) {
			int best = -1;
			for (int e = 0; e < m->experts; e++)
				if (!chosen[e] && (best < 0 || x[e] > x[best]))
					best = e;
			chosen[best] = true;
		}
		for (int e = 0; e < m->experts; e++)
			most = fmax(most, x[e]);
		for (int e = 0; e < m->experts; e++)
			sum += chosen[e] || !m->norm ? exp(x[e] - most) : 0;
		for (int e = 0; e < m->experts; e++)
			if (chosen[e]) {
				c->expert[t * m->k + at] = e;
				c->weight[t * (m->k + 1) + at++] = exp(x[e] - most) / sum;
			}
		c->weight[t * (m->k + 1) + m->k] = shared ? 1 / (1 + exp(-shared[t])) : 1;
	}
}

/* out (hidden) += weight * an expert's output for x; size: what rounding its inner numbers may cost. */
static void expert_of(const struct moe *m, const struct matrix *gate_up, const struct matrix *down_, int e,
		      const uint16_t *x, double weight, double *out, double *size)
{
	const int ffn = down_->cols;

	for (int i = 0; i < ffn; i++) {
		const float *g = gate_up->w + ((size_t)e * 2 * (size_t)ffn + (size_t)i) * (size_t)m->hidden,
			    *u = g + (size_t)ffn * (size_t)m->hidden;
		double gate = 0, upper = 0, inner;
		for (int j = 0; j < m->hidden; j++) {
			gate += (double)up(x[j], k_type_of(m->type)) * g[j];
			upper += (double)up(x[j], k_type_of(m->type)) * u[j];
		}
		inner = gate / (1 + exp(-gate)) * upper;
		for (int j = 0; j < m->hidden; j++) {
			double w = down_->w[((size_t)e * (size_t)m->hidden + (size_t)j) * (size_t)ffn + (size_t)i];
			out[j] += weight * inner * w;
			size[j] += fabs(weight * inner * w);
		}
	}
}

/* What the device has of one rank's part. */
struct result {
	float *out; /* (parts, n, hidden) */
	int parts;
};

static struct result run(struct backend *b, const struct moe *m, const struct matrix x[4], const uint16_t *in,
			 const float *logits, const float *shared, int first, int count, struct naive *got)
{
	struct split own = leaves_of(m->ffn, first, count), all = leaves_of(max_int(1, m->shared), first, count);
	struct expert_weights w = {stack(b, m, &x[0], &own), stack(b, m, &x[1], &own),
				   m->shared ? stack(b, m, &x[2], &all) : NULL,
				   m->shared ? stack(b, m, &x[3], &all) : NULL};
	size_t n = (size_t)m->n, k = (size_t)m->k;
	float *weight = xalloc(n * (k + 1), sizeof *weight);
	struct part parts[SHARD_MAX_PARTS];
	struct result r = {.parts = m->fixed ? split_parts(&own, parts) : 1};
	size_t size = (size_t)r.parts * n * (size_t)m->hidden;
	void *dx = dev_put(in, n * (size_t)m->hidden * 2), *dl = dev_put(logits, n * (size_t)m->experts * 4),
	     *ds = shared ? dev_put(shared, n * 4) : NULL, *d = dev_new(size * 4);
	struct routing to = {m->experts, m->k, m->norm, dev_new(n * k * 4), dev_new(n * (k + 1) * 4)};
	struct tensor tx = tensor_of(dx, m->type, m->n, m->hidden), tl = tensor_of(dl, DT_F32, m->n, m->experts);

	backend_route(b, &to, &tl, ds);
	backend_experts(b, d, &tx, &to, &w);
	backend_sync(b);
	dev_get(got->expert, to.expert, n * k * 4), dev_get(weight, to.weight, n * (k + 1) * 4);
	for (size_t i = 0; i < n * (k + 1); i++)
		got->weight[i] = weight[i];
	r.out = xalloc(size + 1, sizeof *r.out);
	dev_get(r.out, d, size * 4);
	weight_destroy((struct weight *)(uintptr_t)w.gate_up), weight_destroy((struct weight *)(uintptr_t)w.down);
	weight_destroy((struct weight *)(uintptr_t)w.shared_gate_up);
	weight_destroy((struct weight *)(uintptr_t)w.shared_down);
	dev_free(dx), dev_free(dl), dev_free(d), dev_free(to.expert), dev_free(to.weight);
	if (ds)
		dev_free(ds);
	free(weight);
	return r;
}

static void check_routed(const struct moe *m, const struct matrix x[4], const uint16_t *in, const struct naive *c,
			 const struct result *r)
{
	double *want = xalloc((size_t)m->hidden, sizeof *want), *size = xalloc((size_t)m->hidden, sizeof *size);

	for (int t = 0; t < m->n; t++) {
		memset(want, 0, (size_t)m->hidden * sizeof *want), memset(size, 0, (size_t)m->hidden * sizeof *size);
		for (int i = 0; i < m->k; i++)
			expert_of(m, &x[0], &x[1], c->expert[t * m->k + i], in + t * m->hidden,
				  c->weight[t * (m->k + 1) + i], want, size);
		if (m->shared)
			expert_of(m, &x[2], &x[3], 0, in + t * m->hidden, c->weight[t * (m->k + 1) + m->k], want, size);
		for (int j = 0; j < m->hidden; j++) {
			double sum = 0;
			for (int p = 0; p < r->parts; p++)
				sum += r->out[(p * m->n + t) * m->hidden + j];
			CHECK_NEAR(sum, want[j], size[j] * rounding(k_type_of(m->type)) * 1.1 + 1e-5 * (1 + size[j]),
				   "%d tokens, %d experts, class %d: token %d number %d", m->n, m->experts, m->quant, t,
				   j);
		}
	}
	free(want), free(size);
}

/* A routed FFN as a whole; where sums have a fixed order, the same bits from three owners and from few tokens at a
 * time.
 */
static void ffn(struct moe m)
{
	struct rng r = {(uint64_t)(m.n * 31 + m.quant)};
	struct matrix x[4] = {make(&m, 1, m.experts, 2 * m.ffn, m.hidden), make(&m, 2, m.experts, m.hidden, m.ffn),
			      make(&m, 3, 1, 2 * m.shared, m.hidden), make(&m, 4, 1, m.hidden, m.shared)};
	uint16_t *in = random_halves(&r, (size_t)m.n * (size_t)m.hidden, k_type_of(m.type));
	float *logits = random_floats(&r, (size_t)m.n * (size_t)m.experts), *shared = random_floats(&r, (size_t)m.n);
	struct backend *b = open_backend(&m);
	struct naive want, got;
	struct result whole, part;

	for (int i = 0; i < m.experts; i++)
		logits[i] = (float)(i / 2); /* equal ones */
	choose(&want, &m, logits, m.shared ? shared : NULL);
	whole = run(b, &m, x, in, logits, m.shared ? shared : NULL, 0, LEAVES, &got);
	for (int i = 0; i < m.n * m.k; i++)
		CHECK_EQ(got.expert[i], want.expert[i]);
	for (int i = 0; i < m.n * (m.k + 1); i++)
		CHECK_NEAR(got.weight[i], want.weight[i], 1e-6, "weight %d", i);
	check_routed(&m, x, in, &want, &whole);
	for (int few = 0; m.fixed && few < 2; few++) {
		size_t all = (size_t)m.n * (size_t)m.hidden;
		float *sum = xalloc(all, sizeof *sum);
		cuda_of(b)->experts_room = few ? 3 << 12 : 256 << 20;
		for (int o = 0; o < 3; o++) { /* leaves 0 and 1; 2 and 3; the others */
			part = run(b, &m, x, in, logits, m.shared ? shared : NULL, o ? 2 * o : 0, o == 2 ? 4 : 2, &got);
			CHECK_EQ(part.parts, 1);
			for (size_t i = 0; i < all; i++)
				sum[i] = o ? sum[i] + part.out[i] : part.out[i];
			free(part.out);
		}
		for (size_t i = 0; i < all; i++) /* -0 is 0: the sum over ranks adds +0 */
			CHECK(sum[i] == whole.out[i]);
		free(sum);
	}
	for (int i = 0; i < 4; i++)
		drop(&x[i]);
	free(in), free(logits), free(shared), free(whole.out);
	backend_destroy(b);
}

/* Few rows and many, in any order of sums and in a fixed one. */
TEST(routed_ffn_of_every_class)
{
	for (enum quant q = 0; q < QUANT_BLOCKS; q++)
		for (int t = 0; t < 2; t++)
			for (int i = 0; i < 5; i++)
				ffn((struct moe){.type = t ? DT_F16 : DT_BF16,
						 .quant = q,
						 .fixed = i & 1,
						 .norm = i & 1,
						 .n = i == 4  ? 34
						      : i & 2 ? 25
							      : 3,
						 .experts = i == 4 ? 2 : 5,
						 .k = 2,
						 .hidden = 72,
						 .ffn = 64});
}

/* Inner axes of any length, more tiles than a turn, experts that all tokens share. */
TEST(routed_ffn_of_any_shape)
{
	static const struct moe all[] = {
		{.n = 2, .experts = 3, .k = 3, .hidden = 1100, .ffn = 40},
		{.n = 7, .experts = 40, .k = 4, .hidden = 64, .ffn = 43, .shared = 67, .norm = true},
		{.n = 30, .experts = 2, .k = 1, .hidden = 40, .ffn = 544, .shared = 32},
		{.n = 150, .experts = 2, .k = 2, .hidden = 136, .ffn = 70},
		{.n = 1, .experts = 33, .k = 8, .hidden = 96, .ffn = 96, .shared = 288}};

	for (int i = 0; i < 10; i++) {
		struct moe m = all[i / 2];
		m.type = DT_BF16, m.fixed = i & 1;
		ffn(m);
	}
}

/* More than there are threads to order their rows. */
TEST(routed_ffn_of_many_experts)
{
	ffn((struct moe){.type = DT_BF16, .n = 40, .experts = 600, .k = 4, .hidden = 16, .ffn = 16});
}

CHECK_MAIN()
