/* xverse-launch: starts the job under mpirun, holds the listening socket over restarts, watches rank 0.
 *
 *	xverse-launch [-n RANKS] [--restart[=TIMES]] [--http PORT] [--print] MODEL [options of xversed]
 */
#include <errno.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/options.h"
#include "launch/beside.h"
#include "launch/ranks.h"
#include "rpc/handover.h"
#include "rpc/listen.h"

enum { MAX_ARGS = 512, SILENCE_MS = 5000, HEALTHY_NS = 60 };

struct launcher {
	int ranks, restarts; /* restarts left; -1: without end */
	bool print, restart;
	bool draining, hurried, told; /* asked to drain, asked again; rank 0 was told to drain */
	char *daemon[MAX_ARGS];       /* what xversed gets */
	int n_daemon;
	char socket_path[512], xversed[4096];
	struct rpc_listener listener;
	struct handover handover;
	int signal_fd, beat_fd; /* beat_fd: rank 0's open connection, -1 before it came */
	pid_t mpirun, rank0;
	uint64_t started_ns, last_beat_ns, pressed_ns; /* pressed_ns: when mpirun was last told to end */
	struct options options;                        /* of xversed */
	struct ranks job;
	struct beside gateway;
};

static void usage(FILE *f)
{
	fprintf(f,
		"usage: xverse-launch [-n RANKS] [--restart[=TIMES]] [--http PORT] [--print] MODEL [options "
		"of "
		"xversed]\n\n"
		"  -n RANKS           ranks to start [1]\n"
		"  --restart[=TIMES]  start again when a rank is lost, after 0.5 s, 1 s, ... 30 s; clients "
		"are not refused\n"
		"                     meanwhile and streams go on by themselves\n"
		"  --http [HOST:]PORT also start xverse-gateway: the OpenAI API over HTTP [127.0.0.1]\n"
		"  --http-option OPT  an option for it, such as --http-option --api-key-file=FILE\n"
		"  --print            print the mpirun line and do nothing\n\n"
		"TERM, INT and USR1 drain: open calls end, then the job. A second one ends it at once.\n"
		"Exit code: that of the job (0 drained, 64 usage, 66 input, 70 lost rank, 75 try again, 78 "
		"configuration).\n");
}

/* The binary beside this one, else the one on the PATH. */
static void find_xversed(struct launcher *l)
{
	ssize_t n = readlink("/proc/self/exe", l->xversed, sizeof l->xversed - 16);
	char *slash;

	l->xversed[n > 0 ? n : 0] = 0;
	slash = strrchr(l->xversed, '/');
	strcpy(slash ? slash + 1 : l->xversed, "xversed");
	if (access(l->xversed, X_OK))
		strcpy(l->xversed, "xversed");
}

static int number(const char *text, const char *flag)
{
	char *end;
	long v = strtol(text ? text : "", &end, 10);

	if (!text || end == text || *end || v < 1 || v > 4096) {
		fprintf(stderr, "xverse-launch: %s wants a number from 1 to 4096\n", flag);
		exit(EXIT_USAGE);
	}
	return (int)v;
}

/* xversed's options from wherever it takes them, read here too: what is wrong is told before anything starts.
 */
static void parse_options(struct launcher *l)
{
	struct why why = {""};
	char *argv[MAX_ARGS + 1] = {(char *)"xverse-launch"};

	memcpy(argv + 1, l->daemon, (size_t)l->n_daemon * sizeof *argv);
	if (options_parse(&l->options, l->n_daemon + 1, argv, &why)) {
		fprintf(stderr, "xverse-launch: %s\n", why.text);
		exit(EXIT_USAGE);
	}
	if (l->options.uds)
		snprintf(l->socket_path, sizeof l->socket_path, "%s", l->options.uds);
	else
		rpc_default_path(l->socket_path, sizeof l->socket_path);
}

