/* layer.c - each kernel of a layer by itself, as nodes of a CUDA graph. Products use the weights of several layers in
 * turn, so that none stays in L2. */
#include "engine/models/rope.h"
#include "tests/gpu/bench.h"

#include <math.h>

enum { COLD = 8 };

/* Measures fn, and again without overlap where it may overlap. */
static void both_ways(struct bench *t, const char *name, bench_call *fn, void *arg, double amount, double ceiling,
		      const char *unit)
{
	char plain[170];

	bench_line(t, name, bench_nodes(t, fn, arg), amount, ceiling, unit);
	if (t->profile >= 0 || !t->can_overlap)
		return;
	bench_overlap(t, false);
	snprintf(plain, sizeof plain, "%s, one by one", name);
	bench_line(t, plain, bench_nodes(t, fn, arg), amount, ceiling, unit);
	bench_overlap(t, true);
}

/* ---- products ---- */
struct product {
	struct weight *w[COLD];
	struct tensor x, between, out;
	bool gated;
};

static void multiply(struct bench *t, int i, void *arg)
{
	struct product *p = arg;

	if (p->gated)
		backend_linear_silu_mul(t->b, &p->out, &p->between, &p->x, p->w[i % COLD], NULL);
	else
		backend_linear(t->b, p->out.data, &p->x, p->w[i % COLD], NULL);
}

struct matrix {
	const char *name;
	int n, k;
	bool gated; /* gate and up, with silu */
};

static void measure_product(struct bench *t, const struct matrix *m, enum quant quant, struct product *p, int rows)
{
	static const double number[] = {2, 1 + 2.0 / 32, 0.5 + 2.0 / 32, 1}; /* bytes, by enum quant */
	double numbers = (double)m->n * m->k, flop = 2 * numbers * rows,
	       bytes = number[quant] * numbers + 2.0 * rows * m->k + (m->gated ? 1.0 : 4.0) * rows * m->n;
	char name[120];

	p->x.rows = p->between.rows = p->out.rows = rows;
	snprintf(name, sizeof name, "linear %s%s%s %d x %d, %d rows", m->name, quant ? " " : "",
		 quant ? quant_name(quant) : "", m->n, m->k, rows);
	if (rows <= 32)
		both_ways(t, name, multiply, p, bytes, t->read, "GB/s");
	else
		bench_line(t, name, bench_nodes(t, multiply, p), flop, t->flops, "GFLOP/s");
}

/* One matrix at several row counts; rows ends with 0. */
static void products_of(struct bench *t, const struct matrix *m, enum quant quant, const int *rows)
{
	size_t most = (size_t)t->lim.max_tokens, x = most * (size_t)m->k * 2, out = most * (size_t)m->n * 4;
	struct product p = {.gated = m->gated};

	bench_weights(t, p.w, COLD, m->n, m->k, quant, m->gated);
	p.x = tensor_of(bench_random(t, x), DT_BF16, 0, m->k);
	p.out = tensor_of(backend_alloc(t->b, out), m->gated ? DT_BF16 : DT_F32, 0, m->gated ? m->n / 2 : m->n);
	p.between = tensor_of(m->gated ? backend_alloc(t->b, out) : NULL, DT_BF16, 0, m->n);
	for (; *rows && *rows <= t->lim.max_tokens; rows++)
		measure_product(t, m, quant, &p, *rows);
	for (int i = 0; i < COLD; i++)
		weight_destroy(p.w[i]);
	backend_free(t->b, p.x.data, x), backend_free(t->b, p.out.data, out);
	backend_free(t->b, p.between.data, out);
}

static struct matrix matrix(struct bench *t, int i)
{
	int h = t->cfg.hidden, f = t->cfg.ffn;

	return ((struct matrix[]){{"qkv", 3 * h, h, false},
				  {"o", h, h, false},
				  {"gate and up with silu", 2 * f, h, true},
				  {"down", h, f, false},
				  {"head", t->cfg.vocab, h, false}})[i];
}

static void products(struct bench *t, enum quant quant)
{
	static const int rows[2][14] = {{1, 8, 16, 32, 64, 128, 512, 2048, 4096}, {1, 8, 32, 64, 128, 512, 4096}},
			 few[] = {1, 64, 0}, head_rows[] = {1, 32, 0};

	for (int i = 0; i < 4; i += t->how.tiny && quant ? 3 : 1) {
		struct matrix m = matrix(t, i);
		products_of(t, &m, quant, t->how.tiny ? few : rows[quant != QUANT_NONE]);
	}
	if (quant == QUANT_NONE) {
		struct matrix m = matrix(t, 4);
		products_of(t, &m, quant, t->how.tiny ? few : head_rows);
	}
}

/* ---- attention and the rotation before it ---- */
struct attn {
	struct tensor qkv, out;
	struct attn_shape shape;
	struct rope rope;
	const struct step *s;
};

static void attend(struct bench *t, int i, void *arg)
{
	struct attn *a = arg;

	backend_attention(t->b, &a->out, &a->qkv, &a->shape, t->kv.pool[i % t->kv.n_layers], &t->kv.shape, a->s);
}

