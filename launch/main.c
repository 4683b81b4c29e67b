/* main.c - xverse-launch starts the job under mpirun or srun, keeps the listening socket over restarts and watches rank
 * 0.
 *
 * xverse-launch [-n RANKS] [--hosts LIST] [--restart[=TIMES]] [--http PORT] [--print] MODEL [options of xversed] */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/inherited.h"
#include "daemon/limits.h"
#include "daemon/rank/files.h"
#include "base/help.h"
#include "engine/gguf/documents.h"
#include "engine/models/config.h"
#include "launch/doctor.h"
#include "launch/facts.h"
#include "launch/fit.h"

enum { HEALTHY_S = 60, START_TIMEOUT_S = 60, FAILED_STARTS = 5 };

static void usage(FILE *f)
{
	static const char *const rows[][2] = {
		{"-n RANKS", "ranks to start [one for each slot of the hosts; 1]"},
		{"--hosts A:N,B:N",
		 "run on these machines, of which this one must be one, with N ranks on each. Without --hosts and "
		 "--hostfile: on those of the job of Slurm, PBS, LSF, OAR or Grid Engine if there is one, else here"},
		{"--hostfile FILE", "the same from a file with lines such as A slots=N"},
		{"--starter NAME", "what starts the ranks: mpirun or srun [mpirun if it is installed]"},
		{"--restart[=TIMES]",
		 "restart the job when a rank is lost, after 0.5 s, 1 s, ... 30 s; clients wait and "
		 "streams resume. Gives up after 5 failures before the job was ever ready"},
		{"--start-timeout SECONDS", "until rank 0 connects, which is before it reads weights [60]"},
		{"--http [HOST:]PORT",
		 "also start xverse-gateway: the OpenAI API over HTTP [127.0.0.1]; put an IPv6 HOST "
		 "in brackets"},
		{"--http-option OPT", "pass an option to it, such as --http-option --api-key-file=FILE"},
		{"--takeover[=beside|after]",
		 "take the socket of the running server: load beside it and let it end with its last client; or "
		 "after it has drained and clients wait, which is chosen where both do not fit in memory"},
		{"--detach", "return once the job serves, or with its exit code if it does not"},
		{"--print", "print the command that starts the ranks and exit"},
	};

	fprintf(f, "usage: xverse-launch [-n RANKS] [--hosts LIST] [--restart[=TIMES]] [--http PORT] [--print]\n"
		   "                     MODEL [options of xversed]\n"
		   "       xverse-launch doctor [--hosts LIST] [MODEL] [options]\n\n");
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		help_row(f, rows[i][0], rows[i][1]);
	fprintf(f,
		"\nExamples:\n"
		"  xverse-launch -n 2 --restart launch/demo/model &\n"
		"  xverse-launch -n 2 --restart --http 8000 --max-num-seqs 8 /models/XVERSE-13B\n"
		"  xverse-launch --hosts node1:4,node2:4 --restart /models/XVERSE-65B\n"
		"  xverse-launch -n 2 --dry-run /models/XVERSE-13B\n"
		"  xverse-launch doctor --hosts node1:4,node2:4 /models/XVERSE-65B   # what must be mended first\n\n");
	help_text(f, 0,
		  "TERM, INT and USR1 drain: open calls end, then the job. A second one, or QUIT, ends it at once.\n"
		  "HUP makes launcher, ranks and gateway open their logs again and read the files of options, keys and "
		  "certificates again.\n"
		  "Exit code: that of the job (0 drained, 64 usage, 66 input, 70 lost rank, 75 try again, 78 "
		  "configuration).");
}

/* Finds the binary beside this one, else the one on the PATH. */
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
		fprintf(stderr, "xverse-launch: %s needs a number from 1 to 4096%s%s%s\n", flag, text ? ", not \"" : "",
			text ? text : "", text ? "\"" : "");
		exit(EXIT_USAGE);
	}
	return (int)v;
}

/* The value of an option that argv[*i] is, as --NAME VALUE or --NAME=VALUE; NULL: it is another one. */
static const char *text_option(char **argv, int *i, const char *name)
{
	size_t n = strlen(name);

	if (strncmp(argv[*i], name, n) || (argv[*i][n] && argv[*i][n] != '='))
		return NULL;
	if (argv[*i][n])
		return argv[*i] + n + 1;
	if (argv[++*i])
		return argv[*i];
	fprintf(stderr, "xverse-launch: %s needs a value\n", name);
	exit(EXIT_USAGE);
}

static enum starter_kind starter_named(const char *name)
{
	static const char *const names[] = {"auto", "mpirun", "srun"}; /* as enum starter_kind */

