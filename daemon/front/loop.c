/* The front thread. */
#include "daemon/front/inside.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/log_limit.h"
#include "base/wait.h"
#include "rpc/server/handover.h"

static void take_reports(struct front *f)
{
	struct link_report r;
	uint64_t count;
	bool took = false;

	if (read(f->link->wake_fd, &count, sizeof count) < 0 && errno != EAGAIN)
		die("eventfd: %s", strerror(errno));
	for (; mailbox_take(&f->link->reports, &r); took = true)
		front_report(f, &r);
	if (took) { /* the engine may wait for room */
		atomic_fetch_add(&f->link->bell, 1);
		wait_wake(&f->link->bell, 0);
	}
}

/* Jobs that a helper thread has done. */
static void take_jobs(struct front *f)
{
	struct front_job *job;

	while (f->helpers.started && (job = front_helpers_take(&f->helpers))) {
		struct effort e = {0};

		effort_begin(&e);
		f->trim_large |= job->size > JOB_LARGE;
		if (job->keep)
			front_tokenized(f, job);
		else
			front_encoded(f, job);
		effort_end();
	}
}

static bool drained(struct front *f)
{
	const char *text = "";
	int code = front_closed(f, &text);

	if (!f->draining)
		return f->leave_ns && !rpc_connections(f->server);
	if (now_ns() > f->drain_deadline_ns)
		front_end_calls(f, code, f->yields ? text : FRONT_SHUTTING_DOWN);
	else if (rpc_open_calls(f->server) > 0)
		return false;
	return true;
}

/* While the model loads, the engine thread takes no commands: a drain ends the process at once then. */
static void end_drain(struct front *f)
{
	struct link_command stop = {.kind = COMMAND_STOP};

	if (!drained(f))
		return;
	if (!f->ready)
		front_exit(f, EXIT_OK);
	link_post(f->link, &stop);
}

static void log_limit_tick(struct front *f)
{
	if (now_ns() - f->log_ns < 1000000000u)
		return;
	f->log_ns = now_ns();
	log_limit_flush();
}

/* Returns memory that clients took to the system: when no call is open any more, and now and then after something
 * large. */
static void trim(struct front *f)
{
	enum { LARGE = 4 << 20 };
	int connections = rpc_connections(f->server), calls = rpc_open_calls(f->server);
	uint64_t since = now_ns() - f->trim_ns;

	f->trim_due |= calls > 0 || connections != f->connections_seen;
	f->trim_large |= arena_held() > LARGE;
	f->connections_seen = connections;
	if (!(f->trim_due && !calls && since > 1000000000u) && !(f->trim_large && since > 2000000000u))
		return;
	f->trim_due = f->trim_large = false;
	f->trim_ns = now_ns();
	heap_trim();
}

static void turn(struct front *f)
{
	front_take_signals(f);
	front_take_orders(f);
	take_reports(f);
	front_retry_cancels(f);
	front_release_held(f);
	take_jobs(f);
	front_expire(f);
	front_beat(f);
	log_limit_tick(f);
	trim(f);
	front_check_ready(f);
	front_loras_tick(f);
	end_drain(f);
}

void *front_loop(void *front)
{
	struct front *f = front;

	while (atomic_load(&f->link->state) != LINK_STOPPED) {
		rpc_server_poll(f->server, front_loras_pending(f)                 ? 20
					   : f->draining || f->waiting || f->held ? 100
										  : 1000);
		if (atomic_load(&f->last_words))
			return NULL;
		turn(f);
	}
	rpc_server_close(f->server, 500);
	handover_say(f->beat_fd, HANDOVER_SERVED);
	return NULL;
}
