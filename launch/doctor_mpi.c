/* doctor_mpi.c - mpirun, PMIx, and the way to other hosts. */
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "launch/ask.h"
#include "launch/finding.h"
#include "parallel/trunk.h"
#include "parallel/world.h"

enum { RUN_S = 30, HOST_MOST = 54 };

/* mpirun and the library of xversed must be of one installation. */
static void look_at_version(struct doctor *d)
{
	const struct starter *s = &d->l->starter;
	char library[256] = "", wanted[32];

	world_library(library, sizeof library);
	snprintf(wanted, sizeof wanted, "v%d.%d.", s->major, s->minor);
	if (strstr(library, wanted))
		doctor_say(d, FINE, "MPI", "Open MPI %d.%d (%s)", s->major, s->minor, s->path);
	else
		doctor_say(
			d, MEND, "MPI",
			"%s is Open MPI %d.%d, but xversed runs with %.40s: load one module, or mend PATH and LD_LIBRARY_PATH",
			s->path, s->major, s->minor, library);
}

/* The last line that mpirun printed which is no rule. */
static void try_mpirun(struct doctor *d)
{
	static struct command command;
	static const struct hosts here;
	char *argv[] = {(char *)"true", NULL};
	struct text out = {0};
	int code;

	command_make(&command, &(struct command_parts){.starter = &d->l->starter,
						       .hosts = &here,
						       .ranks = 2,
						       .folder = "",
						       .program = argv,
						       .n_program = 1});
	code = ask(command.word, RUN_S, true, &out);
	if (!code)
		doctor_say(d, FINE, "mpirun", "starts processes here");
	else if (code == ASK_TIMEOUT)
		doctor_say(d, MEND, "mpirun", "hangs: no end of `true` within %d s", RUN_S);
	else
		doctor_say(d, MEND, "mpirun", "cannot start processes here (exit code %d): %.300s", code,
			   out.data ? out.data + strspn(out.data, "-\n ") : "it says nothing");
	command_finish(&command);
	text_finish(&out);
}

static void look_at_pmix(struct doctor *d)
{
	char path[4096], *argv[] = {(char *)"srun", (char *)"--mpi=list", NULL};
	struct text out = {0};
	int code;

	if (!starter_on_path("srun", path, sizeof path)) {
		doctor_say(d, FINE, "PMIx", "mpirun brings its own; Slurm is not installed here");
		return;
	}
	code = ask(argv, RUN_S, true, &out);
	if (out.data && strstr(out.data, "pmix"))
		doctor_say(d, FINE, "PMIx", "srun --mpi=pmix is offered");
	else
		doctor_say(
			d, d->l->starter.kind == STARTER_SRUN ? MEND : NOTE, "PMIx",
			"srun offers no pmix (srun --mpi=list ends with %d): start ranks by mpirun, or install Slurm's PMIx plug-in",
			code);
	text_finish(&out);
}

static void look_at_host(struct doctor *d)
{
	char host[256] = "", path[4096];
	struct addrinfo *found = NULL;
	size_t n;

	gethostname(host, sizeof host - 1);
	n = strcspn(host, ".");
	if (n > HOST_MOST && d->l->starter.kind == STARTER_MPIRUN && d->l->starter.major < 5)
		doctor_say(d, MEND, "host name",
			   "has %zu characters, with more than %d mpirun crashes: give the machine a shorter one", n,
			   HOST_MOST);
	else if (getaddrinfo(host, NULL, NULL, &found))
		doctor_say(d, NOTE, "host name",
			   "%s has no address: MPI between hosts may need one in /etc/hosts or DNS", host);
	else
		doctor_say(d, FINE, "host name", "%s", host);
	if (found)
		freeaddrinfo(found);
	if (d->host && !d->l->hosts.slurm && !starter_on_path("ssh", path, sizeof path))
		doctor_say(d, MEND, "ssh", "is not installed, and mpirun reaches other hosts by it");
}

static void look_at_interface(struct doctor *d)
{
	const char *interface = d->l->options.node_interface;
	struct trunk_place place[TRUNK_PLACES];
	char all[300];

	if (!interface)
		return;
	trunk_interfaces(all, sizeof all);
	if (trunk_addresses(interface, place))
		doctor_say(d, FINE, "node interface", "%s=%s", place[0].interface, place[0].address);
	else
		doctor_say(d, MEND, "node interface", "--node-interface %s names none of %s", interface, all);
}

void doctor_mpi(struct doctor *d)
{
	if (d->l->starter.kind == STARTER_MPIRUN) {
		look_at_version(d);
		if (!d->host)
			try_mpirun(d); /* elsewhere mpirun has just started this process */
	}
	look_at_pmix(d);
	look_at_host(d);
	look_at_interface(d);
}
