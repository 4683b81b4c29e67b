/* The board of jobs that are frozen as a whole, and of ranks that crash. */
#include <sys/mman.h>

#include "tests/unit/board_job.h"

static void waits(struct board *b, int rank)
{
	(void)rank;
	for (int i = 0; i < 300; i++) {
		usleep(100000);
		board_idle(b);
		if (atomic_load(&common->idle_steps))
			return;
	}
}

/* Stops all, waits, and lets them go on in the order of the digits of `order`, with pauses between. */
static void freeze(const struct outcome *job, int ms, const char *order, int pause_ms)
{
	for (int r = 0; r < RANKS; r++)
		kill(job->pid[r], SIGSTOP);
	usleep((useconds_t)ms * 1000);
	for (; *order; order++) {
		kill(job->pid[*order - '0'], SIGCONT);
		usleep((useconds_t)pause_ms * 1000);
	}
}

static void check_unharmed(struct outcome *job)
{
	atomic_store(&common->idle_steps, 1);
	end_job(job, now_ns());
	for (int r = 0; r < RANKS; r++)
		CHECK_EQ(job->status[r], 0);
	CHECK_EQ(common->words, 0);
}

/* All stand still for longer than a heartbeat may be old: a machine that was paused. */
TEST(a_pause_of_the_machine_is_forgiven)
{
	struct outcome job = start_job(&(struct play){.part = waits, .watchdog_ms = 1000});

	usleep(300000);
	freeze(&job, 2600, "0123", 50);
	usleep(1300000);
	check_unharmed(&job);
}

/* Who comes back first waits for the others as long as it was away itself, also when it happens again at once. */
TEST(a_thaw_may_take_any_order_and_time)
{
	struct outcome job = start_job(&(struct play){.part = waits});

	usleep(300000);
	freeze(&job, 2600, "2013", 700);
	freeze(&job, 2600, "3120", 600);
	usleep(2100000);
	check_unharmed(&job);
}

/* ... and then who is stopped alone is found as ever. */
static void stops_after_a_pause(struct board *b, int rank)
{
	for (int i = 0; i < 50; i++)
		usleep(50000);
	if (rank == 3)
		raise(SIGSTOP);
	for_ever(b);
}

TEST(a_pause_does_not_hide_a_stopped_rank)
{
	uint64_t begin = now_ns();
	struct outcome job = start_job(&(struct play){.part = stops_after_a_pause});

	usleep(300000);
	freeze(&job, 1500, "0123", 10);
	end_job(&job, begin);
	check_end(&job, 3, -SIGKILL, 1, 0, 20000);
	CHECK_HAS(common->heard, "rank 3");
	CHECK_HAS(common->heard, "was stopped");
}

static void crashes(struct board *b, int rank)
{
	volatile char *nowhere = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
				      0); /* UBSan has words of its own for NULL */

	board_crashes(b);
	board_step(b, 3);
	if (rank == 2)
		*nowhere = 1;
	for_ever(b);
}

/* The process ends by its signal, as without us: a core dump is the user's choice. */
TEST(a_crash_is_told_with_its_signal)
{
	struct outcome job = run_job(&(struct play){.part = crashes});

	check_end(&job, 2, -SIGSEGV, 1, 0, SOON);
	CHECK_HAS(common->heard, "died by signal 11 (SIGSEGV) in step 3, operation 0");
}

static void zero_is_sent_a_fault(struct board *b, int rank)
{
	board_crashes(b);
	if (rank == 0)
		kill(getpid(), SIGBUS);
	for_ever(b);
}

TEST(rank_0_says_last_words_of_its_crash)
{
	struct outcome job = run_job(&(struct play){.part = zero_is_sent_a_fault});

	check_end(&job, 0, -SIGBUS, 1, 0, SOON);
	CHECK_HAS(common->heard, "died by signal 7 (SIGBUS)");
}

static void aborts_beside_another_handler(struct board *b, int rank)
{
	signal(SIGABRT, SIG_IGN);
	board_crashes(b);
	if (rank == 1)
		abort();
	for_ever(b);
}

TEST(what_handled_crashes_before_still_does)
{
	struct outcome job = run_job(&(struct play){.part = aborts_beside_another_handler});

	check_end(&job, 1, -SIGABRT, 1, 0, SOON);
	CHECK_HAS(common->heard, "died by signal 6 (SIGABRT)");
}

CHECK_MAIN()
