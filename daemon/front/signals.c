/* Signals of rank 0, and the one that the kernel sends when mpirun dies. */
#include "daemon/front/inside.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "daemon/rank/files.h"
#include "parallel/board.h"
#include "rpc/server/handover.h"

/* USR2: the process that started this one has died. */
static void handled(sigset_t *set)
{
	static const int signals[] = {SIGTERM, SIGINT, SIGUSR1, SIGUSR2, SIGHUP, SIGQUIT, SIGCONT};

	sigemptyset(set);
	for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
		sigaddset(set, signals[i]);
}

void front_block_signals(void)
{
	sigset_t set;

	handled(&set);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
}

void front_open_signals(struct front *f)
{
	sigset_t set;

	handled(&set);
	f->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (f->signal_fd < 0)
		die("signalfd: %s", strerror(errno));
	if (!f->starter)
		return;
	prctl(PR_SET_PDEATHSIG, SIGUSR2);
	if (getppid() != f->starter)
		raise(SIGUSR2);
}

void front_exit(struct front *f, int code)
{
	rpc_server_close(f->server, 500);
	handover_say(f->beat_fd, HANDOVER_SERVED);
	pid_file_remove();
	_exit(code);
}

/* An mpirun that is being terminated sends CONT to its ranks at once, TERM after one second and KILL after another,
 * which leaves no time to drain. srun sends both together and waits for KillWait, which does. */
static bool mpirun_ends_us(const struct front *f, const struct signalfd_siginfo *info)
{
	uint64_t since = now_ns() - f->cont_ns;

	return info->ssi_pid == (uint32_t)getppid() && f->cont_ns && since > 500000000u && since < 3000000000u;
}

/* Open MPI's own thread ends this process silently about a second after mpirun's death. */
static void lose_starter(struct front *f)
{
	char text[80];

	if (!f->starter || getppid() == f->starter)
		return; /* a user sent it, or only a thread of mpirun ended */
	snprintf(text, sizeof text, "mpirun (pid %d) died; the job ends", (int)f->starter);
	log_at(f->draining ? LOG_INFO : LOG_ERROR, "%s", text);
	front_end_calls(f, f->draining ? ERR_DRAINING : ERR_LOST_RANK, f->draining ? FRONT_SHUTTING_DOWN : text);
	front_exit(f, f->draining ? EXIT_OK : EXIT_SOFTWARE);
}

static void hang_up(struct front *f)
{
	int level = f->opt->log_level;
	struct why why = {""};

	log_file_reopen();
	board_hang_up(f->board);
	f->reread(f->arg);
	if (front_limits_read(f, &why))
		log_at(LOG_ERROR, "the limits are wrong now, so the old ones stay: %s", why.text);
	if (f->opt->log_level != level)
		board_log_level(f->board, (enum log_level)f->opt->log_level);
	if (f->ready)
		front_accounts_follow(f);
}

static void drain(struct front *f, const struct signalfd_siginfo *info)
{
	front_drain(f, strsignal((int)info->ssi_signo));
	if (info->ssi_signo == SIGQUIT)
		f->drain_deadline_ns = 0;
	if (info->ssi_signo == SIGTERM && mpirun_ends_us(f, info)) {
		front_end_calls(f, ERR_DRAINING, FRONT_SHUTTING_DOWN);
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
