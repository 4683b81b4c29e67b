/* When a link's loss of packets ends a job: a burst of a few seconds never does, however much it takes, nor does a cut;
 * a third of all packets for some seconds more always does. */
#include "parallel/loss.h"

#include "tests/check.h"

enum { SECOND = 1000 / LOSS_TICK_MS, SEEDS = 300 };

struct link {
	struct loss loss;
	struct trunk_packets counted;
	struct loss_sum sum;
	uint64_t random;
	bool doubt; /* packets of data were lost */
};

static bool falls(struct link *l, int percent)
{
	l->random = l->random * 6364136223846793005u + 1442695040888963407u;
	return (int)((l->random >> 33) % 100) < percent;
}

/* One tick: a heartbeat, or five while packets are lost (board_tell_often()). What is lost is sent once more, in vain
 * or not, and then with the next tick. Returns whether the job would end. */
static bool tick(struct link *l, int percent)
{
	int beats = l->sum.lost || l->doubt ? 5 : 1;

	for (int i = 0; i < beats; i++) {
		bool arrives = !falls(l, percent);

		l->counted.sent++;
		if (!arrives) {
			l->counted.lost++;
			l->counted.sent++;
			arrives = !falls(l, percent);
		}
		l->counted.arrived += arrives ? 100 : 0;
	}
	l->sum = loss_look(&l->loss, &l->counted);
	return l->sum.harmful;
}

/* Ticks of a loss after which the job would end, up to `ticks`; -1: it goes on. */
static int ends_after(struct link *l, int percent, int ticks)
{
	for (int i = 0; i < ticks; i++)
		if (tick(l, percent))
			return i + 1;
	return -1;
}

static struct link fresh(int seed)
{
	struct link l = {.random = (uint64_t)seed * 7919};

	CHECK_EQ(ends_after(&l, 0, 20 * SECOND), -1);
	return l;
}

TEST(a_burst_ends_nothing)
{
	static const int percents[] = {5, 16, 30, 50, 80, 95, 100};

	for (size_t p = 0; p < sizeof percents / sizeof *percents; p++)
		for (int seed = 0; seed < SEEDS; seed++) {
			struct link l = fresh(seed);

			CHECK_EQ(ends_after(&l, percents[p], 1 + seed % (5 * SECOND)), -1);
			CHECK_EQ(ends_after(&l, 0, 20 * SECOND), -1);
			CHECK_EQ(l.sum.lost, 0);
		}
}

TEST(a_lasting_loss_ends_the_job)
{
	for (int percent = 30; percent <= 60; percent += 10)
		for (int seed = 0; seed < SEEDS; seed++) {
			struct link l = fresh(seed);
			int ticks;

			l.doubt = true;
			ticks = ends_after(&l, percent, 60 * SECOND);
			CHECK(ticks > 6 * SECOND);
			CHECK(ticks <= 8 * SECOND);
			CHECK(l.sum.lost * 6 >= l.sum.sent);
		}
}

TEST(what_TCP_copes_with_ends_nothing)
{
	for (int percent = 0; percent <= 5; percent++)
		for (int seed = 0; seed < SEEDS; seed++) {
			struct link l = fresh(seed);

			CHECK_EQ(ends_after(&l, percent, 60 * SECOND), -1);
		}
}

/* Its silence does. */
TEST(a_cut_is_no_loss)
{
	struct link l = fresh(1);

	CHECK_EQ(ends_after(&l, 100, 60 * SECOND), -1);
}

/* A packet that arrived after all, as its reader reported, may be counted later than it was sent again. */
TEST(what_arrived_after_all_counts_back)
{
	struct loss l = {.at = 0};
	struct loss_sum sum = loss_look(&l, &(struct trunk_packets){.sent = 10, .lost = 3, .arrived = 700});

	CHECK_EQ(sum.lost, 3);
	sum = loss_look(&l, &(struct trunk_packets){.sent = 11, .lost = 1, .arrived = 800});
	CHECK_EQ(sum.lost, 1);
	CHECK_EQ(sum.sent, 11);
	sum = loss_look(&l, &(struct trunk_packets){.sent = 12, .lost = 0, .arrived = 900});
	CHECK_EQ(sum.lost, 0);
}

CHECK_MAIN()
