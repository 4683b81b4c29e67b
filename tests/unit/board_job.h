/* board_job.h - jobs of forked processes on one board, for its tests. */
#ifndef TESTS_UNIT_BOARD_JOB_H
#define TESTS_UNIT_BOARD_JOB_H

#include <stdatomic.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/base.h"
#include "parallel/board.h"
#include "tests/check.h"

/* Twice what is promised: a death is known before any heartbeat is too old, a stopped rank after 2 s and a look. */
enum { RANKS = 4, SOON = 4000, STOPPED = 9000 };

/* Memory of a job of forked processes; the board's page follows. */
struct common {
	_Atomic int met, words, idle_steps;
	char heard[256];
	_Alignas(64) char page[4096];
};
static struct common *common;

static void new_common(void)
{
	if (common)
		munmap(common, sizeof *common);
	common = mmap(NULL, sizeof *common, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(common != MAP_FAILED);
	CHECK(board_bytes(8) <= sizeof common->page);
}

/* A job: RANKS processes on one board, each running `part`. */
struct play {
	void (*part)(struct board *b, int rank);
	void (*last_words)(void *arg, const struct blame *what);
	int watchdog_ms, no_watch;
};

static void words(void *arg, const struct blame *what)
{
	struct common *c = arg;

	blame_text(what, c->heard, sizeof c->heard);
	atomic_fetch_add(&c->words, 1);
}

static void meet(void)
{
	atomic_fetch_add(&common->met, 1);
	while (atomic_load(&common->met) % RANKS)
		usleep(1000);
}

static void rank_main(const struct play *play, int rank)
{
	struct watch_options how = {.watchdog_ns = play->watchdog_ms * 1000000ll, .last_words = words, .arg = common};
	struct board *b = board_join(common->page, rank, RANKS, getpid());

	log_init(rank, LOG_ERROR);
	if (play->last_words)
		how.last_words = play->last_words;
	on_die(board_die, b);
	meet();
	board_meet(b);
	if (!play->no_watch)
		board_watch(b, &how);
	usleep(20000);
	play->part(b, rank);
	board_leave(b);
	_exit(0);
}

struct outcome {
	int status[RANKS];
	int ms;
	pid_t pid[RANKS];
};

static struct outcome start_job(const struct play *play)
{
	struct outcome job = {0};

	new_common();
	fflush(stdout);
	for (int r = 0; r < RANKS; r++) {
		job.pid[r] = fork();
		if (!job.pid[r])
			rank_main(play, r);
	}
	return job;
}

/* Waits for all, but kills what is there after 20 s. */
static void end_job(struct outcome *job, uint64_t since)
{
	for (int left = RANKS; left;) {
		int status;
		pid_t pid = waitpid(-1, &status, WNOHANG);

		job->ms = (int)((now_ns() - since) / 1000000);
		for (int r = 0; r < RANKS; r++) {
			if (pid > 0 && job->pid[r] == pid)
				job->status[r] = WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
			if (job->ms > 20000)
				kill(job->pid[r], SIGKILL);
		}
		left -= pid > 0;
		if (pid <= 0)
			usleep(2000);
	}
}

static struct outcome run_job(const struct play *play)
{
	uint64_t start = now_ns();
	struct outcome job = start_job(play);

	end_job(&job, start);
	return job;
}

/* All but `victim` ended with EXIT_SOFTWARE; rank 0 heard the reason once, or not at all. */
static void check_end(const struct outcome *job, int victim, int status, int heard, int ms_min, int ms_max)
{
	for (int r = 0; r < RANKS; r++)
		CHECK_EQ(job->status[r], r == victim ? status : EXIT_SOFTWARE);
	CHECK_EQ(common->words, heard);
	if (job->ms < ms_min || job->ms > ms_max)
		CHECK_FAIL("the job ended after %d ms", job->ms);
}

static void for_ever(struct board *b)
{
	for (;;) {
		usleep(100000);
		board_idle(b);
	}
}

#endif
