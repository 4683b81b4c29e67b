/* job.c - starts a job, watches it, and judges how it ended. */
#include <errno.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/progress.h"
#include "launch/inside.h"

enum {
	LOOK_MS = 250,
	FIRST_LOOK_MS = 20,
	SWEEP_MS = 3000,
	STRANGER_S = 10,
	POLLS = 3 + HANDOVER_WAITING + OUTPUT_POLLS + TAKEOVER_POLLS
};

/* Open MPI reads HOME, else the user's entry; without either it crashes. */
static void give_home(const struct launcher *l)
{
	const char *home = getenv("HOME");
	const struct passwd *user = getpwuid(geteuid());

	if (!home || !*home)
		setenv("HOME", user && user->pw_dir && *user->pw_dir ? user->pw_dir : l->folder.path, 1);
}

/* mpirun has its own process group, so that Ctrl-C reaches the launcher alone. mpirun ends the job if the launcher
 * dies. */
static void child(const struct launcher *l, char *const *command, pid_t launcher)
{
	const char *name = l->starter.kind == STARTER_SRUN ? "srun" : "mpirun";
	sigset_t none;

	output_child(&l->output);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != launcher)
		_exit(EXIT_SOFTWARE);
	if (geteuid() == 0) {
		setenv("OMPI_ALLOW_RUN_AS_ROOT", "1", 1);
		setenv("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1", 1);
	}
	give_home(l);
	if (!freopen("/dev/null", "r", stdin))
		_exit(EXIT_SOFTWARE);
	execvp(command[0], command);
	fprintf(stderr, "xverse-launch: %s cannot be started: %s\n", name, strerror(errno));
	_exit(EXIT_CONFIG);
}

static void start(struct launcher *l)
{
	static struct command command;
	char *argv[MAX_ARGS + 1] = {l->xversed};
	pid_t me = getpid();

	memcpy(argv + 1, l->daemon, (size_t)l->n_daemon * sizeof *argv);
	place_command(l, &command, argv, l->n_daemon + 1, false);
	l->job = (struct job){.rank0 = {.fd = -1}, .beat_fd = -1, .started_ns = l->awake_ns};
	l->job.mpirun = fork();
	if (l->job.mpirun == 0)
		child(l, command.word, me);
	command_finish(&command);
	if (l->job.mpirun < 0)
		die("fork: %s", strerror(errno));
}

/* Terminals send SIGHUP when a session ends, too; a server survives it. */
static void hang_up(struct launcher *l)
{
	struct why why = {""};

	output_reopen(&l->output);
	log_at(LOG_INFO, "received SIGHUP; all programs of the job open their logs and read their options again");
	if (options_reread(&l->source, &l->options, &why))
		log_at(LOG_ERROR, "the options are wrong now, so the old ones stay: %s", why.text);
	if (l->job.hello)
		process_signal(&l->job.rank0, SIGHUP);
	beside_hang_up(&l->gateway);
}

/* Signals that mean something to other programs would end this one and so the job. */
static bool is_for_others(uint32_t signal)
{
	if (signal != SIGUSR2 && signal != SIGALRM)
		return false;
	log_event(LOG_WARN, "this signal means nothing to the launcher", " signal=\"%s\"", strsignal((int)signal));
	return true;
}

