/* The numbers contract, end to end: a hash of every logits row is the same for every number of ranks and
 * threads, every instruction set, every way to cut prompts and fill batches. tests/vectors/bits.txt holds the
 * hashes, so that a machine without AVX-512 checks against one with it.
 *
 * Without mpirun the program starts itself under mpirun for each variation and compares; --update rewrites
 * the table. */
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/rank/hash.h"
#include "engine/models/model.h"
#include "base/wait.h"
#include "parallel/world.h"
#include "tests/check.h"

/* ---- the models ---- */
static const struct shape {
	const char *name;
	struct model_config cfg;
	int sequences; /* of lengths[] */
	bool small;    /* for portable code, which is slow */
} shapes[] = {
	{"mha",
	 {.hidden = 64, .ffn = 172, .layers = 2, .heads = 8, .kv_heads = 8, .head_dim = 8, .vocab = 517},
	 4,
	 true},
	{"grouped",
	 {.hidden = 256, .ffn = 688, .layers = 2, .heads = 16, .kv_heads = 4, .head_dim = 64, .vocab = 1000},
	 3,
	 false},
	{"d128",
	 {.hidden = 640, .ffn = 1728, .layers = 1, .heads = 10, .kv_heads = 5, .head_dim = 128, .vocab = 771},
	 3,
	 false},
	{"tied",
	 {.hidden = 128,
	  .ffn = 352,
	  .layers = 3,
	  .heads = 8,
	  .kv_heads = 1,
	  .head_dim = 16,
	  .vocab = 640,
	  .tied = true},
	 3,
	 true},
	{"wide",
	 {.hidden = 1024, .ffn = 2816, .layers = 1, .heads = 8, .kv_heads = 8, .head_dim = 128, .vocab = 1111},
	 2,
	 false},
	{"qwen3-window",
	 {.architecture = "Qwen3ForCausalLM",
	  .hidden = 72,
	  .ffn = 172,
	  .layers = 2,
	  .heads = 9,
	  .kv_heads = 3,
	  .head_dim = 24,
	  .vocab = 517,
	  .parts = PART_HEAD_NORM | PART_QKV_BIAS | PART_O_BIAS,
	  .window = 70,
	  .windowed = {true}},
	 4,
	 true},
	{"baichuan-alibi",
	 {.architecture = "BaichuanForCausalLM",
	  .hidden = 96,
	  .ffn = 172,
	  .layers = 2,
	  .heads = 12,
	  .kv_heads = 12,
	  .head_dim = 8,
	  .vocab = 333,
	  .positions = POSITIONS_ALIBI},
	 3,
	 false},
	{"neox",
	 {.architecture = "GPTNeoXForCausalLM",
	  .hidden = 80,
	  .ffn = 330,
	  .layers = 2,
	  .heads = 10,
	  .kv_heads = 10,
	  .head_dim = 8,
	  .vocab = 517,
	  .n_rot = 4,
	  .norm = NORM_LAYER,
	  .act = ACT_GELU,
	  .parallel = true,
	  .parts = PART_QKV_BIAS | PART_O_BIAS | PART_FFN_BIAS},
	 3,
	 true},
	{"codegen",
	 {.architecture = "CodeGenForCausalLM",
	  .hidden = 96,
	  .ffn = 384,
	  .layers = 2,
	  .heads = 12,
	  .kv_heads = 12,
	  .head_dim = 8,
	  .vocab = 333,
	  .n_rot = 4,
	  .norm = NORM_LAYER,
	  .act = ACT_GELU_TANH,
	  .parallel = true,
	  .parts = PART_FFN_BIAS | PART_HEAD_BIAS},
	 3,
	 false},
	{"opt",
	 {.architecture = "OPTForCausalLM",
	  .hidden = 72,
	  .ffn = 290,
	  .layers = 2,
	  .heads = 9,
	  .kv_heads = 9,
	  .head_dim = 8,
	  .vocab = 333,
	  .tied = true,
	  .norm = NORM_LAYER,
	  .act = ACT_RELU,
	  .positions = POSITIONS_LEARNED,
	  .parts = PART_QKV_BIAS | PART_O_BIAS | PART_FFN_BIAS},
	 3,
	 false},
	{"qwen2-moe",
	 {.architecture = "Qwen2MoeForCausalLM",
	  .hidden = 72,
	  .ffn = 172,
	  .layers = 3,
	  .heads = 9,
	  .kv_heads = 3,
	  .head_dim = 8,
	  .vocab = 333,
	  .parts = PART_QKV_BIAS | PART_SHARED | PART_SHARED_GATE,
	  .routed = {true, false, true},
	  .experts = 11,
	  .experts_per_token = 4,
	  .expert_ffn = 290,
	  .shared_ffn = 130},
	 4,
	 true},
	{"mixtral",
	 {.architecture = "MixtralForCausalLM",
	  .hidden = 96,
	  .ffn = 1130,
	  .layers = 1,
	  .heads = 8,
	  .kv_heads = 2,
	  .head_dim = 12,
	  .vocab = 333,
	  .routed = {true},
	  .experts = 3,
	  .experts_per_token = 2,
	  .norm_top = true,
	  .expert_ffn = 1130},
	 2,
	 false},
};
static const struct {
	const char *name;
	enum dtype stored, compute, kv;
	enum quant quant, head;
} classes[] = {{"bf16", DT_BF16, DT_BF16, DT_BF16, QUANT_NONE, QUANT_NONE},
	       {"f32", DT_F32, DT_F32, DT_F32, QUANT_NONE, QUANT_NONE},
	       {"f16-f32", DT_F16, DT_F32, DT_F16, QUANT_NONE, QUANT_NONE},
	       {"int8", DT_BF16, DT_BF16, DT_I8, QUANT_INT8, QUANT_INT8},
	       {"int4", DT_F16, DT_F32, DT_F32, QUANT_INT4, QUANT_INT8}};
