#include "launch/beside.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MS = 1000000, FIRST_WAIT_MS = 500, LONGEST_WAIT_MS = 30000, HEALTHY_MS = 60000, END_MS = 3000 };

static void add(struct beside *b, char *arg)
{
	if (b->n >= BESIDE_ARGS - 4) {
		fprintf(stderr, "xverse-launch: too many --http-option\n");
		exit(EXIT_USAGE);
	}
	b->argv[b->n++] = arg;
}

static void set_address(struct beside *b, const char *value)
{
	const char *colon = strrchr(value, ':');
	const char *port = colon ? colon + 1 : value;
	size_t digits = strspn(port, "0123456789");

	if (!digits || port[digits] || digits > 5 || atoi(port) > 65535) {
		fprintf(stderr, "xverse-launch: --http %s: PORT or HOST:PORT is wanted\n", value);
		exit(EXIT_USAGE);
	}
	add(b, xprintf("--port=%s", port));
	if (colon)
		add(b, xprintf("--host=%.*s", (int)(colon - value), value));
}

bool beside_option(struct beside *b, char **argv, int *i)
{
	static const char *const names[] = {"--http", "--http-option"};

	for (int k = 0; k < 2; k++) {
		size_t n = strlen(names[k]);
		const char *value = !strcmp(argv[*i], names[k]) ? argv[++*i]
				    : !strncmp(argv[*i], names[k], n) && argv[*i][n] == '=' ? argv[*i] + n + 1
											     : "";
		if (!value) {
			fprintf(stderr, "xverse-launch: %s wants a value\n", names[k]);
			exit(EXIT_USAGE);
		}
		if (!*value)
			continue;
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

void beside_prepare(struct beside *b, const char *socket, const char *xversed)
{
	const char *slash = strrchr(xversed, '/');

	if (!b->n)
		return;
	snprintf(b->path, sizeof b->path, "%.*sxverse-gateway", slash ? (int)(slash + 1 - xversed) : 0, xversed);
	b->argv[0] = b->path;
	add(b, xprintf("--model=%s", socket));
	b->argv[b->n] = NULL;
	b->wait_ms = FIRST_WAIT_MS;
}

/* It ends if the launcher dies. */
static void child(const struct beside *b)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	execvp(b->path, b->argv);
	fprintf(stderr, "xverse-launch: %s cannot be started: %s\n", b->path, strerror(errno));
	_exit(EXIT_INPUT);
}

static void start(struct beside *b)
{
	b->started_ns = now_ns();
	b->pid = fork();
	if (b->pid == 0)
		child(b);
	if (b->pid < 0)
		die("fork: %s", strerror(errno));
}

static void take_end(struct beside *b, int status)
{
	b->pid = 0;
	if (b->told)
		return;
	if (now_ns() - b->started_ns > (uint64_t)HEALTHY_MS * MS)
		b->wait_ms = FIRST_WAIT_MS;
	log_event(LOG_ERROR, "the gateway ended; it starts again", " code=%d wait_ms=%d",
		  WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), b->wait_ms);
	b->next_ns = now_ns() + (uint64_t)b->wait_ms * MS;
	b->wait_ms = min_int(2 * b->wait_ms, LONGEST_WAIT_MS);
}

void beside_look(struct beside *b)
{
	int status;

	if (b->n && b->pid && waitpid(b->pid, &status, WNOHANG) == b->pid)
		take_end(b, status);
	if (b->n && !b->pid && !b->told && now_ns() >= b->next_ns)
		start(b);
}

void beside_drain(struct beside *b)
{
	if (b->pid && !b->told)
		kill(b->pid, SIGTERM);
	b->told = true;
}

void beside_end(struct beside *b)
{
	uint64_t end = now_ns() + (uint64_t)END_MS * MS;
	int status;

	beside_drain(b);
	while (b->pid && waitpid(b->pid, &status, WNOHANG) == 0 && now_ns() < end)
		poll(NULL, 0, 10);
	if (b->pid && waitpid(b->pid, &status, WNOHANG) == 0) {
		kill(b->pid, SIGKILL);
		waitpid(b->pid, &status, 0);
	}
	b->pid = 0;
}
