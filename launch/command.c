#include "launch/command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void add(struct command *c, const char *word)
{
	if (c->n == COMMAND_WORDS)
		c->full = true;
	else
		c->word[c->n++] = xstrdup(word);
}

static void add_all(struct command *c, const char *const *word)
{
	while (*word)
		add(c, *word++);
}

__attribute__((format(printf, 2, 3))) static void add_fmt(struct command *c, const char *fmt, ...)
{
	char word[4400];
	va_list args;

	va_start(args, fmt);
	vsnprintf(word, sizeof word, fmt, args);
	va_end(args);
	add(c, word);
}

static void set(struct command *c, const char *kind, const char *name, const char *value)
{
	add(c, kind);
	add(c, name);
	add(c, value);
}

/* ---- Open MPI ---- */

/* Parameters of the runtime are ORTE's up to Open MPI 4 and PRRTE's from 5 on; those of MPI itself keep --mca. Open MPI
 * 5 needs no ssh on one machine; 4 must be kept from it. */
struct names {
	const char *runtime, *oversubscribe[3], *shared, *shared_folder, *folder, *lone[7];
};
static const struct names names4 = {
	.runtime = "--mca",
	.oversubscribe = {"--oversubscribe"},
	.shared = "vader",
	.shared_folder = "btl_vader_backing_directory",
	.folder = "orte_tmpdir_base",
	.lone = {"--mca", "plm", "isolated", "--mca", "ras", "^slurm,gridengine,tm,lsf,loadleveler,alps"},
};
static const struct names names5 = {
	.runtime = "--prtemca",
	.oversubscribe = {"--map-by", "slot:OVERSUBSCRIBE"},
	.shared = "sm",
	.shared_folder = "btl_sm_backing_directory",
	.folder = "prte_tmpdir_base",
	.lone = {"--prtemca", "ras", "^slurm,gridengine,pbs,lsf,flux"},
};

/* A dead link is noticed within seconds instead of 8 minutes. */
static void put_keepalive(struct command *c, const struct names *n)
{
	set(c, n->runtime, "oob_tcp_keepalive_time", "5");
	set(c, n->runtime, "oob_tcp_keepalive_intvl", "2");
	set(c, n->runtime, "oob_tcp_keepalive_probes", "3");
}

/* Ranks of other hosts have no environment but what mpirun hands on. The launcher's own socket is on this machine. */
static bool goes_along(const char *variable)
{
	static const char *const names[] = {"XVERSED_", "NCCL_", "LD_LIBRARY_PATH=", "XVERSE_LAUNCH_"};

	if (!strncmp(variable, "XVERSED_HANDOVER", 16))
		return false;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (!strncmp(variable, names[i], strlen(names[i])))
			return true;
	return false;
}

static void put_environment(struct command *c)
{
	for (char **at = environ; *at; at++)
		if (goes_along(*at)) {
			add(c, "-x");
			add_fmt(c, "%.*s", (int)strcspn(*at, "="), *at);
		}
}

/* All ranks are here: mpirun starts them without ssh, whatever an allocation or the node's name says, and MPI opens no
 * port. Its files lie in the launcher's folder, so that a killed mpirun leaves nothing behind. */
static void put_lone(struct command *c, const struct command_parts *p, const struct names *n)
{
	add_all(c, n->lone);
	set(c, "--mca", "pml", "ob1");
	add(c, "--mca");
	add(c, "btl");
	add_fmt(c, "self,%s", n->shared);
	put_keepalive(c, n);
	if (p->folder[0]) {
		set(c, n->runtime, n->folder, p->folder);
		set(c, "--mca", n->shared_folder, p->folder);
	}
	add(c, "--host");
	add_fmt(c, "localhost:%d", p->ranks);
}

