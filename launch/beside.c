#include "launch/beside.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/parcel.h"
#include "rpc/place.h"

enum {
	FIRST_WAIT_MS = 500,
	LONGEST_WAIT_MS = 30000,
	HEALTHY_MS = 60000,
	UP_MS = 3000,
	END_MS = 3000,
	CHECK_MS = 10000
};

static void add(struct beside *b, char *arg)
{
	if (b->n >= BESIDE_ARGS - 4) {
		fprintf(stderr, "xverse-launch: too many --http-option\n");
		exit(EXIT_USAGE);
	}
	b->argv[b->n++] = arg;
}

__attribute__((noreturn)) static void refuse_address(const char *value, const char *reason)
{
	fprintf(stderr, "xverse-launch: --http %s: %s\n", value, reason);
	exit(EXIT_USAGE);
}

/* PORT, HOST:PORT or [ADDRESS]:PORT. */
static void set_address(struct beside *b, const char *value)
{
	const char *colon = strrchr(value, ':'), *host = value;
	const char *port = colon ? colon + 1 : value;
	size_t digits = strspn(port, "0123456789"), n = colon ? (size_t)(colon - value) : 0;

	if (n > 1 && host[0] == '[' && host[n - 1] == ']') {
		host++;
		n -= 2;
	} else if (memchr(host, ':', n) || (n && strpbrk(host, "[]")))
		refuse_address(value, "an IPv6 address needs brackets: [ADDRESS]:PORT");
	if (!digits || port[digits] || digits > 5 || atoi(port) > 65535)
		refuse_address(value, "must be PORT, HOST:PORT or [ADDRESS]:PORT");
	if (colon && !n)
		refuse_address(value, "HOST is empty; 0.0.0.0 stands for all addresses");
	add(b, xprintf("--port=%s", port));
	if (colon)
		add(b, xprintf("--host=%.*s", (int)n, host));
}

bool beside_option(struct beside *b, char **argv, int *i)
{
	static const char *const names[] = {"--http", "--http-option"};

	for (int k = 0; k < 2; k++) {
		size_t n = strlen(names[k]);
		const char *value;

		if (strncmp(argv[*i], names[k], n) || (argv[*i][n] && argv[*i][n] != '='))
			continue;
		value = argv[*i][n] ? argv[*i] + n + 1 : argv[++*i];
		if (!value || !*value) {
			fprintf(stderr, "xverse-launch: %s needs a value\n", names[k]);
			exit(EXIT_USAGE);
		}
		if (!b->n)
			b->n = 1;
		if (k)
			add(b, (char *)value);
		else
			set_address(b, value);
		return true;
	}
	return false;
}

void beside_prepare(struct beside *b, const struct output *output, const char *socket, const char *xversed)
{
	const char *slash = strrchr(xversed, '/');

	if (!b->n)
		return;
	b->output = output;
	snprintf(b->path, sizeof b->path, "%.*sxverse-gateway", slash ? (int)(slash + 1 - xversed) : 0, xversed);
	b->argv[0] = b->path;
	add(b, xprintf("--model=%s", socket));
	b->argv[b->n] = NULL;
	b->wait_ms = FIRST_WAIT_MS;
}

enum { LISTEN = 3, LOCK, SHOW, FREE }; /* descriptors of the gateway */

/* It may have a number that is needed for another one. */
static int aside(int fd)
{
	return fd >= 0 ? fcntl(fd, F_DUPFD_CLOEXEC, FREE) : -1;
}

/* The gateway finds them as sd_listen_fds(3) and LISTEN_SHOW say. */
static void give_sockets(const struct rpc_listener *listener, int show_fd)
{
	int listen_fd = aside(listener->fd), lock_fd = aside(listener->lock_fd);
	char text[16];

	show_fd = aside(show_fd);
	if (show_fd >= 0) {
		dup2(show_fd, SHOW);
		snprintf(text, sizeof text, "%d", SHOW);
		setenv(LISTEN_SHOW, text, 1);
	}
	if (listen_fd < 0)
		return;
	dup2(listen_fd, LISTEN);
	if (lock_fd >= 0)
		dup2(lock_fd, LOCK);
	snprintf(text, sizeof text, "%d", (int)getpid());
	setenv("LISTEN_PID", text, 1);
	setenv("LISTEN_FDS", lock_fd >= 0 ? "2" : "1", 1);
}

