/* check.c - compares the hosts of a job before it starts on them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "launch/ask.h"
#include "launch/facts.h"
#include "launch/inside.h"

enum { ANSWER_S = 60, CLOCKS_MS = 5000, SHARED_MIB = 64, FILES = 256 };

struct check {
	const struct launcher *l;
	struct facts *facts; /* (n) of the hosts that answered */
	int n, code;         /* code: the worst finding's exit code */
};

__attribute__((format(printf, 3, 4))) static void find(struct check *c, int code, const char *fmt, ...)
{
	va_list args;

	fprintf(stderr, "xverse-launch: %s", code ? "" : "warning: ");
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fprintf(stderr, "\n");
	if (!c->code)
		c->code = code;
}

/* Runs this program on each host. */
static int ask_hosts(struct check *c, struct text *out)
{
	static struct command command;
	char self[4096], *argv[MAX_ARGS + 4] = {self, (char *)"doctor", (char *)"--facts"};
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
	int code;

	self[n > 0 ? n : 0] = 0;
	memcpy(argv + 3, c->l->daemon, (size_t)c->l->n_daemon * sizeof *argv);
	place_command(c->l, &command, argv, c->l->n_daemon + 3, true);
	code = ask(command.word, ANSWER_S, false, out);
	command_finish(&command);
	return code;
}

static void read_answers(struct check *c, char *text)
{
	char *rest;

	c->facts = xalloc((size_t)c->l->hosts.n + 1, sizeof *c->facts);
	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
		if (c->n < c->l->hosts.n && !facts_read(&c->facts[c->n], line, NULL))
			c->n++;
}

/* What must be the same everywhere. */
static void compare(struct check *c, const struct facts *first, const struct facts *f)
{
	const char *model = c->l->options.model;

	if (!f->build)
		find(c, EXIT_CONFIG, "host %s has no %s", f->host, c->l->xversed);
	else if (f->build != first->build)
		find(c, EXIT_CONFIG, "host %s has another %s than %s: install the same build on both", f->host,
		     c->l->xversed, first->host);
	if (f->plugin != first->plugin)
		find(c, EXIT_CONFIG, "host %s has another CUDA plug-in than %s, or only one of them has it", f->host,
		     first->host);
	if (strcmp(f->mpi, first->mpi))
		find(c, EXIT_CONFIG, "host %s has Open MPI %s, host %s has %s: all must have the same", f->host, f->mpi,
		     first->host, first->mpi);
	if (f->model_error[0])
		find(c, EXIT_INPUT, "host %s: %s", f->host, f->model_error);
	else if (f->model != first->model && !first->model_error[0])
		find(c, EXIT_INPUT, "host %s has other files of %s than %s", f->host, model, first->host);
	if (llabs((long long)(f->clock_ms - first->clock_ms)) > CLOCKS_MS)
		find(c, 0, "the clocks of %s and %s differ by %lld s: logs will mislead", f->host, first->host,
		     llabs((long long)(f->clock_ms - first->clock_ms)) / 1000);
}

static void check_one(struct check *c, const struct facts *f)
{
	if (f->plan_error[0])
		find(c, EXIT_CONFIG, "host %s: %s (xversed --dry-run shows all of it)", f->host, f->plan_error);
	if (f->shared >= 0 && f->shared < (int64_t)SHARED_MIB << 20)
		find(c, 0, "host %s has %lld MiB free in /dev/shm: Open MPI takes 4 MiB a rank there", f->host,
		     (long long)f->shared >> 20);
	if (f->files >= 0 && f->files < FILES)
		find(c, 0, "host %s lets a process open %lld files only: ulimit -n", f->host, (long long)f->files);
}

/* The names of those that did not answer; mpirun has said why, if it knows. */
static void name_missing(struct check *c, int code)
{
	const struct hosts *h = &c->l->hosts;
	const char *interface = c->l->options.node_interface;
	char names[400] = "";
	size_t n = 0;

	for (int i = 0; i < h->n && n < sizeof names; i++) {
		int k = 0;
		while (k < c->n && strcmp(h->at[i].name, c->facts[k].host) &&
		       strncmp(c->facts[k].host, h->at[i].name, strcspn(h->at[i].name, ".")))
			k++;
		if (k == c->n)
			n += (size_t)snprintf(names + n, sizeof names - n, "%s%s", n ? ", " : "", h->at[i].name);
	}
	if (!c->n && code != ASK_TIMEOUT)
		find(c, EXIT_CONFIG, "%s started nothing on any of %s; its error is above",
		     c->l->starter.kind == STARTER_SRUN ? "srun" : "mpirun", names);
	else if (code == ASK_TIMEOUT)
		find(c, EXIT_CONFIG,
		     "no answer within %d s from %s: is it up, and does ssh to it work without a question?", ANSWER_S,
		     names);
	else
		find(c, EXIT_CONFIG, "nothing can be started on %s; the error of %s is above", names,
		     c->l->starter.kind == STARTER_SRUN ? "srun" : "mpirun");
	if (interface)
		find(c, EXIT_CONFIG,
		     "--node-interface %s must be an interface, or a network, of each of them (ip -br addr)",
		     interface);
}

int check_hosts(const struct launcher *l)
{
	struct check c = {.l = l};
	struct text answers = {0};
	int code;

	if (!l->hosts.n)
		return EXIT_OK;
	code = ask_hosts(&c, &answers);
	read_answers(&c, answers.data ? answers.data : (char *)"");
	if (c.n < l->hosts.n)
		name_missing(&c, code);
	for (int i = 0; i < c.n; i++) {
		compare(&c, &c.facts[0], &c.facts[i]);
		check_one(&c, &c.facts[i]);
	}
	text_finish(&answers);
	free(c.facts);
	return c.code;
}