static void keep(struct launcher *l, char *arg)
{
	if (l->n_daemon == MAX_ARGS) {
		fprintf(stderr, "xverse-launch: more than %d arguments\n", MAX_ARGS);
		exit(EXIT_USAGE);
	}
	l->daemon[l->n_daemon++] = arg;
}

/* Own options are taken out; all others go to xversed. */
static void parse(struct launcher *l, int argc, char **argv)
{
	l->ranks = 1;
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "-n"))
			l->ranks = number(argv[++i], "-n");
		else if (!strncmp(argv[i], "--restart", 9) && (!argv[i][9] || argv[i][9] == '=')) {
			l->restart = true;
			l->restarts = argv[i][9] ? number(argv[i] + 10, "--restart") : -1;
		} else if (!strcmp(argv[i], "--print"))
			l->print = true;
		else if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
			usage(stdout);
			exit(EXIT_OK);
		} else if (!beside_option(&l->gateway, argv, &i))
			keep(l, argv[i]);
	}
	if (argc == 1) {
		usage(stderr);
		exit(EXIT_USAGE);
	}
	parse_options(l);
}

/* Unbound, because xversed pins itself; keep-alives, so that a dead link is known in seconds. */
static const char *const fixed_args[] = {
	"mpirun",
	"--bind-to",
	"none",
	"--oversubscribe",
	"--mca",
	"oob_tcp_keepalive_time",
	"5",
	"--mca",
	"oob_tcp_keepalive_intvl",
	"2",
	"--mca",
	"oob_tcp_keepalive_probes",
	"3",
};

/* What mpirun would leave behind where it is killed lies in the launcher's own folder, which goes with the
 * launcher. */
static int put_folders(const struct launcher *l, char **out)
{
	const char *const args[] = {
		"--mca",        "orte_tmpdir_base", l->handover.dir, "--mca", "btl_vader_backing_directory",
		l->handover.dir};

	if (!l->handover.dir[0])
		return 0;
	memcpy(out, args, sizeof args);
	return sizeof args / sizeof *args;
}

static void make_command(const struct launcher *l, char **out, char ranks[16])
{
	int n = 0;

	for (size_t i = 0; i < sizeof fixed_args / sizeof *fixed_args; i++)
		out[n++] = (char *)fixed_args[i]; /* execvp() changes none */
	n += put_folders(l, out + n);
	snprintf(ranks, 16, "%d", l->ranks);
	out[n++] = (char *)"-n";
	out[n++] = ranks;
	out[n++] = (char *)l->xversed;
	for (int i = 0; i < l->n_daemon; i++)
		out[n++] = l->daemon[i];
	out[n] = NULL;
}

/* As a shell reads it. */
static void print_word(const char *word)
{
	static const char plain[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./=,:+@%";

	if (*word && strspn(word, plain) == strlen(word)) {
		printf("%s", word);
		return;
	}
	putchar('\'');
	for (; *word; word++)
		*word == '\'' ? printf("'\\''") : putchar(*word);
	putchar('\'');
}

static void print_command(char *const *command)
{
	for (int i = 0; command[i]; i++) {
		if (i)
			putchar(' ');
		print_word(command[i]);
	}
	putchar('\n');
}

/* A group of its own, so that Ctrl-C at the terminal reaches the launcher alone; mpirun ends the job if the
 * launcher dies. */
static void child(char *const *command)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (geteuid() == 0) {
		setenv("OMPI_ALLOW_RUN_AS_ROOT", "1", 1);
		setenv("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1", 1);
	}
	if (!freopen("/dev/null", "r", stdin))
		_exit(EXIT_SOFTWARE);
	execvp(command[0], command);
	fprintf(stderr, "xverse-launch: mpirun cannot be started: %s\n", strerror(errno));
	_exit(EXIT_INPUT);
}

