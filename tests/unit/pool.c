/* The team of compute threads: every unit once, nothing lost between rounds, the caller's arithmetic
 * untouched (run under TSan too). */
#include "engine/cpu/pool.h"

#include <float.h>
#include <pthread.h>
#include <stdatomic.h>

#include "tests/check.h"

enum { MOST = 700 };

struct work {
	int seen[MOST]; /* plain memory: the pool must order it */
	int by[MOST];
	_Atomic int calls;
};

static void one_unit(void *arg, int unit, int worker)
{
	struct work *w = arg;

	w->seen[unit]++;
	w->by[unit] = worker;
}

static void one_worker(void *arg, int worker, int n_workers)
{
	struct work *w = arg;

	w->seen[worker]++;
	w->by[worker] = n_workers;
	atomic_fetch_add(&w->calls, 1);
}

static void rounds(int threads)
{
	struct pool *p = pool_create(threads, NULL);
	static struct work w;
	int n_rounds = check_full ? 20000 : 300;

	memset(&w, 0, sizeof w);
	CHECK_EQ(pool_threads(p), threads);
	for (int round = 1; round <= n_rounds; round++) {
		int units = round % MOST;
		memset(w.seen, 0, sizeof w.seen);
		pool_each(p, units, one_unit, &w);
		for (int i = 0; i < MOST; i++)
			CHECK_EQ(w.seen[i], i < units);
		for (int i = 0; i < units; i++)
			CHECK(w.by[i] >= 0 && w.by[i] < threads);
		memset(w.seen, 0, sizeof w.seen);
		pool_run(p, one_worker, &w);
		for (int i = 0; i < threads; i++)
			CHECK(w.seen[i] == 1 && w.by[i] == threads);
		CHECK_EQ(w.calls, round * threads);
	}
	pool_destroy(p);
}

TEST(one_thread)
{
	rounds(1);
}
TEST(two_threads)
{
	rounds(2);
}
TEST(more_threads_than_cores)
{
	rounds(7);
}

static float half_of_least(void)
{
	volatile float least = FLT_MIN, half = 0.5f;

	return least * half;
}

static void multiply(void *arg, int worker, int n_workers)
{
	(void)n_workers;
	((float *)arg)[worker] = half_of_least();
}

TEST(subnormals_are_flushed_inside_and_only_there)
{
	struct pool *p = pool_create(3, NULL);
	float got[3] = {1, 1, 1};

	CHECK(half_of_least() > 0);
	pool_run(p, multiply, got);
	CHECK(got[0] == 0 && got[1] == 0 && got[2] == 0);
	CHECK(half_of_least() > 0);
	pool_destroy(p);
}

CHECK_MAIN()