/* The launcher's folder exists on this machine only, and a folder for mpirun alone is refused by its ranks. */
static void put_hosts(struct command *c, const struct command_parts *p, const struct names *n)
{
	char *list = hosts_list(p->hosts);

	if (p->starter->major < 5 && !p->once) {
		add(c, "--map-by");
		add(c, "slot");
	}
	set(c, "--mca", "pml", "ob1");
	add(c, "--mca");
	add(c, "btl");
	add_fmt(c, "self,%s,tcp", n->shared);
	put_keepalive(c, n);
	if (p->interface) {
		set(c, n->runtime, p->starter->major < 5 ? "oob_tcp_if_include" : "prte_if_include", p->interface);
		set(c, "--mca", "btl_tcp_if_include", p->interface);
	}
	if (p->hosts->slurm)
		set(c, n->runtime, "plm_slurm_args", "--overlap");
	put_environment(c);
	add(c, "--host");
	add(c, list);
	free(list);
}

/* xversed pins itself, so ranks start unbound. A path of its own makes mpirun look for its files beside it on other
 * hosts, too, whose shells may not have loaded its module. */
static void put_mpirun(struct command *c, const struct command_parts *p)
{
	const struct names *n = p->starter->major < 5 ? &names4 : &names5;
	bool usual = !p->hosts->n || !strncmp(p->starter->path, "/usr/bin/", 9);

	add(c, usual ? "mpirun" : p->starter->path);
	add(c, "--bind-to");
	add(c, "none");
	if (!p->once)
		add_all(c, n->oversubscribe);
	if (p->hosts->n)
		put_hosts(c, p, n);
	else
		put_lone(c, p, n);
	if (p->once) {
		add(c, "--map-by");
		add(c, "ppr:1:node");
	}
	add(c, "-n");
	add_fmt(c, "%d", p->once ? max_int(1, p->hosts->n) : p->ranks);
}

/* ---- Slurm ---- */

/* srun ends a job that lost a rank only with --kill-on-bad-exit. */
static void put_srun(struct command *c, const struct command_parts *p)
{
	static const char *const fixed[] = {
		"srun",      "--mpi=pmix", "--kill-on-bad-exit=1", "--wait=10", "--input=none", "--cpu-bind=none",
		"--overlap", NULL};
	int nodes = max_int(1, p->hosts->n), ranks = p->once ? nodes : p->ranks;
	const char *own = getenv("SLURMD_NODENAME");
	char *names = hosts_names(p->hosts);

	add_all(c, fixed);
	add_fmt(c, "--nodes=%d", nodes);
	add_fmt(c, "--ntasks=%d", ranks);
	add_fmt(c, "--ntasks-per-node=%d", div_up(ranks, nodes));
	add(c, "--distribution=block");
	if (p->hosts->n || own)
		add_fmt(c, "--nodelist=%s", p->hosts->n ? names : own);
	free(names);
}

/* ---- both ---- */

void command_make(struct command *c, const struct command_parts *p)
{
	*c = (struct command){0};
	if (p->starter->kind == STARTER_SRUN)
		put_srun(c, p);
	else
		put_mpirun(c, p);
	for (int i = 0; i < p->n_program; i++)
		add(c, p->program[i]);
	if (c->full)
		die_as(EXIT_USAGE, "the command line has more than %d words", COMMAND_WORDS);
}

/* Quotes a word for a shell. */
static void print_word(const char *word)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./=,:+@%";

	if (*word && strspn(word, plain) == strlen(word)) {
		printf("%s", word);
		return;
	}
	putchar('\'');
	for (; *word; word++)
		*word == '\'' ? printf("'\\''") : putchar(*word);
	putchar('\'');
}

void command_print(const struct command *c)
{
	for (int i = 0; i < c->n; i++) {
		if (i)
			putchar(' ');
		print_word(c->word[i]);
	}
	putchar('\n');
}

void command_finish(struct command *c)
{
	for (int i = 0; i < c->n; i++)
		free(c->word[i]);
	*c = (struct command){0};
}
