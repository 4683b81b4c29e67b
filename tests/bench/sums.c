/* Sums between ranks of this node: the shared window's against MPI_Allreduce, in turns, on 2 and 4 ranks. Medians of
 * rank 0's times, and how often what a rank brings goes in and out of its memory once in that time. usage:
 * build/tests/bench/sums */
#include "parallel/comm.h"
#include "base/wait.h"
#include "tests/ranks/job.h"

#include <mpi.h>
#include <sched.h>

enum { COLS = 5120, MAX_ROWS = 512, TURNS = 40, ROUNDS = 25 };

struct place {
	struct comm *comm;
	struct split k;
	float *out, *in;
	int rows;
};

static void by_window(struct place *p)
{
	comm_parts(p->comm, &p->k, p->rows, COLS);
	comm_sum(p->comm, p->out, DT_F32, &p->k, p->rows, COLS);
}

static void by_mpi(struct place *p)
{
	MPI_Allreduce(p->in, p->out, p->rows * COLS, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
}

/* Every rank brings ones: the window's sum is as many as there are leaves. */
static int check(struct place *p)
{
	float *to = comm_parts(p->comm, &p->k, 1, COLS);
	struct part parts[SHARD_MAX_PARTS];
	int n = split_parts(&p->k, parts), wrong = 0;

	for (int i = 0; i < n * COLS; i++)
		to[i] = (float)parts[i / COLS].count;
	comm_sum(p->comm, p->out, DT_F32, &p->k, 1, COLS);
	for (int i = 0; i < COLS; i++)
		if (p->out[i] != (float)p->k.n_leaves)
			wrong = job_wrong(wrong, "sum", i);
	return wrong;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Microseconds of one sum; all ranks begin together. */
static double timed(struct place *p, void (*sum)(struct place *), int turns)
{
	uint64_t begin;

	MPI_Barrier(MPI_COMM_WORLD);
	begin = now_ns();
	for (int i = 0; i < turns; i++)
		sum(p);
	return (double)(now_ns() - begin) / 1e3 / turns;
}

static void compare(struct place *p, int rows)
{
	double window[ROUNDS], mpi[ROUNDS], kib = rows * COLS * 4 / 1024.0;
	int turns = rows > 32 ? TURNS / 8 : TURNS;

	p->rows = rows;
	timed(p, by_window, 2), timed(p, by_mpi, 2);
	for (int i = 0; i < ROUNDS; i++)
		window[i] = timed(p, by_window, turns), mpi[i] = timed(p, by_mpi, turns);
	qsort(window, ROUNDS, sizeof *window, by_value);
	qsort(mpi, ROUNDS, sizeof *mpi, by_value);
	if (!p->comm->rank)
		printf("%d ranks, %4d rows, %7.0f KiB: window %8.1f us (%5.2f GB/s a rank), MPI_Allreduce %8.1f us, %.2fx\n",
		       p->comm->size, rows, kib, window[ROUNDS / 2], 2 * kib * 1.024 / window[ROUNDS / 2],
		       mpi[ROUNDS / 2], mpi[ROUNDS / 2] / window[ROUNDS / 2]);
}

static int allowed_cores(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof set, &set) ? 1 : CPU_COUNT(&set);
}

static int sums(struct world *w)
{
	struct comm_limits limits = {
		.max_rows = MAX_ROWS, .max_cols = COLS, .max_parts = 8, .gather_rows = 1, .gather_cols = 100278};
	struct shard_shape shape = {
		.hidden = COLS, .heads = 40, .kv_heads = 40, .head_dim = 128, .ffn = 13824, .vocab = 100278};
	struct place p = {.comm = comm_host_create(w, &limits), .k = shard_make(&shape, w->rank, w->size).down};
	static const int rows[] = {1, 8, 32, MAX_ROWS};
	int wrong;

	wait_policy(w->size > allowed_cores() ? 0 : 30000); /* spinning pays only with a core for each rank */

	p.out = xalloc((size_t)MAX_ROWS * COLS, sizeof *p.out);
	p.in = xalloc((size_t)MAX_ROWS * COLS, sizeof *p.in);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		compare(&p, rows[i]);
	wrong = check(&p);
	free(p.in);
	free(p.out);
	comm_destroy(p.comm);
	return wrong;
}

int main(int argc, char **argv)
{
	static const struct job_test tests[] = {{"sums", sums}};

	return job_main(argc, argv, "2 4", tests, 1);
}
