/* How fast a step reaches another node and a word comes back, in turns: by the links of parallel/trunk.h (post, take
 * and a sum of one word), by MPI_Bcast and MPI_Allreduce, and by a ping-pong over a plain socket, which is one round
 * trip of the network. Medians of rank 0's microseconds. Then large sums: their time, and what node 0 sends. For ranks
 * on several nodes; usage: D=/tmp/lab; tests/nodes/lab up $D 2; $D/mpirun --host a:1,b:1 -n 2 build/tests/bench/nodes;
 * tests/nodes/lab down $D */
#include <mpi.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/wait.h"
#include "parallel/comm.h"
#include "parallel/trunk.h"
#include "parallel/world.h"

enum { STEP = 2000, TURNS = 400, PAUSE_US = 500, COLS = 5120, MAX_ROWS = 512, SUMS = 15 };

struct bench {
	struct world *w;
	struct comm *comm;
	struct split k;
	char step[STEP];
};

static void by_links(struct bench *b)
{
	float *parts = comm_parts(b->comm, &b->k, 1, 1), out;

	parts[0] = 1;
	if (b->w->rank)
		world_take(b->w, b->step, sizeof b->step);
	else
		world_post(b->w, b->step, sizeof b->step);
	comm_sum(b->comm, &out, DT_F32, &b->k, 1, 1);
	REQUIRE(out == (float)b->w->size);
}

static void by_mpi(struct bench *b)
{
	float one = 1, out;

	MPI_Bcast(b->step, sizeof b->step, MPI_BYTE, 0, MPI_COMM_WORLD);
	MPI_Allreduce(&one, &out, 1, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
	REQUIRE(out == (float)b->w->size);
}

static void receive(struct bench *b, int node)
{
	uint64_t word;
	struct pollfd p = {trunk_beat_fd(b->w->trunk, node), POLLIN, 0};

	while (trunk_beat_take(b->w->trunk, node, &word, sizeof word) <= 0)
		poll(&p, 1, 1000);
}

/* Between rank 0 and the leader of node 1. */
static void by_ping_pong(struct bench *b)
{
	uint64_t word = 1;
	int mine = b->w->nodes.mine;

	if (!b->w->trunk || mine > 1)
		return;
	if (mine)
		receive(b, 0);
	trunk_beat_send(b->w->trunk, 1 - mine, &word, sizeof word);
	if (!mine)
		receive(b, 1);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* A pause before each turn, as between steps: a wait that spins shows its worth only without one. */
static double median(struct bench *b, void (*turn)(struct bench *))
{
	static double us[TURNS];

	for (int i = 0; i < TURNS; i++) {
		uint64_t begin;

		if (b->w->rank == 0)
			usleep(PAUSE_US);
		begin = now_ns();
		turn(b);
		us[i] = (double)(now_ns() - begin) / 1e3;
	}
	qsort(us, TURNS, sizeof *us, by_value);
	return us[TURNS / 2];
}

static uint64_t sent(const struct world *w)
{
	uint64_t all = 0;

	for (int i = 1; w->rank == 0 && i < w->nodes.n; i++)
		all += trunk_bytes(w->trunk, i, true);
	return all;
}

static void sum_rows(struct bench *b, int rows)
{
	static double ms[SUMS];
	float *out = xalloc((size_t)rows * COLS, sizeof *out);
	uint64_t before = sent(b->w), begin;

	for (int i = 0; i < SUMS; i++) {
		float *parts = comm_parts(b->comm, &b->k, rows, COLS);

		memset(parts, 0, (size_t)rows * COLS * sizeof *parts);
		world_barrier(b->w);
		begin = now_ns();
		comm_sum(b->comm, out, DT_F32, &b->k, rows, COLS);
		ms[i] = (double)(now_ns() - begin) / 1e6;
	}
	qsort(ms, SUMS, sizeof *ms, by_value);
	if (b->w->rank == 0)
		printf("a sum of %d rows of %d on %d nodes: %.2f ms, node 0 sends %.2f MiB\n", rows, COLS,
		       b->w->nodes.n, ms[SUMS / 2], (double)(sent(b->w) - before) / SUMS / (1 << 20));
	free(out);
}

int main(int argc, char **argv)
{
	static struct bench b;
	static const struct comm_limits limits = {
		.max_rows = MAX_ROWS, .max_cols = COLS, .max_parts = 1, .gather_rows = 1, .gather_cols = 64};
	struct world w;
	struct why why;

	world_init(&w, &argc, &argv);
	log_init(w.rank, LOG_WARN);
	if (world_join(&w, NULL, &why))
		die("%s", why.text);
	if (w.nodes.n < 2)
		die("start it on several nodes");
	world_steps(&w, STEP);
	wait_policy(0);
	b = (struct bench){
		.w = &w, .comm = comm_host_create(&w, &limits), .k = {.n_leaves = w.size, .first = w.rank, .count = 1}};
	for (int round = 0; round < 3 && argc == 1; round++) {
		double links = median(&b, by_links), mpi, ping;

		world_barrier(&w);
		mpi = median(&b, by_mpi);
		world_barrier(&w);
		ping = median(&b, by_ping_pong);
		world_barrier(&w);
		if (w.rank == 0)
			printf("a step of %d bytes and a word back: links %.0f us, MPI %.0f us, ping-pong %.0f us\n",
			       STEP, links, mpi, ping);
	}
	for (int rows = 1; rows <= MAX_ROWS; rows *= 8)
		sum_rows(&b, rows);
	comm_destroy(b.comm);
	world_finish(&w);
	return 0;
}
