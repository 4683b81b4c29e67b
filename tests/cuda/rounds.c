/* Products, sums between GPUs and norms in a row, without a copy or a wait between them, as in a step: kernels overlap,
 * and each round brings new numbers. So a sum that does not wait for the product in front of it, or a norm that does
 * not wait for the sum, uses numbers of an earlier round. Eagerly and as a CUDA graph, against float64. */
#include "engine/backend/weight.h"
#include "tests/cuda/device.h"
#include "tests/cuda/ranks.h"

enum { HIDDEN = 128, ROWS = 5, STEPS = 6, COLS = 64 /* of the head, a rank */, SECONDS = 120 };

struct job {
	int ranks, rounds;
	enum dtype type; /* of the sums */
	enum dtype compute;
	float scale;              /* of the weights whose products are summed */
	const char *name, *value; /* of a variable that the emulated NCCL reads; NULL: none */
};

/* One rank. */
struct rank {
	const struct job *job;
	struct world world;
	struct backend *b;
	struct comm *comm;
	struct split k, whole;
	uint16_t *numbers[STEPS][MOST_RANKS], *head[MOST_RANKS]; /* (HIDDEN, HIDDEN), (COLS, HIDDEN): of all ranks */
	struct weight *w[STEPS], *w_head;                        /* its own */
	float *x, *ones;                                         /* device (ROWS, HIDDEN), (HIDDEN) */
	void *act[STEPS + 1];                                    /* device (ROWS, HIDDEN) bf16 */
	cudaGraphExec_t graph;
};

static float up16(const struct rank *r, uint16_t h)
{
	return r->job->compute == DT_F16 ? f32_from_f16(h) : f32_from_bf16(h);
}
static uint16_t down16(const struct rank *r, float f)
{
	return r->job->compute == DT_F16 ? f16_from_f32(f) : bf16_from_f32(f);
}

static uint16_t *random_weights(const struct rank *r, struct rng *g, size_t n, float scale)
{
	uint16_t *p = xalloc(n, sizeof *p);

	for (size_t i = 0; i < n; i++)
		p[i] = down16(r, scale * rng_unit(g));
	return p;
}

static struct weight *load(struct rank *r, const uint16_t *numbers, int rows, const struct split *k)
{
	struct weight *w = weight_create(r->b, rows, HIDDEN, r->job->compute, k);

	weight_rows(w, 0, rows, numbers, HIDDEN);
	return w;
}

static void make_weights(struct rank *r)
{
	struct rng g = {99};

	r->k = (struct split){.n_leaves = r->world.size, .first = r->world.rank, .count = 1};
	for (int i = 0; i <= r->world.size; i++)
		r->k.start[i] = i * HIDDEN;
	r->whole = split_whole(HIDDEN);
	for (int s = 0; s < STEPS; s++)
		for (int i = 0; i < r->world.size; i++)
			r->numbers[s][i] = random_weights(r, &g, HIDDEN * HIDDEN, r->job->scale);
	for (int i = 0; i < r->world.size; i++)
		r->head[i] = random_weights(r, &g, COLS * HIDDEN, 1);
	for (int s = 0; s < STEPS; s++)
		r->w[s] = load(r, r->numbers[s][r->world.rank], HIDDEN, &r->k);
	r->w_head = load(r, r->head[r->world.rank], COLS, &r->whole);
}

static void open_rank(struct rank *r, const struct job *j, int rank)
{
	struct cuda_options how = {.compute = j->compute,
				   .sum = j->type,
				   .limits = {.max_seqs = 2, .max_tokens = ROWS, .max_blocks = 16, .rows = ROWS},
				   .max_context = 64,
				   .heads = 2,
				   .kv_heads = 2,
				   .head_dim = 64,
				   .ranks = j->ranks,
				   .device = rank,
				   .overlap = true,
				   .wait_ns = (int64_t)SECONDS * 1000000000};
	struct comm_limits lim = {.max_rows = ROWS,
				  .max_cols = HIDDEN,
				  .max_parts = 1,
				  .gather_rows = ROWS,
				  .gather_cols = COLS * j->ranks};
	float ones[HIDDEN];
	struct why why;

	*r = (struct rank){.job = j, .world = {.rank = rank, .size = j->ranks}};
	if (xversed_plugin()->backend_create(&r->b, &how, &why) ||
	    xversed_plugin()->comm_create(&r->comm, r->b, &r->world, &lim, false, &why))
		die("%s", why.text);
	make_weights(r);
	for (int i = 0; i < HIDDEN; i++)
		ones[i] = 1;
	r->ones = backend_alloc(r->b, sizeof ones);
	backend_upload(r->b, r->ones, ones, sizeof ones);
	r->x = backend_alloc(r->b, sizeof(float) * ROWS * HIDDEN);
	for (int s = 0; s <= STEPS; s++)
		r->act[s] = backend_alloc(r->b, sizeof(uint16_t) * ROWS * HIDDEN);
}

