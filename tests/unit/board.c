/* The board: who is blamed, that there is one winner, and that a job of processes ends as it should. */
#include "tests/unit/board_job.h"

static _Atomic int winners;

static void *blamer(void *arg)
{
	int me = (int)(intptr_t)arg;
	struct board *b = board_join(common->page, me, 8, getpid());
	struct blame mine = {.kind = BLAME_DIED, .rank = me, .pid = 100 + me, .step = me, .op = (uint32_t)me}, got;

	if (board_blame(b, &mine))
		atomic_fetch_add(&winners, 1);
	if (!board_blamed(b, &got) || got.pid != 100 + got.rank || got.step != got.rank || got.op != (uint32_t)got.rank)
		atomic_fetch_add(&winners, 100);
	if (board_blame(b, &mine))
		atomic_fetch_add(&winners, 1000);
	board_leave(b);
	return NULL;
}

TEST(the_first_blame_wins)
{
	for (int round = 0; round < 100; round++) {
		pthread_t thread[8];

		new_common();
		winners = 0;
		for (int t = 0; t < 8; t++)
			CHECK_EQ(pthread_create(&thread[t], NULL, blamer, (void *)(intptr_t)t), 0);
		for (int t = 0; t < 8; t++)
			pthread_join(thread[t], NULL);
		CHECK_EQ(winners, 1);
	}
}

TEST(steps_and_operations_are_counted)
{
	struct board *b;

	new_common();
	b = board_join(common->page, 0, 1, getpid());
	CHECK(!board_blamed(b, NULL));
	board_step(b, 7);
	for (int i = 0; i < 31; i++)
		board_op(b);
	CHECK_EQ(board_ops(b), 31);
	board_step(b, 8);
	CHECK_EQ(board_ops(b), 0);
	board_op(b);
	board_step(b, -1);
	board_step(b, -1);
	CHECK_EQ(board_ops(b), 0);
	board_idle(b);
	board_leave(b);
}

TEST(a_blame_is_one_sentence)
{
	struct blame what = {.kind = BLAME_STOPPED, .rank = 2, .pid = 123, .step = 7, .op = 31, .ahead = 1};
	char text[256], small[12];

	blame_text(&what, text, sizeof text);
	CHECK_STR(text, "rank 2 (pid 123) was stopped in step 7, operation 31, step 6 is not done");
	what.idle = true;
	blame_text(&what, text, sizeof text);
	CHECK_STR(text, "rank 2 (pid 123) was stopped while idle after step 7");
	what.step = -1;
	what.kind = BLAME_FAULT;
	snprintf(what.text, sizeof what.text, "out of memory");
	blame_text(&what, text, sizeof text);
	CHECK_STR(text, "rank 2 (pid 123) failed before the first step: out of memory");
	blame_text(&what, small, sizeof small);
	CHECK_STR(small, "rank 2 (pid");
}

static void dies(struct board *b, int rank)
{
	board_step(b, 3);
	if (rank == 2)
		raise(SIGKILL);
	for_ever(b);
}

TEST(a_death_is_seen_in_milliseconds)
{
	struct outcome job = run_job(&(struct play){.part = dies});

	check_end(&job, 2, -SIGKILL, 1, 0, SOON);
	CHECK_HAS(common->heard, "rank 2 (pid ");
	CHECK_HAS(common->heard, ") died in step 3, operation 0");
}

static void exits(struct board *b, int rank)
{
	if (rank == 1)
		_exit(0);
	for_ever(b);
}

TEST(ending_without_leave_is_a_death)
{
	struct outcome job = run_job(&(struct play){.part = exits});

	check_end(&job, 1, 0, 1, 0, SOON);
	CHECK_HAS(common->heard, "died before the first step");
}

static void zero_dies(struct board *b, int rank)
{
	if (rank == 0)
		raise(SIGKILL);
	for_ever(b);
}

TEST(rank_0_may_die_too)
{
	struct outcome job = run_job(&(struct play){.part = zero_dies});

	check_end(&job, 0, -SIGKILL, 0, 0, SOON);
}

static void stops(struct board *b, int rank)
{
	board_step(b, 5);
	if (rank == 3)
		raise(SIGSTOP);
	for_ever(b);
}

TEST(a_stopped_rank_is_killed)
{
	struct outcome job = run_job(&(struct play){.part = stops});

	check_end(&job, 3, -SIGKILL, 1, 1700, STOPPED);
	CHECK_HAS(common->heard, "was stopped in step 5");
}

static void zero_stops(struct board *b, int rank)
{
	if (rank == 0)
		raise(SIGSTOP);
	for_ever(b);
}

TEST(rank_0_may_be_stopped_too)
{
	struct outcome job = run_job(&(struct play){.part = zero_stops});

	check_end(&job, 0, -SIGKILL, 0, 1700, STOPPED);
}

/* Rank 1 hangs before its 32nd operation; the others wait for it in theirs. */
static void sticks(struct board *b, int rank)
{
	board_done(b, 5); /* 6 runs, 7 is enqueued behind it */
	board_step(b, 7);
	for (int i = 0; i < 31 + (rank != 1); i++)
		board_op(b);
	for_ever(b);
}

