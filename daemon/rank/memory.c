#include "daemon/rank/memory.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The number in a file; UINT64_MAX if there is none ("max", -1, or no such file). */
static uint64_t read_limit(const char *folder, const char *name)
{
	char path[PATH_MAX];
	FILE *f = snprintf(path, sizeof path, "%s/%s", folder, name) < (int)sizeof path ? fopen(path, "r") : NULL;
	long long v;
	uint64_t out = f && fscanf(f, "%lld", &v) == 1 && v >= 0 ? (uint64_t)v : UINT64_MAX;

	if (f)
		fclose(f);
	return out;
}

static uint64_t memory_of(const char *folder)
{
	uint64_t v2 = read_limit(folder, "memory.max"), v1 = read_limit(folder, "memory.limit_in_bytes");

	return v1 < v2 ? v1 : v2;
}

/* Thousandths of a CPU. */
static uint64_t cpu_of(const char *folder)
{
	uint64_t quota = 0, period = 0;
	char path[PATH_MAX];
	FILE *f;

	if (snprintf(path, sizeof path, "%s/cpu.max", folder) < (int)sizeof path && (f = fopen(path, "r"))) {
		if (fscanf(f, "%" SCNu64 " %" SCNu64, &quota, &period) != 2)
			period = 0; /* "max" */
		fclose(f);
	} else {
		quota = read_limit(folder,
				   "cpu.cfs_quota_us"); /* -1: no quota; read_limit() returns UINT64_MAX for it */
		period = read_limit(folder, "cpu.cfs_period_us");
	}
	return quota > INT64_MAX / 1000 || !period || period == UINT64_MAX ? UINT64_MAX : quota * 1000 / period;
}

/* The smallest value that `read` returns for the folders of `group` and of every group above it; *at: the inode number
 * of that folder. */
static uint64_t group_limit(const char *group, const char *root, uint64_t (*read)(const char *folder), uint64_t *at)
{
	char folder[PATH_MAX], rest[PATH_MAX];
	uint64_t least = UINT64_MAX, v;

	snprintf(rest, sizeof rest, "%s", group);
	for (;;) {
		char *slash = strrchr(rest, '/');
		struct stat st;

		if (snprintf(folder, sizeof folder, "%s%s", root, rest) < (int)sizeof folder && !stat(folder, &st)) {
			v = read(folder);
			*at = v < least ? (uint64_t)st.st_ino : *at;
			least = v < least ? v : least;
		}
		if (!slash)
			return least;
		*slash = 0;
	}
}

/* `list` is names between commas. */
static bool has_word(const char *list, const char *word)
{
	size_t n = strlen(word);

	for (const char *at = list; (at = strstr(at, word)); at += n)
		if ((at == list || at[-1] == ',') && (!at[n] || at[n] == ','))
			return true;
	return false;
}

/* The smallest limit over cgroup v2 and the v1 hierarchy of `controller`, which is mounted at
 * /sys/fs/cgroup/`controller`. */
static uint64_t cgroup_limit(const char *controller, uint64_t (*read)(const char *folder), uint64_t *at)
{
	FILE *f = fopen("/proc/self/cgroup", "r");
	char line[PATH_MAX], root[64];
	uint64_t least = UINT64_MAX;

	snprintf(root, sizeof root, "/sys/fs/cgroup/%s", controller);
	while (f && fgets(line, sizeof line, f)) {
		char *names = strchr(line, ':'), *group = names ? strchr(names + 1, ':') : NULL;
		uint64_t v = UINT64_MAX;

		if (!group)
			continue;
		*group++ = 0;
		group[strcspn(group, "\n")] = 0;
		if (!names[1])
			v = group_limit(group, "/sys/fs/cgroup", read, at);
		else if (has_word(names + 1, controller))
			v = group_limit(group, root, read, at);
		least = v < least ? v : least;
	}
	if (f)
		fclose(f);
	return least;
}

int64_t memory_cpu_quota(uint64_t *group)
{
	uint64_t v;

	*group = 0;
	v = cgroup_limit("cpu", cpu_of, group);
	return v == UINT64_MAX ? 0 : v ? (int64_t)v : 1;
}

uint64_t memory_limit(void)
{
	uint64_t at, ram = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGE_SIZE),
		     group = cgroup_limit("memory", memory_of, &at);

	return ram < group ? ram : group;
}

/* The number behind `name` in a file of lines "name number"; 0: it has none. */
static uint64_t read_field(const char *path, const char *name)
{
	FILE *f = fopen(path, "re");
	char line[256];
	size_t n = strlen(name);
	uint64_t v = 0;

	while (f && fgets(line, sizeof line, f))
		if (!strncmp(line, name, n) && strchr(" \t", line[n]))
			v = strtoull(line + n, NULL, 10);
	if (f)
		fclose(f);
	return v;
}

static uint64_t less(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

/* Memory that a group counts without caches of files, which the kernel gives up before the limit is met. */
static uint64_t used_of(const char *folder, const char *name, const char *cache)
{
	uint64_t used = read_limit(folder, name);
	char path[PATH_MAX];

	if (used == UINT64_MAX || snprintf(path, sizeof path, "%s/memory.stat", folder) >= (int)sizeof path)
		return 0;
	return less(used, read_field(path, cache));
}

static uint64_t left_of(const char *folder)
{
	uint64_t v2 = read_limit(folder, "memory.max"), v1 = read_limit(folder, "memory.limit_in_bytes");

	if (v2 != UINT64_MAX)
		return less(v2, used_of(folder, "memory.current", "file"));
	return v1 == UINT64_MAX ? v1 : less(v1, used_of(folder, "memory.usage_in_bytes", "total_cache"));
}

uint64_t memory_available(void)
{
	uint64_t at, ram = read_field("/proc/meminfo", "MemAvailable:") << 10,
		     group = cgroup_limit("memory", left_of, &at);

	return ram < group ? ram : group;
}
