/* What the CPU backend reaches of what this machine can do: limits first, then operation by operation, then
 * whole models of random weights. Every measurement is taken alternately with a probe of the limit that binds
 * it; the share is the median of the ratios, so that a machine whose speed wanders still gives one number.
 *
 *   build/tests/bench/cpu [--threads N] [--isa NAME] [--only limits|ops|model] [--class NAME] [--reps N]
 * [--json FILE]
 */
#include "engine/backend/weight.h"
#include "base/wait.h"
#include "tests/bench/measure.h"
#include "tests/bench/model.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ---- limits ---- */
static void bench_limits(void)
{
	for (int rate = 0; rate < RATE_COUNT; rate++) {
		double v[MAX_REPS];
		for (int r = 0; r < MAX_REPS / 2; r++)
			v[r] = limits_probe(&limits, (enum rate)rate) / 1e9;
		median(v, MAX_REPS / 2);
		printf("limit  %-10s %10.1f %s, highest %.1f (%d threads, %s)\n", rate_names[rate], v[MAX_REPS / 4],
		       rate == RATE_READ ? "GB/s" : "G/s", v[MAX_REPS / 2 - 1], opt.threads, cpu_isa_name(limits.isa));
		json_array_append_new(records, json_pack("{s:s,s:s,s:f}", "group", "limit", "what", rate_names[rate],
							 "giga_per_s", v[MAX_REPS / 4]));
	}
}

/* ---- linear ---- */
enum { K_COLS = 5120, N_ROWS = 27648, MAX_COPIES = 8 };

struct linear_case {
	struct backend *b;
	struct weight *w[MAX_COPIES];
	int copies;
	struct tensor x;
	float *out;
};

static void run_linear(void *arg, int rep)
{
	struct linear_case *c = arg;

	backend_linear(c->b, c->out, &c->x, c->w[rep % c->copies], NULL);
}

static void fill(void *p, size_t n, enum dtype type)
{
	for (size_t i = 0; i < n; i++) {
		float f = (float)((i * 2654435761u >> 8 & 0xffff)) / 65536 - 0.5f;
		if (type == DT_F32)
			((float *)p)[i] = f;
		else
			((uint16_t *)p)[i] = bf16_from_f32(f);
	}
}

/* Blocks are of the row's bytes with scales of 1. */
static void put_row(struct weight *w, int r, const void *row)
{
	static uint16_t one[K_COLS / 32];
	static uint8_t q[K_COLS];
	const bool parts = quant_parts(w->quant) > 0, min = quant_has_min(w->quant);
	struct weight_blocks b = {.q = q, .ld = K_COLS, .scale = one, .blocks = K_COLS / 32, .groups = K_COLS / 32};

	if (!quant_is_blocks(w->quant)) {
		weight_rows(w, r, 1, row, K_COLS);
		return;
	}
	for (int i = 0; i < K_COLS; i++)
		q[i] = ((const uint8_t *)row)[i] & 15;
	for (int i = 0; i < K_COLS / 32; i++)
		one[i] = 0x3c00;
	b.min = min ? one : NULL;
	b.part = parts ? row : NULL;
	b.part_min = parts && min ? row : NULL;
	weight_blocks(w, r, 1, &b);
}

/* Copies of the matrix together are larger than the caches. */
static void bench_linear(const struct class *cl)
{
	static const int rows[] = {1, 2, 4, 8, 16, 32, 128, 512};
	struct linear_case c = {.b = open_backend(cl), .copies = 3};
	struct split k = split_whole(K_COLS);
	void *row = xalloc(K_COLS, 4), *x = xalloc((size_t)512 * K_COLS, 4);
	char what[64];

	fill(row, K_COLS, cl->stored);
	fill(x, (size_t)512 * K_COLS, cl->compute);
	c.out = backend_alloc(c.b, (size_t)512 * N_ROWS * sizeof(float));
	for (int i = 0; i < c.copies; i++) {
		c.w[i] = weight_create_quant(c.b, N_ROWS, K_COLS, cl->stored, cl->quant, &k);
		for (int r = 0; r < N_ROWS; r++)
			put_row(c.w[i], r, row);
	}
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct work w = {.ops = 2.0 * rows[i] * K_COLS * N_ROWS,
				 .bytes = cl->weight_bytes * K_COLS * N_ROWS,
				 .rate = cl->rate,
				 .units = rows[i]};
		c.x = tensor_of(x, cl->compute, rows[i], K_COLS);
		snprintf(what, sizeof what, "linear %d x %d x %d", rows[i], K_COLS, N_ROWS);
		measure("op", cl->name, what, &w, run_linear, &c);
	}
	for (int i = 0; i < c.copies; i++)
		weight_destroy(c.w[i]);
	backend_free(c.b, c.out, (size_t)512 * N_ROWS * sizeof(float));
	backend_destroy(c.b);
	free(row), free(x);
}

