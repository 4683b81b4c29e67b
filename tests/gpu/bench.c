/* bench - ceilings of this device, whole steps of the XVERSE-13B shape with random weights, then each kernel of a
 * layer, in a unit with its ceiling. Lines are "name <tab> time in us <tab> rate <tab> unit <tab> % of ceiling".
 *
 *	bench [--tiny] [--layers N] [--ranks N] [--deterministic] [--only PART,...] [--label TEXT] [--default-l1]
 *	bench --profile
 *
 * --tiny: a small shape, for the emulated GPU. --ranks: on so many GPUs, a process each; without MPI. Parts: ceilings,
 * gaps, steps, layer, or of a layer norms, attention, products, sampling, int8, int4 and fp8. --label stands before
 *each name.
 * --default-l1: the driver splits L1 and shared memory. --profile: one launch of each kernel that a profiler looks at,
 * between cudaProfilerStart() and cudaProfilerStop(). */
#include "tests/gpu/bench.h"

#include <math.h>

plugin_entry xversed_plugin;

void bench_say(struct bench *t, const char *name, const char *text)
{
	if (t->world.rank)
		return;
	printf("%s%s\t%s\n", t->how.label, name, text);
	fflush(stdout);
}

void bench_line(struct bench *t, const char *name, double seconds, double amount, double ceiling, const char *unit)
{
	char text[100];

	if (t->profile >= 0)
		return;
	snprintf(text, sizeof text, "%.1f us\t%.1f\t%s\t%.0f %%", seconds * 1e6, amount / seconds / 1e9, unit,
		 ceiling > 0 ? 100 * amount / seconds / ceiling : 0);
	bench_say(t, name, text);
}

bool bench_wants(const struct bench *t, const char *part)
{
	const char *at = t->how.only ? strstr(t->how.only, part) : part;
	char end = at ? at[strlen(part)] : 'x';

	return at && (at == t->how.only || at == part || at[-1] == ',') && (!end || end == ',');
}

/* ---- measuring ---- */
static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

double bench_time(struct bench *t, bench_call *fn, void *arg)
{
	int repeat = t->repeat;
	cudaEvent_t from, to;
	double took[REPEAT];
	float ms;

	cuda_check(cudaEventCreate(&from), "an event");
	cuda_check(cudaEventCreate(&to), "an event");
	for (int i = t->how.tiny ? -1 : -2; i < repeat; i++) {
		cuda_check(cudaEventRecord(from, device(t)->stream), "an event");
		fn(t, i + 2, arg);
		cuda_check(cudaEventRecord(to, device(t)->stream), "an event");
		cuda_wait(device(t), to, "a measurement");
		cuda_check(cudaEventElapsedTime(&ms, from, to), "an event");
		took[max_int(i, 0)] = ms / 1e3;
	}
	cudaEventDestroy(from), cudaEventDestroy(to);
	qsort(took, (size_t)repeat, sizeof *took, by_value);
	return fmax(took[repeat / 2], 1e-9);
}

/* Of the CUDA runtime; the emulated GPU has none. */
extern cudaError_t cudaProfilerStart(void) __attribute__((weak));
extern cudaError_t cudaProfilerStop(void) __attribute__((weak));

static double profiled(struct bench *t, bench_call *fn, void *arg)
{
	for (int i = 0; i < 3; i++) {
		cuda_drain(device(t));
		if (i == 2 && cudaProfilerStart)
			cuda_check(cudaProfilerStart(), "a profiler");
		fn(t, i, arg);
	}
	cuda_drain(device(t));
	if (cudaProfilerStop)
		cuda_check(cudaProfilerStop(), "a profiler");
	t->profile++;
	return 0;
}

static void replay(struct bench *t, int i, void *arg)
{
	(void)i;
	cuda_check(cudaGraphLaunch(arg, device(t)->stream), "a graph");
}

double bench_nodes(struct bench *t, bench_call *fn, void *arg)
{
	cudaGraphExec_t exec;
	cudaGraph_t graph;
	double s;

	if (t->profile >= 0)
		return profiled(t, fn, arg);
	fn(t, 0, arg); /* sets up what the first call sets up */
	cuda_drain(device(t));
	cuda_check(cudaStreamBeginCapture(device(t)->stream, cudaStreamCaptureModeThreadLocal), "a capture");
	for (int i = 0; i < t->nodes; i++)
		fn(t, i, arg);
	cuda_check(cudaStreamEndCapture(device(t)->stream, &graph), "a capture");
	cuda_check(cudaGraphInstantiate(&exec, graph, 0), "a graph");
	s = bench_time(t, replay, exec) / t->nodes;
	cuda_check(cudaGraphExecDestroy(exec), "a graph");
	cuda_check(cudaGraphDestroy(graph), "a graph");
	return s;
}

void bench_overlap(struct bench *t, bool on)
{
	t->overlap = on && t->can_overlap;
	k_overlap(t->overlap);
}