TEST(a_stuck_rank_is_named)
{
	struct outcome job = run_job(&(struct play){.part = sticks, .watchdog_ms = 1000});

	for (int r = 0; r < RANKS; r++) /* it kills itself or is killed */
		CHECK(job.status[r] == EXIT_SOFTWARE || (r == 1 && job.status[r] == -SIGKILL));
	CHECK_EQ(common->words, 1);
	CHECK_HAS(common->heard, "rank 1 (pid ");
	CHECK_HAS(common->heard, "was stuck in step 7, operation 31, step 6 is not done");
	CHECK(job.ms >= 1000 && job.ms < 4500);
}

/* Rank 2 never takes step 1; the others wait for it. */
static void does_not_begin(struct board *b, int rank)
{
	board_step(b, 0);
	board_step(b, -1);
	if (rank != 2) {
		board_step(b, 1);
		board_op(b);
	}
	for_ever(b);
}

TEST(a_rank_that_does_not_begin_is_stuck)
{
	struct outcome job = run_job(&(struct play){.part = does_not_begin, .watchdog_ms = 1000});

	CHECK_EQ(common->words, 1);
	CHECK_HAS(common->heard, "rank 2 (pid ");
	CHECK_HAS(common->heard, "was stuck while idle after step 0");
	CHECK(job.ms < 4500);
}

/* Working ranks are no stuck ones, nor are idle ones. */
static void works(struct board *b, int rank)
{
	(void)rank;
	for (int i = 0; i < 14; i++) {
		board_step(b, i / 7);
		board_op(b);
		usleep(100000);
	}
	board_step(b, -1);
	usleep(1400000);
}

TEST(work_and_idleness_are_no_faults)
{
	struct outcome job = run_job(&(struct play){.part = works, .watchdog_ms = 1000});

	for (int r = 0; r < RANKS; r++)
		CHECK_EQ(job.status[r], 0);
	CHECK_EQ(common->words, 0);
}

static void leaves_early(struct board *b, int rank)
{
	(void)b;
	usleep((useconds_t)rank * 300000);
}

TEST(leaving_is_not_blamed)
{
	struct outcome job = run_job(&(struct play){.part = leaves_early});

	for (int r = 0; r < RANKS; r++)
		CHECK_EQ(job.status[r], 0);
	CHECK_EQ(common->words, 0);
}

static pthread_barrier_t all_here;

/* Threads for ranks, each with its watch thread: whoever works may be looked at while it does (the sanitizer's case).
 */
static void *thread_rank(void *arg)
{
	int rank = (int)(intptr_t)arg;
	struct board *b = board_join(common->page, rank, RANKS, getpid());

	pthread_barrier_wait(&all_here);
	board_watch(b, &(struct watch_options){.watchdog_ns = 20000000000ll, .last_words = words, .arg = common});
	for (int step = 0; step < 300; step++) {
		board_step(b, step);
		for (int op = 0; op < 20; op++)
			board_op(b);
		board_idle(b);
		usleep(2000);
	}
	board_step(b, -1);
	pthread_barrier_wait(&all_here);
	board_leave(b);
	return NULL;
}

TEST(threads_may_stand_for_ranks)
{
	pthread_t thread[RANKS];

	new_common();
	CHECK_EQ(pthread_barrier_init(&all_here, NULL, RANKS), 0);
	for (int r = 0; r < RANKS; r++)
		CHECK_EQ(pthread_create(&thread[r], NULL, thread_rank, (void *)(intptr_t)r), 0);
	for (int r = 0; r < RANKS; r++)
		pthread_join(thread[r], NULL);
	pthread_barrier_destroy(&all_here);
	CHECK_EQ(common->words, 0);
}

static void faults(struct board *b, int rank)
{
	board_step(b, 0);
	if (rank == 1)
		die("no memory on device %d", 3);
	for_ever(b);
}

TEST(the_reason_of_die_reaches_rank_0)
{
	struct outcome job = run_job(&(struct play){.part = faults});

	check_end(&job, 1, EXIT_SOFTWARE, 1, 0, SOON);
	CHECK_HAS(common->heard, "failed in step 0, operation 0: no memory on device 3");
}

static void zero_faults(struct board *b, int rank)
{
	if (rank == 0)
		die("a fault of rank %d", 0);
	for_ever(b);
}

TEST(rank_0_says_last_words_for_itself)
{
	struct outcome job = run_job(&(struct play){.part = zero_faults});

	check_end(&job, 0, EXIT_SOFTWARE, 1, 0, SOON);
	CHECK_HAS(common->heard, "rank 0");
	CHECK_HAS(common->heard, "a fault of rank 0");
}

static void endless_words(void *arg, const struct blame *what)
{
	(void)arg, (void)what;
	for (;;)
		pause();
}

TEST(hanging_last_words_are_cut_short)
{
	struct outcome job = run_job(&(struct play){.part = dies, .last_words = endless_words});

	CHECK_EQ(job.status[0], -SIGKILL);
	CHECK_EQ(job.status[1], EXIT_SOFTWARE);
	CHECK(job.ms > 600 && job.ms < 3000);
}

TEST(without_a_watch_thread_waits_end)
{
	struct outcome job = run_job(&(struct play){.part = faults, .no_watch = 1});

	check_end(&job, 1, EXIT_SOFTWARE, 0, 0, SOON);
}

CHECK_MAIN()
