/* bench [--tiny] [--layers N]: ceilings of this device, then each operation and whole steps of the XVERSE-13B shape
 * with random weights on one GPU, in a unit with its ceiling. Lines are "name <tab> time in us <tab> rate <tab> unit
 * <tab> % of ceiling".
 * --tiny: a small shape, for the emulated GPU. Needs no MPI: one rank alone. */
#include "engine/cuda/cuda.h"
#include "engine/models/model.h"
#include "parallel/comm_nccl.h"
#include "parallel/world.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

plugin_entry xversed_plugin;

enum { REPEAT = 20 };

struct bench {
	struct backend *b;
	struct comm *comm;
	struct model *m;
	struct kv kv;
	struct step step;
	struct model_config cfg;
	struct step_limits lim;
	struct world world;
	int context;
	float *logits;
	double copy, flops; /* ceilings: bytes/s, FLOP/s */
	int repeat;
	bool can_overlap, overlap; /* whether kernels may overlap: as the device can; now */
};

static struct cuda *device(struct bench *t)
{
	return cuda_of(t->b);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

/* Returns the median seconds of fn, by events of the stream. */
static double timed(struct bench *t, void (*fn)(struct bench *, int i, void *), void *arg)
{
	double took[REPEAT];
	cudaEvent_t from, to;
	float ms;

	cuda_check(cudaEventCreate(&from), "an event");
	cuda_check(cudaEventCreate(&to), "an event");
	for (int i = -2; i < t->repeat; i++) {
		cuda_check(cudaEventRecord(from, device(t)->stream), "an event");
		fn(t, i + 2, arg);
		cuda_check(cudaEventRecord(to, device(t)->stream), "an event");
		cuda_wait(device(t), to, "a measurement");
		cuda_check(cudaEventElapsedTime(&ms, from, to), "an event");
		took[max_int(i, 0)] = ms / 1e3;
	}
	cudaEventDestroy(from), cudaEventDestroy(to);
	qsort(took, (size_t)t->repeat, sizeof *took, by_value);
	return took[t->repeat / 2];
}

static void line(const char *name, double s, double amount, double ceiling, const char *unit)
{
	printf("%s\t%.1f us\t%.1f\t%s\t%.0f %%\n", name, s * 1e6, amount / s / 1e9, unit,
	       ceiling > 0 ? 100 * amount / s / ceiling : 0);
	fflush(stdout);
}

struct copy {
	char *a, *b;
	size_t bytes;
};
static void copy(struct bench *t, int i, void *arg)
{
	struct copy *c = arg;

	(void)i;
	cuda_check(cudaMemcpyAsync(c->a, c->b, c->bytes, cudaMemcpyDeviceToDevice, device(t)->stream), "a copy");
}

struct product {
	const struct weight **w; /* several, so that none stays in L2 */
	int n_w;
	struct tensor x;
	float *out;
};
static void product(struct bench *t, int i, void *arg)
{
	struct product *p = arg;

	backend_linear(t->b, p->out, &p->x, p->w[i % p->n_w], NULL);
}

static void ceilings(struct bench *t, bool tiny)
{
	struct copy c = {.bytes = tiny ? 1 << 16 : (size_t)1 << 30};
	int n = tiny ? 64 : 8192;
	struct split whole = split_whole(n);
	struct weight *w = weight_create(t->b, n, n, DT_BF16, &whole);
	const struct weight *one[] = {w};
	struct product p = {one, 1, tensor_of(backend_alloc(t->b, (size_t)n * (size_t)n * 2), DT_BF16, n, n), NULL};
	uint16_t *rows = xalloc((size_t)n * (size_t)n, 2);
	double s;

	for (size_t i = 0; i < (size_t)n * (size_t)n; i++) /* power, and so the clock, depends on the bits */
		rows[i] = (uint16_t)(0x3c00 + (i * 2654435761u >> 7) % 0x400) | (uint16_t)((i * 40503u >> 5 & 1) << 15);
	weight_rows(w, 0, n, rows, (size_t)n);
	backend_upload(t->b, p.x.data, rows, (size_t)n * (size_t)n * 2);
	p.out = backend_alloc(t->b, (size_t)n * (size_t)n * 4);
	c.a = backend_alloc(t->b, c.bytes), c.b = backend_alloc(t->b, c.bytes);
	s = timed(t, copy, &c);
	t->copy = 2.0 * (double)c.bytes / s;
	line("ceiling: copy, bytes read and written", s, 2.0 * (double)c.bytes, 0, "GB/s");
	s = timed(t, product, &p);
	t->flops = 2.0 * n * (double)n * n / s;
	line("ceiling: a product of 8192^3, bf16", s, 2.0 * n * (double)n * n, 0, "GFLOP/s");
	backend_free(t->b, c.a, c.bytes), backend_free(t->b, c.b, c.bytes);
	backend_free(t->b, p.x.data, (size_t)n * (size_t)n * 2), backend_free(t->b, p.out, (size_t)n * (size_t)n * 4);
	weight_destroy(w);
	free(rows);
}

static void set_overlap(struct bench *t, bool on)
{
	t->overlap = on && t->can_overlap;
	k_overlap(t->overlap);
}

struct replay {
	cudaGraphExec_t exec;
	int32_t *row;
};
static void replay(struct bench *t, int i, void *arg)
{
	struct replay *g = arg;

	(void)i;
	cuda_check(cudaGraphLaunch(g->exec, device(t)->stream), "a graph");
}

/* Time from the start of a kernel that moves 16 bytes to the start of the next one, in a graph. */
static void gaps(struct bench *t)
{
	enum { KERNELS = 200 };
	char *data = backend_alloc(t->b, 64);
	struct replay g = {.row = backend_alloc(t->b, sizeof *g.row)};
	cudaGraph_t graph;

	for (int on = 0; on <= (int)t->can_overlap; on++) {
		set_overlap(t, on);
		cuda_check(cudaStreamBeginCapture(device(t)->stream, cudaStreamCaptureModeThreadLocal), "a capture");
		for (int i = 0; i < KERNELS; i++)
			cuda_check(k_rows(device(t)->stream, data + 16 * (i % 2), data + 16 * !(i % 2), g.row, 1, 16),
				   "a kernel");
		cuda_check(cudaStreamEndCapture(device(t)->stream, &graph), "a capture");
		cuda_check(cudaGraphInstantiate(&g.exec, graph, 0), "a graph");
		printf("kernel after kernel in a graph, %s\t%.2f us\n", on ? "overlapping" : "one by one",
		       timed(t, replay, &g) * 1e6 / KERNELS);
		cuda_check(cudaGraphExecDestroy(g.exec), "a graph");
		cuda_check(cudaGraphDestroy(graph), "a graph");
	}
	backend_free(t->b, data, 64);
	backend_free(t->b, g.row, sizeof *g.row);
}

enum { COLD = 8 /* weights used in turn, so that none stays in L2 */ };
struct gated {
	struct weight *w[COLD];
	struct tensor x, between, out;
};

/* One matrix at several row counts, with weights of several layers in turn. */
static void products_of(struct bench *t, const char *matrix, int n, int k, enum quant quant)
{
	static const int rows[2][13] = {{1, 2, 4, 8, 16, 32, 33, 64, 128, 512, 2048, 4096}, {1, 32, 128, 512, 4096}};
	const int *m = rows[quant == QUANT_INT8], most = t->lim.max_tokens;
	struct split whole = split_whole(k);
	struct weight *w[COLD];
	struct product p = {(const struct weight **)w, COLD,
			    tensor_of(backend_alloc(t->b, (size_t)most * (size_t)k * 2), DT_BF16, 0, k),
			    backend_alloc(t->b, (size_t)most * (size_t)n * 4)};
	char name[80];

	for (int i = 0; i < COLD; i++)
		w[i] = weight_create_quant(t->b, n, k, DT_BF16, quant, &whole);
	for (; *m && *m <= most; m++) {
		double s, bytes = (quant ? 1.0625 : 2) * n * (double)k + 2.0 * *m * (double)k + 4.0 * *m * (double)n;
		p.x.rows = *m;
		s = timed(t, product, &p);
		snprintf(name, sizeof name, "linear %s%s %d x %d, %d rows", matrix, quant ? " int8" : "", n, k, *m);
		if (*m <= 32)
			line(name, s, bytes, t->copy, "GB/s");
		else
			line(name, s, 2.0 * n * (double)k * *m, t->flops, "GFLOP/s");
	}
	for (int i = 0; i < COLD; i++)
		weight_destroy(w[i]);
	backend_free(t->b, p.x.data, (size_t)most * (size_t)k * 2),
		backend_free(t->b, p.out, (size_t)most * (size_t)n * 4);
}

/* The products of a layer. */
static void products(struct bench *t)
{
	int h = t->cfg.hidden, f = t->cfg.ffn;

	for (enum quant q = QUANT_NONE; q <= QUANT_INT8; q++) {
		products_of(t, "qkv", 3 * h, h, q);
		products_of(t, "o", h, h, q);
		products_of(t, "gate and up", 2 * f, h, q);
		products_of(t, "down", h, f, q);
	}
}

static void gated(struct bench *t, int i, void *arg)
{
	struct gated *p = arg;

	backend_linear_silu_mul(t->b, &p->out, &p->between, &p->x, p->w[i % COLD], NULL);
}

/* Gate and up with their epilogue: up to 32 rows in one launch. */
static void gated_products(struct bench *t)
{
	static const int rows[] = {1, 8, 16, 32, 64, 2048};
	int h = t->cfg.hidden, f = t->cfg.ffn, most = t->lim.max_tokens;
	struct split whole = split_whole(h);
	size_t x = (size_t)most * (size_t)h * 2, out = (size_t)most * (size_t)f * 2;
	struct gated p = {.x = tensor_of(backend_alloc(t->b, x), DT_BF16, 0, h),
			  .between = tensor_of(backend_alloc(t->b, 2 * out), DT_BF16, 0, 2 * f),
			  .out = tensor_of(backend_alloc(t->b, out), DT_BF16, 0, f)};
	char name[80];

	for (int i = 0; i < COLD; i++)
		weight_pair(p.w[i] = weight_create(t->b, 2 * f, h, DT_BF16, &whole));
	for (size_t i = 0; i < sizeof rows / sizeof *rows && rows[i] <= most; i++) {
		double s, n = 2.0 * f * (double)h, bytes = 2 * n + 2.0 * rows[i] * (h + f);
		p.x.rows = p.between.rows = p.out.rows = rows[i];
		s = timed(t, gated, &p);
		snprintf(name, sizeof name, "gate and up with silu %d x %d, %d rows", 2 * f, h, rows[i]);
		line(name, s, rows[i] <= 32 ? bytes : 2 * n * rows[i], rows[i] <= 32 ? t->copy : t->flops,
		     rows[i] <= 32 ? "GB/s" : "GFLOP/s");
	}
	for (int i = 0; i < COLD; i++)
		weight_destroy(p.w[i]);
	backend_free(t->b, p.x.data, x), backend_free(t->b, p.between.data, 2 * out),
		backend_free(t->b, p.out.data, out);
}

/* A step of `seqs` sequences with `fresh` new tokens each, the last of `context`. */
static void plan(struct bench *t, int seqs, int fresh, int context, int rows)
{
	struct step *s = &t->step;
	int per = div_up(context, KV_BLOCK);

	*s->head = (struct step_head){.kind = STEP_RUN,
				      .n_seqs = seqs,
				      .n_tokens = seqs * fresh,
				      .n_rows = rows,
				      .n_blocks = seqs * per,
				      .pad_seqs = seqs,
				      .pad_tokens = seqs * fresh,
				      .pad_rows = rows};
	step_layout(s);
	for (int i = 0; i < seqs; i++) {
		s->seq[i] = i, s->q_start[i] = i * fresh, s->kv_len[i] = context, s->block_start[i] = i * per;
		for (int b = 0; b < per; b++)
			s->blocks[i * per + b] = (i * per + b) * 7919 % t->kv.n_blocks;
		for (int j = 0; j < fresh; j++) {
			int token = i * fresh + j, pos = context - fresh + j;
			s->token[token] = (token * 31 + 7) % t->cfg.vocab, s->pos[token] = pos;
			s->slot[token] = s->blocks[i * per + pos / KV_BLOCK] * KV_BLOCK + pos % KV_BLOCK;
		}
	}
	s->q_start[seqs] = seqs * fresh, s->block_start[seqs] = seqs * per;
	for (int r = 0; r < rows; r++)
		s->row[r] = (r + 1) * (seqs * fresh / rows) - 1;
}

struct attn {
	struct tensor qkv, out;
	struct attn_shape shape;
	struct kv_shape kv;
	const struct step *s;
};
static void attend(struct bench *t, int i, void *arg)
{
	struct attn *a = arg;

	backend_attention(t->b, &a->out, &a->qkv, &a->shape, t->kv.pool[i % t->kv.n_layers], &a->kv, a->s);
}

static void attention(struct bench *t, int seqs, int fresh, int context)
{
	int heads = t->cfg.heads, d = t->cfg.head_dim, tokens = seqs * fresh;
	int32_t *kv_of = xalloc((size_t)heads, sizeof *kv_of);
	struct attn a = {.shape = {heads, heads, d, kv_of, 1 / sqrtf((float)d)}, .kv = t->kv.shape};
	double number = dtype_size(t->kv.shape.type) == 2 ? 2 : 1 + 4.0 / d; /* an 8-bit head of a token has a scale */
	double s, bytes = 2 * number * heads * d * (double)context * seqs,
		  flop = 4.0 * heads * d * (double)fresh * (context - fresh / 2.0) * seqs;
	char name[80];

	for (int h = 0; h < heads; h++)
		kv_of[h] = h;
	device(t)->known_heads = NULL;
	plan(t, seqs, fresh, context, 1);
	a.s = backend_step(t->b, &t->step);
	a.qkv = tensor_of(backend_alloc(t->b, (size_t)(tokens * 3 * heads * d) * 2), DT_BF16, tokens, 3 * heads * d);
	a.out = tensor_of(backend_alloc(t->b, (size_t)(tokens * heads * d) * 2), DT_BF16, tokens, heads * d);
	s = timed(t, attend, &a);
	snprintf(name, sizeof name, "attention, %d x %d new tokens of %d, %s cache%s", seqs, fresh, context,
		 dtype_name(t->kv.shape.type),
		 fresh > DECODE_TOKENS && device(t)->wgmma && dtype_size(t->kv.shape.type) == 2 ? ", wgmma" : "");
	if (fresh <= DECODE_TOKENS)
		line(name, s, bytes, t->copy, "GB/s");
	else
		line(name, s, flop, t->flops, "GFLOP/s");
	backend_free(t->b, a.qkv.data, (size_t)(tokens * 3 * heads * d) * 2);
	backend_free(t->b, a.out.data, (size_t)(tokens * heads * d) * 2);
	device(t)->known_heads = NULL;
	free(kv_of);
}

static void prompts(struct bench *t, bool tiny)
{
	static const int shape[][2] = {{512, 512}, {2048, 2048}, {4096, 4096}, {4096, 8192}},
			 small[][2] = {{40, 64}, {64, 64}};

	for (int i = 0; i < (tiny ? 2 : 4); i++)
		attention(t, 1, (tiny ? small : shape)[i][0], (tiny ? small : shape)[i][1]);
}

/* Uses two layers' caches in turn. */
static void attentions(struct bench *t, bool tiny, enum dtype type)
{
	static const int decode[][2] = {{1, 1024}, {1, 8192}, {32, 1024}, {32, 8192}},
			 small[][2] = {{1, 100}, {2, 100}};
	struct kv_shape shape = {t->cfg.kv_heads, t->cfg.head_dim, KV_BLOCK, type};

	kv_init(&t->kv, t->b, &shape, 2, tiny ? 64 : 32 * 8192 / KV_BLOCK);
	for (int i = 0; i < (tiny ? 2 : 4); i++)
		attention(t, (tiny ? small : decode)[i][0], 1, (tiny ? small : decode)[i][1]);
	prompts(t, tiny);
	if (device(t)->wgmma && dtype_size(type) == 2) { /* and by the other kernel */
		device(t)->wgmma = false;
		prompts(t, tiny);
		device(t)->wgmma = true;
	}
	kv_finish(&t->kv);
}

/* Wall time of whole steps, logits on the host included. */
static void steps(struct bench *t, int seqs, int fresh, int context)
{
	double took[REPEAT], bytes, flop,
		per_layer = 4.0 * t->cfg.hidden * t->cfg.hidden + 3.0 * t->cfg.hidden * t->cfg.ffn;
	double number = dtype_size(t->kv.shape.type) == 2 ? 2 : 1 + 4.0 / t->cfg.head_dim;
	int rows = fresh == 1 ? seqs : 1;
	char name[80];

	if (seqs * div_up(context, KV_BLOCK) > t->kv.n_blocks || seqs * fresh > t->lim.max_tokens)
		return;
	for (int i = 0; i < t->repeat; i++) {
		uint64_t start;
		plan(t, seqs, fresh, context, rows);
		start = now_ns();
		model_forward(t->m, &t->kv, &t->step);
		for (int r = 0; r < rows; r += t->lim.rows)
			model_rows(t->m, r, min_int(t->lim.rows, rows - r), t->logits);
		took[i] = (double)(now_ns() - start) / 1e9;
	}
	qsort(took, (size_t)t->repeat, sizeof *took, by_value);
	bytes = 2 * (per_layer * t->cfg.layers + (double)t->cfg.vocab * t->cfg.hidden) +
		2 * number * t->cfg.layers * t->cfg.hidden * (double)context * seqs;
	flop = 2 * per_layer * t->cfg.layers * seqs * fresh + 2.0 * t->cfg.vocab * t->cfg.hidden * rows +
	       4.0 * t->cfg.layers * t->cfg.hidden * (double)fresh * (context - fresh / 2.0) * seqs;
	snprintf(name, sizeof name, "step of %d layers, %d x %d new tokens of %d, %s cache%s", t->cfg.layers, seqs,
		 fresh, context, dtype_name(t->kv.shape.type), t->overlap ? "" : ", kernels one by one");
	if (fresh == 1)
		line(name, took[t->repeat / 2], bytes, t->copy, "GB/s");
	else
		line(name, took[t->repeat / 2], flop, t->flops, "GFLOP/s");
}

static void open_bench(struct bench *t, bool tiny, int layers, bool fixed)
{
	const struct plugin *p = xversed_plugin();
	struct cuda_device d;
	struct comm_limits sums;
	struct why why = {""};
	struct cuda_options how;

	t->cfg = tiny ? (struct model_config){.architecture = "XverseForCausalLM",
					      .hidden = 256,
					      .ffn = 320,
					      .layers = 2,
					      .heads = 2,
					      .kv_heads = 2,
					      .head_dim = 128,
					      .vocab = 517}
		      : (struct model_config){.architecture = "XverseForCausalLM",
					      .hidden = 5120,
					      .ffn = 13824,
					      .layers = layers,
					      .heads = 40,
					      .kv_heads = 40,
					      .head_dim = 128,
					      .vocab = 100534};
	t->cfg.norm_eps = 1e-6f, t->cfg.rope_theta = 10000, t->cfg.max_pos = t->context = tiny ? 256 : 8192;
	t->cfg.torch_dtype = DT_BF16;
	t->lim =
		(struct step_limits){.max_seqs = 64, .max_tokens = tiny ? 64 : 4096, .max_blocks = 1 << 16, .rows = 32};
	t->world = (struct world){.size = 1, .local_size = 1};
	t->repeat = tiny ? 2 : REPEAT;
	how = (struct cuda_options){.compute = DT_BF16,
				    .limits = t->lim,
				    .max_context = t->context,
				    .heads = t->cfg.heads,
				    .kv_heads = t->cfg.kv_heads,
				    .head_dim = t->cfg.head_dim,
				    .fixed = fixed,
				    .graphs = true,
				    .overlap = true,
				    .wgmma = true,
				    .tune = !tiny,
				    .wait_ns = 60000000000};
	if (p->describe(0, &d, &why) || p->backend_create(&t->b, &how, &why))
		die("%s", why.text);
	t->can_overlap = t->overlap = d.major >= 9;
	printf("device\t%s, compute capability %d.%d, %d SMs, %.1f GiB\n", d.name, d.major, d.minor, d.sms,
	       (double)d.total / (1 << 30));
	sums = model_comm_limits(&t->cfg, &t->lim, 1);
	if (p->comm_create(&t->comm, t->b, &t->world, &sums, false, &why))
		die("%s", why.text);
	step_init(&t->step, &t->lim);
	t->logits = xalloc((size_t)t->lim.rows * (size_t)t->cfg.vocab, sizeof(float));
}

static void open_model(struct bench *t)
{
	struct model_options how = {.limits = t->lim, .max_context = t->context, .size = 1, .dummy_seed = 1};
	struct why why = {""};
	uint64_t start = now_ns();

	if (model_create(&t->m, &t->cfg, NULL, t->b, t->comm, &how, NULL, &why))
		die("%s", why.text);
	backend_sync(t->b);
	printf("random weights\t%.2f GiB in %.1f s\n", (double)model_weight_bytes(t->m) / (1 << 30),
	       (double)(now_ns() - start) / 1e9);
	backend_ready(t->b);
}

/* Graphs hold the addresses of a cache, so they are captured anew. */
static void all_steps(struct bench *t, bool tiny, bool graphs, enum dtype type, bool overlap)
{
	struct kv_shape shape = model_kv_shape(t->m, KV_BLOCK, type);
	int context = tiny ? 100 : 1024, most = t->lim.max_tokens;

	device(t)->graphs = graphs;
	set_overlap(t, overlap);
	kv_init(&t->kv, t->b, &shape, t->cfg.layers, tiny ? 64 : 32 * 1024 / KV_BLOCK + 256);
	steps(t, 1, 1, context);
	if (!tiny)
		steps(t, 1, 1, 8192);
	steps(t, tiny ? 2 : 8, 1, context);
	steps(t, 32, 1, tiny ? 60 : context);
	for (int n = most / 8; type == DT_BF16 && overlap && n <= most; n *= n < most / 2 ? 4 : 2)
		steps(t, 1, n, n);
	backend_sync(t->b);
	cuda_drop_graphs(device(t));
	kv_finish(&t->kv);
}

int main(int argc, char **argv)
{
	static const enum dtype caches[] = {DT_BF16, DT_I8, DT_F8};
	bool tiny = false, fixed = false, graphs;
	int layers = 40;
	struct bench t = {.b = NULL};

	for (int i = 1; i < argc; i++) {
		tiny |= !strcmp(argv[i], "--tiny");
		fixed |= !strcmp(argv[i], "--deterministic");
		if (!strcmp(argv[i], "--layers") && i + 1 < argc)
			layers = atoi(argv[++i]);
	}
	open_bench(&t, tiny, layers, fixed);
	ceilings(&t, tiny);
	gaps(&t);
	products(&t);
	gated_products(&t);
	for (int i = 0; i < 3; i++)
		attentions(&t, tiny, caches[i]);
	graphs = device(&t)->graphs;
	open_model(&t);
	for (int i = 0; i < 3; i++)
		all_steps(&t, tiny, graphs, caches[i], true);
	all_steps(&t, tiny, graphs, DT_BF16, false);
	model_destroy(t.m);
	comm_destroy(t.comm);
	backend_destroy(t.b);
	step_finish(&t.step);
	free(t.logits);
	printf("done\n");
	return 0;
}