	for (int i = 0; i < 3; i++)
		if (!strcmp(name, names[i]))
			return (enum starter_kind)i;
	fprintf(stderr, "xverse-launch: --starter: \"%s\" is neither mpirun nor srun\n", name);
	exit(EXIT_USAGE);
}

/* For "did you mean", beside those of xversed. */
static const char *const own_options[] = {"start-timeout", "restart", "http",     "http-option", "print", "hosts",
					  "hostfile",      "starter", "takeover", "detach",      NULL};

/* Reads xversed's options from all their sources too, to report errors before anything starts. */
static void parse_options(struct launcher *l)
{
	struct why why = {""};
	char *argv[MAX_ARGS + 2] = {(char *)"xverse-launch"};
	int n = l->n_daemon + 1;

	memcpy(argv + 1, l->daemon, (size_t)l->n_daemon * sizeof *argv);
	if (l->doctor)
		argv[n++] = (char *)"--version"; /* without which a model must be named */
	if (options_parse(&l->options, n, argv, own_options, &why)) {
		fprintf(stderr, "xverse-launch: %s\n", why.text);
		exit(EXIT_USAGE);
	}
	options_source_open(&l->source, &l->options, l->n_daemon + 1, argv);
}

/* A path that was chosen here goes to the ranks, whose log names it. */
static int choose_socket(struct launcher *l, struct why *why)
{
	char path[RPC_PATH_SIZE];
	int err = activation_take(&l->activated, path, sizeof path, why);

	if (!err && l->activated >= 0 && l->options.uds && strcmp(l->options.uds, path))
		err = fail(why, ERR_INVALID, "--uds is %s, but the socket that was passed to this process is %s",
			   l->options.uds, path);
	if (!err && l->activated < 0 && !l->options.uds)
		err = rpc_place_make(path, why);
	if (err)
		return err;
	snprintf(l->socket_path, sizeof l->socket_path, "%s", l->options.uds ? l->options.uds : path);
	if (!l->options.uds)
		setenv("XVERSED_UDS", path, 1);
	return 0;
}

static void keep(struct launcher *l, char *arg)
{
	if (l->n_daemon == MAX_ARGS) {
		fprintf(stderr, "xverse-launch: more than %d arguments\n", MAX_ARGS);
		exit(EXIT_USAGE);
	}
	l->daemon[l->n_daemon++] = arg;
}

/* Takes out the launcher's own options; all others go to xversed. */
static void parse(struct launcher *l, int argc, char **argv)
{
	const char *value;
	int first = 1;

	l->start_timeout_s = START_TIMEOUT_S;
	if (argc > 1 && !strcmp(argv[1], "doctor")) {
		l->doctor = argc > 2 && !strcmp(argv[2], "--here")    ? DOCTOR_HERE
			    : argc > 2 && !strcmp(argv[2], "--facts") ? DOCTOR_FACTS
								      : DOCTOR;
		first = l->doctor == DOCTOR ? 2 : 3;
	}
	for (int i = first; i < argc; i++) {
		if (!strcmp(argv[i], "-n"))
			l->n_ranks = number(argv[++i], "-n");
		else if ((value = text_option(argv, &i, "--hosts")))
			l->host_list = value;
		else if ((value = text_option(argv, &i, "--hostfile")))
			l->host_file = value;
		else if ((value = text_option(argv, &i, "--starter")))
			l->wanted = starter_named(value);
		else if (!strncmp(argv[i], "--start-timeout", 15) && (!argv[i][15] || argv[i][15] == '='))
			l->start_timeout_s = number(argv[i][15] ? argv[i] + 16 : argv[++i], "--start-timeout");
		else if (!strncmp(argv[i], "--restart", 9) && (!argv[i][9] || argv[i][9] == '=')) {
			l->restart = true;
			l->restarts = argv[i][9] ? number(argv[i] + 10, "--restart") : -1;
		} else if (!strcmp(argv[i], "--detach"))
			l->detach = true;
		else if (!strcmp(argv[i], "--print"))
			l->print = true;
		else if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
			usage(stdout);
			exit(EXIT_OK);
		} else if (!beside_option(&l->gateway, argv, &i) && !takeover_option(&l->takeover, argv[i]))
			keep(l, argv[i]);
	}
	if (argc == 1) {
		usage(stderr);
		exit(EXIT_USAGE);
	}
	parse_options(l);
}

/* A wrong flag or file is as wrong the next time. */
static bool worth_restarting(const struct launcher *l, int code)
{
	return l->restart && !l->draining && l->restarts && code && code != EXIT_USAGE && code != EXIT_INPUT &&
	       code != EXIT_CONFIG;
}

