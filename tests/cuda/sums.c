/* Sums and gathers between GPUs, a process for each rank: whole numbers, so that every order gives the same, on 1 to 3
 * ranks. */
#include "engine/backend/cuda_plugin.h"
#include "parallel/world.h"
#include "tests/check.h"

#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MAX_RANKS = 3, HIDDEN = 200, ROWS = 33, VOCAB = 500, SECONDS = 60 };

const struct plugin *xversed_plugin(void);

/* ---- a world without MPI: the ranks are forked and meet here ---- */
static struct meeting {
	atomic_int come, round;
	int64_t min;
	char bytes[256];
	atomic_int lock;
} * at;

static void meet(const struct world *w)
{
	int round = atomic_load(&at->round);

	if (atomic_fetch_add(&at->come, 1) + 1 == w->size) {
		atomic_store(&at->come, 0);
		atomic_fetch_add(&at->round, 1);
	}
	while (atomic_load(&at->round) == round)
		sched_yield();
}

int64_t world_min(const struct world *w, int64_t v)
{
	int64_t got;

	while (atomic_exchange(&at->lock, 1))
		sched_yield();
	at->min = v < at->min ? v : at->min;
	atomic_store(&at->lock, 0);
	meet(w);
	got = at->min;
	meet(w);
	if (w->rank == 0)
		at->min = INT64_MAX;
	meet(w);
	return got;
}

void world_bcast(const struct world *w, void *buf, size_t bytes)
{
	if (w->rank == 0)
		memcpy(at->bytes, buf, bytes);
	meet(w);
	memcpy(buf, at->bytes, bytes);
	meet(w);
}

/* ---- one rank ---- */
struct job {
	int ranks;
	bool fixed;
	const char *fake[2]; /* a variable that the emulated GPU reads, from rank `from` on */
	int from;
};

static bool with_windows; /* as the log reports */

static void listen_to(void *arg, enum log_level level, const char *line)
{
	(void)arg, (void)level;
	if (strstr(line, "sums between GPUs"))
		with_windows = !strstr(line, "window_bytes=0");
}

static struct backend *backend_of(const struct job *j, int rank)
{
	struct cuda_options how = {.compute = DT_BF16,
				   .limits = {.max_seqs = 2, .max_tokens = ROWS, .max_blocks = 16, .rows = 4},
				   .max_context = 64,
				   .heads = 2,
				   .kv_heads = 2,
				   .head_dim = 64,
				   .device = rank,
				   .fixed = j->fixed,
				   .wait_ns = (int64_t)SECONDS * 1000000000};
	struct backend *b;
	struct why why;

	if (xversed_plugin()->backend_create(&b, &how, &why))
		die("%s", why.text);
	return b;
}

/* Partial i of rank r at place k. */
static float part_at(int r, int i, size_t k)
{
	return (float)((int)(k % 251) * (r + 1) - 7 * i);
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
	size_t length = (size_t)rows * HIDDEN;
	float *host = xalloc(length, sizeof *host), *mine = comm_parts(c, &k, rows, HIDDEN);
	int wrong = 0;

	for (int i = 0; i < parts_of(j, leaves, c->rank); i++) {
		for (size_t x = 0; x < length; x++)
			host[x] = part_at(c->rank, i, x);
		b->ops->upload(b, mine + (size_t)i * length, host, length * sizeof *host);
	}
	comm_sum(c, out, &k, rows, HIDDEN);
	b->ops->download(b, host, out, length * sizeof *host);
	for (size_t x = 0; x < length; x++) {
		float want = 0;
		for (int r = 0; r < c->size; r++)
			for (int i = 0; i < parts_of(j, leaves, r); i++)
				want += part_at(r, i, x);
		wrong += host[x] != want;
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

static int run_rank(const struct job *j, int rank)
{
	struct world w = {.rank = rank, .size = j->ranks};
	struct comm_limits lim = {
		.max_rows = ROWS, .max_cols = HIDDEN, .max_parts = 8, .gather_rows = 4, .gather_cols = VOCAB};
	struct backend *b = backend_of(j, rank);
	struct comm *c;
	struct why why;
	bool may = j->ranks > 1 && (!j->fake[0] || strncmp(j->fake[0], "FAKENCCL", 8));
	int wrong;

	log_init(rank, LOG_INFO);
	log_sink(listen_to, NULL);
	if (xversed_plugin()->comm_create(&c, b, &w, &lim, false, &why))
		die("%s", why.text);
	wrong = sums(c, b, j) + gathers(c, b);
	if (rank == 0 && with_windows != may)
		wrong++, printf("  windows: %d\n", with_windows);
	comm_destroy(c);
	backend_destroy(b);
	return wrong;
}

/* Counts the ranks that exit with `want`. */
static int ended(const struct job *j, int want)
{
	pid_t pid[MAX_RANKS];
	int good = 0, status;

	fflush(stdout);
	at = mmap(NULL, sizeof *at, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(at != MAP_FAILED);
	at->min = INT64_MAX;
	for (int r = 0; r < j->ranks; r++) {
		pid[r] = fork();
		if (!pid[r]) {
			if (j->fake[0] && r >= j->from)
				setenv(j->fake[0], j->fake[1], 1);
			alarm(SECONDS); /* a rank that waits for one that has exited */
			status = run_rank(j, r) ? 1 : 0;
			fflush(stdout);
			_exit(status);
		}
	}
	for (int r = 0; r < j->ranks; r++) {
		waitpid(pid[r], &status, 0);
		good += WIFEXITED(status) && WEXITSTATUS(status) == want;
		if (status && !want)
			for (int i = r + 1; i < j->ranks; i++)
				kill(pid[i], SIGKILL);
	}
	munmap(at, sizeof *at);
	return good;
}

/* In a process of its own, since one that has used CUDA cannot fork. */
static int devices(void)
{
	int n = 0, status;
	pid_t pid = fork();
	struct why why;

	if (!pid)
		_exit(xversed_plugin()->count(&n, &why) ? 0 : n);
	waitpid(pid, &status, 0);
	return WEXITSTATUS(status);
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
		for (int fixed = 0; fixed < 2; fixed++)
			CHECK_EQ(ended(&(struct job){.ranks = n, .fixed = fixed}, 0), n);
}

/* Either all ranks' libraries are too old or decline, or one rank's. */
TEST(sums_without_windows)
{
	static const char *const ways[][2] = {{"FAKENCCL_VERSION", "22605"}, {"FAKENCCL_WINDOWS", "0"}};

	if (!getenv("FAKEGPU_DEVICES"))
		SKIP("not on the emulated GPU");
	for (int i = 0; i < 2; i++)
		for (int from = 0; from < 2; from++)
			CHECK_EQ(ended(&(struct job){.ranks = 2,
						     .fixed = from,
						     .fake = {ways[i][0], ways[i][1]},
						     .from = from},
				       0),
				 2);
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
		if (ended(&(struct job){.ranks = 2, .fake = {"FAKEGPU_FAIL", rule}}, 70) != 2)
			CHECK_FAIL("%s fails: a rank ends well, or not by itself", calls[i]);
	}
}

/* A failure after the call is reported during the wait, not at its end. */
TEST(a_sum_that_breaks_later)
{
	if (!getenv("FAKEGPU_DEVICES"))
		SKIP("not on the emulated GPU");
	CHECK_EQ(ended(&(struct job){.ranks = 2, .fake = {"FAKENCCL_ASYNC", "2"}}, 70), 2);
}

CHECK_MAIN()