/* ---- random numbers: power, and with it the clock, depends on the bits ---- */
static void make_random(struct bench *t)
{
	uint64_t h = 88172645463325252u;

	t->random = xalloc(RANDOM, sizeof *t->random);
	for (int i = 0; i < RANDOM; i++) { /* a sum of four uniform numbers */
		h ^= h << 13, h ^= h >> 7, h ^= h << 17;
		int sum = (int)(h & 0xffff) + (int)(h >> 16 & 0xffff) + (int)(h >> 32 & 0xffff) + (int)(h >> 48) -
			  2 * 65535;
		t->random[i] = bf16_from_f32((float)sum * (0.02f * 1.7320508f / 65536.0f));
	}
}

/* Fills device memory with copies of its first `made` bytes. */
static void repeat_bytes(struct bench *t, char *p, size_t made, size_t bytes)
{
	for (size_t n; made < bytes; made += n) {
		n = made < bytes - made ? made : bytes - made;
		cuda_check(cudaMemcpyAsync(p + made, p, n, cudaMemcpyDeviceToDevice, device(t)->stream), "a copy");
	}
}

void *bench_random(struct bench *t, size_t bytes)
{
	size_t pool = RANDOM * sizeof *t->random, made = bytes < pool ? bytes : pool;
	char *p = backend_alloc(t->b, bytes);

	backend_upload(t->b, p, t->random, made);
	repeat_bytes(t, p, made, bytes);
	return p;
}

static void copy_weight(struct bench *t, struct cuda_weight *to, const struct cuda_weight *from)
{
	const size_t rows = (size_t)from->base.rows;

	cuda_check(cudaMemcpyAsync(to->data, from->data, rows * to->pitch, cudaMemcpyDeviceToDevice, device(t)->stream),
		   "a copy");
	if (to->scale)
		cuda_check(cudaMemcpyAsync(to->scale, from->scale, rows * sizeof *to->scale, cudaMemcpyDeviceToDevice,
					   device(t)->stream),
			   "a copy");
}

void bench_weights(struct bench *t, struct weight **w, int count, int n, int k, enum quant quant, bool paired)
{
	struct split whole = split_whole(k);
	int at_once = min_int(n, RANDOM / k / 2);

	for (int i = 0; i < count; i++) {
		struct cuda_weight *to;
		w[i] = weight_create_quant(t->b, n, k, DT_BF16, quant, &whole);
		if (paired)
			weight_pair(w[i]);
		to = (struct cuda_weight *)w[i];
		if (i)
			copy_weight(t, to, (struct cuda_weight *)w[0]);
		for (int row = 0; !i && row < n; row += at_once)
			weight_rows(w[0], row, min_int(at_once, n - row), t->random + row * 977 % (RANDOM / 2 - 1),
				    (size_t)k);
	}
}

/* A block of the cache: numbers, and behind each 8-bit head of it the scales of its tokens. */
static void make_block(struct bench *t, char *block, const struct kv_shape *shape)
{
	bool bits8 = dtype_size(shape->type) == 1;
	size_t head = (size_t)K_HEAD_BYTES(shape->head_dim, bits8),
	       numbers = (size_t)KV_BLOCK * (size_t)shape->head_dim;

	if (!bits8)
		memcpy(block, t->random, 2 * (size_t)shape->kv_heads * head);
	for (int h = 0; bits8 && h < 2 * shape->kv_heads; h++) {
		char *at = block + (size_t)h * head;
		float scale = 0x1p-8f;
		for (size_t i = 0; i < numbers; i++) /* no NaN of e4m3 */
			at[i] = (char)(t->random[((size_t)h * numbers + i) % RANDOM] * 40503u >> 8 & 0xb7);
		for (int i = 0; i < KV_BLOCK; i++)
			memcpy(at + numbers + sizeof scale * (size_t)i, &scale, sizeof scale);
	}
}

void bench_cache(struct bench *t, const struct kv_shape *shape, int n_layers, int n_blocks)
{
	size_t bytes = backend_kv_bytes(t->b, shape);
	char *block = xalloc(1, bytes);

	REQUIRE(bytes <= RANDOM * sizeof *t->random);
	make_block(t, block, shape);
	kv_init(&t->kv, t->b, shape, n_layers, n_blocks);
	for (int i = 0; i < n_layers; i++) {
		backend_upload(t->b, t->kv.pool[i], block, bytes);
		repeat_bytes(t, t->kv.pool[i], bytes, bytes * (size_t)n_blocks);
	}
	free(block);
}

double bench_kv_number(enum dtype type, int head_dim)
{
	return dtype_size(type) == 2 ? 2 : 1 + 4.0 / head_dim; /* an 8-bit head of a token has a scale */
}

void bench_plan(struct bench *t, int seqs, int fresh, int context, int rows)
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