/* Returns true if the job was never ready and failed so often that another try is pointless. */
static bool given_up(struct launcher *l, int code)
{
	if (l->was_ready || ++l->failed_starts < FAILED_STARTS)
		return false;
	log_event(LOG_ERROR, "the job failed too often before it was ready; giving up", " times=%d code=%d",
		  l->failed_starts, code);
	return true;
}

static int run(struct launcher *l)
{
	int wait_ms = 500, code;

	for (;;) {
		code = job_run(l);
		l->yielded = takeover_yields(l);
		if (l->gateway.failed)
			return l->gateway.failed;
		if (takeover_replaced(l))
			return EXIT_OK;
		if (l->yielded)
			continue;
		if (takeover_pending(l) || !worth_restarting(l, code))
			return code;
		if (given_up(l, code))
			return EXIT_CONFIG;
		if (l->job.ready && l->awake_ns - l->job.ready_ns > HEALTHY_S * 1000000000ull)
			wait_ms = 500;
		log_event(LOG_WARN, "the job ended; restarting it", " code=%d wait_ms=%d", code, wait_ms);
		job_pause(l, wait_ms);
		if (l->draining || takeover_replaced(l))
			return l->gateway.failed;
		wait_ms = min_int(2 * wait_ms, 30000);
		l->restarts -= l->restarts > 0;
	}
}

