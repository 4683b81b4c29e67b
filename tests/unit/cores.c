/* Which CPUs each rank of a node gets: shares are disjoint, stay within a package, and follow masks, quotas and other
 * daemons. */
#include "base/cores.h"

#include "base/base.h"
#include "tests/check.h"

enum { MAX_RANKS = 16 };

static struct core_unit unit[CPU_SETSIZE];
static int units;
static struct core_ask ask[MAX_RANKS];
static struct core_share out[MAX_RANKS];
static cpu_set_t taken;

/* Two packages numbered as Linux does on most machines: the second hardware threads come after all first ones. */
static void machine(int packages, int cores, int siblings)
{
	units = 0;
	for (int p = 0; p < packages; p++)
		for (int c = 0; c < cores; c++)
			for (int s = 0; s < siblings; s++)
				unit[units++] = (struct core_unit){s * packages * cores + p * cores + c, s};
	CPU_ZERO(&taken);
	memset(ask, 0, sizeof ask);
}

static void mask(int rank, int first, int count)
{
	for (int cpu = first; cpu < first + count; cpu++)
		CPU_SET((size_t)cpu, &ask[rank].mask);
}

static const char *text(const int *cpu, int n)
{
	static char line[2][256];
	static int turn;

	turn = !turn;
	cores_text(cpu, n, line[turn], sizeof line[turn]);
	return line[turn];
}

static void plan(int ranks)
{
	cores_plan(unit, units, ask, ranks, &taken, out);
}

TEST(a_rank_stays_in_its_package)
{
	machine(2, 16, 2);
	mask(0, 0, 64), mask(1, 0, 64);
	plan(2);
	CHECK_EQ(out[0].threads, 32);
	CHECK_STR(text(out[0].cpu, 32), "0-15,32-47");
	CHECK_STR(text(out[1].cpu, 32), "16-31,48-63");
	CHECK_STR(text(out[0].cpu, 16), "0-15"); /* distinct cores first */
	CHECK(out[0].pin && out[0].roomy && out[1].alone);
}

TEST(fewer_threads_have_cores_of_their_own)
{
	machine(2, 16, 2);
	mask(0, 0, 64);
	ask[0].threads = 8;
	plan(1);
	CHECK_STR(text(out[0].cpu, 8), "0-7");
	CHECK(out[0].pin);
}

TEST(ranks_bound_to_cores_of_their_own_have_all_of_them)
{
	machine(1, 16, 1);
	mask(0, 0, 8), mask(1, 8, 8);
	plan(2);
	CHECK_EQ(out[0].threads, 8);
	CHECK_EQ(out[1].threads, 8);
	CHECK_STR(text(out[1].cpu, 8), "8-15");
	ask[0].threads = ask[1].threads = 8;
	plan(2);
	CHECK(out[0].pin && out[1].pin && out[0].roomy);
	ask[0].threads = 9;
	plan(2);
	CHECK(!out[0].pin && out[1].pin && !out[1].roomy);
}

TEST(masks_that_overlap)
{
	machine(1, 4, 1);
	mask(0, 0, 4), mask(1, 0, 2);
	plan(2);
	CHECK_STR(text(out[1].cpu, out[1].n_cpu), "0");
	CHECK_STR(text(out[0].cpu, out[0].n_cpu), "1-3");
}

TEST(more_ranks_than_cores)
{
	machine(1, 2, 1);
	for (int r = 0; r < 3; r++)
		mask(r, 0, 2);
	plan(3);
	for (int r = 0; r < 3; r++) {
		CHECK_EQ(out[r].threads, 1);
		CHECK(out[r].n_cpu >= 1 && !out[r].roomy && !out[r].alone);
	}
}

TEST(uneven_shares_differ_by_one)
{
	machine(1, 16, 1);
	for (int r = 0; r < 3; r++)
		mask(r, 0, 16);
	plan(3);
	CHECK_EQ(out[0].threads, 6);
	CHECK_EQ(out[1].threads, 5);
	CHECK_EQ(out[2].threads, 5);
}

TEST(quota_bounds_threads)
{
	machine(1, 64, 1);
	mask(0, 0, 64);
	ask[0].quota = 600;
	plan(1);
	CHECK_EQ(out[0].threads, 1);
	CHECK(!out[0].roomy); /* a spinning thread would use it up */
	ask[0].quota = 4500;
	plan(1);
	CHECK_EQ(out[0].threads, 4);
	CHECK(out[0].roomy);
	mask(1, 0, 64);
	ask[1].quota = 4500;
	plan(2); /* one group */
	CHECK_EQ(out[0].threads + out[1].threads, 4);
	ask[1].group = 7;
	plan(2);
	CHECK_EQ(out[0].threads + out[1].threads, 8);
	ask[0].threads = 10; /* asked for */
	plan(2);
	CHECK_EQ(out[0].threads, 10);
}

TEST(a_second_daemon_keeps_off_taken_cores)
{
	machine(1, 16, 1);
	mask(0, 0, 16);
	ask[0].threads = 8;
	for (size_t cpu = 0; cpu < 8; cpu++)
		CPU_SET(cpu, &taken);
	plan(1);
	CHECK_STR(text(out[0].cpu, 8), "8-15");
	CHECK(out[0].pin);
	ask[0].threads = 9;
	plan(1);
	CHECK(!out[0].pin && !out[0].roomy);
	CHECK_EQ(out[0].threads, 9);
}

TEST(unknown_cpus_are_planned_too)
{
	machine(1, 2, 1);
	mask(0, 4, 8);
	plan(1);
	CHECK_EQ(out[0].threads, 8);
	CHECK_STR(text(out[0].cpu, 8), "4-11");
}

/* Whatever the masks are: no CPU in two shares, none outside of a mask, every rank has a thread. */
TEST(random_masks)
{
	uint32_t seed = 1;

	for (int round = 0; round < 2000; round++) {
		int ranks = 1 + round % 8, owner[64], packages = 1 + round % 2;

		machine(packages, 16 / packages, 1 + round % 3 / 2);
		memset(owner, -1, sizeof owner);
		for (int r = 0; r < ranks; r++)
			for (size_t cpu = 0; cpu < 40; cpu++)
				if ((seed = seed * 1664525u + 1013904223u) >> 30 || cpu == (size_t)r)
					CPU_SET(cpu, &ask[r].mask);
		for (size_t cpu = 0; cpu < 40; cpu++)
			if ((seed = seed * 1664525u + 1013904223u) >> 31)
				CPU_SET(cpu, &taken);
		plan(ranks);
		for (int r = 0; r < ranks; r++) {
			CHECK(out[r].threads >= 1 && out[r].n_cpu >= 1);
			for (int i = 0; i < out[r].n_cpu; i++)
				CHECK(CPU_ISSET((size_t)out[r].cpu[i], &ask[r].mask));
			for (int i = 0; out[r].pin && i < out[r].threads; i++) {
				CHECK(!CPU_ISSET((size_t)out[r].cpu[i], &taken));
				CHECK_EQ(owner[out[r].cpu[i]], -1);
				owner[out[r].cpu[i]] = r;
			}
		}
	}
}

CHECK_MAIN()