static const int lengths[] = {40, 33, 300, 530};
enum { N_SHAPES = sizeof shapes / sizeof *shapes, N_CLASSES = 5, MAX_SEQS = 4, MAX_LEN = 544, BLOCK = 32 };

/* How many tokens each sequence brings to the next step. */
enum plan { PLAN_ALONE_512, PLAN_ALONE_32, PLAN_ALONE_7, PLAN_ONES, PLAN_MIXED, N_PLANS };
static const char *const plan_names[] = {"alone-512", "alone-32", "alone-7", "ones", "mixed"};

struct run {
	struct world world;
	struct backend *b;
	struct comm *comm;
	struct model *m;
	struct kv kv;
	struct step step;
	struct step_limits limits;
	float *logits;
	int n_seqs, done[MAX_SEQS];
	uint64_t hash[MAX_SEQS][MAX_LEN];
};

static int token_of(const struct run *r, int seq, int pos)
{
	uint32_t h = (uint32_t)(seq * 7919 + pos + 1) * 2654435761u;

	return (int)((h >> 8) % (uint32_t)model_config(r->m)->vocab);
}

/* Blocks of the sequences lie interleaved in the pool. */
static int block_of(const struct run *r, int seq, int pos)
{
	return pos / BLOCK * r->n_seqs + (r->n_seqs - 1 - seq);
}

static int bring(const struct run *r, enum plan plan, int seq, int step_no)
{
	static const int sizes[] = {1, 2, 5, 6, 7, 8, 15, 16, 17, 33};
	int left = lengths[seq] - r->done[seq], want;

	if (plan == PLAN_ONES)
		return left > 0;
	if (plan == PLAN_MIXED) {
		want = sizes[(step_no + 3 * seq) % 10];
		return want < left ? want : left;
	}
	for (int s = 0; s < seq; s++) /* alone: one after the other */
		if (r->done[s] < lengths[s])
			return 0;
	want = plan == PLAN_ALONE_512 ? 512 : plan == PLAN_ALONE_32 ? 32 : 7;
	return want < left ? want : left;
}