/* ---- start ---- */
static void choose_shape(struct bench *t)
{
	bool tiny = t->how.tiny;

	t->cfg = (struct model_config){.architecture = "XverseForCausalLM",
				       .hidden = tiny ? 256 : 5120,
				       .ffn = tiny ? 320 : 13824,
				       .layers = tiny ? 2 : t->how.layers,
				       .heads = tiny ? 2 : 40,
				       .kv_heads = tiny ? 2 : 40,
				       .head_dim = 128,
				       .vocab = tiny ? 517 : 100534,
				       .norm_eps = 1e-6f,
				       .rope_theta = 10000,
				       .torch_dtype = DT_BF16};
	t->cfg.max_pos = t->context = tiny ? 256 : 8192;
	t->lim = (struct step_limits){
		.max_seqs = 128, .max_tokens = tiny ? 64 : 4096, .max_blocks = 1 << 16, .rows = 64};
}

static void open_device(struct bench *t)
{
	const struct plugin *p = xversed_plugin();
	struct cuda_device d;
	struct why why = {""};
	struct cuda_options how = {.compute = DT_BF16,
				   .limits = t->lim,
				   .max_context = t->context,
				   .heads = t->cfg.heads / t->world.size,
				   .kv_heads = t->cfg.kv_heads / t->world.size,
				   .head_dim = t->cfg.head_dim,
				   .ranks = t->world.size,
				   .device = t->world.rank,
				   .fixed = t->how.fixed,
				   .graphs = true,
				   .overlap = true,
				   .wgmma = true,
				   .tune = !t->how.tiny,
				   .wait_ns = 60000000000};
	char text[160];

	if (p->describe(t->world.rank, &d, &why) || p->backend_create(&t->b, &how, &why))
		die("%s", why.text);
	t->graphs = device(t)->graphs;
	t->e4m3 = 10 * d.major + d.minor >= 89;
	t->can_overlap = !strcmp(t->b->kernel_overlap, "on");
	bench_overlap(t, true);
	if (t->how.default_l1)
		cuda_check(cudaDeviceSetCacheConfig(cudaFuncCachePreferNone), "the cache");
	snprintf(text, sizeof text, "%s, compute capability %d.%d, %d SMs, %.1f GiB", d.name, d.major, d.minor, d.sms,
		 (double)d.total / (1 << 30));
	if (bench_wants(t, "ceilings") && !*t->how.label)
		bench_say(t, "device", text);
}

static void open_bench(struct bench *t)
{
	struct comm_limits sums;
	struct why why = {""};

	choose_shape(t);
	t->repeat = t->how.tiny ? 1 : REPEAT, t->nodes = t->how.tiny ? 2 : 20;
	open_device(t);
	sums = model_comm_limits(&t->cfg, &t->lim, t->world.size);
	if (xversed_plugin()->comm_create(&t->comm, t->b, &t->world, &sums, false, &why))
		die("%s", why.text);
	step_init(&t->step, &t->lim);
	t->sampling = sampling_default();
	if (!t->world.rank)
		t->logits = backend_sample_open(t->b, t->lim.rows, t->cfg.vocab);
	make_random(t);
}

static void close_bench(struct bench *t)
{
	comm_destroy(t->comm);
	backend_destroy(t->b);
	step_finish(&t->step);
	free(t->random);
}

static void read_options(struct bench *t, int argc, char **argv)
{
	struct bench_options *how = &t->how;

	*how = (struct bench_options){.layers = 40, .ranks = 1, .label = ""};
	t->profile = -1;
	for (int i = 1; i < argc; i++) {
		const char *value = i + 1 < argc ? argv[i + 1] : NULL;
		if (!strcmp(argv[i], "--tiny"))
			how->tiny = true;
		else if (!strcmp(argv[i], "--deterministic"))
			how->fixed = true;
		else if (!strcmp(argv[i], "--profile"))
			t->profile = 0;
		else if (!strcmp(argv[i], "--default-l1"))
			how->default_l1 = true;
		else if (!value)
			die("%s: unknown, or without its value", argv[i]);
		else if (!strcmp(argv[i], "--layers"))
			how->layers = atoi(value), i++;
		else if (!strcmp(argv[i], "--ranks"))
			how->ranks = atoi(value), i++;
		else if (!strcmp(argv[i], "--only"))
			how->only = value, i++;
		else if (!strcmp(argv[i], "--label"))
			how->label = value, i++;
		else
			die("%s: unknown", argv[i]);
	}
	if (how->layers < 1 || how->ranks < 1 || how->ranks > 16)
		die("--layers is 1 or more, --ranks 1 to 16");
}

int main(int argc, char **argv)
{
	struct bench t = {.b = NULL};
	bool well;

	read_options(&t, argc, argv);
	ranks_fork(&t.how);
	t.world = (struct world){
		.rank = t.how.rank, .size = t.how.ranks, .local_rank = t.how.rank, .local_size = t.how.ranks};
	open_bench(&t);
	if (t.profile >= 0) {
		bench_profile(&t);
	} else {
		bench_ceilings(&t);
		if (bench_wants(&t, "gaps") && t.how.ranks == 1)
			bench_gaps(&t);
		if (bench_wants(&t, "steps"))
			bench_steps(&t);
		if (t.how.ranks == 1)
			bench_layer(&t);
	}
	close_bench(&t);
	well = ranks_wait(&t.how);
	bench_say(&t, "done", well ? "bench" : "a rank failed");
	return well ? 0 : 1;
}