static void rotate(struct bench *t, int i, void *arg)
{
	struct attn *a = arg;

	backend_rope_store(t->b, &a->qkv, &a->shape, &a->rope, t->kv.pool[i % t->kv.n_layers], &t->kv.shape, a->s);
}

static float *rope_table(struct bench *t, bool want_cos)
{
	size_t n = (size_t)t->context * (size_t)t->cfg.head_dim / 2;
	float *cos_ = xalloc(n, sizeof *cos_), *sin_ = xalloc(n, sizeof *sin_), *p;

	rope_tables(&t->cfg, t->context, cos_, sin_);
	p = backend_alloc(t->b, n * sizeof *p);
	backend_upload(t->b, p, want_cos ? cos_ : sin_, n * sizeof *p);
	backend_sync(t->b);
	free(cos_), free(sin_);
	return p;
}

static void measure_attention(struct bench *t, struct attn *a, int seqs, int fresh, int context)
{
	double width = (double)t->cfg.heads * t->cfg.head_dim, tokens = seqs * fresh,
	       bytes = 2 * bench_kv_number(t->kv.shape.type, t->cfg.head_dim) * width * context * seqs,
	       flop = 4 * width * fresh * (context - fresh / 2.0) * seqs;
	char name[120];

	if (dtype_size(t->kv.shape.type) == 2) {
		snprintf(name, sizeof name, "rotate and store, %d tokens", seqs * fresh);
		both_ways(t, name, rotate, a, 10 * width * tokens, t->copy,
			  "GB/s"); /* q, k read and written, v read; k, v stored */
	}
	snprintf(name, sizeof name, "attention, %d x %d new tokens of %d, %s cache%s", seqs, fresh, context,
		 dtype_name(t->kv.shape.type),
		 fresh > DECODE_TOKENS && device(t)->wgmma && dtype_size(t->kv.shape.type) == 2 ? ", wgmma" : "");
	if (fresh <= DECODE_TOKENS)
		both_ways(t, name, attend, a, bytes, t->read, "GB/s");
	else
		bench_line(t, name, bench_nodes(t, attend, a), flop, t->flops, "GFLOP/s");
}

static void attention(struct bench *t, int seqs, int fresh, int context)
{
	int heads = t->cfg.heads, d = t->cfg.head_dim, tokens = seqs * fresh;
	size_t qkv = (size_t)(tokens * 3 * heads * d) * 2, out = (size_t)(tokens * heads * d) * 2,
	       table = (size_t)t->context * (size_t)d / 2 * sizeof(float);
	int32_t *kv_of = xalloc((size_t)heads, sizeof *kv_of);
	struct attn a = {.shape = {.heads = heads,
				   .kv_heads = heads,
				   .head_dim = d,
				   .kv_of_head = kv_of,
				   .scale = 1 / sqrtf((float)d)}};

	for (int h = 0; h < heads; h++)
		kv_of[h] = h;
	device(t)->known_heads = NULL;
	bench_plan(t, seqs, fresh, context, 1);
	a.s = backend_step(t->b, &t->step);
	a.qkv = tensor_of(bench_random(t, qkv), DT_BF16, tokens, 3 * heads * d);
	a.out = tensor_of(backend_alloc(t->b, out), DT_BF16, tokens, heads * d);
	a.rope = (struct rope){rope_table(t, true), rope_table(t, false), d, t->context};
	if (a.s->head->pad_tokens != tokens) /* a padded step: the operations run on all of it */
		a.qkv.rows = a.out.rows = tokens;
	measure_attention(t, &a, seqs, fresh, context);
	backend_free(t->b, a.qkv.data, qkv), backend_free(t->b, a.out.data, out);
	backend_free(t->b, (void *)(uintptr_t)a.rope.cos, table),
		backend_free(t->b, (void *)(uintptr_t)a.rope.sin, table);
	device(t)->known_heads = NULL;
	free(kv_of);
}

static void prompts(struct bench *t)
{
	static const int shape[][2] = {{512, 512}, {2048, 2048}, {4096, 4096}, {4096, 8192}}, small[][2] = {{40, 64}};

	for (int i = 0; i < (t->how.tiny ? 1 : 4); i++)
		attention(t, 1, (t->how.tiny ? small : shape)[i][0], (t->how.tiny ? small : shape)[i][1]);
}

/* Uses two layers' caches in turn. */
static void attentions(struct bench *t, enum dtype type)
{
	static const int decode[][2] = {{1, 1024}, {1, 8192}, {8, 1024}, {32, 1024}, {32, 8192}},
			 small[][2] = {{1, 100}, {2, 100}};
	bool tiny = t->how.tiny;
	struct kv_shape shape = {t->cfg.kv_heads, t->cfg.head_dim, KV_BLOCK, type};

	bench_cache(t, &shape, 2, tiny ? 64 : 32 * 8192 / KV_BLOCK);
	for (int i = 0; i < (tiny ? 2 : 5); i++)
		attention(t, (tiny ? small : decode)[i][0], 1, (tiny ? small : decode)[i][1]);
	prompts(t);
	if (device(t)->wgmma && dtype_size(type) == 2) { /* and by the other kernel */
		device(t)->wgmma = false;
		prompts(t);
		device(t)->wgmma = true;
	}
	kv_finish(&t->kv);
}