static void fill_step(struct run *r, const int *n, int no)
{
	struct step *s = &r->step;
	int t = 0, q = 0, b = 0, seqs = 0, tokens = 0, blocks = 0;

	for (int i = 0; i < r->n_seqs; i++) {
		seqs += n[i] > 0;
		tokens += n[i];
		blocks += n[i] ? (r->done[i] + n[i] + BLOCK - 1) / BLOCK : 0;
	}
	*s->head = (struct step_head){.kind = STEP_RUN,
				      .no = no,
				      .n_seqs = seqs,
				      .n_tokens = tokens,
				      .n_rows = tokens,
				      .n_blocks = blocks,
				      .pad_seqs = seqs,
				      .pad_tokens = tokens,
				      .pad_rows = tokens};
	step_layout(s);
	for (int i = 0; i < r->n_seqs; i++) {
		if (!n[i])
			continue;
		s->seq[q] = i;
		s->q_start[q] = t;
		s->kv_len[q] = r->done[i] + n[i];
		s->block_start[q++] = b;
		for (int p = 0; p < r->done[i] + n[i]; p += BLOCK)
			s->blocks[b++] = block_of(r, i, p);
		for (int p = r->done[i]; p < r->done[i] + n[i]; p++, t++) {
			s->token[t] = token_of(r, i, p);
			s->pos[t] = p;
			s->slot[t] = block_of(r, i, p) * BLOCK + p % BLOCK;
			s->row[t] = t;
		}
	}
	s->q_start[q] = t;
	s->block_start[q] = b;
}

static void run_step(struct run *r, const int *n, int no)
{
	int row = 0, vocab = model_config(r->m)->vocab;

	fill_step(r, n, no);
	model_forward(r->m, &r->kv, &r->step);
	for (int first = 0; first < r->step.head->n_rows; first += r->limits.rows) {
		int count = r->step.head->n_rows - first;
		count = count < r->limits.rows ? count : r->limits.rows;
		model_rows(r->m, first, count, r->world.rank ? NULL : r->logits + (size_t)first * (size_t)vocab);
	}
	for (int i = 0; i < r->n_seqs; i++)
		for (int j = 0; j < n[i]; j++, row++)
			if (r->world.rank == 0)
				r->hash[i][r->done[i] + j] =
					hash_floats(r->logits + (size_t)row * (size_t)vocab, (size_t)vocab);
	for (int i = 0; i < r->n_seqs; i++)
		r->done[i] += n[i];
}

static uint64_t run_plan(struct run *r, enum plan plan)
{
	int n[MAX_SEQS], total;
	uint64_t h = 0;

	memset(r->done, 0, sizeof r->done);
	memset(r->hash, 0, sizeof r->hash);
	for (int no = 0;; no++) {
		total = 0;
		for (int i = 0; i < r->n_seqs; i++)
			total += n[i] = bring(r, plan, i, no);
		if (!total)
			break;
		run_step(r, n, no);
	}
	for (int i = 0; i < r->n_seqs; i++)
		for (int p = 0; p < lengths[i]; p++)
			h = (h ^ r->hash[i][p]) * 0x9e3779b97f4a7c15u, h ^= h >> 31;
	return h;
}

