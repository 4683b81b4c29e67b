/* board_watch.c - the watch thread. It takes no lock, allocates nothing after its start, and calls neither MPI nor
 * CUDA. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/base.h"
#include "parallel/board.h"
#include "parallel/board_page.h"

enum { LOOK_MS = 50, CRASH_S = 10 };
#define BEAT_NS (250 * NS_PER_MS)
#define STOPPED_NS (2 * NS_PER_S)

void board_meet(struct board *b)
{
	bool blind = false;

	if (b->met)
		return;
	b->met = true;
	for (int r = 0; r < b->size; r++) {
		pid_t pid = atomic_load(&b->page->line[r].pid);

		if (r == b->rank || !pid || !board_here(b, r))
			continue;
		if (!process_hold(&b->peer[r].process, pid))
			blame_rank(b, BLAME_DIED, r, "");
		b->fds[r].fd = b->peer[r].process.fd;
		blind |= b->fds[r].fd < 0;
	}
	if (blind && b->rank == 0)
		log_at(LOG_WARN,
		       "this kernel or container has no pidfd_open: a rank's death is seen at the next heartbeat");
}

static bool joined(const struct board *b, int rank)
{
	return atomic_load(&b->page->line[rank].state) == LINE_JOINED;
}

static void look_for_deaths(struct board *b)
{
	for (int r = 0; r < b->size; r++) {
		if (b->fds[r].fd < 0 || !b->fds[r].revents)
			continue;
		if (joined(b, r))
			blame_rank(b, BLAME_DIED, r, "");
		b->fds[r].fd = -1;
	}
}

/* A rank without heartbeat has ended where no pidfd reports it, has crashed and is writing its core dump, or is
 * stopped. */
static void blame_unresponsive(struct board *b, int r)
{
	const struct process *p = &b->peer[r].process;

	if (process_dumps_core(p))
		blame_rank(b, BLAME_DIED, r, "it crashed and writes a core dump");
	else
		blame_rank(b, p->pid && process_gone(p) ? BLAME_DIED : BLAME_STOPPED, r, "");
}

static void look_for_stopped(struct board *b, uint64_t since)
{
	for (int r = 0; r < b->size; r++) {
		struct board_line *line = &b->page->line[r];
		struct peer *p = &b->peer[r];
		bool watched = atomic_load(&line->watched);
		uint64_t still = still_look(&p->beat, watched ? atomic_load(&line->beat) : 0, since);

		if (r == b->rank || !joined(b, r) || !board_here(b, r))
			continue;
		if (p->process.pid && p->process.fd < 0 && process_gone(&p->process))
			blame_rank(b, BLAME_DIED, r, "");
		if (watched && still > STOPPED_NS)
			blame_unresponsive(b, r);
	}
}

/* True if the rank at place a is the one that the rank at b waits for: it got less far, or equally far and still runs.
 */
static bool behind(uint64_t a, uint64_t b)
{
	return a >> 1 != b >> 1 ? a >> 1 < b >> 1 : (a & 1) > (b & 1);
}

/* If ranks stand still in a step, the one furthest behind is stuck, and the others wait for it in a sum. */
static void look_for_stuck(struct board *b, uint64_t since)
{
	uint64_t most = (uint64_t)b->how.watchdog_ns, still_of_last = 0;
	int last = -1;
	bool late = false;

	for (int r = 0; r < b->size; r++) {
		uint64_t where = atomic_load(&b->page->line[r].where), still;

		if (!joined(b, r))
			continue;
		still = still_look(&b->peer[r].where, where, since);
		late |= (where & 1) && still >= most;
		if (last < 0 || behind(where, b->peer[last].where.value)) {
			last = r;
			still_of_last = still;
		}
	}
	if (late && still_of_last >= most)
		blame_rank(b, BLAME_STUCK, last, "");
}

void board_log_level(struct board *b, enum log_level level)
{
	_Atomic uint32_t *word = &b->page->log_level;

	log_level_set(level);
	atomic_store(word, ((atomic_load(word) >> 2) + 1) << 2 | (uint32_t)level);
}

static void take_log_level(struct board *b)
{
	uint32_t word = atomic_load(&b->page->log_level);
	enum log_level level = word & 3;

	if (word == b->log_level)
		return;
	b->log_level = word;
	log_level_set(level);
	log_event(level > LOG_INFO ? level : LOG_INFO, "log level", " now=%d", (int)level);
}

void board_hang_up(struct board *b)
{
	atomic_fetch_add(&b->page->hangups, 1);
}

/* As if the signal had been sent to this process: it may open files, which could keep this thread from its heartbeats.
 */
static void take_hangup(struct board *b)
{
	uint32_t word = atomic_load(&b->page->hangups);

	if (word != b->hangups && b->rank)
		kill(getpid(), SIGHUP);
	b->hangups = word;
}

static void tick(struct board *b, uint64_t now)
{
	uint64_t since = now - b->last_tick;

	b->last_tick = now;
	take_log_level(b);
	take_hangup(b);
	atomic_store(&b->page->line[b->rank].beat, now);
	if (b->how.beat)
		b->how.beat(b->how.arg);
	board_tell(b);
	look_for_stopped(b, since);
	board_look_for_nodes(b, since);
	board_look_for_loss(b, since);
	if (b->how.watchdog_ns > 0)
		look_for_stuck(b, since);
}

