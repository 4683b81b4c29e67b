/* ranks.h - ranks without MPI, for tests of sums between GPUs: forked processes, which meet in memory that they share.
 */
#ifndef TESTS_CUDA_RANKS_H
#define TESTS_CUDA_RANKS_H

#include "engine/backend/cuda_plugin.h"
#include "parallel/world.h"
#include "tests/check.h"

#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST_RANKS = 8 };

const struct plugin *xversed_plugin(void);

static struct meeting {
	atomic_int arrived, round;
	int64_t min;
	char bytes[256];
	atomic_int lock;
} * meeting;

static void meet(const struct world *w)
{
	int round = atomic_load(&meeting->round);

	if (atomic_fetch_add(&meeting->arrived, 1) + 1 == w->size) {
		atomic_store(&meeting->arrived, 0);
		atomic_fetch_add(&meeting->round, 1);
	}
	while (atomic_load(&meeting->round) == round)
		sched_yield();
}

int64_t world_min(const struct world *w, int64_t v)
{
	int64_t got;

	while (atomic_exchange(&meeting->lock, 1))
		sched_yield();
	meeting->min = v < meeting->min ? v : meeting->min;
	atomic_store(&meeting->lock, 0);
	meet(w);
	got = meeting->min;
	meet(w);
	if (w->rank == 0)
		meeting->min = INT64_MAX;
	meet(w);
	return got;
}

void world_bcast(const struct world *w, void *buf, size_t bytes)
{
	if (w->rank == 0)
		memcpy(meeting->bytes, buf, bytes);
	meet(w);
	memcpy(buf, meeting->bytes, bytes);
	meet(w);
}

/* Runs `run`, which returns how much is wrong, on n ranks with `seconds` for all, and returns how many exit with
 * `want`.
 */
static inline int ranks_ended(int n, unsigned seconds, int want, int (*run)(const void *arg, int rank), const void *arg)
{
	pid_t pid[MOST_RANKS];
	int good = 0, status;

	fflush(stdout);
	meeting = mmap(NULL, sizeof *meeting, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(meeting != MAP_FAILED && n <= MOST_RANKS);
	meeting->min = INT64_MAX;
	for (int r = 0; r < n; r++) {
		pid[r] = fork();
		if (!pid[r]) {
			alarm(seconds); /* a rank that waits for one that has exited */
			status = run(arg, r) ? 1 : 0;
			fflush(stdout);
			_exit(status);
		}
	}
	for (int r = 0; r < n; r++) {
		waitpid(pid[r], &status, 0);
		good += WIFEXITED(status) && WEXITSTATUS(status) == want;
		if (status && !want)
			for (int i = r + 1; i < n; i++)
				kill(pid[i], SIGKILL);
	}
	munmap(meeting, sizeof *meeting);
	return good;
}

/* Counts in a process of its own, since one that has used CUDA cannot fork. */
static inline int devices(void)
{
	int n = 0, status;
	pid_t pid = fork();
	struct why why;

	if (!pid)
		_exit(xversed_plugin()->count(&n, &why) ? 0 : n);
	waitpid(pid, &status, 0);
	return WEXITSTATUS(status);
}

#endif
