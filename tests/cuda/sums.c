/* Sums and gathers between GPUs, a process for each rank: whole numbers, so that every order gives the same, on 1 to 3
 * ranks. */
#include "tests/cuda/ranks.h"

enum { MAX_RANKS = 3, HIDDEN = 200, ROWS = 33, VOCAB = 500, SECONDS = 60 };

struct job {
	int ranks;
	bool fixed;
	enum dtype type;        /* of the sums */
	const char *fake[3][2]; /* variables that the emulated NCCL reads, from rank `from` on */
	int from;
	const char *no_windows; /* a part of the reason; NULL: there are some, where the library is fit for them */
	int seconds;            /* that a rank waits for the others; 0: SECONDS */
};

static char logged[300]; /* the line about sums */

static void listen_to(void *arg, enum log_level level, const char *line)
{
	(void)arg, (void)level;
	if (strstr(line, "sums between GPUs"))
		snprintf(logged, sizeof logged, "%s", line);
}

static struct backend *backend_of(const struct job *j, int rank)
{
	struct cuda_options how = {.compute = DT_BF16,
				   .sum = j->type,
				   .limits = {.max_seqs = 2, .max_tokens = ROWS, .max_blocks = 16, .rows = 4},
				   .max_context = 64,
				   .heads = 2,
				   .kv_heads = 2,
				   .head_dim = 64,
				   .device = rank,
				   .fixed = j->fixed,
				   .wait_ns = (int64_t)(j->seconds ? j->seconds : SECONDS) * 1000000000};
	struct backend *b;
	struct why why;

	if (xversed_plugin()->backend_create(&b, &how, &why))
		die("%s", why.text);
	return b;
}

/* Partial i of rank r at place k. 16 bits hold the small ones, and their sums. */
static float part_at(const struct job *j, int r, int i, size_t k)
{
	return (float)((int)(k % (j->type == DT_F32 ? 251 : 13)) * (r + 1) - 7 * i);
}

static void put(void *out, enum dtype type, size_t at, float v)
{
	if (type == DT_F32)
		((float *)out)[at] = v;
	else
		((uint16_t *)out)[at] = bf16_from_f32(v);
}
static float get(const void *p, enum dtype type, size_t at)
{
	return type == DT_F32 ? ((const float *)p)[at] : f32_from_bf16(((const uint16_t *)p)[at]);
}

/* Partials that a rank sends: as they are, or added up where they are made. */
static int parts_of(const struct job *j, int leaves, int rank)
{
	struct span own = split_leaves(leaves, rank, j->ranks);
	struct part p[SHARD_MAX_PARTS];

	return j->fixed ? leaf_parts(own.first, own.count, p) : own.count > 0;
}

static int check_sum(struct comm *c, struct backend *b, const struct job *j, int leaves, int rows, float *out)
{
	struct span own = split_leaves(leaves, c->rank, c->size);
	struct split k = {.n_leaves = leaves, .first = own.first, .count = own.count};
	size_t length = (size_t)rows * HIDDEN, bytes = length * dtype_size(j->type);
	char *host = xalloc(bytes, 1), *mine = comm_parts(c, &k, rows, HIDDEN);
	int wrong = 0;

	for (int i = 0; i < parts_of(j, leaves, c->rank); i++) {
		for (size_t x = 0; x < length; x++)
			put(host, j->type, x, part_at(j, c->rank, i, x));
		b->ops->upload(b, mine + (size_t)i * bytes, host, bytes);
	}
	comm_sum(c, out, j->type, &k, rows, HIDDEN);
	b->ops->download(b, host, out, bytes);
	for (size_t x = 0; x < length; x++) {
		float want = 0;
		for (int r = 0; r < c->size; r++)
			for (int i = 0; i < parts_of(j, leaves, r); i++)
				want += part_at(j, r, i, x);
		wrong += get(host, j->type, x) != want;
	}
	free(host);
	return wrong;
}