static void kill_rank(struct board *b, int rank)
{
	if (rank != b->rank)
		process_signal(&b->peer[rank].process, SIGKILL);
}

static bool claim_log(struct board *b)
{
	uint32_t none = 0;

	return atomic_compare_exchange_strong(&b->page->logged, &none, 1);
}

/* Standard error may be a full pipe without a reader, which must not keep the process alive. */
static void log_blame(const char *text, const struct blame *what)
{
	struct pollfd err = {.fd = STDERR_FILENO, .events = POLLOUT};

	if (poll(&err, 1, 100) > 0)
		log_event(LOG_ERROR, text, " blamed=%d pid=%d step=%d operation=%u", what->rank, (int)what->pid,
			  what->step, what->op);
}

/* Ranks above 0 wait for rank 0's last words. If rank 0 itself died without its crash handler or was stopped, there
 * will be none. Returns false if rank 0 did not finish. */
static bool await_last_words(struct board *b, const struct blame *what)
{
	if (what->rank == 0 && !what->signal &&
	    (what->kind == BLAME_DIED || what->kind == BLAME_STOPPED || what->kind == BLAME_LOST))
		return false;
	for (int i = 0; i < LAST_WORDS_MS && joined(b, 0); i += 5) {
		if (!atomic_load(&b->page->line[0].watched) || atomic_load(&b->page->said))
			break;
		nanosleep(&(struct timespec){.tv_nsec = 5 * NS_PER_MS}, NULL);
		board_hear(b);
	}
	return atomic_load(&b->page->said);
}

/* If this process crashed, the thread in the crash handler ends it, with the core dump that the user may need. */
static void leave_to_crash(const struct board *b, const struct blame *what)
{
	if (what->signal && what->rank == b->rank)
		sleep(CRASH_S);
}

/* On rank 0 `said` is set last, since a thread in die() waits for it and then ends the process. */
__attribute__((noreturn)) static void end_job(struct board *b, const struct blame *what)
{
	bool log;
	char text[320];

	blame_text(what, text, sizeof text);
	board_tell(b);
	if (b->rank == 0) {
		log = claim_log(b);
		if (b->how.last_words)
			b->how.last_words(b->how.arg, what);
	} else {
		if (!await_last_words(b, what))
			kill_rank(b, 0); /* it hangs in its last words, or it is to blame */
		log = claim_log(b);
	}
	if (what->kind == BLAME_STOPPED || what->kind == BLAME_STUCK)
		kill_rank(b, what->rank);
	if (log)
		log_blame(text, what);
	if (b->rank == 0)
		atomic_store(&b->page->said, 1);
	board_tell(b);
	leave_to_crash(b, what);
	_exit(EXIT_SOFTWARE);
}

static void *watch(void *arg)
{
	struct board *b = arg;
	uint64_t next = 0;

	atomic_store(&b->watcher, gettid());
	for (;;) {
		uint64_t now = now_ns();
		struct blame what;

		if (now >= next) {
			tick(b, now);
			next = now + BEAT_NS;
		}
		board_tell_often(b, now);
		if (board_blamed(b, &what))
			end_job(b, &what);
		if (poll(b->fds, (nfds_t)board_fds(b), LOOK_MS) <= 0)
			continue;
		board_hear(b);
		if (b->fds[b->size].revents) {
			board_tell(b); /* that this rank has left */
			return NULL;
		}
		look_for_deaths(b);
	}
}

void board_watch(struct board *b, const struct watch_options *how)
{
	struct board_line *line = &b->page->line[b->rank];
	sigset_t all, old;
	uint64_t now = now_ns();
	int err;

	REQUIRE(b->fds[b->size].fd < 0);
	board_meet(b);
	b->how = *how;
	b->last_tick = now;
	b->fds[b->size].fd = eventfd(0, EFD_CLOEXEC);
	if (b->fds[b->size].fd < 0)
		die("no eventfd for the watch thread: %s", strerror(errno));
	atomic_store(&line->beat, now);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old); /* the daemon's own threads handle signals */
	err = pthread_create(&b->thread, NULL, watch, b);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (err)
		die("cannot start the watch thread: %s", strerror(err));
	atomic_store(&line->watched, 1);
}

void board_leave(struct board *b)
{
	struct board_line *line = &b->page->line[b->rank];
	uint64_t one = 1;

	atomic_store(&line->state, LINE_LEFT);
	if (b->fds[b->size].fd >= 0) {
		atomic_store(&line->watched, 0);
		REQUIRE(write(b->fds[b->size].fd, &one, sizeof one) == sizeof one);
		pthread_join(b->thread, NULL);
		atomic_store(&b->watcher, 0);
	}
	if (b->fds[b->size].fd >= 0)
		close(b->fds[b->size].fd);
	for (int r = 0; r < b->size; r++)
		process_drop(&b->peer[r].process);
	free(b->node);
	free(b->fds);
	free(b->peer);
	free(b);
}
