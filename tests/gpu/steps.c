/* steps.c - whole steps: forward pass, logits and sampling, as the daemon enqueues them. */
#include "tests/gpu/bench.h"

#include <math.h>

/* Bytes of device memory that all ranks have left, without a reserve. */
static double memory_left(struct bench *t)
{
	size_t left = 0, total;

	cuda_check(cudaMemGetInfo(&left, &total), "its free memory");
	return (double)world_min(&t->world, (int64_t)left) - 2e9;
}

/* Fewer layers where the device does not hold all and a cache beside them. */
static void fit_layers(struct bench *t)
{
	double h = t->cfg.hidden, ranks = t->world.size, head = 4 * h * t->cfg.vocab,
	       layer = 2 * (4 * h * h + 3 * h * t->cfg.ffn) / ranks, fit = (0.7 * memory_left(t) - head) / layer;

	if (!t->how.tiny && fit < t->cfg.layers)
		t->cfg.layers = fit < 1 ? 1 : (int)fit;
}

static void open_model(struct bench *t)
{
	struct model_options how = {.limits = t->lim,
				    .max_context = t->context,
				    .rank = t->world.rank,
				    .size = t->world.size,
				    .dummy_seed = 1};
	struct why why = {""};
	uint64_t start = now_ns();
	char text[80];

	if (model_create(&t->m, &t->cfg, NULL, t->b, t->comm, &how, NULL, &why))
		die("%s", why.text);
	backend_sync(t->b);
	snprintf(text, sizeof text, "%.2f GiB in %.1f s", (double)model_weight_bytes(t->m) / (1 << 30),
		 (double)(now_ns() - start) / 1e9);
	bench_say(t, "random weights", text);
	backend_ready(t->b);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

struct times {
	double device[REPEAT], wall[REPEAT];
};

/* One step: the GPU's time from the copy of the step to the sampled tokens, and the host's until it has them. */
static void one_step(struct bench *t, int rows, cudaEvent_t from, cudaEvent_t to, double *device_s, double *wall_s)
{
	struct sampled out[128];
	struct sample what[128];
	bool left[128];
	uint64_t start = now_ns();
	float ms;

	for (int i = 0; i < rows; i++)
		what[i] = (struct sample){
			.call = (uint64_t)i, .seq = i, .pos = 1, .given = -1, .how = &t->sampling, .n_top = -1};
	cuda_check(cudaEventRecord(from, device(t)->stream), "an event");
	model_forward(t->m, &t->kv, &t->step);
	for (int first = 0; first < rows; first += t->lim.rows) {
		int n = min_int(t->lim.rows, rows - first);
		model_logits(t->m, first, n, t->logits);
		if (!t->world.rank)
			backend_sample(t->b, first, n, what + first, left);
	}
	cuda_check(cudaEventRecord(to, device(t)->stream), "an event");
	if (!t->world.rank)
		backend_sampled(t->b, min_int(rows, t->lim.rows), out);
	cuda_wait(device(t), to, "a step");
	*wall_s = (double)(now_ns() - start) / 1e9;
	cuda_check(cudaEventElapsedTime(&ms, from, to), "an event");
	*device_s = fmax(ms / 1e3, 1e-9);
}

static void measure(struct bench *t, int seqs, int fresh, int context, int rows, struct times *out)
{
	enum { WARM = 2 /* the first sets up, the second captures a graph */ };
	int repeat = t->repeat;
	cudaEvent_t from, to;
	double d, w;

	cuda_check(cudaEventCreate(&from), "an event");
	cuda_check(cudaEventCreate(&to), "an event");
	for (int i = -WARM; i < repeat; i++) {
		bench_plan(t, seqs, fresh, context, rows);
		one_step(t, rows, from, to, &d, &w);
		if (i >= 0)
			out->device[i] = d, out->wall[i] = w;
	}
	cudaEventDestroy(from), cudaEventDestroy(to);
	qsort(out->device, (size_t)repeat, sizeof d, by_value);
	qsort(out->wall, (size_t)repeat, sizeof w, by_value);
}

/* seqs sequences get `fresh` new tokens each; bytes and FLOP are those of one GPU. */
static void step(struct bench *t, int seqs, int fresh, int context)
{
	double per_layer = 4.0 * t->cfg.hidden * t->cfg.hidden + 3.0 * t->cfg.hidden * t->cfg.ffn, bytes, flop, ranks;
	int rows = fresh == 1 ? seqs : 1, middle = t->repeat / 2;
	struct times took;
	char name[160], wall[170], several[20] = "";

	if (seqs * div_up(context, KV_BLOCK) > t->kv.n_blocks || seqs * fresh > t->lim.max_tokens)
		return;
	measure(t, seqs, fresh, context, rows, &took);
	ranks = t->world.size;
	bytes = 2 * (per_layer * t->cfg.layers + (double)t->cfg.vocab * t->cfg.hidden) +
		2 * bench_kv_number(t->kv.shape.type, t->cfg.head_dim) * t->cfg.layers * t->cfg.hidden *
			(double)context * seqs;
	flop = 2 * per_layer * t->cfg.layers * seqs * fresh + 2.0 * t->cfg.vocab * t->cfg.hidden * rows +
	       4.0 * t->cfg.layers * t->cfg.hidden * (double)fresh * (context - fresh / 2.0) * seqs;
	if (t->world.size > 1)
		snprintf(several, sizeof several, " on %d GPUs", t->world.size);
	snprintf(name, sizeof name, "step of %d layers%s, %d x %d new tokens of %d, %s cache%s%s", t->cfg.layers,
		 several, seqs, fresh, context, dtype_name(t->kv.shape.type),
		 t->how.fixed ? ", fixed order of sums" : "", t->overlap ? "" : ", kernels one by one");
	snprintf(wall, sizeof wall, "wall, %s", name);
	if (fresh == 1) {
		bench_line(t, name, took.device[middle], bytes / ranks, t->copy, "GB/s");
		bench_line(t, wall, took.wall[middle], bytes / ranks, t->copy, "GB/s");
	} else {
		bench_line(t, name, took.device[middle], flop / ranks, t->flops, "GFLOP/s");
	}
}

enum which { DECODE = 1, PROMPTS = 2 };

/* Graphs hold the addresses of a cache, so they are captured anew. */
static void with_cache(struct bench *t, enum dtype type, bool overlap, int which)
{
	struct kv_shape shape = model_kv_shape(t->m, KV_BLOCK, type);
	bool tiny = t->how.tiny;
	int context = tiny ? 100 : 1024, most = t->lim.max_tokens, blocks = 64 * 1024 / KV_BLOCK;
	double fit;

	device(t)->graphs = t->graphs;
	bench_overlap(t, overlap);
	fit = memory_left(t) / ((double)backend_kv_bytes(t->b, &shape) * t->cfg.layers);
	bench_cache(t, &shape, t->cfg.layers, tiny ? 64 : fit < blocks ? max_int(1, (int)fit) : blocks);
	if (which & DECODE) {
		step(t, 1, 1, context);
		step(t, tiny ? 2 : 8, 1, context);
		step(t, tiny ? 3 : 32, 1, context);
	}
	if (which & PROMPTS)
		for (int n = tiny ? most : most / 8; n <= most; n *= n < most / 2 ? 4 : 2)
			step(t, 1, n, n);
	if (which & DECODE && overlap && !tiny) {
		step(t, 64, 1, context);
		step(t, 1, 1, 8192);
	}
	backend_sync(t->b);
	cuda_drop_graphs(device(t));
	kv_finish(&t->kv);
}

/* Most wanted first: a run that is cut short has these. */
void bench_steps(struct bench *t)
{
	fit_layers(t);
	open_model(t);
	with_cache(t, DT_BF16, true, DECODE | PROMPTS);
	with_cache(t, DT_BF16, false, DECODE);
	if (!*t->how.label) {
		with_cache(t, DT_F8, true, DECODE | PROMPTS);
		with_cache(t, DT_I8, true, DECODE);
	}
	bench_overlap(t, true);
	backend_sync(t->b);
	model_destroy(t->m);
	t->m = NULL;
}
