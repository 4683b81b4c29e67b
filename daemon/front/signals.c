/* Signals of rank 0, and those that the kernel sends when mpirun dies. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "daemon/rank/files.h"
#include "daemon/front/front.h"
#include "rpc/server/handover.h"

/* USR2: whoever started this process has died. */
static void heard(sigset_t *set)
{
	static const int signals[] = {SIGTERM, SIGINT, SIGUSR1, SIGUSR2, SIGHUP, SIGQUIT, SIGCONT};

	sigemptyset(set);
	for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
		sigaddset(set, signals[i]);
}

void front_block_signals(void)
{
	sigset_t set;

	heard(&set);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
}

void front_open_signals(struct front *f)
{
	sigset_t set;

	heard(&set);
	f->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (f->signal_fd < 0)
		die("signalfd: %s", strerror(errno));
	if (!f->starter)
		return;
	prctl(PR_SET_PDEATHSIG, SIGUSR2);
	if (getppid() != f->starter)
		raise(SIGUSR2);
}

void front_cut_calls(struct front *f, int code, const char *text)
{
	for (int i = 0; i < FRONT_BUCKETS; i++)
		for (struct open_call *c = f->bucket[i]; c; c = c->next)
			if (!c->ended) {
				front_error(f, c->id, code, text);
				c->ended = true;
				f->metrics.failed++;
			}
}

void front_exit(struct front *f, int code)
{
	rpc_server_close(f->server, 500);
	handover_say(f->beat_fd, HANDOVER_SERVED);
	pid_file_remove();
	_exit(code);
}

/* mpirun that is told to end sends CONT to its ranks at once, TERM after one second and KILL after another:
 * no time to drain. Under srun both come together, with the grace of KillWait: drain. */
static bool mpirun_ends_us(const struct front *f, const struct signalfd_siginfo *info)
{
	uint64_t since = now_ns() - f->cont_ns;

	return info->ssi_pid == (uint32_t)getppid() && f->cont_ns && since > 500000000u && since < 3000000000u;
}

/* Open MPI's own thread ends this process about a second after mpirun's death, without a word. */
static void lose_starter(struct front *f)
{
	char text[80];

	if (!f->starter || getppid() == f->starter)
		return; /* somebody sent it, or only a thread of mpirun ended */
	snprintf(text, sizeof text, "mpirun (pid %d) has died: the job ends", (int)f->starter);
	log_at(f->draining ? LOG_INFO : LOG_ERROR, "%s", text);
	front_cut_calls(f, f->draining ? ERR_DRAINING : ERR_LOST_RANK, f->draining ? FRONT_SHUTTING_DOWN : text);
	front_exit(f, f->draining ? EXIT_OK : EXIT_SOFTWARE);
}

/* The ranks share the log file; only this one is told to open it anew. */
static void hang_up(const struct front *f)
{
	bool ready = atomic_load(&f->link->state) == LINK_READY;

	log_file_reopen();
	for (int r = 1; f->opt->log_file && ready && r < f->node->world->size; r++)
		kill((pid_t)f->ranks[r].pid, SIGHUP);
}

static void drain(struct front *f, const struct signalfd_siginfo *info)
{
	front_drain(f, strsignal((int)info->ssi_signo));
	if (info->ssi_signo == SIGQUIT)
		f->drain_deadline_ns = 0;
	if (info->ssi_signo == SIGTERM && mpirun_ends_us(f, info)) {
		front_cut_calls(f, ERR_DRAINING, FRONT_SHUTTING_DOWN);
		front_exit(f, EXIT_OK);
	}
}

void front_take_signals(struct front *f)
{
	struct signalfd_siginfo info;

	while (read(f->signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
		switch (info.ssi_signo) {
		case SIGCONT:
			f->cont_ns = now_ns();
			break;
		case SIGHUP:
			hang_up(f);
			break;
		case SIGUSR2:
			lose_starter(f);
			break;
		default:
			drain(f, &info);
		}
	}
}