static void take_signals(struct launcher *l)
{
	struct signalfd_siginfo info;

	while (read(l->signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
		if (info.ssi_signo == SIGHUP)
			hang_up(l);
		if (info.ssi_signo == SIGCHLD || info.ssi_signo == SIGHUP || is_for_others(info.ssi_signo))
			continue;
		l->hurried = l->draining || info.ssi_signo == SIGQUIT;
		log_event(LOG_INFO, l->hurried ? "ending the job now" : "draining", " signal=\"%s\"",
			  strsignal((int)info.ssi_signo));
		l->draining = true;
		l->gateway.foreign |= takeover_goes_on(l);
		beside_drain(&l->gateway);
		takeover_drain_old(l);
	}
}

static void take_word(struct job *j, unsigned char word, uint64_t awake_ns)
{
	if (word >= HANDOVER_PERCENT)
		j->percent = min_int(word - HANDOVER_PERCENT, 99);
	else if (word >= HANDOVER_PHASE)
		j->phase = min_int(word - HANDOVER_PHASE, LOAD_PHASES - 1);
	j->n_alive += word == HANDOVER_ALIVE;
	j->n_well += word == HANDOVER_FRONT || word == HANDOVER_READY;
	j->n_front += word == HANDOVER_FRONT || word == HANDOVER_READY || word == HANDOVER_STILL;
	if (word == HANDOVER_READY && !j->ready) {
		j->ready = true;
		j->ready_ns = awake_ns;
	}
	if (word == HANDOVER_SERVED && !j->served) {
		j->served = true;
		j->served_ns = awake_ns;
	}
}

static void take_words(struct launcher *l)
{
	unsigned char bytes[64];
	ssize_t n = recv(l->job.beat_fd, bytes, sizeof bytes, MSG_DONTWAIT);

	for (ssize_t i = 0; i < n; i++)
		take_word(&l->job, bytes[i], l->awake_ns);
	l->was_ready |= l->job.ready;
	if (l->job.ready) {
		takeover_ready(l);
		notify_look(l);
		detach_end(l);
	}
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
		close(l->job.beat_fd);
		l->job.beat_fd = -1;
	}
}

static void warn_of_stranger(struct launcher *l, pid_t pid)
{
	l->strangers++;
	if (l->warned_ns && l->awake_ns - l->warned_ns < STRANGER_S * 1000000000ull)
		return;
	l->warned_ns = l->awake_ns;
	log_event(LOG_WARN, "refused the socket to a process outside the job", " pid=%d times=%ju", (int)pid,
		  (uintmax_t)l->strangers);
}

/* srun's ranks descend from Slurm's daemon; those of mpirun from mpirun. */
static bool is_of_job(const struct launcher *l, pid_t pid)
{
	return l->starter.kind == STARTER_SRUN || process_is_below(pid, l->job.mpirun);
}

/* The peer that shows the nonce and is of the job is rank 0. Its pidfd is kept, so that no other process is mistaken
 * for it. */
static void take_rank0(struct launcher *l)
{
	struct process p;
	pid_t pid = 0;
	int fd = handover_look(&l->handover, l->awake_ns, &pid);

	if (fd < 0)
		return;
	if (!process_hold(&p, pid) || !is_of_job(l, pid)) {
		warn_of_stranger(l, pid);
		process_drop(&p);
		close(fd);
		return;
	}
	if (!handover_give(&l->handover, fd, l->listener.fd, takeover_holds(l))) {
		process_drop(&p);
		close(fd);
		return;
	}
	if (l->job.beat_fd >= 0)
		close(l->job.beat_fd);
	process_drop(&l->job.rank0);
	l->job.rank0 = p;
	l->job.beat_fd = fd;
	l->job.hello = true;
}

/* Sleeps until something happens, `ms` at most. Returns how long this process has run meanwhile; see still.h. */
static uint64_t look(struct launcher *l, int ms)
{
	struct pollfd p[POLLS];
	uint64_t now, since;
	int n = 0;

	p[n++] = (struct pollfd){l->signal_fd, POLLIN, 0};
	p[n++] = (struct pollfd){l->job.beat_fd, POLLIN, 0};
	n += handover_polls(&l->handover, p + n);
	n += output_polls(&l->output, p + n);
	n += takeover_polls(l, p + n);
	poll(p, (nfds_t)n, ms);
	now = now_ns();
	since = now - l->looked_ns;
	l->looked_ns = now;
	l->awake_ns += still_awake(since);
	return since;
}

static void attend_to_all(struct launcher *l)
{
	take_signals(l);
	output_move(&l->output);
	take_rank0(l);
	if (l->job.beat_fd >= 0)
		take_words(l);
	takeover_look_new(l);
	takeover_look_old(l);
	notify_look(l);
	l->gateway.held = takeover_pending(l);
	beside_look(&l->gateway);
	if (l->gateway.failed && !l->draining) {
		l->draining = true;
		beside_drain(&l->gateway);
	}
}

