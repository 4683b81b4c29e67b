#include "parallel/world.h"

#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "parallel/board.h"
#include "base/tasks.h"
#include "base/wait.h"
#include "parallel/trunk.h"
#include "parallel/window.h"

struct follower {
	_Alignas(64) _Atomic uint32_t taken; /* number of the last step it copied */
};

struct bell {
	_Alignas(64) _Atomic uint32_t posted; /* number of the last step; futex */
	uint32_t bytes[2];                    /* of the steps with even and odd numbers */
	struct follower follower[];           /* (size) */
};

struct world_shared {
	struct window board, steps;
	struct bell *bell; /* NULL before world_steps() and on one rank */
	char *step[2];     /* (room) each */
	size_t room;
};

/* One process without a launcher is a world of its own and skips MPI, whose start takes a third of a second.
 */
static bool launched(void)
{
	return getenv("OMPI_COMM_WORLD_SIZE") || getenv("PMIX_RANK") || getenv("PMIX_NAMESPACE");
}

/* Without PMIx every task of srun, or of another MPI's mpiexec, would become a server of its own. */
static void refuse_lonely(const struct world *w)
{
	const char *variable;
	int tasks = tasks_started(&variable);

	if (w->size == 1 && tasks > 1)
		die_as(EXIT_CONFIG,
		       "%s says that %d tasks were started, and Open MPI knows of one only: give srun --mpi=pmix, or use mpirun or xverse-launch "
		       "(where one server is meant in such a task: env -u %s)",
		       variable, tasks, variable);
}

static void start_mpi(int *argc, char ***argv)
{
	int got;

	if (MPI_Init_thread(argc, argv, MPI_THREAD_FUNNELED, &got) != MPI_SUCCESS)
		die("MPI does not start");
	if (got < MPI_THREAD_FUNNELED)
		die("this MPI is built without thread support");
}

/* Ranks watch and end each other by process id, so an id must mean the same process to all. */
static void refuse_namespaces(const struct world *w)
{
	struct stat st;
	int64_t mine = stat("/proc/self/ns/pid", &st) ? 0 : (int64_t)st.st_ino;
	int64_t least = node_min(w, mine), most = -node_min(w, -mine);

	if (least == most)
		return;
	if (w->local_rank) {
		usleep(500000); /* the launcher ends all when rank 0 has said why */
		_exit(EXIT_CONFIG);
	}
	die_as(EXIT_CONFIG,
	       "ranks of a node are in several process namespaces: start mpirun and all ranks inside one container, or the ranks with --pid=host");
}

static void open_board(struct world *w)
{
	window_open(&w->shared->board, w, "xversed board", board_bytes(w->size));
	w->board = board_join(w->shared->board.base, w->rank, w->size, getpid());
	if (w->nodes.n > 1)
		board_nodes(w->board, &w->nodes, NULL);
	world_barrier(w);
	board_meet(w->board);
	world_barrier(w); /* a rank that passes this was alive when its pidfd was opened */
	on_die(board_die, w->board);
	board_crashes(w->board);
}

void world_init(struct world *w, int *argc, char ***argv)
{
	*w = (struct world){.size = 1, .local_size = 1};
	if (launched()) {
		start_mpi(argc, argv);
		MPI_Comm_rank(MPI_COMM_WORLD, &w->rank);
		MPI_Comm_size(MPI_COMM_WORLD, &w->size);
		world_find_nodes(w);
		refuse_namespaces(w);
	}
	refuse_lonely(w);
	w->shared = xalloc(1, sizeof *w->shared);
	open_board(w);
}

pid_t world_starter(void)
{
	return launched() ? getppid() : 0;
}

void world_library(char *out, size_t size)
{
	char text[MPI_MAX_LIBRARY_VERSION_STRING] = "";
	int n;

	MPI_Get_library_version(text, &n);
	snprintf(out, size, "%.*s", (int)strcspn(text, ",\n"), text);
}

void world_finish(struct world *w)
{
	int started;

	if (w->trunk)
		trunk_ending(w->trunk);
	world_barrier(w); /* every rank is watched until all have arrived here */
	on_die(NULL, NULL);
	board_crashes(NULL);
	board_leave(w->board);
	trunk_close(w->trunk);
	if (w->shared->bell)
		window_close(&w->shared->steps);
	window_close(&w->shared->board);
	free(w->shared);
	MPI_Initialized(&started);
	if (started) {
		world_forget_nodes(w);
		MPI_Finalize();
	}
	*w = (struct world){0};
}

