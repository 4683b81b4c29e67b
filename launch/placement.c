/* placement.c - decides on which hosts the ranks run, how many on each, and what starts them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "launch/fit.h"

/* Options win over what a batch system says. */
static void find_hosts(struct launcher *l)
{
	struct why why = {""};
	int err;

	if (l->host_list && l->host_file)
		refuse_start(EXIT_USAGE, "--hosts and --hostfile exclude each other");
	if (l->host_list && hosts_parse(&l->hosts, l->host_list, &why))
		refuse_start(EXIT_USAGE, "--hosts: %s", why.text);
	err = l->host_file ? hosts_read(&l->hosts, l->host_file, HOSTS_SLOTTED, &why) : 0;
	if (err)
		refuse_start(EXIT_INPUT, "--hostfile: %s%s", why.text,
			     err == ERR_IO ? ": give a file with a line for each machine, such as node1 slots=4" : "");
	if (!l->host_list && !l->host_file && hosts_of_job(&l->hosts, &why))
		refuse_start(EXIT_CONFIG, "%s", why.text);
	l->hosts.slurm = getenv("SLURM_JOB_ID") != NULL;
}

/* Slots that a user named are a bound. Those of a batch system are what it says of tasks, and may be fewer than the
 * ranks wished for. */
static void count_ranks(struct launcher *l)
{
	struct hosts *h = &l->hosts;
	int slots = hosts_slots(h);

	if (!l->n_ranks)
		l->n_ranks = max_int(1, slots);
	if (!h->n)
		return;
	if (l->n_ranks > slots && !h->from)
		refuse_start(EXIT_USAGE, "-n %d is more than the %d slots of the hosts", l->n_ranks, slots);
	if (l->n_ranks > slots)
		hosts_spread(h, l->n_ranks);
	else
		hosts_take(h, l->n_ranks);
}

/* Within salloc on a login node: becomes a step on the allocation's first node. There only the step's node would be
 * found, so the hosts go along. */
static void go_there(const struct launcher *l, char **argv)
{
	char *node = xprintf("--nodelist=%s", l->hosts.at[0].name), *list = hosts_list(&l->hosts), self[4096] = "";
	const char *const srun[] = {"srun",       "--overlap",       "--nodes=1", "--ntasks=1",
				    "--mpi=none", "--cpu-bind=none", node};
	char *words[MAX_ARGS + 16];
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
	int k = 0;

	self[n > 0 ? n : 0] = 0;
	for (size_t i = 0; i < sizeof srun / sizeof *srun; i++)
		words[k++] = (char *)srun[i]; /* execvp() does not change them */
	if (isatty(0))
		words[k++] = (char *)"--pty";
	words[k++] = self;
	for (argv++; *argv && k < MAX_ARGS + 8; argv++)
		words[k++] = *argv;
	words[k++] = (char *)"--hosts";
	words[k++] = list;
	words[k] = NULL;
	fprintf(stderr, "xverse-launch: going on on node %s of the allocation\n", l->hosts.at[0].name);
	execvp(words[0], words);
	refuse_start(EXIT_CONFIG, "srun cannot be started, and this machine is no node of the allocation");
}

/* mpirun takes a step's nodes for the allocation's. */
static void leave_step(const struct launcher *l)
{
	const char *nodes = getenv("SLURM_JOB_NODELIST"), *count = getenv("SLURM_JOB_NUM_NODES");
	char *tasks;

	if (!l->hosts.slurm || !getenv("SLURM_STEP_NODELIST") || !nodes || !count)
		return;
	tasks = xprintf("1(x%s)", count);
	setenv("SLURM_NODELIST", nodes, 1);
	setenv("SLURM_NNODES", count, 1);
	setenv("SLURM_TASKS_PER_NODE", tasks, 1);
	free(tasks);
	unsetenv("SLURM_STEP_NODELIST");
	unsetenv("SLURM_STEP_TASKS_PER_NODE");
	unsetenv("SLURM_STEP_NUM_TASKS");
	unsetenv("SLURM_NTASKS");
	unsetenv("SLURM_NPROCS");
}

/* The batch system's variables also reach containers and machines that are no part of the allocation. */
static void stay_here(struct launcher *l)
{
	fprintf(stderr,
		"xverse-launch: %s names hosts (%s%s) of which this machine is none, and srun is not on the PATH: the ranks "
		"start on this machine\n",
		l->hosts.from, l->hosts.at[0].name, l->hosts.n > 1 ? " and others" : "");
	hosts_finish(&l->hosts);
}

/* Rank 0 takes the socket from the launcher, so both are on one machine. */
static void put_own_first(struct launcher *l, char **argv)
{
	int here = hosts_here(&l->hosts);
	char srun[4096];

	if (!l->hosts.n)
		return;
	if (here < 0 && l->hosts.slurm && l->hosts.from && !starter_on_path("srun", srun, sizeof srun)) {
		stay_here(l);
		return;
	}
	if (here < 0 && l->hosts.slurm && l->hosts.from && !getenv("SLURM_STEP_ID")) {
		count_ranks(l);
		go_there(l, argv);
	}
	if (here < 0)
		refuse_start(EXIT_CONFIG,
			     "this machine is none of the hosts (%s%s): start xverse-launch on one of them",
			     l->hosts.at[0].name, l->hosts.n > 1 ? " and others" : "");
	hosts_first(&l->hosts, here);
}

static void set_number(const char *variable, int number)
{
	char text[16];

	snprintf(text, sizeof text, "%d", number);
	setenv(variable, text, 1);
}

void place_count(struct launcher *l)
{
	find_hosts(l);
	count_ranks(l);
}

void place(struct launcher *l, char **argv)
{
	struct why why = {""};

	find_hosts(l);
	put_own_first(l, argv);
	count_ranks(l);
	if (l->hosts.n == 1)
		hosts_finish(&l->hosts);
	leave_step(l);
	set_number(FIT_RANKS, l->n_ranks);
	set_number(FIT_NODES, l->hosts.n);
	if (starter_find(&l->starter, l->wanted, getenv("SLURM_JOB_ID") != NULL, &why))
		refuse_start(EXIT_CONFIG, "%s", why.text);
}

void place_command(const struct launcher *l, struct command *c, char *const *program, int n_program, bool once)
{
	command_make(c, &(struct command_parts){.starter = &l->starter,
						.hosts = &l->hosts,
						.ranks = l->n_ranks,
						.folder = l->folder.path,
						.interface = l->options.node_interface,
						.program = program,
						.n_program = n_program,
						.once = once});
}
