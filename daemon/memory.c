#include "daemon/memory.h"

#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int memory_allowed_cores(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof set, &set))
		return max_int(1, (int)sysconf(_SC_NPROCESSORS_ONLN));
	return max_int(1, CPU_COUNT(&set));
}

/* The number in a file; UINT64_MAX where there is none ("max", or no such file). */
static uint64_t read_limit(const char *path)
{
	FILE *f = fopen(path, "r");
	unsigned long long v;
	uint64_t out = f && fscanf(f, "%llu", &v) == 1 ? v : UINT64_MAX;

	if (f)
		fclose(f);
	return out;
}

/* Limits of this process's group and of every group above it. */
static uint64_t group_limit(const char *group, const char *root, const char *file)
{
	char path[PATH_MAX], at[PATH_MAX];
	uint64_t least = UINT64_MAX, v;

	snprintf(at, sizeof at, "%s", group);
	for (;;) {
		char *slash = strrchr(at, '/');
		if (snprintf(path, sizeof path, "%s%s/%s", root, at, file) < (int)sizeof path) {
			v = read_limit(path);
			least = v < least ? v : least;
		}
		if (!slash)
			return least;
		*slash = 0;
	}
}

static uint64_t cgroup_limit(void)
{
	FILE *f = fopen("/proc/self/cgroup", "r");
	char line[PATH_MAX];
	uint64_t least = UINT64_MAX, v = UINT64_MAX;

	while (f && fgets(line, sizeof line, f)) {
		char *group = strrchr(line, ':') + 1;
		group[strcspn(group, "\n")] = 0;
		if (!strncmp(line, "0::", 3))
			v = group_limit(group, "/sys/fs/cgroup", "memory.max");
		else if (strstr(line, ":memory:"))
			v = group_limit(group, "/sys/fs/cgroup/memory", "memory.limit_in_bytes");
		least = v < least ? v : least;
	}
	if (f)
		fclose(f);
	return least;
}

uint64_t memory_limit(void)
{
	uint64_t ram = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGE_SIZE),
		 group = cgroup_limit();

	return ram < group ? ram : group;
}