static bool here(const struct world *w, int rank)
{
	return w->nodes.n < 2 || w->nodes.of_rank[rank] == w->nodes.mine;
}

/* Ranks that take steps from this node's page. */
static bool follows(const struct world *w, int rank)
{
	return rank > 0 && here(w, rank);
}

/* Where the step with this number belongs, once no rank reads the one before the last any more. */
static char *step_place(struct world *w, uint32_t no)
{
	struct world_shared *s = w->shared;

	for (int r = 0; r < w->size; r++)
		if (follows(w, r))
			wait_reach(&s->bell->follower[r].taken, no - 2, 1, board_idle, w->board);
	return s->step[no & 1];
}

static void ring(struct world_shared *s, uint32_t no, size_t bytes)
{
	s->bell->bytes[no & 1] = (uint32_t)bytes;
	atomic_store_explicit(&s->bell->posted, no, memory_order_release);
	wait_wake(&s->bell->posted, 1);
}

/* A step from rank 0, on another node. No rank here that is behind waits for what comes after it on any link: rank 0
 * has passed all sums of the step before, to which every rank of this node has brought its part. */
static void *place_step(void *arg, int node, const struct trunk_frame *f)
{
	struct world *w = arg;
	struct world_shared *s = w->shared;

	if (node || f->bytes > s->room || f->no != atomic_load(&s->bell->posted) + 1)
		return NULL;
	return step_place(w, f->no);
}

static void step_arrived(void *arg, int node, const struct trunk_frame *f)
{
	const struct world *w = arg;

	(void)node;
	ring(w->shared, f->no, f->bytes);
}

void world_steps(struct world *w, size_t bytes)
{
	struct world_shared *s = w->shared;
	size_t head = round_up(sizeof(struct bell) + (size_t)w->size * sizeof(struct follower), 4096);
	struct trunk_sink sink = {place_step, step_arrived, w};

	REQUIRE(!s->bell && bytes > 0 && bytes <= INT32_MAX);
	s->room = round_up(bytes, 64);
	if (w->size == 1)
		return;
	if (w->nodes.n > 1 && s->room > TRUNK_MOST)
		die_as(EXIT_CONFIG,
		       "a step may take %zu bytes, more than the %d that go between nodes: lower --max-num-seqs or --max-model-len",
		       s->room, TRUNK_MOST);
	window_open(&s->steps, w, "xversed steps", head + 2 * s->room);
	s->bell = s->steps.base;
	s->step[0] = (char *)s->steps.base + head;
	s->step[1] = s->step[0] + s->room;
	if (w->local_rank == 0)
		memset(s->step[0], 0, 2 * s->room);
	if (w->trunk)
		trunk_sink(w->trunk, TRUNK_STEP, &sink);
	world_barrier(w);
	window_map(&s->steps);
}

void world_post(struct world *w, const void *step, size_t bytes)
{
	struct world_shared *s = w->shared;
	uint32_t no = ++w->seen;
	struct trunk_frame f = {.kind = TRUNK_STEP, .no = no, .bytes = (uint32_t)bytes};

	REQUIRE(w->rank == 0 && bytes <= s->room);
	if (w->size == 1)
		return;
	if (w->trunk)
		trunk_send_all(w->trunk, &f, step);
	memcpy(step_place(w, no), step, bytes);
	ring(s, no, bytes);
}

bool world_posted(const struct world *w)
{
	return atomic_load_explicit(&w->shared->bell->posted, memory_order_relaxed) != w->seen;
}

size_t world_take(struct world *w, void *step, size_t max)
{
	struct world_shared *s = w->shared;
	struct follower *me = &s->bell->follower[w->rank];
	uint32_t no = ++w->seen;
	size_t bytes;

	REQUIRE(w->rank > 0 && s->bell);
	wait_reach(&s->bell->posted, no, 1, board_idle, w->board);
	bytes = s->bell->bytes[no & 1];
	REQUIRE(bytes <= max);
	memcpy(step, s->step[no & 1], bytes);
	atomic_store_explicit(&me->taken, no, memory_order_release);
	wait_wake(&me->taken, 1);
	return bytes;
}
