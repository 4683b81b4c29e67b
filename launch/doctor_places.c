/* doctor_places.c - the model's files, and where socket, port and temporary files go. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "launch/finding.h"
#include "launch/fit.h"
#include "launch/facts.h"

/* Rank 0 will run on the first host. */
static bool is_first(void)
{
	const char *ompi = getenv("OMPI_COMM_WORLD_RANK"), *slurm = getenv("SLURM_PROCID"), *rank = ompi ? ompi : slurm;

	return !rank || !strcmp(rank, "0");
}

static void look_at_plan(struct doctor *d)
{
	const char *ranks = getenv(FIT_RANKS), *nodes = getenv(FIT_NODES);
	char line[320];
	int code = fit_ask(d->l, d->host && ranks ? atoi(ranks) : d->l->n_ranks, d->host && nodes ? atoi(nodes) : 1,
			   is_first(), line, sizeof line);

	doctor_say(d, code ? MEND : FINE, "memory plan", "%s%s", line,
		   code ? " (xversed --dry-run shows all of it)" : "");
}

static void look_at_model(struct doctor *d)
{
	struct facts f;

	if (!d->l->options.model) {
		doctor_say(d, NOTE, "model", "none is named: xverse-launch doctor MODEL looks at one, too");
		return;
	}
	facts_take(&f, &d->l->options, d->l->xversed);
	if (f.model_error[0]) {
		doctor_say(d, MEND, "model", "%s", f.model_error);
		return;
	}
	doctor_say(d, FINE, "model", "%s", d->l->options.model);
	look_at_plan(d);
}

/* 0: something listens; else the error. */
static int connects(const char *path)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), err;

	snprintf(to.sun_path, sizeof to.sun_path, "%s", path);
	err = fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to) ? errno : 0;
	if (fd >= 0)
		close(fd);
	return err;
}

static void look_at_socket(struct doctor *d)
{
	char chosen[RPC_PATH_SIZE], folder[4096];
	const char *path = d->l->options.uds, *slash;
	struct why why = {""};

	if (!path && rpc_place_make(chosen, &why)) {
		doctor_say(d, MEND, "socket", "%s", why.text);
		return;
	}
	path = path ? path : chosen;
	slash = strrchr(path, '/');
	snprintf(folder, sizeof folder, "%.*s", slash ? max_int(1, (int)(slash - path)) : 1, slash ? path : ".");
	if (strlen(path) >= RPC_PATH_SIZE)
		doctor_say(d, MEND, "socket", "%s has more than %d bytes: give a shorter --uds", path,
			   RPC_PATH_SIZE - 1);
	else if (access(folder, W_OK))
		doctor_say(d, MEND, "socket", "%s: %s: give another --uds", folder, strerror(errno));
	else if (!access(path, F_OK) && !connects(path))
		doctor_say(d, NOTE, "socket", "%s is served already: another job needs another --uds", path);
	else
		doctor_say(d, FINE, "socket", "%s", path);
}

static void look_at_folder(struct doctor *d)
{
	struct folder f;
	struct why why = {""};

	if (folder_make(&f, d->l->options.uds ? d->l->options.uds : "./s", &why)) {
		doctor_say(d, MEND, "temporary files", "%s", why.text);
		return;
	}
	doctor_say(d, FINE, "temporary files", "%.*s", (int)(strrchr(f.path, '/') - f.path), f.path);
	folder_remove(&f);
}

/* The gateway says itself what is wrong, on standard error. */
static void look_at_port(struct doctor *d)
{
	struct beside gateway = d->l->gateway;
	int code;

	if (!gateway.n)
		return;
	beside_prepare(&gateway, NULL, "/nonexistent", d->l->xversed);
	code = beside_check(&gateway, NULL);
	beside_unlisten(&gateway);
	if (code)
		doctor_say(d, MEND, "gateway", "its options or its port are wrong (exit code %d, see above)", code);
	else
		doctor_say(d, FINE, "gateway", "its options are right and its port is free");
}

void doctor_places(struct doctor *d)
{
	look_at_model(d);
	look_at_socket(d);
	look_at_folder(d);
	look_at_port(d);
}