/* What a step enqueues between two copies. */
static void enqueue(struct rank *r)
{
	struct tensor x = tensor_of(r->x, DT_F32, ROWS, HIDDEN);
	struct norm norm = {.w = r->ones, .kind = NORM_RMS};

	for (int s = 0; s < STEPS; s++) {
		struct tensor in = tensor_of(r->act[s], r->job->compute, ROWS, HIDDEN),
			      out = tensor_of(r->act[s + 1], r->job->compute, ROWS, HIDDEN),
			      part = tensor_of(comm_parts(r->comm, &r->k, ROWS, HIDDEN), r->job->type, ROWS, HIDDEN);
		float *delta = comm_result(r->comm, s % COMM_RESULTS);
		if (part.type == DT_F32)
			backend_linear(r->b, part.data, &in, r->w[s], NULL);
		else
			backend_linear_mid(r->b, &part, &in, r->w[s], NULL);
		comm_sum(r->comm, delta, part.type, &r->k, ROWS, HIDDEN);
		backend_add_norm(r->b, &out, &x, (struct delta){.data = delta, .type = part.type}, &norm);
	}
}

static void run(struct rank *r, bool as_graph)
{
	cudaStream_t stream = r->b->stream;
	cudaGraph_t graph;

	if (as_graph && !r->graph) {
		CUDA(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
		enqueue(r);
		CUDA(cudaStreamEndCapture(stream, &graph));
		CUDA(cudaGraphInstantiate(&r->graph, graph, 0));
		CUDA(cudaGraphDestroy(graph));
	}
	if (as_graph)
		CUDA(cudaGraphLaunch(r->graph, stream));
	else
		enqueue(r);
}

static double dot(const struct rank *r, const uint16_t *x, const uint16_t *w)
{
	double sum = 0;

	for (int i = 0; i < HIDDEN; i++)
		sum += (double)up16(r, x[i]) * (double)up16(r, w[i]);
	return sum;
}

/* Whether each step's norm is that of the sum over all ranks, from the numbers that the step began with. */
static int wrong_steps(struct rank *r, const float *begin, uint16_t act[STEPS + 1][ROWS * HIDDEN])
{
	double x[ROWS * HIDDEN], most = 0;
	int wrong = 0;

	for (int i = 0; i < ROWS * HIDDEN; i++)
		x[i] = (double)begin[i];
	for (int s = 0; s < STEPS; s++)
		for (int t = 0; t < ROWS; t++) {
			double squares = 0, *row = x + t * HIDDEN;
			for (int i = 0; i < HIDDEN; i++) {
				for (int k = 0; k < r->world.size; k++)
					row[i] += dot(r, act[s] + t * HIDDEN, r->numbers[s][k] + i * HIDDEN);
				squares += row[i] * row[i];
				most = fmax(most, fabs(row[i]));
			}
			for (int i = 0; i < HIDDEN; i++)
				wrong += !(fabs(row[i] / sqrt(squares / HIDDEN) -
						(double)up16(r, act[s + 1][t * HIDDEN + i])) < 0.06);
		}
	return wrong + (r->job->compute == DT_F16 && most < 2 * 65504);
}

static int wrong_logits(const struct rank *r, const float *logits, const uint16_t *act)
{
	int wrong = 0, cols = COLS * r->world.size;

	for (int t = 0; t < ROWS; t++)
		for (int i = 0; i < cols; i++)
			wrong += !(fabs(dot(r, act + t * HIDDEN, r->head[i / COLS] + i % COLS * HIDDEN) -
					(double)logits[t * cols + i]) < 1e-3);
	return wrong;
}

static int one_round(struct rank *r, struct rng *g, bool as_graph)
{
	static uint16_t act[STEPS + 1][ROWS * HIDDEN];
	static float logits[ROWS * COLS * MOST_RANKS];
	float *x = random_floats(g, ROWS * HIDDEN);
	struct tensor last = tensor_of(r->act[STEPS], r->job->compute, ROWS, HIDDEN);
	int cols[MOST_RANKS], wrong;

	for (int i = 0; i < ROWS * HIDDEN; i++)
		act[0][i] = down16(r, x[i]);
	for (int i = 0; i < r->world.size; i++)
		cols[i] = COLS;
	backend_upload(r->b, r->x, x, sizeof *x * ROWS * HIDDEN);
	backend_upload(r->b, r->act[0], act[0], sizeof act[0]);
	run(r, as_graph);
	backend_linear(r->b, comm_columns(r->comm, ROWS, COLS), &last, r->w_head, NULL);
	comm_gather(r->comm, logits, ROWS, cols);
	for (int s = 1; s <= STEPS; s++)
		backend_download(r->b, act[s], r->act[s], sizeof act[s]);
	wrong = wrong_steps(r, x, act);
	if (r->world.rank == 0)
		wrong += wrong_logits(r, logits, act[STEPS]);
	free(x);
	return wrong;
}

static int run_rank(const void *arg, int rank)
{
	static struct rank r;
	const struct job *j = arg;
	struct rng g = {7};
	int wrong = 0;

	if (j->name)
		setenv(j->name, j->value, 1);
	log_init(rank, LOG_WARN);
	open_rank(&r, j, rank);
	if (rank == 0)
		printf("  %d ranks, %s\n", j->ranks, r.comm->about);
	for (int i = 0; i < j->rounds; i++)
		wrong += one_round(&r, &g, i & 1);
	if (wrong)
		printf("  rank %d: %d numbers are wrong\n", rank, wrong);
	if (r.graph)
		CUDA(cudaGraphExecDestroy(r.graph));
	comm_destroy(r.comm);
	return wrong;
}

static void rounds(int ranks, enum dtype type, const char *name, const char *value)
{
	struct job j = {.compute = DT_BF16,
			.scale = 1,
			.ranks = ranks,
			.rounds = getenv("FAKEGPU_DEVICES") ? 4 : 200,
			.type = type,
			.name = name,
			.value = value};

	CHECK_EQ(ranks_ended(ranks, SECONDS, 0, run_rank, &j), ranks);
}

TEST(product_sum_and_norm)
{
	int most = min_int(devices(), MOST_RANKS);

	if (most < 2)
		SKIP("one GPU");
	for (int n = 2; n <= most; n = n < most && 2 * n > most ? most : 2 * n) {
		rounds(n, DT_F32, NULL, NULL);
		rounds(n, DT_BF16, NULL, NULL);
	}
}

/* Sums beyond 65,504, where f16 ends: they are of f32. */
TEST(f16_that_overflows)
{
	struct job j = {.compute = DT_F16, .scale = 20000, .ranks = 2, .rounds = 2, .type = DT_F32};

	if (devices() < 2)
		SKIP("one GPU");
	CHECK_EQ(ranks_ended(2, SECONDS, 0, run_rank, &j), 2);
}

/* Versions of NCCL whose window kernels do not wait. */
TEST(windows_that_do_not_wait)
{
	if (!getenv("FAKEGPU_DEVICES"))
		SKIP("not on the emulated GPU");
	rounds(2, DT_F32, "FAKENCCL_VERSION", "22809");
	rounds(2, DT_BF16, "FAKENCCL_VERSION", "23004");
}

/* The user made the communicator non-blocking: calls may still be in progress when they return. */
TEST(calls_in_progress)
{
	if (!getenv("FAKEGPU_DEVICES"))
		SKIP("not on the emulated GPU");
	rounds(2, DT_BF16, "NCCL_COMM_BLOCKING", "0");
}

CHECK_MAIN()
