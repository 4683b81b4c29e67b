/* The demo model on a GPU against the CPU backend in f32, in one process and without MPI: logprobs of a text that the
 * CPU samples, by a prompt and one token at a time (a CUDA graph from the second on), with 16-bit and 8-bit caches; and
 * the same bits however the text is cut where the order of sums is fixed. CI checks the CPU backend against other
 * implementations. */
#include "engine/checkpoint/checkpoint.h"
#include "engine/cuda/cuda.h"
#include "engine/models/model.h"
#include "parallel/comm_nccl.h"
#include "parallel/world.h"
#include "tests/check.h"

#include <math.h>

enum { LONGEST = 256, ROWS = 32 };
static const char dir[] = "launch/demo/model";
static const struct step_limits lim = {
	.max_seqs = 4, .max_tokens = LONGEST, .max_blocks = LONGEST / KV_BLOCK + 1, .rows = ROWS};

plugin_entry xversed_plugin;

static struct model_config cfg;
static int length, alone; /* of the text; the last ones are fed one by one */
static int32_t text[LONGEST + 1];
struct told {
	double logprob; /* of the next token of the text */
	float best, second;
	int likeliest;
	uint64_t bits; /* a hash of the row */
};
static struct told want[LONGEST]; /* the CPU's */

struct side {
	struct world world;
	struct backend *b;
	struct comm *comm;
	struct checkpoint *files;
	struct model *m;
	struct kv kv;
	struct step step;
	float *logits;
};

/* config.json is our own file, so this needs no JSON reader. */
static double number(const char *json, const char *key)
{
	char quoted[64];
	const char *at;

	snprintf(quoted, sizeof quoted, "\"%s\":", key);
	at = strstr(json, quoted);
	if (!at)
		die("%s: no %s", dir, key);
	return strtod(at + strlen(quoted), NULL);
}

static void read_config(void)
{
	char path[80], json[4096] = "";
	FILE *f;

	snprintf(path, sizeof path, "%s/config.json", dir);
	f = fopen(path, "r");
	if (!f || !fread(json, 1, sizeof json - 1, f))
		die("%s cannot be read", path);
	fclose(f);
	cfg = (struct model_config){.architecture = "XverseForCausalLM",
				    .hidden = (int)number(json, "hidden_size"),
				    .ffn = (int)number(json, "intermediate_size"),
				    .layers = (int)number(json, "num_hidden_layers"),
				    .heads = (int)number(json, "num_attention_heads"),
				    .vocab = (int)number(json, "vocab_size"),
				    .max_pos = (int)number(json, "max_position_embeddings"),
				    .norm_eps = (float)number(json, "rms_norm_eps"),
				    .bos = (int)number(json, "bos_token_id"),
				    .rope_theta = 10000,
				    .torch_dtype = DT_BF16};
	cfg.kv_heads = cfg.heads, cfg.head_dim = cfg.hidden / cfg.heads;
}

static void open_model(struct side *s, enum dtype cache)
{
	struct model_options how = {.limits = lim, .max_context = LONGEST, .size = 1};
	struct load_progress progress = {0};
	struct kv_shape shape;
	struct why why = {""};

	if (checkpoint_open(&s->files, dir, &why) ||
	    model_create(&s->m, &cfg, s->files, s->b, s->comm, &how, &progress, &why))
		die("%s", why.text);
	shape = model_kv_shape(s->m, KV_BLOCK, cache);
	kv_init(&s->kv, s->b, &shape, cfg.layers, LONGEST / KV_BLOCK + 1);
	backend_ready(s->b);
	step_init(&s->step, &lim);
	s->logits = backend_host_alloc(s->b, (size_t)ROWS * (size_t)cfg.vocab * sizeof *s->logits);
}

static void open_cpu(struct side *s)
{
	struct cpu_options how = {.threads = 1,
				  .compute = DT_F32,
				  .max_tokens = LONGEST,
				  .max_context = LONGEST,
				  .max_cols = max_int(cfg.hidden, cfg.ffn),
				  .max_heads = cfg.heads,
				  .max_head_dim = cfg.head_dim};
	struct comm_limits sums = model_comm_limits(&cfg, &lim, 1);
	struct why why = {""};

	*s = (struct side){.world = {.size = 1, .local_size = 1}};
	if (backend_cpu_create(&s->b, &how, &why))
		die("%s", why.text);
	s->comm = comm_self_create(&sums);
	open_model(s, DT_F32);
}

static void open_gpu(struct side *s, enum dtype cache, bool fixed)
{
	const struct plugin *p = xversed_plugin();
	struct cuda_options how = {.compute = DT_BF16,
				   .limits = lim,
				   .max_context = LONGEST,
				   .heads = cfg.heads,
				   .kv_heads = cfg.heads,
				   .head_dim = cfg.head_dim,
				   .ranks = 1,
				   .fixed = fixed,
				   .graphs = true,
				   .overlap = true,
				   .wgmma = true,
				   .wait_ns = 60000000000};
	struct comm_limits sums = model_comm_limits(&cfg, &lim, 1);
	struct why why = {""};

	*s = (struct side){.world = {.size = 1, .local_size = 1}};
	if (p->backend_create(&s->b, &how, &why) || p->comm_create(&s->comm, s->b, &s->world, &sums, false, &why))
		die("%s", why.text);
	open_model(s, cache);
}

static void close_side(struct side *s)
{
	backend_host_free(s->b, s->logits);
	step_finish(&s->step);
	kv_finish(&s->kv);
	model_destroy(s->m);
	comm_destroy(s->comm);
	backend_destroy(s->b);
	checkpoint_close(s->files);
}

