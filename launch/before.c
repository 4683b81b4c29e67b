/* before.c - finds early what would fail later with a worse message. */
#include <ifaddrs.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "launch/inside.h"
#include "base/tasks.h"
#include "parallel/trunk.h"

enum { HOST_MOST = 54 /* Open MPI 4.1's mpirun overflows a buffer with longer names */ };

void refuse_start(int code, const char *fmt, ...)
{
	va_list args;

	fprintf(stderr, "xverse-launch: ");
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fprintf(stderr, "\n");
	exit(code);
}

static void check_host_name(void)
{
	char host[256] = "";
	size_t n;

	gethostname(host, sizeof host - 1);
	n = strcspn(host, ".");
	if (n > HOST_MOST)
		fprintf(stderr,
			"xverse-launch: warning: the host's name has %zu characters; Open MPI's mpirun crashes with more than %d: give the "
			"machine or container a shorter one\n",
			n, HOST_MOST);
}

/* In a network namespace of its own whose loopback interface is down, as --network none or a unit without capabilities
 * may leave it, mpirun's errors do not say what to do. */
static bool has_interface(void)
{
	struct ifaddrs *all, *i;
	bool has = false;

	if (getifaddrs(&all))
		return true;
	for (i = all; i; i = i->ifa_next)
		has |= i->ifa_addr && i->ifa_flags & IFF_UP &&
		       (i->ifa_addr->sa_family == AF_INET || i->ifa_addr->sa_family == AF_INET6);
	freeifaddrs(all);
	return has;
}

void before_start(const struct launcher *l)
{
	const char *variable;
	char path[4096];
	struct why why;
	int tasks = tasks_started(&variable);

	if (tasks > 1)
		refuse_start(
			EXIT_CONFIG,
			"%s is %d: every one of these tasks would be a launcher of its own; start one (srun -n 1), whose -n says how many ranks "
			"there are, or srun --mpi=pmix xversed",
			variable, tasks);
	if (!strchr(l->xversed, '/') && !starter_on_path(l->xversed, path, sizeof path))
		refuse_start(EXIT_CONFIG, "xversed is neither beside xverse-launch nor on the PATH");
	if (!has_interface())
		refuse_start(EXIT_CONFIG,
			     "no network interface is up, on which mpirun and its ranks meet: ip link set lo up");
	if (trunk_has_interface(l->options.node_interface, &why))
		refuse_start(EXIT_CONFIG, "%s", why.text);
	if (l->starter.kind == STARTER_MPIRUN && l->starter.major < 5)
		check_host_name();
}