/* ---- norm, sampling ---- */
struct norm_call {
	struct tensor out, x;
	struct delta delta;
	struct norm norm;
};

static void norm(struct bench *t, int i, void *arg)
{
	struct norm_call *n = arg;

	(void)i;
	backend_add_norm(t->b, &n->out, &n->x, n->delta, &n->norm);
}

static void norms(struct bench *t, const int *rows)
{
	int h = t->cfg.hidden;
	size_t x = (size_t)t->lim.max_tokens * (size_t)h * sizeof(float);
	float *delta = bench_random(t, x), *w = bench_random(t, (size_t)h * sizeof *w);
	struct norm_call n = {.x = tensor_of(backend_alloc(t->b, x), DT_F32, 0, h),
			      .out = tensor_of(backend_alloc(t->b, x / 2), DT_BF16, 0, h),
			      .delta = {.data = delta},
			      .norm = {.w = w, .kind = NORM_RMS, .eps = 1e-6f}};
	char name[80];

	for (; *rows && *rows <= t->lim.max_tokens; rows++) {
		n.x.rows = n.out.rows = *rows;
		snprintf(name, sizeof name, "norm of %d x %d", *rows, h);
		both_ways(t, name, norm, &n, 14.0 * h * *rows, t->copy, "GB/s");
	}
	backend_free(t->b, n.x.data, x), backend_free(t->b, n.out.data, x / 2), backend_free(t->b, delta, x);
	backend_free(t->b, w, (size_t)h * sizeof *w);
}

struct rows {
	int n;
	struct sampling how;
};

static void sample(struct bench *t, int i, void *arg)
{
	struct rows *r = arg;
	struct sample what[64];
	bool left[64];

	(void)i;
	for (int k = 0; k < r->n; k++)
		what[k] = (struct sample){.seq = k, .pos = 1, .given = -1, .how = &r->how, .n_top = -1};
	backend_sample(t->b, 0, r->n, what, left);
}

/* Sampling copies its rows from the host, so it is no graph: the time of its launches is in it. */
static void samplings(struct bench *t)
{
	size_t bytes = (size_t)t->lim.rows * (size_t)t->cfg.vocab * sizeof(float);
	void *random = bench_random(t, bytes);
	char name[80];

	cuda_check(cudaMemcpyAsync(t->logits, random, bytes, cudaMemcpyDeviceToDevice, device(t)->stream), "a copy");
	for (int n = 1; n <= (t->how.tiny ? 2 : 32); n *= t->how.tiny ? 2 : 32)
		for (int top = 0; top < 2; top++) {
			struct rows r = {n, sampling_default()};
			r.how.top_p = top ? 0.9f : 1;
			snprintf(name, sizeof name, "sample %d rows of %d%s", n, t->cfg.vocab, top ? ", top_p" : "");
			bench_line(t, name, bench_time(t, sample, &r), 4.0 * n * t->cfg.vocab, t->read, "GB/s");
		}
	backend_free(t->b, random, bytes);
}

static bool wants(const struct bench *t, const char *part)
{
	return bench_wants(t, "layer") || bench_wants(t, part);
}

void bench_layer(struct bench *t)
{
	static const int rows[] = {1, 8, 32, 2048, 0}, one[] = {1, 0};

	if (wants(t, "norms"))
		norms(t, t->how.tiny ? one : rows);
	if (wants(t, "attention"))
		attentions(t, DT_BF16);
	if (wants(t, "products"))
		products(t, QUANT_NONE);
	if (wants(t, "sampling"))
		samplings(t);
	if (wants(t, "attention"))
		attentions(t, DT_F8);
	if (wants(t, "int8"))
		products(t, QUANT_INT8);
	if (wants(t, "int4"))
		products(t, QUANT_INT4);
	if (wants(t, "fp8") && t->e4m3)
		products(t, QUANT_FP8);
	if (wants(t, "attention"))
		attentions(t, DT_I8);
}

/* Products of 1 and of 32 rows, decode attention, prefill attention, norm, rotation. */
void bench_profile(struct bench *t)
{
	static const int ends[] = {1, 32, 0}, one[] = {1, 0};
	struct kv_shape shape = {t->cfg.kv_heads, t->cfg.head_dim, KV_BLOCK, DT_BF16};
	struct matrix m = matrix(t, 2);
	bool tiny = t->how.tiny;
	char text[40];

	products_of(t, &m, QUANT_NONE, ends);
	norms(t, one);
	bench_cache(t, &shape, 2, tiny ? 64 : 32 * 1024 / KV_BLOCK);
	attention(t, tiny ? 2 : 32, 1, tiny ? 100 : 1024);
	attention(t, 1, tiny ? 64 : 2048, tiny ? 64 : 2048);
	kv_finish(&t->kv);
	snprintf(text, sizeof text, "%d", t->profile);
	bench_say(t, "profiled launches", text);
}