static struct told look_at(const float *row, int next)
{
	struct told t = {.best = -INFINITY, .second = -INFINITY, .bits = 14695981039346656037u};
	double sum = 0;

	for (int i = 0; i < cfg.vocab; i++) {
		uint32_t u;
		memcpy(&u, &row[i], sizeof u);
		t.bits = (t.bits ^ u) * 1099511628211u;
		if (row[i] > t.best)
			t.second = t.best, t.best = row[i], t.likeliest = i;
		else
			t.second = fmaxf(t.second, row[i]);
	}
	for (int i = 0; i < cfg.vocab; i++)
		sum += exp((double)row[i] - (double)t.best);
	t.logprob = (double)row[next] - (double)t.best - log(sum);
	return t;
}

/* Runs tokens [from, to) of the text in one step and reads the result of each. */
static void pass(struct side *s, int from, int to, struct told *out)
{
	int n = to - from, blocks = div_up(to, KV_BLOCK);
	struct step *p = &s->step;

	*p->head = (struct step_head){.kind = STEP_RUN,
				      .n_seqs = 1,
				      .n_tokens = n,
				      .n_rows = n,
				      .n_blocks = blocks,
				      .pad_seqs = 1,
				      .pad_tokens = n,
				      .pad_rows = n};
	step_layout(p);
	p->seq[0] = 0, p->q_start[0] = 0, p->q_start[1] = n, p->kv_len[0] = to, p->block_start[0] = 0,
	p->block_start[1] = blocks;
	for (int i = 0; i < blocks; i++)
		p->blocks[i] = (i * 5 + 2) % (LONGEST / KV_BLOCK + 1); /* in no order */
	for (int i = 0; i < n; i++) {
		int at = from + i;
		p->token[i] = text[at], p->pos[i] = at, p->row[i] = i;
		p->slot[i] = p->blocks[at / KV_BLOCK] * KV_BLOCK + at % KV_BLOCK;
	}
	model_forward(s->m, &s->kv, p);
	for (int r = 0; r < n; r += ROWS) {
		int count = min_int(ROWS, n - r);
		model_rows(s->m, r, count, s->logits);
		for (int i = 0; i < count; i++)
			out[from + r + i] = look_at(s->logits + (size_t)i * (size_t)cfg.vocab, text[from + r + i + 1]);
	}
}

/* The CPU samples the text: mostly its likeliest tokens. */
static void draw(void)
{
	struct cuda_device d;
	struct why why = {""};
	struct side cpu;

	if (length)
		return;
	if (xversed_plugin()->describe(0, &d, &why))
		die("%s", why.text);
	length = strncmp(d.name, "Fake", 4) ? 200 : 12, alone = max_int(2, length / 10);
	read_config();
	open_cpu(&cpu);
	text[0] = cfg.bos;
	for (int i = 0; i < length; i++) {
		pass(&cpu, i, i + 1, want);
		text[i + 1] = i % 6 == 5 ? (i * 997 + 300) % cfg.vocab : want[i].likeliest;
		want[i].logprob = look_at(cpu.logits, text[i + 1]).logprob;
	}
	close_side(&cpu);
}

static double perplexity(const struct told *t)
{
	double sum = 0;

	for (int i = 0; i < length; i++)
		sum -= t[i].logprob;
	return exp(sum / length);
}

static void compare(const char *name, const struct told *got, double bound)
{
	double worst = 0;

	for (int i = 0; i < length; i++) {
		double off = fabs(got[i].logprob - want[i].logprob);
		worst = off > worst || off != off ? off : worst;
	}
	printf("demo model, %s\tperplexity %.4f, of the CPU's f32 %.4f\tlogprobs within %.4f\n", name, perplexity(got),
	       perplexity(want), worst);
	if (!(worst < bound))
		CHECK_FAIL("%s: a logprob is off by %.4f, more than %.2f", name, worst, bound);
	for (int i = 0; i < length; i++)
		if (got[i].likeliest != want[i].likeliest && (double)(want[i].best - want[i].second) > 2 * bound)
			CHECK_FAIL("%s: token %d: %d is likeliest, on the CPU %d", name, i, got[i].likeliest,
				   want[i].likeliest);
}

static void with_cache(const char *name, enum dtype cache, double bound)
{
	struct told got[LONGEST];
	struct side gpu;

	draw();
	open_gpu(&gpu, cache, false);
	pass(&gpu, 0, length - alone, got);
	for (int i = length - alone; i < length; i++)
		pass(&gpu, i, i + 1, got);
	close_side(&gpu);
	compare(name, got, bound);
}

TEST(a_cache_of_16_bits)
{
	with_cache("bf16 cache", DT_BF16, 0.1);
}

TEST(a_cache_of_int8)
{
	with_cache("int8 cache", DT_I8, 0.2);
}

TEST(a_cache_of_fp8)
{
	with_cache("fp8 cache", DT_F8, 0.5);
}

TEST(a_fixed_order_of_sums)
{
	struct told whole[LONGEST], cut[LONGEST];
	struct side gpu;

	draw();
	open_gpu(&gpu, DT_BF16, true);
	pass(&gpu, 0, length, whole);
	pass(&gpu, 0, 5, cut);
	pass(&gpu, 5, length - alone, cut);
	for (int i = length - alone; i < length; i++)
		pass(&gpu, i, i + 1, cut);
	close_side(&gpu);
	compare("bf16 cache, fixed order of sums", whole, 0.1);
	for (int i = 0; i < length; i++)
		if (whole[i].bits != cut[i].bits)
			CHECK_FAIL("token %d has other bits where the text is cut", i);
}

CHECK_MAIN()