/* The gateway ends if the launcher dies. */
static void child(const struct beside *b, char *const *argv, const struct output *output,
		  const struct rpc_listener *listener, int show_fd)
{
	sigset_t none;

	if (output)
		output_gateway(output);
	give_sockets(listener, show_fd);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	execvp(b->path, argv);
	fprintf(stderr, "xverse-launch: %s cannot be started: %s\n", b->path, strerror(errno));
	_exit(EXIT_CONFIG);
}

static pid_t begin(const struct beside *b, char *const *argv, const struct output *output,
		   const struct rpc_listener *listener, int show_fd)
{
	pid_t pid = fork();

	if (pid == 0)
		child(b, argv, output, listener, show_fd);
	if (pid < 0)
		die("fork: %s", strerror(errno));
	return pid;
}

static int code_of(int status)
{
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Waits until `end`, then kills it. Returns false if it had to. */
static bool wait_until(pid_t pid, uint64_t end, int *status)
{
	while (waitpid(pid, status, WNOHANG) == 0) {
		if (now_ns() > end) {
			kill(pid, SIGKILL);
			waitpid(pid, status, 0);
			return false;
		}
		poll(NULL, 0, 10);
	}
	return true;
}

/* Both may be one socket under two numbers. */
static bool same_socket(int x, int y)
{
	struct stat a, b;

	return x >= 0 && y >= 0 && !fstat(x, &a) && !fstat(y, &b) && a.st_ino == b.st_ino && a.st_dev == b.st_dev;
}

/* -1: nothing was shown. */
static int receive(int from, char *data, size_t bytes)
{
	struct parcel p;

	parcel_init(&p, data, bytes);
	return recvmsg(from, &p.head, MSG_CMSG_CLOEXEC | MSG_DONTWAIT) > 0 ? parcel_get(&p) : -1;
}

static void take_shown(struct beside *b, int from, const struct rpc_listener *offered)
{
	struct why why;
	char byte, path[RPC_PATH_SIZE] = "";
	int fd = receive(from, &byte, 1), lock_fd = receive(from, path, sizeof path - 1);

	b->listener = (struct rpc_listener){.fd = fd, .lock_fd = -1};
	b->shared = b->foreign = same_socket(fd, offered->fd);
	if (lock_fd >= 0 && rpc_listen_taken(&b->listener, path, fd, lock_fd, &why))
		log_at(LOG_WARN, "clients of the gateway will be refused while it is restarted: %s", why.text);
}

static int run_check(struct beside *b, char *const *argv, const int ends[2], const struct rpc_listener *offered)
{
	pid_t pid = begin(b, argv, NULL, offered, ends[1]);
	int status;

	if (!wait_until(pid, now_ns() + (uint64_t)CHECK_MS * NS_PER_MS, &status)) {
		fprintf(stderr, "xverse-launch: %s --check takes over %d s\n", b->path, CHECK_MS / 1000);
		return EXIT_CONFIG;
	}
	if (!code_of(status))
		take_shown(b, ends[0], offered);
	return code_of(status);
}

int beside_check(struct beside *b, const struct rpc_listener *offered)
{
	const struct rpc_listener none = {.fd = -1, .lock_fd = -1};
	char *argv[BESIDE_ARGS + 1];
	int ends[2], code;

	b->listener = none;
	if (!b->n)
		return 0;
	memcpy(argv, b->argv, (size_t)b->n * sizeof *argv);
	argv[b->n] = (char *)"--check";
	argv[b->n + 1] = NULL;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
		die("socketpair: %s", strerror(errno));
	code = run_check(b, argv, ends, offered ? offered : &none);
	close(ends[0]);
	close(ends[1]);
	return code;
}

static void start(struct beside *b)
{
	b->started_ns = now_ns();
	b->pid = begin(b, b->argv, b->output, &b->listener, -1);
}

static bool is_refusal(int code)
{
	return code == EXIT_USAGE || code == EXIT_INPUT || code == EXIT_CONFIG;
}

/* Wrong options, or a port taken since the check, are an error of the start if the first gateway meets them. A later
 * gateway keeps trying. */
static void take_end(struct beside *b, int code)
{
	b->pid = 0;
	if (b->asked)
		return;
	if (is_refusal(code) && !b->came) {
		b->failed = code;
		log_event(LOG_ERROR, "the gateway cannot start, its error is above; ending the job", " code=%d", code);
		return;
	}
	if (now_ns() - b->started_ns > (uint64_t)HEALTHY_MS * NS_PER_MS)
		b->wait_ms = FIRST_WAIT_MS;
	log_event(LOG_ERROR, "the gateway ended; restarting it", " code=%d wait_ms=%d", code, b->wait_ms);
	b->next_ns = now_ns() + (uint64_t)b->wait_ms * NS_PER_MS;
	b->wait_ms = min_int(2 * b->wait_ms, LONGEST_WAIT_MS);
}

static void look_at_left(struct beside *b)
{
	int status;

	for (int i = 0; i < BESIDE_LEFT; i++)
		if (b->left[i] && waitpid(b->left[i], &status, WNOHANG) == b->left[i])
			b->left[i] = 0;
}

void beside_look(struct beside *b)
{
	int status;

	look_at_left(b);
	if (b->n && b->pid && waitpid(b->pid, &status, WNOHANG) == b->pid)
		take_end(b, code_of(status));
	if (b->pid && now_ns() - b->started_ns > (uint64_t)UP_MS * NS_PER_MS)
		b->came = true;
	if (b->n && !b->pid && !b->asked && !b->held && !b->failed && now_ns() >= b->next_ns)
		start(b);
}

static void signal_all(const struct beside *b, int signal)
{
	if (b->pid)
		kill(b->pid, signal);
	for (int i = 0; i < BESIDE_LEFT; i++)
		if (b->left[i])
			kill(b->left[i], signal);
}

void beside_hang_up(const struct beside *b)
{
	if (!b->drained)
		signal_all(b, SIGHUP);
}

/* A socket that no gateway will accept from would let clients wait for nothing. */
void beside_unlisten(struct beside *b)
{
	if (!b->n)
		return;
	if (b->foreign)
		rpc_listen_leave(&b->listener);
	rpc_unlisten(&b->listener);
}

void beside_own(struct beside *b)
{
	b->foreign = false;
	if (b->listener.lock_fd >= 0)
		rpc_listen_own(&b->listener);
}

void beside_drain(struct beside *b)
{
	if (!b->drained)
		signal_all(b, SIGTERM);
	b->asked = b->drained = true;
	beside_unlisten(b);
}

/* Where too many finish already, this one's own limit holds. */
void beside_leave(struct beside *b)
{
	int i = 0;

	b->asked = true;
	while (i < BESIDE_LEFT && b->left[i])
		i++;
	if (b->pid)
		kill(b->pid, i < BESIDE_LEFT ? SIGUSR2 : SIGTERM);
	if (i == BESIDE_LEFT)
		return;
	b->left[i] = b->pid;
	b->pid = 0;
}

void beside_come_back(struct beside *b)
{
	b->asked = false;
	b->next_ns = 0;
}

bool beside_is_busy(const struct beside *b)
{
	bool busy = b->pid;

	for (int i = 0; i < BESIDE_LEFT; i++)
		busy |= b->left[i] != 0;
	return busy;
}

void beside_end(struct beside *b)
{
	uint64_t end = now_ns() + (uint64_t)END_MS * NS_PER_MS;
	int status;

	beside_drain(b);
	if (b->pid)
		wait_until(b->pid, end, &status);
	for (int i = 0; i < BESIDE_LEFT; i++)
		if (b->left[i])
			wait_until(b->left[i], end, &status);
	memset(b->left, 0, sizeof b->left);
	b->pid = 0;
}