static void start_job(struct launcher *l)
{
	char *command[MAX_ARGS + 32], ranks[16];

	make_command(l, command, ranks);
	l->rank0 = 0;
	l->job = (struct ranks){0};
	l->beat_fd = -1;
	l->started_ns = now_ns();
	l->mpirun = fork();
	if (l->mpirun == 0)
		child(command);
	if (l->mpirun < 0)
		die("fork: %s", strerror(errno));
}

static void take_signal(struct launcher *l)
{
	struct signalfd_siginfo info;

	while (read(l->signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
		if (info.ssi_signo == SIGCHLD)
			continue;
		log_event(LOG_INFO, l->draining ? "ending the job now" : "draining", " signal=\"%s\"",
			  strsignal((int)info.ssi_signo));
		l->hurried = l->draining;
		l->draining = true;
		beside_drain(&l->gateway);
	}
}

/* mpirun forwards USR1 to the ranks at once, and loses it where there are none yet. A job without its rank 0
 * has no open call to wait for: it is ended, as often as that takes while mpirun starts. */
static void press(struct launcher *l)
{
	if (!l->draining || l->mpirun <= 0)
		return;
	if (!l->told && !l->hurried && l->beat_fd >= 0) {
		l->told = true;
		kill(l->mpirun, SIGUSR1);
	} else if ((!l->told || l->hurried) && now_ns() - l->pressed_ns > 3000000000u) {
		l->pressed_ns = now_ns();
		kill(l->mpirun, SIGTERM);
	}
}

static void take_beat(struct launcher *l)
{
	char bytes[64];
	ssize_t n = recv(l->beat_fd, bytes, sizeof bytes, MSG_DONTWAIT);

	if (n > 0)
		l->last_beat_ns = now_ns();
	else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
		close(l->beat_fd);
		l->beat_fd = -1;
	}
}

static void take_rank0(struct launcher *l)
{
	int fd = handover_give(&l->handover, l->listener.fd, &l->rank0);

	if (fd < 0) {
		log_at(LOG_WARN, "a stranger asked for the socket and got nothing");
		return;
	}
	if (l->beat_fd >= 0)
		close(l->beat_fd);
	l->beat_fd = fd;
	l->last_beat_ns = now_ns();
}

/* Where rank 0 is alone nobody else notices that it was stopped. */
static void watch_rank0(struct launcher *l)
{
	if (l->beat_fd < 0 || now_ns() - l->last_beat_ns < SILENCE_MS * 1000000ull)
		return;
	log_event(LOG_ERROR, "rank 0 has been silent: it is killed", " pid=%d seconds=%d", (int)l->rank0,
		  SILENCE_MS / 1000);
	kill(l->rank0, SIGKILL);
	close(l->beat_fd);
	l->beat_fd = -1;
}

/* A rank that was killed is a lost rank, whatever killed it. */
static int job_code(int status)
{
	return WIFEXITED(status) && WEXITSTATUS(status) < 128 ? WEXITSTATUS(status) : EXIT_SOFTWARE;
}

/* Until mpirun ends; its exit status. */
static int attend(struct launcher *l)
{
	int status;

	for (;;) {
		struct pollfd p[3] = {
			{l->signal_fd, POLLIN, 0}, {l->handover.fd, POLLIN, 0}, {l->beat_fd, POLLIN, 0}};

		poll(p, 3, 500);
		if (waitpid(l->mpirun, &status, WNOHANG) == l->mpirun)
			break;
		take_signal(l);
		if (p[1].revents)
			take_rank0(l);
		if (l->beat_fd >= 0 && p[2].fd == l->beat_fd && p[2].revents)
			take_beat(l);
		watch_rank0(l);
		ranks_look(&l->job, l->mpirun);
		beside_look(&l->gateway);
		press(l);
	}
	l->mpirun = 0;
	if (l->beat_fd >= 0)
		close(l->beat_fd);
	return job_code(status);
}

/* A wrong flag or file does not mend itself. */
static bool worth_restarting(const struct launcher *l, int code)
{
	return l->restart && !l->draining && l->restarts && code && code != EXIT_USAGE &&
	       code != EXIT_INPUT && code != EXIT_CONFIG;
}