/* Uses each place for results. Of two leaves the third rank has none, but of more it has left something there. */
static int sums(struct comm *c, struct backend *b, const struct job *j)
{
	float *own = b->ops->alloc(b, sizeof(float) * ROWS * HIDDEN);
	int wrong = 0;

	for (int leaves = 8; leaves >= 2; leaves /= 2)
		for (int i = 0; i < COMM_RESULTS; i++) {
			float *out = comm_result(c, i);
			wrong += !out != (c->size == 1);
			wrong += check_sum(c, b, j, leaves, 1 + (5 * leaves + 13 * i) % ROWS, out ? out : own);
		}
	b->ops->free(b, own, sizeof(float) * ROWS * HIDDEN);
	return wrong;
}

/* Shares of different widths, one of them empty. */
static int gathers(struct comm *c, struct backend *b)
{
	int cols[MAX_RANKS] = {c->size == 3 ? 130 : 140, 131, 0}, rows = 3, wide = 0, first = 0, wrong = 0, at_ = 0;
	int mine = cols[c->rank];
	float *host = xalloc((size_t)rows * VOCAB, sizeof *host);

	for (int r = 0; r < c->size; r++) {
		first = r == c->rank ? wide : first;
		wide += cols[r];
	}
	for (int i = 0; i < rows * mine; i++)
		host[i] = (float)(1000 * (i / mine) + first + i % mine);
	b->ops->upload(b, comm_columns(c, rows, mine), host, sizeof *host * (size_t)(rows * mine));
	comm_gather(c, host, rows, cols);
	for (int r = 0; c->rank == 0 && r < rows; r++)
		for (int i = 0; i < wide; i++)
			wrong += host[at_++] != (float)(1000 * r + i);
	free(host);
	return wrong;
}

/* The log and Status say which way sums go. On a real machine windows depend on its library and its GPUs. */
static int check_words(const struct job *j, const struct comm *c)
{
	bool windows = strstr(c->about, ", in windows");
	const char *part = j->no_windows ? j->no_windows : getenv("FAKEGPU_DEVICES") ? ", in windows" : "NCCL ";
	const char *type = j->fixed ? "f32 in fixed order" : dtype_name(j->type);

	if (j->ranks == 1)
		return *c->about || *logged;
	printf("  %s\n", c->about);
	return !strstr(c->about, part) || !strstr(c->about, type) || windows == !!strstr(logged, "window_bytes=0") ||
	       windows == !!strstr(logged, "no_windows=\"");
}

static int run_rank(const void *arg, int rank)
{
	const struct job *j = arg;
	struct world w = {.rank = rank, .size = j->ranks};
	struct comm_limits lim = {
		.max_rows = ROWS, .max_cols = HIDDEN, .max_parts = 8, .gather_rows = 4, .gather_cols = VOCAB};
	struct backend *b;
	struct comm *c;
	struct why why;
	int wrong;

	for (int i = 0; i < 3 && j->fake[i][0] && rank >= j->from; i++)
		setenv(j->fake[i][0], j->fake[i][1], 1);
	b = backend_of(j, rank);
	log_init(rank, LOG_INFO);
	log_sink(listen_to, NULL);
	if (xversed_plugin()->comm_create(&c, b, &w, &lim, false, &why))
		die("%s", why.text);
	wrong = sums(c, b, j) + gathers(c, b);
	if (rank == 0)
		wrong += check_words(j, c);
	comm_destroy(c);
	backend_destroy(b);
	return wrong;
}

/* Counts the ranks that exit with `want`. */
static int ended(const struct job *j, int want)
{
	return ranks_ended(j->ranks, j->seconds ? 10 * (unsigned)j->seconds : SECONDS, want, run_rank, j);
}

TEST(sums_of_one_rank)
{
	CHECK_EQ(ended(&(struct job){.ranks = 1}, 0), 1);
	CHECK_EQ(ended(&(struct job){.ranks = 1, .fixed = true}, 0), 1);
}

TEST(sums_in_windows)
{
	int most = min_int(devices(), MAX_RANKS);

	if (most < 2)
		SKIP("one GPU");
	for (int n = 2; n <= most; n++)
		for (int way = 0; way < 3; way++)
			CHECK_EQ(
				ended(&(struct job){.ranks = n, .fixed = way == 1, .type = way == 2 ? DT_BF16 : DT_F32},
				      0),
				n);
}