/* ---- attention ---- */
struct attn_case {
	struct backend *b;
	struct kv kv;
	struct kv_shape shape;
	struct attn_shape attn;
	struct step step;
	struct tensor qkv, out;
};

static void run_attention(void *arg, int rep)
{
	struct attn_case *c = arg;

	(void)rep;
	backend_attention(c->b, &c->out, &c->qkv, &c->attn, c->kv.pool[0], &c->shape, &c->step);
}

static void run_store(void *arg, int rep)
{
	struct attn_case *c = arg;

	(void)rep;
	backend_rope_store(c->b, &c->qkv, &c->attn, NULL, c->kv.pool[0], &c->shape, &c->step);
}

static void attn_measure(struct attn_case *c, const struct class *cl, int n_seqs, int tokens, int keys)
{
	int n = n_seqs * tokens, heads = c->attn.heads, dim = c->attn.head_dim;
	size_t elem = dtype_size(cl->kv);
	double pairs = 0;
	struct work w = {.rate = RATE_FMA, .units = n};
	char what[64];

	attn_step(&c->step, n_seqs, tokens, keys);
	for (int p = keys - tokens; p < keys; p++)
		pairs += n_seqs * (p + 1);
	c->qkv.rows = c->out.rows = n;
	w.ops = 4.0 * pairs * heads * dim;
	w.bytes = 2.0 * n_seqs * (double)keys * c->attn.kv_heads * dim * (double)elem;
	snprintf(what, sizeof what, "attention %dx%d of %d keys", n_seqs, tokens, keys);
	measure("op", cl->name, what, &w, run_attention, c);
}

static void bench_attention(const struct class *cl)
{
	static int32_t same[40];
	struct attn_case c = {.b = open_backend(cl)};
	struct step_limits lim = {.max_seqs = 32, .max_tokens = 512, .max_blocks = 2048, .rows = 512};
	struct work store = {.bytes = 512 * 120.0 * 128 * 4, .units = 512};
	size_t width = 120 * 128;

	for (int h = 0; h < 40; h++)
		same[h] = h;
	c.shape = (struct kv_shape){.kv_heads = 40, .head_dim = 128, .block_size = BLOCK, .type = cl->kv};
	c.attn = (struct attn_shape){
		.heads = 40, .kv_heads = 40, .head_dim = 128, .kv_of_head = same, .scale = 0.0883883f};
	kv_init(&c.kv, c.b, &c.shape, 1, 1056);
	step_init(&c.step, &lim);
	c.qkv = tensor_of(xalloc(512 * width, 4), DT_F32, 512, (int)width);
	c.out = tensor_of(xalloc(512 * 40 * 128, 4), cl->compute, 512, 40 * 128);
	fill(c.qkv.data, 512 * width, DT_F32);
	for (int at = 512; at <= 16384; at += 512) {
		attn_step(&c.step, 1, 512, at);
		run_store(&c, 0);
	}
	attn_step(&c.step, 1, 512, 512);
	measure("op", cl->name, "store 512 tokens", &store, run_store, &c);
	attn_measure(&c, cl, 1, 1, 1024);
	attn_measure(&c, cl, 1, 1, 16384);
	attn_measure(&c, cl, 8, 1, 1024);
	attn_measure(&c, cl, 32, 1, 512);
	attn_measure(&c, cl, 1, 512, 512);
	attn_measure(&c, cl, 1, 512, 2048);
	attn_measure(&c, cl, 1, 512, 8192);
	step_finish(&c.step);
	kv_finish(&c.kv);
	free(c.qkv.data), free(c.out.data);
	backend_destroy(c.b);
}

/* ---- element by element ---- */
struct rows_case {
	struct backend *b;
	struct tensor x, out;
	float *delta, *w;
};

static void run_norm(void *arg, int rep)
{
	struct rows_case *c = arg;

	(void)rep;
	backend_add_norm(c->b, &c->out, &c->x, (struct delta){.data = c->delta},
			 &(struct norm){c->w, NULL, NORM_RMS, 1e-6f});
}

static void run_silu(void *arg, int rep)
{
	struct rows_case *c = arg;

	(void)rep;
	backend_silu_mul(c->b, &c->out, &c->x, NULL);
}

