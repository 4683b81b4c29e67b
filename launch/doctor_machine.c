/* doctor_machine.c - memory, limits, CPUs and the clock of this machine. */
#include <inttypes.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <unistd.h>

#include "daemon/rank/memory.h"
#include "launch/finding.h"

enum { SHARED_MIB = 64, FILES = 1024 };

static double gib(uint64_t bytes)
{
	return (double)bytes / (1 << 30);
}

static void look_at_shared(struct doctor *d)
{
	struct statvfs shm;

	if (statvfs("/dev/shm", &shm) || access("/dev/shm", W_OK))
		doctor_say(d, MEND, "shared memory",
			   "/dev/shm does not exist or cannot be written: mount a tmpfs there");
	else if ((uint64_t)shm.f_bavail * shm.f_frsize < (uint64_t)SHARED_MIB << 20)
		doctor_say(d, MEND, "shared memory",
			   "/dev/shm has %" PRIu64
			   " MiB free, and ranks take 4 MiB each: free some, or give the container more (--shm-size)",
			   (uint64_t)shm.f_bavail * shm.f_frsize >> 20);
	else
		doctor_say(d, FINE, "shared memory", "%.1f GiB free in /dev/shm",
			   gib((uint64_t)shm.f_bavail * shm.f_frsize));
}

static void look_at_files(struct doctor *d)
{
	struct rlimit r;

	getrlimit(RLIMIT_NOFILE, &r);
	if (r.rlim_cur >= FILES)
		doctor_say(d, FINE, "open files", "%" PRIu64, (uint64_t)r.rlim_cur);
	else
		doctor_say(
			d, r.rlim_cur < FILES / 4 ? MEND : NOTE, "open files",
			"the limit is %" PRIu64
			", which bounds the clients that may be connected: ulimit -n 4096 (the hard limit is %" PRIu64
			")",
			(uint64_t)r.rlim_cur, (uint64_t)r.rlim_max);
}

/* The CPU's weights need no locked memory; RDMA between hosts and some GPU drivers do. */
static void look_at_locked(struct doctor *d)
{
	struct rlimit r;

	getrlimit(RLIMIT_MEMLOCK, &r);
	if (r.rlim_cur == RLIM_INFINITY)
		doctor_say(d, FINE, "locked memory", "no limit");
	else
		doctor_say(
			d, NOTE, "locked memory",
			"the limit is %" PRIu64
			" KiB: NCCL over InfiniBand needs `ulimit -l unlimited` (limits.conf, LimitMEMLOCK, Slurm's PropagateResourceLimits)",
			(uint64_t)r.rlim_cur >> 10);
}

static void look_at_cpus(struct doctor *d)
{
	int64_t quota = memory_cpu_quota(&(uint64_t){0});
	long all = sysconf(_SC_NPROCESSORS_ONLN);
	int threads = (int)d->l->options.threads, mine;
	cpu_set_t mask;

	CPU_ZERO(&mask);
	mine = sched_getaffinity(0, sizeof mask, &mask) ? (int)all : CPU_COUNT(&mask);
	if (quota && threads && threads * 1000 > quota)
		doctor_say(
			d, MEND, "CPUs",
			"--threads %d is more than the control group's quota of %.1f: leave it out, or raise the quota",
			threads, (double)quota / 1000);
	else if (quota)
		doctor_say(d, FINE, "CPUs", "%d of %ld, of which the control group's quota allows %.1f", mine, all,
			   (double)quota / 1000);
	else if (mine < all)
		doctor_say(d, NOTE, "CPUs",
			   "this process may use %d of %ld: in Slurm ask for --cpus-per-task, or --exclusive", mine,
			   all);
	else
		doctor_say(d, FINE, "CPUs", "%ld", all);
}

static void look_at_clock(struct doctor *d)
{
	struct timex t = {0};

	if (adjtimex(&t) < 0 || t.status & STA_UNSYNC)
		doctor_say(d, NOTE, "clock",
			   "the kernel does not know it to be synchronized: run chrony or systemd-timesyncd");
	else
		doctor_say(d, FINE, "clock", "synchronized, within %ld ms", t.maxerror / 1000);
}

void doctor_machine(struct doctor *d)
{
	doctor_say(d, FINE, "memory", "%.1f GiB", gib(memory_limit()));
	look_at_shared(d);
	look_at_files(d);
	look_at_locked(d);
	look_at_cpus(d);
	look_at_clock(d);
}
