/* alone.c - options that start no job: xversed prints what they ask for, without mpirun. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "launch/inside.h"

static void add_number(struct launcher *l, const char *option, int number)
{
	if (l->n_daemon + 2 > MAX_ARGS)
		refuse_start(EXIT_USAGE, "more than %d arguments", MAX_ARGS);
	l->daemon[l->n_daemon++] = (char *)(uintptr_t)option;
	l->daemon[l->n_daemon++] = xprintf("%d", number);
}

/* A plan is one for the ranks and hosts of a start. */
static void add_places(struct launcher *l)
{
	place_count(l);
	if (!l->options.tensor_parallel)
		add_number(l, "--tensor-parallel-size", l->n_ranks);
	if (!l->options.plan_nodes && l->hosts.n > 1)
		add_number(l, "--nodes", l->hosts.n);
}

__attribute__((noreturn)) static void become_xversed(struct launcher *l)
{
	char *argv[MAX_ARGS + 2] = {l->xversed};

	memcpy(argv + 1, l->daemon, (size_t)l->n_daemon * sizeof *argv);
	execvp(argv[0], argv);
	fprintf(stderr, "xverse-launch: %s: %s\n", l->xversed, strerror(errno));
	_exit(EXIT_INPUT);
}

int run_alone(struct launcher *l, int code)
{
	pid_t pid;

	if (l->options.dry_run)
		add_places(l);
	pid = code ? fork() : 0;
	if (!pid)
		become_xversed(l);
	if (pid < 0)
		die("fork: %s", strerror(errno));
	waitpid(pid, NULL, 0);
	return code;
}