/* Versions whose windows are missing or unsafe, and libraries that decline: all ranks', or one rank's. */
TEST(sums_without_windows)
{
	static const char *const ways[][3] = {{"FAKENCCL_VERSION", "22605", "NCCL has them from 2.27.3 on"},
					      {"FAKENCCL_VERSION", "22803", "do not wait for the kernel before them"},
					      {"FAKENCCL_VERSION", "22809", "do not wait for the kernel before them"},
					      {"FAKENCCL_VERSION", "23004", "do not wait for the kernel before them"},
					      {"FAKENCCL_WINDOWS", "0", "NCCL declined"}};

	if (!getenv("FAKEGPU_DEVICES"))
		SKIP("not on the emulated GPU");
	for (int i = 0; i < 5; i++)
		for (int from = 0; from < 2; from++)
			CHECK_EQ(ended(&(struct job){.ranks = 2,
						     .fixed = from,
						     .type = !from && i & 1 ? DT_BF16 : DT_F32,
						     .fake = {{ways[i][0], ways[i][1]}},
						     .from = from,
						     .no_windows = from && i < 4 ? "another rank's NCCL" : ways[i][2]},
				       0),
				 2);
}

/* Of a communicator that the user made non-blocking, any call may still be in progress when it returns. From 2.28 to
 * 2.30 a window's registration is while it reports success. */
TEST(calls_in_progress)
{
	static const char *const versions[] = {"22703", "23007", "23203"};

	if (!getenv("FAKEGPU_DEVICES"))
		SKIP("not on the emulated GPU");
	for (int i = 0; i < 3; i++)
		CHECK_EQ(ended(&(struct job){.ranks = 2,
					     .fake = {{"NCCL_COMM_BLOCKING", "0"}, {"FAKENCCL_VERSION", versions[i]}}},
			       0),
			 2);
}

/* A rank that never returns from a call which waits for the others: all end in time, with a status. */
TEST(calls_that_hang)
{
	static const char *const calls[] = {"ncclCommInitRankConfig", "ncclCommWindowRegister", "ncclCommFinalize"};
	char rule[60];

	if (!getenv("FAKEGPU_DEVICES"))
		SKIP("not on the emulated GPU");
	for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
		snprintf(rule, sizeof rule, "%s:1", calls[i]);
		if (ended(&(struct job){.ranks = 2,
					.fake = {{"FAKENCCL_STUCK", rule}, {"FAKENCCL_RANK", "1"}},
					.seconds = 1},
			  70) < (i < 2 ? 2 : 1))
			CHECK_FAIL("%s hangs: a rank ends well, or not by itself", calls[i]);
	}
}

/* Each NCCL call fails once, on both ranks: they exit with a status and do not hang. */
TEST(calls_that_fail)
{
	static const char *const calls[] = {"ncclCommInitRankConfig",   "ncclMemAlloc",  "ncclGetVersion",
					    "ncclCommWindowRegister",   "ncclAllReduce", "ncclAllGather",
					    "ncclCommWindowDeregister", "ncclMemFree",   "ncclCommFinalize"};
	char rule[60];

	if (!getenv("FAKEGPU_DEVICES"))
		SKIP("not on the emulated GPU");
	for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
		snprintf(rule, sizeof rule, "%s:1=3", calls[i]);
		if (ended(&(struct job){.ranks = 2, .fake = {{"FAKEGPU_FAIL", rule}}}, 70) != 2)
			CHECK_FAIL("%s fails: a rank ends well, or not by itself", calls[i]);
	}
}

/* A failure after the call is reported during the wait, not at its end. */
TEST(a_sum_that_breaks_later)
{
	if (!getenv("FAKEGPU_DEVICES"))
		SKIP("not on the emulated GPU");
	CHECK_EQ(ended(&(struct job){.ranks = 2, .fake = {{"FAKENCCL_ASYNC", "2"}}}, 70), 2);
}

CHECK_MAIN()
