#include "daemon/rank/place.h"

#include <errno.h>
#include <fcntl.h>
#include <hwloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/rank/memory.h"

/* What rank 0 knows of the node. */
struct node_cores {
	struct core_unit unit[CPU_SETSIZE];
	int units;
	int allowed; /* CPUs that the machine or its container lets programs use, whatever this one is bound to */
	cpu_set_t taken;
};

static const char map_path[] = "/dev/shm/xversed-cores";

static int sibling_number(hwloc_obj_t pu)
{
	hwloc_obj_t core = pu->parent;

	while (core && core->type != HWLOC_OBJ_CORE)
		core = core->parent;
	return core ? hwloc_bitmap_weight(core->cpuset) > 1 ? (int)pu->sibling_rank : 0 : 0;
}

/* The node's CPUs in hwloc's logical order, which goes package by package and core by core. */
static void read_topology(struct node_cores *n)
{
	hwloc_topology_t t;
	hwloc_obj_t pu = NULL;

	if (hwloc_topology_init(&t))
		return;
	if (!hwloc_topology_load(t)) {
		while ((pu = hwloc_get_next_obj_by_type(t, HWLOC_OBJ_PU, pu)) && n->units < CPU_SETSIZE)
			n->unit[n->units++] =
				(struct core_unit){.cpu = (int)pu->os_index, .sibling = sibling_number(pu)};
		n->allowed = hwloc_bitmap_weight(hwloc_topology_get_allowed_cpuset(t));
	}
	hwloc_topology_destroy(t);
}

/* Opens the shared file of locks. -1: pinning then works without locks. */
static int open_map(void)
{
	int fd = open(map_path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
	struct stat st;

	if (fd >= 0)
		fchmod(fd, 0666); /* other users' daemons lock it, too; it stays empty */
	else
		fd = open(map_path, O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	if (fd >= 0 && !fstat(fd, &st) && S_ISREG(st.st_mode))
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

static struct flock lock_of(int cpu)
{
	return (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = cpu, .l_len = 1};
}

static void read_taken(struct node_cores *n)
{
	int fd = open_map();

	CPU_ZERO(&n->taken);
	for (int i = 0; fd >= 0 && i < n->units; i++) {
		struct flock lock = lock_of(n->unit[i].cpu);
		if (!fcntl(fd, F_OFD_GETLK, &lock) && lock.l_type != F_UNLCK)
			CPU_SET(n->unit[i].cpu, &n->taken);
	}
	if (fd >= 0)
		close(fd);
}

/* Holds the locks until the process ends. False: another daemon holds one of them. */
static bool lock_cores(const struct core_share *s)
{
	int fd = open_map();

	for (int i = 0; fd >= 0 && i < s->threads; i++) {
		struct flock lock = lock_of(s->cpu[i]);
		if (fcntl(fd, F_OFD_SETLK, &lock) && (errno == EAGAIN || errno == EACCES)) {
			close(fd);
			return false;
		}
	}
	return true;
}

static struct core_ask own_ask(const struct options *o)
{
	struct core_ask a = {.threads = (int)o->threads};

	if (sched_getaffinity(0, sizeof a.mask, &a.mask) || !CPU_COUNT(&a.mask)) {
		CPU_ZERO(&a.mask);
		for (long cpu = 0; cpu < sysconf(_SC_NPROCESSORS_ONLN) && cpu < CPU_SETSIZE; cpu++)
			CPU_SET((size_t)cpu, &a.mask);
	}
	a.quota = memory_cpu_quota(&a.group);
	return a;
}

/* Launchers bind ranks to cores by default. Warns if that leaves cores of the node unused. */
static void warn_bound(const struct node_cores *n, const struct core_ask *ask, int ranks)
{
	cpu_set_t all;
	int count;

	CPU_ZERO(&all);
	for (int r = 0; r < ranks; r++)
		CPU_OR(&all, &all, &ask[r].mask);
	count = CPU_COUNT(&all);
	if (count < n->allowed && !ask->threads)
		log_event(
			LOG_WARN,
			"ranks are bound to a part of the node's cores: start them unbound (mpirun --bind-to none, srun "
			"--cpu-bind=none or more --cpus-per-task)",
			" usable=%d cores=%d", count, n->allowed);
}

static void plan_node(const struct core_ask *ask, int ranks, bool pin, struct core_share *out)
{
	struct node_cores *n = xalloc(1, sizeof *n);

	read_topology(n);
	if (pin)
		read_taken(n); /* without pinning, other daemons' CPUs do not matter */
	cores_plan(n->unit, n->units, ask, ranks, &n->taken, out);
	warn_bound(n, ask, ranks);
	if (CPU_COUNT(&n->taken))
		log_event(LOG_INFO, "other daemons have pinned threads to cores of this node",
			  " cores=%d pinned_here=%s", CPU_COUNT(&n->taken), out->pin ? "yes" : "no");
	free(n);
}

static void bind_to_share(const struct core_share *s)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	for (int i = 0; i < s->n_cpu; i++)
		CPU_SET(s->cpu[i], &set);
	if (sched_setaffinity(0, sizeof set, &set))
		log_event(LOG_INFO, "this rank cannot be bound to its cores", " reason=\"%s\"", strerror(errno));
}

void place_rank(struct core_share *share, const struct world *w, const struct options *o)
{
	struct core_ask mine = own_ask(o), *all = xalloc((size_t)w->local_size, sizeof *all);
	struct core_share *shares = xalloc((size_t)w->local_size, sizeof *shares);

	node_gather(w, &mine, sizeof mine, all);
	if (w->local_rank == 0)
		plan_node(all, w->local_size, o->pin, shares);
	node_bcast(w, shares, (size_t)w->local_size * sizeof *shares);
	*share = shares[w->local_rank];
	share->pin = share->pin && o->pin;
	free(shares);
	free(all);
}

void place_take(struct core_share *share)
{
	char text[200];

	share->pin = share->pin && lock_cores(share);
	if (share->pin)
		bind_to_share(share);
	cores_text(share->cpu, share->n_cpu, text, sizeof text);
	log_event(LOG_INFO, "cores", " threads=%d cores=\"%s\" pinned=%s", share->threads, text,
		  share->pin ? "yes" : "no");
}

int place_plan_threads(const struct options *o, int local_size)
{
	struct core_ask mine = own_ask(o), *all = xalloc((size_t)local_size, sizeof *all);
	struct core_share *shares = xalloc((size_t)local_size, sizeof *shares);
	cpu_set_t none;
	int threads;

	CPU_ZERO(&none);
	for (int r = 0; r < local_size; r++)
		all[r] = mine;
	cores_plan(NULL, 0, all, local_size, &none, shares);
	threads = shares->threads;
	free(shares);
	free(all);
	return threads;
}
