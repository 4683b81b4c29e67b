/* limits.c - bounds every wait for mpirun and rank 0, in time that this process itself has run. */
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "launch/inside.h"

#define S 1000000000ull
enum {
	SILENT_S = 2,  /* without a byte of rank 0's watch thread: it is stopped */
	FRONT_S = 30,  /* without a byte of its front thread: it hangs */
	DUMP_S = 30,   /* a core dump may take this long */
	MARGIN_S = 10, /* added to --shutdown-timeout for a drain; also from its end to mpirun's */
	HURRY_S = 3,   /* for rank 0 to abort its calls before mpirun is asked to end, and between two such requests */
	KILL_S = 8,    /* from the first such request to SIGKILL */
};

/* No other rank notices when a lone rank 0 is stopped, or crashes where its handler cannot run. */
static void kill_silent(struct launcher *l, const char *what, uint64_t still_ns)
{
	struct job *j = &l->job;

	if (process_dumps_core(&j->rank0) && still_ns < DUMP_S * S) {
		if (!j->dumping)
			log_event(LOG_ERROR, "rank 0 crashed and is writing a core dump", " pid=%d", (int)j->rank0.pid);
		j->dumping = true;
		return;
	}
	log_event(LOG_ERROR, what, " pid=%d seconds=%d", (int)j->rank0.pid, (int)(still_ns / S));
	process_signal(&j->rank0, SIGKILL);
	close(j->beat_fd);
	j->beat_fd = -1;
}

/* Each limit counts from the first byte of its kind. */
static void watch_rank0(struct launcher *l, uint64_t since)
{
	struct job *j = &l->job;
	uint64_t alive = still_look(&j->alive, j->n_alive, since), front = still_look(&j->front, j->n_front, since);

	if (j->beat_fd < 0)
		return;
	if (j->n_alive && alive > SILENT_S * S)
		kill_silent(l, "rank 0 stopped responding; killing it", alive);
	else if (j->n_front && !j->served && front > FRONT_S * S)
		kill_silent(l, "the front of rank 0 stopped responding; killing rank 0", front);
}

void job_end(struct launcher *l, const char *why)
{
	struct job *j = &l->job;

	if (j->ending_ns || !j->mpirun)
		return;
	if (why)
		log_event(LOG_ERROR, why, " mpirun=%d", (int)j->mpirun);
	j->ending_ns = l->awake_ns;
}

static bool over(const struct launcher *l, uint64_t since_ns, int64_t seconds)
{
	return since_ns && l->awake_ns - since_ns > (uint64_t)seconds * S;
}

/* Rank 0 is asked directly, because mpirun may be stopped or hang. Its clients wait for the job of a launcher that
 * takes over and still loads. */
static void ask_to_drain(struct launcher *l)
{
	struct job *j = &l->job;

	if (!l->hurried && j->beat_fd >= 0 && takeover_goes_on(l))
		handover_order(j->beat_fd, HANDOVER_YIELD);
	else
		process_signal(&j->rank0, l->hurried ? SIGQUIT : SIGUSR1);
	j->asked_ns = l->awake_ns;
}

/* A job without its rank 0 has no open call to wait for. */
static void drain(struct launcher *l)
{
	struct job *j = &l->job;

	if (!j->hello || (j->beat_fd < 0 && !j->asked)) {
		job_end(l, NULL);
		return;
	}
	if (!j->asked || (l->hurried && !j->hurried))
		ask_to_drain(l);
	j->asked = true;
	j->hurried = l->hurried;
	if (j->hurried && over(l, j->asked_ns, HURRY_S))
		job_end(l, NULL);
	if (over(l, j->asked_ns, l->options.shutdown_timeout_s + MARGIN_S))
		job_end(l, "the drain does not end; ending the job");
}

/* mpirun loses a signal while it starts, so it gets several. */
static void press(struct launcher *l)
{
	struct job *j = &l->job;

	if (over(l, j->ending_ns, KILL_S)) {
		log_event(LOG_ERROR, "mpirun does not end the job; killing it", " mpirun=%d", (int)j->mpirun);
		ranks_kill(j->mpirun);
		j->ending_ns = l->awake_ns;
	} else if (!j->pressed_ns || over(l, j->pressed_ns, HURRY_S)) {
		j->pressed_ns = l->awake_ns;
		kill(j->mpirun, SIGTERM);
	}
}

void limits_look(struct launcher *l, uint64_t since)
{
	struct job *j = &l->job;

	watch_rank0(l, since);
	if (!ranks_look(&j->ranks, j->mpirun, l->awake_ns)) {
		ranks_kill(j->mpirun);
		j->ranks.lost_ns = 0;
	}
	if (!j->hello && over(l, j->started_ns, l->start_timeout_s))
		job_end(l, "rank 0 has not come within --start-timeout: the job is ended");
	if (over(l, j->served_ns, MARGIN_S))
		job_end(l, "mpirun does not end a job that has drained: the job is ended");
	if (l->draining)
		drain(l);
	if (takeover_yields(l) && over(l, l->takeover.taker.since_ns, l->options.shutdown_timeout_s + MARGIN_S))
		job_end(l, "the drain for another launcher does not end: the job is ended");
	if (j->ending_ns)
		press(l);
}
