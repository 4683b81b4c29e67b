/* ranks.c - ranks without MPI: they are forked and meet in shared memory. */
#include "tests/gpu/bench.h"

#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static struct meeting {
	atomic_int come, round, lock;
	int64_t min;
	char bytes[256];
} * at;
static pid_t child[16];

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

	if (w->size == 1)
		return v;
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
	if (w->size == 1)
		return;
	REQUIRE(bytes <= sizeof at->bytes);
	if (w->rank == 0)
		memcpy(at->bytes, buf, bytes);
	meet(w);
	memcpy(buf, at->bytes, bytes);
	meet(w);
}

void ranks_fork(struct bench_options *how)
{
	pid_t first = getpid();

	if (how->ranks == 1)
		return;
	at = mmap(NULL, sizeof *at, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (at == MAP_FAILED)
		die("no shared memory");
	at->min = INT64_MAX;
	for (int r = 1; r < how->ranks; r++) {
		child[r] = fork();
		if (child[r] < 0)
			die("fork");
		if (child[r])
			continue;
		how->rank = r;
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* rank 0 is gone: it would be waited for without end */
		if (getppid() != first)
			_exit(1);
		return;
	}
}

bool ranks_wait(const struct bench_options *how)
{
	int good = how->ranks, status;

	for (int r = 1; !how->rank && r < how->ranks; r++) {
		waitpid(child[r], &status, 0);
		good -= status != 0;
	}
	return good == how->ranks;
}