static void catch_signals(struct launcher *l)
{
	static const int signals[] = {SIGTERM, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2, SIGHUP, SIGALRM, SIGCHLD};
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
		sigaddset(&set, signals[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
	l->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	signal(SIGPIPE, SIG_IGN);
}

/* --pid-file holds the launcher's number, which a restart does not change; rank 0 writes none. */
static int open_pid_file(struct launcher *l, struct why *why)
{
	int err = takeover_pending(l) ? 0 : pid_file_write(l->options.pid_file, why);

	if (!err && l->options.pid_file)
		keep(l, (char *)"--pid-file=");
	return err;
}

/* Opens the socket, the files, our folder and the private socket in it. A launcher that finds another one on the socket
 * leaves that one's pid file alone. */
static int open_all(struct launcher *l, struct why *why)
{
	bool found = false;
	gid_t group;
	int err = options_find_group(&l->options, &group, why);

	if (!err)
		err = takeover_begin(l, &found, why);
	if (!err && !found && l->activated >= 0)
		err = rpc_listen_on(&l->listener, l->activated, why);
	else if (!err && !found)
		err = rpc_listen(&l->listener, l->socket_path, group, why);
	if (!err)
		takeover_open(l);
	if (!err && l->options.log_file) {
		l->output.log_fd = log_file_descriptor(l->options.log_file, why);
		err = min_int(l->output.log_fd, 0);
	}
	if (!err)
		err = open_pid_file(l, why);
	if (!err)
		err = folder_make(&l->folder, l->socket_path, why);
	if (!err)
		err = handover_open(&l->handover, l->folder.path, why);
	return err;
}

static void close_all(struct launcher *l)
{
	handover_close(&l->handover);
	takeover_close_new(l);
	takeover_close_old(l);
	beside_unlisten(&l->gateway);
	folder_remove(&l->folder);
	rpc_unlisten(&l->listener);
	pid_file_remove();
}

/* Orphans of mpirun become our children, so that none outlives its job. */
static int serve(struct launcher *l)
{
	int code;

	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	output_open(&l->output, l->options.log_file, l->output.log_fd);
	l->looked_ns = now_ns();
	l->awake_ns = 1000000000u;                               /* 0 stands for never */
	l->gateway.held = l->gateway.came = takeover_pending(l); /* the one before serves HTTP too until then */
	if (!l->gateway.foreign)
		beside_own(&l->gateway);
	beside_look(&l->gateway);
	code = takeover_wait(l) ? run(l) : EXIT_OK;
	takeover_wait_for_requests(l);
	beside_end(&l->gateway);
	takeover_wait_for_old(l);
	close_all(l);
	output_close(&l->output);
	return code;
}

/* The ranks find the same; here it is one line, without mpirun's. */
static int check_model(struct launcher *l, struct why *why)
{
	static struct model_config config;
	int err = options_find_model(&l->options, why);

	return err ? err : model_config_read_over(&config, l->options.model, l->options.hf_overrides, why);
}

/* Rank 0 reads them again. */
static int check_users(const struct launcher *l, struct why *why)
{
	struct limits limits = {0};
	int err = l->options.limits ? limits_read(&limits, l->options.limits, why) : 0;
	gid_t group;
	uid_t gateway;

	limits_finish(&limits);
	if (!err)
		err = options_find_group(&l->options, &group, why);
	return err ? err : options_find_gateway(&l->options, &gateway, why);
}

static int refuse(int err, const struct why *why)
{
	fprintf(stderr, "xverse-launch: %s\n", why->text);
	return err == ERR_BUSY                         ? EXIT_AGAIN
	       : err == ERR_INVALID                    ? EXIT_USAGE
	       : err == ERR_DENIED || err == ERR_LIMIT ? EXIT_CONFIG
						       : EXIT_INPUT;
}

/* The socket of the gateway that is taken over from is asked for before anything changes, since with another one's port
 * the gateway could not check whether its own is free. */
static int open_gateway(struct launcher *l, struct why *why, int *code)
{
	struct rpc_listener running;
	int err = takeover_borrow(l, &running, why);

	if (err)
		return err;
	beside_prepare(&l->gateway, &l->output, l->socket_path, l->xversed);
	*code = beside_check(&l->gateway, &running);
	rpc_listen_leave(&running);
	rpc_unlisten(&running);
	return 0;
}

/* A dry run: what a start would refuse of the gateway, which reports it itself. */
static int check_gateway(struct launcher *l)
{
	char path[RPC_PATH_SIZE] = "";
	struct why why = {""};
	int code = 0, err;

	if (!l->options.dry_run || !l->gateway.n)
		return 0;
	if (!l->options.uds && rpc_place_find(path, &why))
		path[0] = 0; /* xversed reports that */
	snprintf(l->socket_path, sizeof l->socket_path, "%s", l->options.uds ? l->options.uds : path);
	err = open_gateway(l, &why, &code);
	beside_unlisten(&l->gateway);
	return err ? refuse(err, &why) : code;
}

static int doctor(struct launcher *l, char **argv)
{
	struct why why;
	struct facts facts;

	if (l->doctor == DOCTOR) {
		place(l, argv);
		return doctor_run(l);
	}
	if (l->doctor == DOCTOR_FACTS) {
		facts_take(&facts, &l->options, l->xversed);
		if (l->options.model && !facts.model_error[0] && getenv(FIT_RANKS) && getenv(FIT_NODES) &&
		    !fit_ask(l, atoi(getenv(FIT_RANKS)), atoi(getenv(FIT_NODES)), false, facts.plan_error,
			     sizeof facts.plan_error))
			facts.plan_error[0] = 0;
		facts_print(&facts);
		return EXIT_OK;
	}
	starter_find(&l->starter, l->wanted, getenv("SLURM_JOB_ID") != NULL, &why);
	doctor_here(l, true);
	return EXIT_OK;
}

static int print(const struct launcher *l)
{
	static struct command command;
	char *argv[MAX_ARGS + 1] = {(char *)l->xversed}; /* is not changed */

	memcpy(argv + 1, l->daemon, (size_t)l->n_daemon * sizeof *argv);
	place_command(l, &command, argv, l->n_daemon + 1, false);
	command_print(&command);
	command_finish(&command);
	return EXIT_OK;
}

int main(int argc, char **argv)
{
	static struct launcher l = {.activated = -1,
				    .folder = {.lock_fd = -1},
				    .handover = {.fd = -1},
				    .output = {.log_fd = -1},
				    .takeover = {.fd = -1, .taker = {.fd = -1}, .from = {.fd = -1}, .old = {.fd = -1}}};
	struct why why = {""};
	int err, code;

	inherited_mend();
	gguf_serve_documents();
	parse(&l, argc, argv);
	find_xversed(&l);
	if (l.doctor)
		return doctor(&l, argv);
	manager_open(&l.notify.manager);
	if (!l.print && (l.options.version || l.options.dry_run || l.options.inspect))
		return run_alone(&l, check_gateway(&l));
	place(&l, argv);
	if (l.print)
		return print(&l);
	before_start(&l);
	err = check_model(&l, &why);
	if (!err)
		err = check_users(&l, &why);
	if (!err)
		err = choose_socket(&l, &why);
	if (err)
		return refuse(err, &why);
	err = open_gateway(&l, &why, &code);
	if (err)
		return refuse(err, &why);
	if (!code)
		code = check_hosts(&l);
	if (code) {
		beside_unlisten(&l.gateway);
		return code;
	}
	detach_begin(&l);
	catch_signals(&l);
	err = open_all(&l, &why);
	if (err) {
		close_all(&l);
		return refuse(err, &why);
	}
	return serve(&l);
}