static void bench_rows(const struct class *cl)
{
	struct rows_case c = {.b = open_backend(cl)};
	size_t elem = dtype_size(cl->compute), all = 512 * 27648;
	struct work norm = {.bytes = 512 * 5120.0 * (12 + (double)elem), .units = 512},
		    silu = {.bytes = 512 * 13824.0 * (8 + (double)elem), .units = 512};
	float *x = backend_alloc(c.b, all * 4), *delta = backend_alloc(c.b, all * 4);
	void *out = backend_alloc(c.b, all * 4);

	fill(x, all, DT_F32);
	c.delta = delta, c.w = x;
	c.x = tensor_of(x, DT_F32, 512, 5120);
	c.out = tensor_of(out, cl->compute, 512, 5120);
	measure("op", cl->name, "add_norm 512 x 5120", &norm, run_norm, &c);
	c.x.cols = 27648;
	c.out.cols = 13824;
	measure("op", cl->name, "silu_mul 512 x 13824", &silu, run_silu, &c);
	backend_free(c.b, x, all * 4);
	backend_free(c.b, delta, all * 4);
	backend_free(c.b, out, all * 4);
	backend_destroy(c.b);
}

/* ---- whole models ---- */
static const struct model_config x1b = {.architecture = "XverseForCausalLM",
					.hidden = 5120,
					.ffn = 13824,
					.layers = 2,
					.heads = 40,
					.kv_heads = 40,
					.head_dim = 128,
					.vocab = 100278,
					.max_pos = 4096,
					.norm_eps = 1e-6f,
					.rope_theta = 10000};

static void model_measure(struct model_case *c, const struct class *cl, int n_seqs, int tokens, int keys)
{
	struct work w = model_work(c, cl, n_seqs, tokens, keys);
	char what[64];

	snprintf(what, sizeof what, "X1B %d x %d tokens at %d", n_seqs, tokens, keys);
	measure("model", cl->name, what, &w, run_model, c);
}

static void bench_model(const struct class *cl)
{
	struct model_case c;
	struct model_config cfg = x1b;
	uint64_t start = now_ns();

	cfg.torch_dtype = cl->stored;
	model_open(&c, cl, &cfg, NULL, NULL);
	printf("model  %-6s X1B made in %.1f s, %.2f GiB\n", cl->name, (double)(now_ns() - start) / 1e9,
	       (double)model_weight_bytes(c.m) / (1 << 30));
	model_measure(&c, cl, 1, 512, 512);
	model_measure(&c, cl, 1, 128, 128);
	model_measure(&c, cl, 1, 1, 64);
	model_measure(&c, cl, 1, 1, 1024);
	model_measure(&c, cl, 8, 1, 64);
	model_measure(&c, cl, 32, 1, 64);
	model_close(&c);
}

static bool wanted(const char *part)
{
	return !opt.only || !strcmp(opt.only, part);
}

static void parse(int argc, char **argv)
{
	opt.threads = (int)sysconf(_SC_NPROCESSORS_ONLN);
	for (int i = 1; i + 1 < argc; i += 2) {
		const char *name = argv[i], *value = argv[i + 1];
		if (!strcmp(name, "--threads"))
			opt.threads = atoi(value);
		else if (!strcmp(name, "--reps"))
			opt.reps = max_int(1, min_int(MAX_REPS, atoi(value)));
		else if (!strcmp(name, "--seconds"))
			opt.seconds = atof(value);
		else if (!strcmp(name, "--isa") && !cpu_isa_parse(value, &opt.isa))
			;
		else if (!strcmp(name, "--clock"))
			opt.cpu_clock = !strcmp(value, "cpu");
		else if (!strcmp(name, "--only"))
			opt.only = value;
		else if (!strcmp(name, "--class"))
			opt.class = value;
		else if (!strcmp(name, "--json"))
			opt.json = value;
		else
			die("unknown option %s %s", name, value);
	}
}

int main(int argc, char **argv)
{
	struct pool *pool;
	json_t *all;

	parse(argc, argv);
	clock_threads = opt.cpu_clock ? opt.threads : 0;
	wait_policy(opt.cpu_clock ? 0 : 30000);
	pool = pool_create(opt.threads, bench_cpus(opt.threads));
	limits_open(&limits, pool, opt.isa == CPU_AUTO ? cpu_isa_best() : opt.isa, (size_t)1 << 30);
	records = json_array();
	if (wanted("limits"))
		bench_limits();
	for (int i = 0; i < N_CLASSES; i++) {
		if (opt.class && strcmp(opt.class, classes[i].name))
			continue;
		if (wanted("ops"))
			bench_linear(&classes[i]);
		if (quant_is_blocks(classes[i].quant)) /* there are no dummy weights of them */
			continue;
		if (wanted("ops")) {
			bench_attention(&classes[i]);
			bench_rows(&classes[i]);
		}
		if (wanted("model"))
			bench_model(&classes[i]);
	}
	all = json_pack("{s:i,s:s,s:i,s:o}", "threads", opt.threads, "isa", cpu_isa_name(limits.isa), "reps", opt.reps,
			"records", records);
	if (opt.json && json_dump_file(all, opt.json, JSON_INDENT(1)))
		die("cannot write %s", opt.json);
	json_decref(all);
	limits_close(&limits);
	pool_destroy(pool);
	return 0;
}