/* Ended by us, or drained; mpirun complains of ranks that drain while they load. A rank lost in a drain is a
 * lost rank. */
static bool ended_as_asked(const struct launcher *l, int code)
{
	return l->draining && (l->pressed_ns || code != EXIT_SOFTWARE);
}

/* Sleeps, but not over a signal. */
static void back_off(struct launcher *l, int ms)
{
	struct pollfd p = {l->signal_fd, POLLIN, 0};
	uint64_t end = now_ns() + (uint64_t)ms * 1000000u;

	while (!l->draining && now_ns() < end) {
		poll(&p, 1, (int)((end - now_ns()) / 1000000u) + 1);
		take_signal(l);
		beside_look(&l->gateway);
	}
}

static int run(struct launcher *l)
{
	int wait_ms = 500, code;

	for (;;) {
		start_job(l);
		code = attend(l);
		if (!worth_restarting(l, code))
			return ended_as_asked(l, code) ? EXIT_OK : code;
		if (now_ns() - l->started_ns > HEALTHY_NS * 1000000000ull)
			wait_ms = 500;
		log_event(LOG_WARN, "the job ended; it starts again", " code=%d wait_ms=%d", code, wait_ms);
		back_off(l, wait_ms);
		if (l->draining)
			return EXIT_OK;
		wait_ms = min_int(2 * wait_ms, 30000);
		l->restarts -= l->restarts > 0;
	}
}

static void catch_signals(struct launcher *l)
{
	static const int signals[] = {SIGTERM, SIGINT, SIGUSR1, SIGCHLD};
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
		sigaddset(&set, signals[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
	l->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	signal(SIGPIPE, SIG_IGN);
}

/* What starts no job needs no mpirun. */
static void run_alone(struct launcher *l)
{
	char ranks[16], *argv[MAX_ARGS + 4] = {l->xversed};
	int n = l->n_daemon;

	memcpy(argv + 1, l->daemon, (size_t)n * sizeof *argv);
	if (l->options.dry_run && !l->options.tensor_parallel) {
		snprintf(ranks, sizeof ranks, "%d", l->ranks);
		argv[++n] = (char *)"--tensor-parallel-size";
		argv[++n] = ranks;
	}
	execvp(argv[0], argv);
	fprintf(stderr, "xverse-launch: %s: %s\n", l->xversed, strerror(errno));
	exit(EXIT_INPUT);
}

static gid_t find_group(const struct launcher *l)
{
	const char *name = l->options.uds_group;
	struct group *g = name ? getgrnam(name) : NULL;

	if (name && !g) {
		fprintf(stderr, "xverse-launch: --uds-group: no group \"%s\"\n", name);
		exit(EXIT_USAGE);
	}
	return g ? g->gr_gid : (gid_t)-1;
}

int main(int argc, char **argv)
{
	static struct launcher l;
	char *command[MAX_ARGS + 32], ranks[16];
	struct why why = {""};
	int code;

	parse(&l, argc, argv);
	find_xversed(&l);
	if (!l.print && (l.options.version || l.options.dry_run || l.options.inspect))
		run_alone(&l);
	make_command(&l, command, ranks);
	if (l.print) {
		print_command(command);
		return EXIT_OK;
	}
	catch_signals(&l);
	if (rpc_listen(&l.listener, l.socket_path, find_group(&l), &why) ||
	    handover_open(&l.handover, &why)) {
		fprintf(stderr, "xverse-launch: %s\n", why.text);
		rpc_unlisten(&l.listener);
		return EXIT_AGAIN;
	}
	beside_prepare(&l.gateway, l.socket_path, l.xversed);
	beside_look(&l.gateway);
	code = run(&l);
	beside_end(&l.gateway);
	handover_close(&l.handover);
	rpc_unlisten(&l.listener);
	return code;
}