void job_wait(struct launcher *l)
{
	look(l, LOOK_MS);
	attend_to_all(l);
}

void job_pause(struct launcher *l, int ms)
{
	uint64_t end = l->awake_ns + (uint64_t)ms * 1000000u;

	while (!l->draining && !takeover_yields(l) && !takeover_left(l) && l->awake_ns < end) {
		look(l, min_int(LOOK_MS, (int)((end - l->awake_ns) / 1000000u) + 1));
		attend_to_all(l);
	}
}

/* Ranks of an srun that was killed live on, and are no children of this process. Rank 0 takes the others with it. */
static bool rank0_is_left(const struct launcher *l)
{
	return l->starter.kind == STARTER_SRUN && l->job.hello && !process_gone(&l->job.rank0);
}

/* Ranks that outlive what started them would run beside the next job's. */
static void sweep(struct launcher *l)
{
	uint64_t end = now_ns() + SWEEP_MS * NS_PER_MS;

	while (ranks_sweep(now_ns() > end) > 0 || rank0_is_left(l)) {
		if (now_ns() > end && rank0_is_left(l))
			process_signal(&l->job.rank0, SIGKILL);
		poll(NULL, 0, 20);
		output_move(&l->output);
	}
}

/* Runs until mpirun ends and returns its status. Limits are checked four times a second. */
static int attend(struct launcher *l)
{
	uint64_t since = 0;
	int status;

	for (;;) {
		bool started = l->job.ranks.most || l->job.hello;
		since += look(l, started ? LOOK_MS : FIRST_LOOK_MS);
		if (waitpid(l->job.mpirun, &status, WNOHANG) == l->job.mpirun)
			break;
		attend_to_all(l);
		if (since < FIRST_LOOK_MS * NS_PER_MS || (started && since < LOOK_MS * NS_PER_MS))
			continue;
		limits_look(l, since);
		since = 0;
	}
	sweep(l);
	attend_to_all(l);
	return status;
}

static bool is_ours(int code)
{
	return code == EXIT_OK || code == EXIT_USAGE || code == EXIT_INPUT || code == EXIT_SOFTWARE ||
	       code == EXIT_AGAIN || code == EXIT_CONFIG;
}

/* A job that ended before any rank existed will not do better the next time, unless a host that was there is away. A
 * killed rank is a lost rank, whatever killed it. */
static int job_code(const struct launcher *l, int status)
{
	const struct job *j = &l->job;
	int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	bool killed = code == 128 + SIGKILL || code == 128 + SIGTERM, no_program = code == 126 || code == 127;

	if (WIFEXITED(status) && is_ours(code))
		return code;
	if (j->hello || j->ending_ns || killed || (j->ranks.most && !no_program))
		return EXIT_SOFTWARE;
	log_event(LOG_ERROR, "mpirun could not start the ranks; its error is above", " code=%d", code);
	return l->hosts.n && l->was_ready ? EXIT_SOFTWARE : EXIT_CONFIG;
}

/* We ended the job, or it drained; mpirun complains about ranks that drain while they load. A rank lost in a drain is a
 * lost rank. */
static bool ended_as_asked(const struct launcher *l, int status)
{
	const struct job *j = &l->job;

	return (l->draining || takeover_yields(l) || takeover_left(l)) &&
	       (j->ending_ns || j->served || j->hurried || (WIFEXITED(status) && WEXITSTATUS(status) != EXIT_SOFTWARE));
}

int job_run(struct launcher *l)
{
	int status, code;

	start(l);
	status = attend(l);
	code = ended_as_asked(l, status) ? EXIT_OK : job_code(l, status);
	if (l->job.beat_fd >= 0)
		close(l->job.beat_fd);
	process_drop(&l->job.rank0);
	l->job.beat_fd = -1;
	l->job.mpirun = 0;
	l->job.hello = false;
	return code;
}