static void open_run(struct run *r, const struct shape *shape, int class, enum cpu_isa isa, int threads)
{
	struct model_config c = shape->cfg;
	struct cpu_options how = {.threads = threads,
				  .isa = isa,
				  .compute = classes[class].compute,
				  .max_tokens = 640,
				  .max_context = MAX_LEN,
				  .max_cols = 4096,
				  .max_heads = c.heads,
				  .max_head_dim = c.head_dim};
	struct model_options opt = {
		.max_context = MAX_LEN, .rank = r->world.rank, .size = r->world.size, .dummy_seed = 11};
	struct comm_limits lim;
	struct kv_shape kv;
	struct why why;

	r->limits = (struct step_limits){.max_seqs = MAX_SEQS, .max_tokens = 640, .max_blocks = 256, .rows = 16};
	opt.limits = r->limits;
	opt.quant = classes[class].quant;
	opt.quant_head = classes[class].head;
	if (!*c.architecture)
		snprintf(c.architecture, sizeof c.architecture, "LlamaForCausalLM");
	c.norm_eps = 1e-5f;
	c.rope_theta = 10000;
	c.max_pos = MAX_LEN;
	c.torch_dtype = classes[class].stored;
	r->n_seqs = shape->sequences;
	if (backend_cpu_create(&r->b, &how, &why))
		die("%s", why.text);
	lim = model_comm_limits(&c, &r->limits, r->world.size);
	r->comm = r->world.size == 1 ? comm_self_create(&lim) : comm_host_create(&r->world, &lim);
	if (model_create(&r->m, &c, NULL, r->b, r->comm, &opt, NULL, &why))
		die("%s", why.text);
	kv = model_kv_shape(r->m, BLOCK, classes[class].kv);
	kv_init(&r->kv, r->b, &kv, c.layers, MAX_LEN / BLOCK * MAX_SEQS);
	step_init(&r->step, &r->limits);
	r->logits = xalloc((size_t)r->limits.max_tokens * (size_t)c.vocab, sizeof(float));
}

static void close_run(struct run *r)
{
	free(r->logits);
	step_finish(&r->step);
	kv_finish(&r->kv);
	model_destroy(r->m);
	comm_destroy(r->comm);
	backend_destroy(r->b);
}

/* --worker ISA THREADS PLANS: prints "shape class plan hash" lines. PLANS: all; turns: each plan in its turn; plain:
 * one plan; small: one plan, small shapes; few: of each of these one class. */
static int worker(int argc, char **argv)
{
	static struct run r;
	struct why why;
	enum cpu_isa isa;
	int threads = atoi(argv[3]), plans = strcmp(argv[4], "all") ? 1 : N_PLANS;
	bool turns = !strcmp(argv[4], "turns"), few = !strcmp(argv[4], "few");
	int n_small = 0;

	world_init(&r.world, &argc, &argv);
	if (world_join(&r.world, NULL, &why))
		die("%s", why.text);
	wait_policy(0);
	if (cpu_isa_parse(argv[2], &isa))
		die("no instruction set %s", argv[2]);
	for (int s = 0; s < N_SHAPES; n_small += shapes[s++].small)
		for (int c = 0; c < N_CLASSES; c++) {
			if ((few || !strcmp(argv[4], "small")) && !shapes[s].small)
				continue;
			if (few && c != n_small % N_CLASSES)
				continue;
			open_run(&r, &shapes[s], c, isa, threads);
			for (int p = 0; p < plans; p++) {
				int plan = turns ? (s + c) % N_PLANS : p;
				uint64_t h = run_plan(&r, (enum plan)plan);
				if (r.world.rank == 0)
					printf("%s %s %s %016" PRIx64 "\n", shapes[s].name, classes[c].name,
					       plan_names[plan], h);
			}
			close_run(&r);
		}
	fflush(stdout);
	world_finish(&r.world);
	return 0;
}

/* ---- the other side: start workers, compare ---- */
static char self[4096];
static const char *table_path = "tests/vectors/bits.txt";
static char expect[N_SHAPES][N_CLASSES][20];
static int have_table;

static void read_table(void)
{
	FILE *f = fopen(table_path, "r");
	char shape[32], class[32], hash[32];

	while (f && fscanf(f, "%31s %31s %31s", shape, class, hash) == 3)
		for (int s = 0; s < N_SHAPES; s++)
			for (int c = 0; c < N_CLASSES; c++)
				if (!strcmp(shape, shapes[s].name) && !strcmp(class, classes[c].name))
					snprintf(expect[s][c], sizeof expect[s][c], "%.16s", hash), have_table++;
	if (f)
		fclose(f);
}

/* Runs a variation; every line must carry the table's hash. Returns the number of lines. */
static int compare(int ranks, const char *isa, int threads, const char *plans)
{
	char command[5000], shape[32], class[32], plan[32], hash[32];
	FILE *f;
	int lines = 0;

	snprintf(command, sizeof command,
		 "OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 "
		 "mpirun --oversubscribe --bind-to none -n %d %s --worker %s %d %s < /dev/null",
		 ranks, self, isa, threads, plans);
	f = popen(command, "r");
	CHECK(f);
	while (fscanf(f, "%31s %31s %31s %31s", shape, class, plan, hash) == 4) {
		lines++;
		for (int s = 0; s < N_SHAPES; s++)
			for (int c = 0; c < N_CLASSES; c++) {
				if (strcmp(shape, shapes[s].name) || strcmp(class, classes[c].name))
					continue;
				if (strcmp(expect[s][c], hash)) {
					pclose(f);
					CHECK_FAIL("%d ranks, %s, %d threads: %s %s %s has hash %s, the "
						   "table %s",
						   ranks, isa, threads, shape, class, plan, hash, expect[s][c]);
				}
			}
	}
	CHECK_EQ(pclose(f), 0);
	return lines;
}

TEST(table_is_there)
{
	CHECK_EQ(have_table, N_SHAPES * N_CLASSES);
}
TEST(every_plan_on_one_rank)
{
	CHECK_EQ(compare(1, "auto", 1, "all"), N_SHAPES * N_CLASSES * N_PLANS);
}
/* Every plan, but of each shape and class one, unless all are asked for. */
static void in_turns(int ranks, int threads)
{
	CHECK_EQ(compare(ranks, "auto", threads, check_full ? "all" : "turns"),
		 N_SHAPES * N_CLASSES * (check_full ? N_PLANS : 1));
}
TEST(two_threads)
{
	in_turns(1, 2);
}
TEST(two_ranks)
{
	in_turns(2, 1);
}
TEST(two_ranks_of_two_threads)
{
	in_turns(2, 2);
}
TEST(three_ranks)
{
	CHECK_EQ(compare(3, "auto", 1, "plain"), N_SHAPES * N_CLASSES);
}
TEST(four_ranks)
{
	CHECK_EQ(compare(4, "auto", 1, "plain"), N_SHAPES * N_CLASSES);
}
TEST(eight_ranks)
{
	CHECK_EQ(compare(8, "auto", 1, "plain"), N_SHAPES * N_CLASSES);
}

static void on_isa(enum cpu_isa isa)
{
	if (isa > cpu_isa_best())
		SKIP("this machine lacks the instruction set");
	CHECK_EQ(compare(1, cpu_isa_name(isa), 1, "plain"), N_SHAPES * N_CLASSES);
}
TEST(portable_code)
{
	if (check_full)
		on_isa(CPU_PORTABLE);
	else
		CHECK_EQ(compare(1, "portable", 1, "few"), 5);
}
TEST(avx2)
{
	on_isa(CPU_AVX2);
}
TEST(avx512)
{
	on_isa(CPU_AVX512);
}
TEST(avx512_bf16)
{
	on_isa(CPU_AVX512_BF16);
}

/* Writes the table from one rank and the plain plan. */
static int update(void)
{
	char command[5000], shape[32], class[32], plan[32], hash[32];
	FILE *out = fopen(table_path, "w"), *f;

	snprintf(command, sizeof command, "%s --worker auto 1 plain", self);
	f = popen(command, "r");
	while (f && out && fscanf(f, "%31s %31s %31s %31s", shape, class, plan, hash) == 4)
		fprintf(out, "%s %s %s\n", shape, class, hash);
	return !f || pclose(f) || !out || fclose(out);
}

int main(int argc, char **argv)
{
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);

	self[n > 0 ? n : 0] = 0;
	if (argc == 5 && !strcmp(argv[1], "--worker"))
		return worker(argc, argv);
	if (argc == 2 && !strcmp(argv[1], "--update"))
		return update();
	read_table();
	return check_run(argc, argv);
}
